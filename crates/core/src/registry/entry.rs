//! What is known of one tool, and the manifests that tools come from.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use super::glob::Glob;
use super::usage::Usage;
use crate::cache::{Caching, Source};

/// A tool as the gateway shows it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ToolEntry {
    /// The name that clients see: unique in its snapshot, 1 to 64 characters of `[A-Za-z0-9_.-]`.
    pub shown: Box<str>,
    /// The upstream's own name, sent back to it unchanged.
    pub original: Box<str>,
    /// Where a call goes.
    pub upstream: Arc<Upstream>,
    /// The definition as the upstream wrote it, byte for byte, but for the value of `name`, which is `shown`.
    pub definition: Bytes,
    /// The category that the tool is listed under.
    pub category: Arc<str>,
    /// What the upstream claims about the tool's behaviour.
    pub annotations: Annotations,
    /// Calls, errors and latency; shared with the tool's entries in earlier and later snapshots.
    pub usage: Arc<Usage>,
    /// What a call means to the result cache.
    pub caching: Caching,
}

/// The upstream of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upstream {
    /// Position in the configuration ([`UpstreamTools::order`]).
    pub index: u32,
    /// Name in the configuration.
    pub name: Box<str>,
    /// The tools run in this process.
    pub builtin: bool,
    /// The configuration marks the upstream as trusted: its annotations are believed.
    pub trusted: bool,
}

/// The behaviour hints of a tool (`annotations` in MCP); `None` where the upstream gives none.
///
/// They are claims. Only those of built-in and trusted upstreams may decide anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Annotations {
    /// `readOnlyHint`: the tool changes nothing.
    pub read_only: Option<bool>,
    /// `idempotentHint`: a second call with the same arguments has no further effect.
    pub idempotent: Option<bool>,
    /// `destructiveHint`: the tool may destroy or overwrite.
    pub destructive: Option<bool>,
    /// `openWorldHint`: the tool deals with parties outside of the upstream.
    pub open_world: Option<bool>,
}

impl ToolEntry {
    /// Whether a call with a misspelt name may run this tool: the upstream is built-in or trusted, and it says
    /// that the tool only reads.
    pub fn may_run_for_near_name(&self) -> bool {
        (self.upstream.builtin || self.upstream.trusted)
            && self.annotations.read_only == Some(true)
            && self.annotations.destructive != Some(true)
    }
}

/// The tools of one upstream: its last known manifest and what the configuration says about it.
#[derive(Debug, Clone, Default)]
pub struct UpstreamTools {
    /// Name in the configuration; the prefix of the tools' shown names.
    pub name: Box<str>,
    /// Position in the configuration; tools are listed in this order.
    pub order: u32,
    /// The configuration marks the upstream as trusted.
    pub trusted: bool,
    /// The tools run in this process; their names are shown without prefix.
    pub builtin: bool,
    /// Category of all tools of this upstream; outranks the tools' own.
    pub category: Option<Box<str>>,
    /// If not empty, only tools whose own name matches one of these are shown.
    pub allow: Vec<Glob>,
    /// What the result cache knows of the upstream; `None`: nothing of it is kept.
    pub cache: Option<Source>,
    /// Tools whose own name, as written or as mapped to the allowed characters, matches one of these are not shown.
    pub deny: Vec<Glob>,
    /// The tools, in the upstream's order.
    pub tools: Vec<RawTool>,
}

/// One tool of a manifest: its definition as received, and the few fields that the registry needs from it.
#[derive(Debug, Clone)]
pub struct RawTool {
    name: Box<str>,
    definition: Bytes,
    name_value: Range<usize>,
    pub(super) category: Option<Box<str>>,
    pub(super) annotations: Annotations,
}

impl RawTool {
    /// A tool from its definition (one JSON object, no white space around it) and the place of the `name` value
    /// in it (byte range, quotes included); `name` is that value decoded.
    ///
    /// The caller has parsed the definition and refused one with two `name` members: a reader that takes the
    /// other one would see a name that we never judged.
    ///
    /// # Errors
    /// [`RawToolError`] if the range does not hold a JSON string, or plainly another one than `name`.
    pub fn new(
        definition: Bytes,
        name_value: Range<usize>,
        name: impl Into<Box<str>>,
    ) -> Result<Self, RawToolError> {
        let name = name.into();
        if definition.first() != Some(&b'{') || definition.last() != Some(&b'}') {
            return Err(RawToolError::NotAnObject);
        }
        let value = definition.get(name_value.clone()).ok_or(RawToolError::NameRange)?;
        let inner = value
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""))
            .ok_or(RawToolError::NameRange)?;
        // A value without escapes is its own decoding, so that a wrong range shows here and not on the wire.
        if !inner.contains(&b'\\') && inner != name.as_bytes() {
            return Err(RawToolError::OtherName);
        }
        Ok(Self { name, definition, name_value, category: None, annotations: Annotations::default() })
    }

    /// The category that the definition itself states (in `annotations` or `_meta`).
    #[must_use]
    pub fn with_category(mut self, category: impl Into<Box<str>>) -> Self {
        self.category = Some(category.into());
        self
    }

    /// The behaviour hints that the definition states.
    #[must_use]
    pub fn with_annotations(mut self, annotations: Annotations) -> Self {
        self.annotations = annotations;
        self
    }

    /// The upstream's own name for the tool.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The definition as received.
    pub fn definition(&self) -> &Bytes {
        &self.definition
    }

    /// Appends the definition with `shown` in place of the name. `shown` needs no escaping in JSON.
    pub(super) fn write_as(&self, shown: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.definition[..self.name_value.start]);
        out.push(b'"');
        out.extend_from_slice(shown.as_bytes());
        out.push(b'"');
        out.extend_from_slice(&self.definition[self.name_value.end..]);
    }
}

/// Why a definition and a name range do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RawToolError {
    /// The definition does not start with `{` and end with `}`.
    #[error("the definition is not a JSON object")]
    NotAnObject,
    /// The range is not within the definition or holds no JSON string.
    #[error("the range of the name holds no JSON string")]
    NameRange,
    /// The range holds a string other than the name.
    #[error("the range of the name holds another string than the name")]
    OtherName,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFINITION: &[u8] = br#"{"x":1e400,"name":"a\u0062c","inputSchema":{"type":"object"}}"#;

    #[test]
    fn only_the_name_value_is_replaced() {
        let tool = RawTool::new(Bytes::from_static(DEFINITION), 18..28, "abc").unwrap();
        let mut out = Vec::new();
        tool.write_as("files__abc", &mut out);
        assert_eq!(out, br#"{"x":1e400,"name":"files__abc","inputSchema":{"type":"object"}}"#);
    }

    #[test]
    fn a_range_that_holds_no_name_is_refused() {
        let new = |range: Range<usize>, name: &str| {
            RawTool::new(Bytes::from_static(DEFINITION), range, name).map(|_| ())
        };
        assert_eq!(new(17..28, "abc"), Err(RawToolError::NameRange));
        assert_eq!(new(18..2800, "abc"), Err(RawToolError::NameRange));
        assert_eq!(new(11..17, "other"), Err(RawToolError::OtherName));
        assert_eq!(RawTool::new(Bytes::new(), 0..0, "a").map(|_| ()), Err(RawToolError::NotAnObject));
    }
}
