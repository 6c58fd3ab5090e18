//! Where probes and faults stand in Java code.

use tree_sitter::Node;

use super::super::mutation::opposite;
use super::super::probes::{Probes, Style};

/// The class that probes call, in a package of its own.
pub(super) fn class(probes: usize) -> String {
    format!(
        "package aqeprobe;\npublic final class Probe {{\n  public static final boolean[] HITS = new boolean[{}];\n  \
         public static volatile int planted;\n  public static void hit(int n) {{ HITS[n] = true; }}\n  \
         public static boolean fault(int n) {{ return planted == n; }}\n}}\n",
        probes.max(1)
    )
}

/// Of a file.
pub(super) fn probes(source: &str, root: Node<'_>, faults_max: usize) -> Probes {
    let style = Style {
        hit: |number| format!("aqeprobe.Probe.hit({number})"),
        fault: |number, other, plain| format!("(aqeprobe.Probe.fault({number}) ? ({other}) : ({plain}))"),
    };
    Probes::of(source, style, faults_max, |found| {
        Walk { source, found, function: String::new() }.below(root, 0);
    })
}

struct Walk<'a> {
    source: &'a str,
    found: &'a mut Probes,
    function: String,
}

impl<'a> Walk<'a> {
    fn text(&self, node: Node<'_>) -> &'a str {
        self.source.get(node.byte_range()).unwrap_or_default()
    }

    fn below(&mut self, node: Node<'_>, depth: usize) {
        if depth > 200 || node.kind().ends_with("annotation") {
            return;
        }
        let outer = self.function.clone();
        if matches!(
            node.kind(),
            "method_declaration" | "constructor_declaration" | "compact_constructor_declaration"
        ) {
            self.function = node.child_by_field_name("name").map_or("", |name| self.text(name)).to_owned();
        } else if node.kind() == "class_body" {
            // What fields begin with is no function's, and may be a constant of the compiler.
            self.function = String::new();
        }
        let holds = matches!(node.kind(), "block" | "constructor_body" | "switch_block_statement_group");
        let before = self.found.faults_so_far();
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            let kind = child.kind();
            let is_statement = (kind.ends_with("_statement") || kind == "switch_expression")
                || kind == "local_variable_declaration";
            if holds && is_statement {
                self.found.probe(child, depth, None);
            } else if is_statement && kind != "local_variable_declaration" && is_body(node, child) {
                self.found.probe(child, depth, Some(child.end_byte()));
            }
            self.below(child, depth + 1);
        }
        if node.kind() == "binary_expression"
            && self.found.faults_so_far() == before
            && !self.function.is_empty()
        {
            self.fault(node);
        }
        self.function = outer;
    }

    fn fault(&mut self, node: Node<'_>) {
        let part = |name: &str| node.child_by_field_name(name);
        let (Some(left), Some(right), Some(operator)) = (part("left"), part("right"), part("operator"))
        else {
            return;
        };
        let is_number = |node: Node<'_>| node.kind() == "decimal_integer_literal";
        let numbers = is_number(left) || is_number(right);
        let words = |node: Node<'_>| self.text(node).contains(['"', '\'']);
        let other = match self.text(operator) {
            "+" if numbers && !words(left) && !words(right) => Some("-"),
            "-" | "*" if numbers => Some("+"),
            "/" if numbers => Some("*"),
            "%" if numbers => Some("/"),
            operator => opposite(operator),
        };
        let Some(other) = other else { return };
        let whole = self.text(node);
        // A variable that a pattern binds would be bound in one of two branches only.
        if whole.contains(['{', '\n']) || whole.contains("//") || whole.contains("instanceof") {
            return;
        }
        let text = format!("{} {other} {}", self.text(left), self.text(right));
        self.found.fault(node, &self.function, whole, text);
    }
}

/// Whether a statement is all that a condition or a loop holds, without braces.
fn is_body(node: Node<'_>, child: Node<'_>) -> bool {
    let named = |name: &str| node.child_by_field_name(name) == Some(child);
    match node.kind() {
        "if_statement" => named("consequence") || named("alternative"),
        "while_statement" | "for_statement" | "enhanced_for_statement" | "do_statement" => named("body"),
        _ => false,
    }
}
