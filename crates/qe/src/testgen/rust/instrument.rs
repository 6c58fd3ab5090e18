//! Where probes and faults stand in Rust code.

use tree_sitter::Node;

use super::super::mutation::opposite;
use super::super::probes::{Probes, Style};
use super::super::trial::{HITS, PLANTED};

/// The module that probes call, in a library whose root has this text: `core` where there is no `std`.
pub(super) fn module(root: &str, probes: usize) -> String {
    format!(
        "\n#[doc(hidden)] pub mod aqe_probe {{ use {1}::sync::atomic::{{AtomicBool, AtomicU32, Ordering::Relaxed}}; \
         #[allow(clippy::declare_interior_mutable_const)] const OFF: AtomicBool = AtomicBool::new(false); \
         static HITS: [AtomicBool; {0}] = [OFF; {0}]; static FAULT: AtomicU32 = AtomicU32::new(0); \
         pub const PROBES: usize = {0}; pub fn hit(n: usize) {{ HITS[n].store(true, Relaxed) }} \
         pub fn take(n: usize) -> bool {{ HITS[n].swap(false, Relaxed) }} \
         pub fn fault(n: u32) -> bool {{ FAULT.load(Relaxed) == n }} \
         pub fn plant(n: u32) {{ FAULT.store(n, Relaxed) }} }}\n",
        probes.max(1),
        if root.contains("no_std") { "core" } else { "std" }
    )
}

/// The same for processes of one test each: what runs goes to a file at once, so that it is known whatever ends the process.
pub(super) fn told(probes: usize) -> String {
    format!(
        "\n#[doc(hidden)] pub mod aqe_probe {{ extern crate std as aqe_std; \
         use self::aqe_std::{{env, fs::OpenOptions, io::Write as _, sync::OnceLock, sync::atomic::{{AtomicBool, Ordering::Relaxed}}}}; \
         #[allow(clippy::declare_interior_mutable_const)] const OFF: AtomicBool = AtomicBool::new(false); \
         static HITS: [AtomicBool; {0}] = [OFF; {0}]; static FAULT: OnceLock<u32> = OnceLock::new(); \
         pub fn hit(n: usize) {{ if !HITS[n].swap(true, Relaxed) {{ if let Some(path) = env::var_os(\"{HITS}\") {{ \
         if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {{ \
         let _ = file.write_all(aqe_std::format!(\"{{n}}\\n\").as_bytes()); }} }} }} }} \
         pub fn fault(n: u32) -> bool {{ *FAULT.get_or_init(|| env::var(\"{PLANTED}\").ok().and_then(|one| one.parse().ok()).unwrap_or(0)) == n }} }}\n",
        probes.max(1)
    )
}

/// Of a file.
pub(super) fn probes(source: &str, root: Node<'_>, faults_max: usize) -> Probes {
    let style = Style {
        hit: |number| format!("crate::aqe_probe::hit({number})"),
        fault: |number, other, plain| {
            format!("(if crate::aqe_probe::fault({number}) {{ {other} }} else {{ {plain} }})")
        },
    };
    Probes::of(source, style, faults_max, |found| {
        Walk { source, found, function: String::new() }.below(root, 0, false);
    })
}

struct Walk<'a> {
    source: &'a str,
    found: &'a mut Probes,
    function: String,
}

/// Other values than at run time are computed there.
const CONSTANT: [&str; 6] =
    ["const_item", "static_item", "const_block", "array_type", "macro_invocation", "macro_definition"];

impl<'a> Walk<'a> {
    fn text(&self, node: Node<'_>) -> &'a str {
        self.source.get(node.byte_range()).unwrap_or_default()
    }

    fn below(&mut self, node: Node<'_>, depth: usize, runs: bool) {
        let kind = node.kind();
        if CONSTANT.contains(&kind) || depth > 200 {
            return;
        }
        if is_for_tests(node, self.source) {
            return;
        }
        if kind == "function_item" {
            let mut cursor = node.walk();
            let is_const = node
                .children(&mut cursor)
                .any(|one| one.kind() == "function_modifiers" && self.text(one).contains("const"));
            let name = node.child_by_field_name("name").map_or("", |name| self.text(name)).to_owned();
            let outer = std::mem::replace(&mut self.function, name);
            if let Some(body) = node.child_by_field_name("body").filter(|_| !is_const) {
                self.below(body, depth + 1, true);
            }
            self.function = outer;
            return;
        }
        if runs && kind == "block" {
            self.statements(node, depth);
        }
        if runs
            && kind == "match_arm"
            && let Some(value) = node.child_by_field_name("value").filter(|value| value.kind() != "block")
        {
            self.found.probe(value, depth, Some(value.end_byte()));
        }
        let before = self.found.faults_so_far();
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            let is_length =
                node.kind() == "array_expression" && node.child_by_field_name("length") == Some(child);
            if !is_length {
                self.below(child, depth + 1, runs);
            }
        }
        // The innermost of nested operations only, or their texts would be copied again and again.
        if runs && kind == "binary_expression" && self.found.faults_so_far() == before {
            self.fault(node);
        }
    }

    fn statements(&mut self, block: Node<'_>, depth: usize) {
        let mut cursor = block.walk();
        let mut has_attribute = false;
        for child in block.named_children(&mut cursor) {
            let kind = child.kind();
            let is_statement = kind == "let_declaration"
                || kind == "expression_statement"
                || kind.ends_with("_expression")
                || matches!(
                    kind,
                    "identifier" | "macro_invocation" | "integer_literal" | "string_literal" | "self"
                );
            if is_statement && !has_attribute {
                self.found.probe(child, depth, None);
            }
            has_attribute = kind.ends_with("attribute_item");
        }
    }

    fn fault(&mut self, node: Node<'_>) {
        let part = |name: &str| node.child_by_field_name(name);
        let (Some(left), Some(right), Some(operator)) = (part("left"), part("right"), part("operator"))
        else {
            return;
        };
        let is_number = |node: Node<'_>| node.kind() == "integer_literal";
        let numbers = is_number(left) || is_number(right);
        let other = match self.text(operator) {
            "+" if numbers => Some("-"),
            "-" | "*" if numbers => Some("+"),
            "/" if numbers => Some("*"),
            "%" if numbers => Some("/"),
            operator => opposite(operator),
        };
        let Some(other) = other else { return };
        let text = format!("{} {other} {}", self.text(left), self.text(right));
        let whole = self.text(node);
        // Blocks in it have probes; `let` in a condition has no value of its own; a comment could swallow what follows.
        if whole.contains(['{', '\n']) || whole.contains("let ") || whole.contains("//") {
            return;
        }
        self.found.fault(node, &self.function, whole, text);
    }
}

/// Whether an attribute before it keeps an item to tests.
pub(super) fn is_for_tests(node: Node<'_>, source: &str) -> bool {
    let mut before = node.prev_named_sibling();
    while let Some(one) =
        before.filter(|one| matches!(one.kind(), "attribute_item" | "line_comment" | "block_comment"))
    {
        let text: String = source.get(one.byte_range()).unwrap_or_default().split_whitespace().collect();
        if text.starts_with("#[cfg(test)]") || text.starts_with("#[test]") {
            return true;
        }
        before = one.prev_named_sibling();
    }
    false
}
