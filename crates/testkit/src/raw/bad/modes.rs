//! The list of bad answers.

/// Where a bad answer can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// On both transports.
    Both,
    /// On standard output only.
    Stdio,
    /// Over HTTP only.
    Http,
}

/// What a client that keeps to the specification can make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A valid answer comes, with noise around it or in an unusual form.
    Answer,
    /// A well-formed answer comes that a limit or a type check may refuse.
    Questionable,
    /// Something comes that is no answer to the call.
    Invalid,
    /// Nothing comes; the connection stays.
    Silence,
    /// The process, the pipe, the stream or the connection ends without an answer.
    Closed,
}

/// One way to answer badly.
#[derive(Debug, Clone, Copy)]
pub struct BadMode {
    /// The value of `mode`.
    pub name: &'static str,
    /// Where it can be given.
    pub over: Over,
    /// What it amounts to.
    pub effect: Effect,
}

const fn mode(name: &'static str, over: Over, effect: Effect) -> BadMode {
    BadMode { name, over, effect }
}

/// Every mode of the tool `bad`, described in the documentation of [`crate::raw`].
pub const BAD_MODES: &[BadMode] = &[
    mode("garbage", Over::Both, Effect::Invalid),
    mode("invalid-utf8", Over::Both, Effect::Invalid),
    mode("truncated", Over::Both, Effect::Invalid),
    mode("depth-200", Over::Both, Effect::Questionable),
    mode("depth-100000", Over::Both, Effect::Questionable),
    mode("nan", Over::Both, Effect::Invalid),
    mode("result-and-error", Over::Both, Effect::Invalid),
    mode("neither", Over::Both, Effect::Invalid),
    mode("duplicate-id", Over::Both, Effect::Invalid),
    mode("unknown-id", Over::Both, Effect::Invalid),
    mode("string-id", Over::Both, Effect::Invalid),
    mode("null-id", Over::Both, Effect::Invalid),
    mode("wrong-jsonrpc", Over::Both, Effect::Invalid),
    mode("wrong-shape", Over::Both, Effect::Questionable),
    mode("null-result", Over::Both, Effect::Questionable),
    mode("batch", Over::Both, Effect::Invalid),
    mode("bom", Over::Both, Effect::Questionable),
    mode("crlf", Over::Both, Effect::Answer),
    mode("long", Over::Both, Effect::Questionable),
    mode("twice", Over::Both, Effect::Answer),
    mode("never", Over::Both, Effect::Silence),
    mode("exit-0", Over::Both, Effect::Closed),
    mode("exit-1", Over::Both, Effect::Closed),
    mode("kill-9", Over::Both, Effect::Closed),
    mode("stderr-flood", Over::Both, Effect::Answer),
    mode("progress-after-result", Over::Both, Effect::Answer),
    mode("progress-unknown-token", Over::Both, Effect::Answer),
    mode("storm", Over::Both, Effect::Answer),
    mode("server-request", Over::Both, Effect::Answer),
    mode("garbage-before", Over::Stdio, Effect::Answer),
    mode("close-stdout", Over::Stdio, Effect::Closed),
    mode("half-line", Over::Stdio, Effect::Closed),
    mode("unfinished-line", Over::Stdio, Effect::Silence),
    mode("joined", Over::Stdio, Effect::Invalid),
    mode("byte-by-byte", Over::Stdio, Effect::Answer),
    mode("stop-reading", Over::Stdio, Effect::Answer),
    mode("status-500", Over::Http, Effect::Invalid),
    mode("status-429", Over::Http, Effect::Invalid),
    mode("status-401", Over::Http, Effect::Invalid),
    mode("status-404", Over::Http, Effect::Invalid),
    mode("accepted", Over::Http, Effect::Invalid),
    mode("empty-body", Over::Http, Effect::Invalid),
    mode("content-type", Over::Http, Effect::Invalid),
    mode("redirect", Over::Http, Effect::Invalid),
    mode("no-http", Over::Http, Effect::Invalid),
    mode("truncated-body", Over::Http, Effect::Closed),
    mode("reset", Over::Http, Effect::Closed),
    mode("close-after", Over::Http, Effect::Answer),
    mode("slow-body", Over::Http, Effect::Answer),
    mode("sse-pings", Over::Http, Effect::Silence),
    mode("sse-closed", Over::Http, Effect::Closed),
    mode("sse-cut", Over::Http, Effect::Closed),
    mode("sse-reset", Over::Http, Effect::Closed),
    mode("sse-split", Over::Http, Effect::Answer),
    mode("sse-cr", Over::Http, Effect::Answer),
    mode("sse-crlf", Over::Http, Effect::Answer),
    mode("sse-comments", Over::Http, Effect::Answer),
    mode("sse-multiline", Over::Http, Effect::Answer),
    mode("sse-fields", Over::Http, Effect::Answer),
    mode("sse-bom", Over::Http, Effect::Answer),
    mode("sse-foreign-event", Over::Http, Effect::Answer),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_names_every_mode_once() {
        let docs = include_str!("../mod.rs");
        for mode in BAD_MODES {
            let cell = format!("//! | `{}` |", mode.name);
            assert_eq!(docs.matches(&cell).count(), 1, "{cell}");
        }
    }
}
