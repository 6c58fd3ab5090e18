//! Where probes and faults stand in Go code.

use tree_sitter::Node;

use super::super::mutation::opposite;
use super::super::probes::{Probes, Style};
use super::super::trial::{HITS, PLANTED};

/// The file that probes call, beside those of the package.
pub(super) fn module(package: &str, probes: usize) -> String {
    format!(
        "package {package}\n\nvar aqeHits [{}]bool\nvar aqePlanted int\n\nfunc aqeHit(n int) {{ aqeHits[n] = true }}\n\
         func aqeFault(n int) bool {{ return aqePlanted == n }}\n",
        probes.max(1)
    )
}

/// The same for processes of one test each: what runs goes to a file at once, so that it is known whatever ends the process.
pub(super) fn told(package: &str, probes: usize) -> String {
    format!(
        "package {package}\n\nimport (\n\t\"os\"\n\t\"strconv\"\n)\n\nvar aqeHits [{}]bool\n\
         var aqePlanted, _ = strconv.Atoi(os.Getenv(\"{PLANTED}\"))\n\
         var aqeFile, _ = os.OpenFile(os.Getenv(\"{HITS}\"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)\n\n\
         func aqeHit(n int) {{\n\tif !aqeHits[n] {{\n\t\taqeHits[n] = true\n\t\taqeFile.WriteString(strconv.Itoa(n) + \"\\n\")\n\t}}\n}}\n\n\
         func aqeFault(n int) bool {{ return aqePlanted == n }}\n",
        probes.max(1)
    )
}

/// Of a file.
pub(super) fn probes(source: &str, root: Node<'_>, faults_max: usize) -> Probes {
    let style = Style {
        hit: |number| format!("aqeHit({number})"),
        fault: |number, other, plain| {
            format!("func() bool {{ if aqeFault({number}) {{ return {other} }}; return {plain} }}()")
        },
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
        if depth > 200 || node.kind() == "const_declaration" {
            return;
        }
        if matches!(node.kind(), "function_declaration" | "method_declaration") {
            self.function = node.child_by_field_name("name").map_or("", |name| self.text(name)).to_owned();
        }
        let holds = matches!(
            node.kind(),
            "block"
                | "statement_list"
                | "expression_case"
                | "default_case"
                | "type_case"
                | "communication_case"
        );
        let before = self.found.faults_so_far();
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            let kind = child.kind();
            let is_statement = (kind.ends_with("_statement")
                && kind != "empty_statement"
                && kind != "fallthrough_statement")
                || matches!(kind, "short_var_declaration" | "var_declaration");
            // What a case sends or receives stands before its colon.
            let is_condition = node.child_by_field_name("communication") == Some(child);
            if holds && is_statement && !is_condition {
                self.found.probe(child, depth, None);
            }
            self.below(child, depth + 1);
        }
        if node.kind() == "binary_expression"
            && self.found.faults_so_far() == before
            && !self.function.is_empty()
        {
            self.fault(node);
        }
    }

    fn fault(&mut self, node: Node<'_>) {
        let part = |name: &str| node.child_by_field_name(name).map(|one| self.text(one));
        let (Some(left), Some(right), Some(operator)) = (part("left"), part("right"), part("operator"))
        else {
            return;
        };
        let Some(other) = opposite(operator) else { return };
        let whole = self.text(node);
        if whole.contains(['{', '\n']) || whole.contains("//") {
            return;
        }
        self.found.fault(node, &self.function.clone(), whole, format!("{left} {other} {right}"));
    }
}
