//! What the server lists: odd but legal definitions, kept as text so that their key order, nulls and
//! number spellings reach the wire as written here.

use super::options::Options;

/// The tools that every instance lists. Each is legal by the schema of every revision: unknown members
/// are allowed in a tool, in its annotations and in its schema.
const TOOLS: [&str; 12] = [
    r#"{"x-vendor":{"nested":[1,2.50,-0,1E+2,123456789012345678901234567890,null,true]},"inputSchema":{"properties":{"result":{"type":"string","x-ui":{"widget":"json"}},"error":{"type":"string"}},"type":"object","$comment":"keys out of order on purpose"},"title":null,"description":"Answers with exactly the text given as `result` or `error`.","name":"reply","annotations":{"readOnlyHint":true,"x-cost":0.10,"openWorldHint":null}}"#,
    r#"{"name":"received","description":"Answers with the bytes of this request.","inputSchema":{"type":"object","additionalProperties":true},"annotations":{"title":"Caf\u00e9 \ud83c\udf75","readOnlyHint":true},"icons":[{"src":"data:,","x-icon-extra":1}],"_meta":{"example.com/rank":1.0}}"#,
    r#"{"name":"progress","description":"Sends `count` progress notifications, then the result.","inputSchema":{"type":"object","properties":{"count":{"type":"integer","minimum":0,"maximum":9007199254740993},"interval_ms":{"type":"integer"},"raw":{"type":"string"}}}}"#,
    r#"{"name":"log","description":"Sends `count` log messages, then the result.","inputSchema":{"type":"object","properties":{"level":{"type":"string"},"count":{"type":"integer"},"data":{"type":"string"},"force":{"type":"boolean"}}}}"#,
    r#"{"name":"sleep","description":"Answers after `ms` milliseconds; never once cancelled.","inputSchema":{"type":"object","properties":{"ms":{"type":"integer"}},"required":["ms"]},"execution":{"taskSupport":"forbidden"}}"#,
    r#"{"name":"journal","description":"What this process received, with times in microseconds since the epoch.","inputSchema":{"type":"object","properties":{"clear":{"type":"boolean"}}},"annotations":{"readOnlyHint":true,"idempotentHint":null}}"#,
    r#"{"name":"ask","description":"Asks the client something during the call and answers with its raw response.","inputSchema":{"type":"object","properties":{"method":{"type":"string"},"params":{"type":"string"},"timeout_ms":{"type":"integer"}},"required":["method"]}}"#,
    r#"{"name":"notify","description":"Sends any notification, within the call or beside it.","inputSchema":{"type":"object","properties":{"method":{"type":"string"},"params":{"type":"string"},"count":{"type":"integer"},"via":{"enum":["call","session"]}},"required":["method"]}}"#,
    r#"{"name":"forget","description":"HTTP: forgets this session at once.","inputSchema":{"type":"object"}}"#,
    r#"{"name":"bad","description":"Answers badly; `mode` says how.","inputSchema":{"type":"object","properties":{"mode":{"type":"string"}},"required":["mode"]},"annotations":{"destructiveHint":true}}"#,
    r#"{"name":"bare","inputSchema":{"type":"object"}}"#,
    r#"{"name":"tell","description":"Writes a mark down and answers with it.","inputSchema":{"type":"object","properties":{"mark":{"type":"string"}},"required":["mark"]},"annotations":{"readOnlyHint":false,"destructiveHint":true,"idempotentHint":false}}"#,
];

/// A list method, its result member and its entries.
#[derive(Debug)]
struct List {
    method: &'static str,
    member: &'static str,
    entries: Vec<String>,
}

/// Every list that the server serves.
#[derive(Debug)]
pub(super) struct Catalog {
    lists: Vec<List>,
    page_size: usize,
}

impl Catalog {
    pub(super) fn new(options: &Options) -> Self {
        let generated = (0..options.tools).map(|index| {
            format!(
                r#"{{"name":"tool_{index:05}","description":"Generated tool {index}: answers with its own name.","inputSchema":{{"type":"object","properties":{{"path":{{"type":"string","description":"A path"}},"limit":{{"type":"integer","minimum":0}}}},"required":["path"]}},"x-index":{index}.0}}"#
            )
        });
        let large = options.large.then(|| {
            r#"{"name":"large","description":"Answers with a text of so many `bytes`.","inputSchema":{"type":"object","properties":{"bytes":{"type":"integer"}},"required":["bytes"]}}"#.to_owned()
        });
        let resources = (0..options.resources).map(|index| {
            format!(
                r#"{{"uri":"raw://resource/{index}","name":"resource {index}","mimeType":"text/plain","x-index":{index}.0,"size":null}}"#
            )
        });
        let prompts = (0..options.prompts).map(|index| {
            format!(
                r#"{{"name":"prompt_{index}","description":null,"arguments":[{{"name":"subject","required":false,"x-extra":{{}}}}],"x-index":{index}.0}}"#
            )
        });
        let templates = (options.resources > 0).then(|| {
            r#"{"uriTemplate":"raw://resource/{index}","name":"any resource","x-extra":null}"#.to_owned()
        });
        let list = |method, member, entries| List { method, member, entries };
        Self {
            lists: vec![
                list(
                    "tools/list",
                    "tools",
                    TOOLS.map(str::to_owned).into_iter().chain(large).chain(generated).collect(),
                ),
                list("resources/list", "resources", resources.collect()),
                list("resources/templates/list", "resourceTemplates", templates.into_iter().collect()),
                list("prompts/list", "prompts", prompts.collect()),
            ],
            page_size: options.page_size.unwrap_or(usize::MAX).max(1),
        }
    }

    /// The members of the result of a list method (without braces), `None` when `method` is no list
    /// method; the error names a cursor that this server never gave out.
    pub(super) fn page(&self, method: &str, cursor: Option<&str>) -> Option<Result<String, String>> {
        let list = self.lists.iter().find(|list| list.method == method)?;
        let page = match cursor {
            None => 0,
            // The empty string is a cursor like any other (2026-07-28, pagination).
            Some("") => 1,
            Some(text) => match text.strip_prefix("p\u{fc}:").and_then(|page| page.parse().ok()) {
                Some(page) => page,
                None => return Some(Err(format!("unknown cursor {text:?}"))),
            },
        };
        let from = page * self.page_size.min(list.entries.len());
        let to = from.saturating_add(self.page_size).min(list.entries.len());
        let Some(entries) = list.entries.get(from..to) else {
            return Some(Err("cursor past the end".to_owned()));
        };
        let mut members = format!(r#""{}":[{}]"#, list.member, entries.join(","));
        if to < list.entries.len() {
            let cursor = if page == 0 { String::new() } else { format!("pü:{}", page + 1) };
            members = format!(r#"{members},"nextCursor":"{cursor}""#);
        }
        Some(Ok(members))
    }

    /// Whether the server has entries of this list method.
    pub(super) fn offers(&self, method: &str) -> bool {
        self.lists.iter().any(|list| list.method == method && !list.entries.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::Value;

    use super::*;
    use crate::raw::options::Cli;

    fn catalog(flags: &[&str]) -> Catalog {
        let cli = Cli::parse_from(["rawmcp", "stdio"].iter().chain(flags));
        Catalog::new(&cli.options)
    }

    #[test]
    fn every_definition_is_json_with_a_name_and_an_object_schema() {
        for tool in TOOLS {
            let tool: Value = serde_json::from_str(tool).unwrap();
            assert!(tool["name"].is_string() && tool["inputSchema"]["type"] == "object", "{tool}");
        }
    }

    #[test]
    fn pages_follow_each_other_through_an_empty_cursor_and_cover_every_entry_once() {
        let catalog = catalog(&["--tools", "9", "--page-size", "6"]);
        let (mut cursor, mut cursors, mut names) = (None::<String>, Vec::new(), Vec::new());
        loop {
            let members = catalog.page("tools/list", cursor.as_deref()).unwrap().unwrap();
            let page: Value = serde_json::from_str(&format!("{{{members}}}")).unwrap();
            names.extend(page["tools"].as_array().unwrap().iter().map(|tool| tool["name"].to_string()));
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursors.push(next.to_owned());
            cursor = Some(next.to_owned());
        }
        assert_eq!(cursors, ["", "pü:2", "pü:3"]);
        assert_eq!(names.len(), TOOLS.len() + 9);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), TOOLS.len() + 9);
    }

    #[test]
    fn a_cursor_never_given_out_is_refused() {
        let catalog = catalog(&["--page-size", "2"]);
        assert!(catalog.page("tools/list", Some("7")).unwrap().is_err());
        assert!(catalog.page("tools/list", Some("pü:99")).unwrap().is_err());
    }
}
