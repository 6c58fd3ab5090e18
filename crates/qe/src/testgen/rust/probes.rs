//! Rust code that tells what of it runs: a probe before each statement, and faults that can be switched on. No line is
//! added, so that what the compiler says of a line holds for the source.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use super::super::candidates::Mutant;

/// Nothing is planted in text that is longer.
const OPERATION_BYTES_MAX: usize = 160;

/// The module that probes call. It needs no `std`.
pub(super) fn module(probes: usize) -> String {
    format!(
        "\n#[doc(hidden)] pub mod aqe_probe {{ use core::sync::atomic::{{AtomicBool, AtomicU32, Ordering::Relaxed}}; \
         #[allow(clippy::declare_interior_mutable_const)] const OFF: AtomicBool = AtomicBool::new(false); \
         static HITS: [AtomicBool; {0}] = [OFF; {0}]; static FAULT: AtomicU32 = AtomicU32::new(0); \
         pub const PROBES: usize = {0}; pub fn hit(n: usize) {{ HITS[n].store(true, Relaxed) }} \
         pub fn take(n: usize) -> bool {{ HITS[n].swap(false, Relaxed) }} \
         pub fn fault(n: u32) -> bool {{ FAULT.load(Relaxed) == n }} \
         pub fn plant(n: u32) {{ FAULT.store(n, Relaxed) }} }}\n",
        probes.max(1)
    )
}

/// What is put into a source.
#[derive(Debug)]
pub(super) struct Probes {
    probes: Vec<Probe>,
    faults: Vec<Fault>,
    /// Lines with code in functions, and the probes that stand for each.
    lines: BTreeMap<u32, Vec<usize>>,
}

#[derive(Debug)]
struct Probe {
    at: usize,
    /// Where what it wraps ends; only for arms without a block.
    closes: Option<usize>,
    rows: (u32, u32),
    depth: usize,
    is_out: bool,
}

#[derive(Debug)]
struct Fault {
    from: usize,
    to: usize,
    text: String,
    mutant: Mutant,
    is_out: bool,
}

impl Probes {
    pub(super) fn of(source: &str, root: Node<'_>, faults_max: usize) -> Self {
        let mut found = Self { probes: Vec::new(), faults: Vec::new(), lines: BTreeMap::new() };
        let mut walk = Walk { source, found: &mut found, function: String::new() };
        walk.below(root, 0, false);
        found.faults.retain(|fault| fault.to - fault.from <= OPERATION_BYTES_MAX);
        // Evenly over the file, where there are more than are wanted.
        let (count, most) = (found.faults.len(), faults_max);
        if count > most {
            let mut place = 0;
            found.faults.retain(|_| {
                place += 1;
                place * most / count != (place - 1) * most / count
            });
        }
        found.own(source);
        found
    }

    /// Which probes stand for which lines: the innermost that a line is of.
    fn own(&mut self, source: &str) {
        for (row, text) in (0_u32..).zip(source.lines()) {
            let code = text.split("//").next().unwrap_or(text);
            if !code.chars().any(|one| !one.is_whitespace() && !"{}()[];,".contains(one)) {
                continue;
            }
            let over: Vec<usize> = (0..self.probes.len())
                .filter(|probe| (self.probes[*probe].rows.0..=self.probes[*probe].rows.1).contains(&row))
                .collect();
            let Some(deepest) = over.iter().map(|probe| self.probes[*probe].depth).max() else { continue };
            let own = over.into_iter().filter(|probe| self.probes[*probe].depth == deepest);
            self.lines.insert(row + 1, own.collect());
        }
    }

    /// The source with what was not dropped.
    pub(super) fn put(&self, source: &str) -> String {
        let mut pieces: Vec<(usize, u8, usize, String)> = Vec::new();
        for (number, probe) in self.probes.iter().enumerate().filter(|(_, probe)| !probe.is_out) {
            let brace = if probe.closes.is_some() { "{ " } else { "" };
            pieces.push((probe.at, 1, probe.at, format!("{brace}crate::aqe_probe::hit({number}); ")));
            if let Some(end) = probe.closes {
                pieces.push((end, 0, end, " }".into()));
            }
        }
        for (number, fault) in self.faults.iter().enumerate().filter(|(_, fault)| !fault.is_out) {
            let plain = &source[fault.from..fault.to];
            pieces.push((
                fault.from,
                2,
                fault.to,
                format!(
                    "(if crate::aqe_probe::fault({}) {{ {} }} else {{ {plain} }})",
                    number + 1,
                    fault.text
                ),
            ));
        }
        pieces.sort_by_key(|(at, rank, _, _)| (*at, *rank));
        let mut text = String::with_capacity(source.len() * 2);
        let mut last = 0;
        for (from, _, to, piece) in pieces {
            text.push_str(&source[last..from]);
            text.push_str(&piece);
            last = to;
        }
        text.push_str(&source[last..]);
        text
    }

    /// Drops what stands on lines that the compiler does not take: faults first, and probes where there are none.
    /// Whether there was anything.
    pub(super) fn drop_on(&mut self, lines: &BTreeSet<u32>) -> bool {
        let is_on = |mutant: &Mutant| lines.contains(&mutant.line);
        let mut some = false;
        for fault in self.faults.iter_mut().filter(|fault| !fault.is_out && is_on(&fault.mutant)) {
            fault.is_out = true;
            some = true;
        }
        if !some {
            let is_on =
                |probe: &Probe| lines.iter().any(|line| (probe.rows.0..=probe.rows.1).contains(&(line - 1)));
            for probe in self.probes.iter_mut().filter(|probe| !probe.is_out && is_on(probe)) {
                probe.is_out = true;
                some = true;
            }
        }
        some
    }

    pub(super) fn count(&self) -> usize {
        self.probes.len()
    }

    /// Lines that probes stand for.
    pub(super) fn universe(&self) -> Vec<u32> {
        let is_in = |probe: &usize| !self.probes[*probe].is_out;
        self.lines.iter().filter(|(_, own)| own.iter().any(is_in)).map(|(line, _)| *line).collect()
    }

    /// Lines of which something ran.
    pub(super) fn lines(&self, hits: &BTreeSet<usize>) -> Vec<u32> {
        self.lines
            .iter()
            .filter(|(_, own)| own.iter().any(|probe| hits.contains(probe)))
            .map(|(line, _)| *line)
            .collect()
    }

    /// Numbers, from 1, of the faults that are in, and what they are.
    pub(super) fn faults(&self) -> Vec<(u32, Mutant)> {
        let all = (1_u32..).zip(&self.faults);
        all.filter(|(_, fault)| !fault.is_out).map(|(number, fault)| (number, fault.mutant.clone())).collect()
    }
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
        if runs && kind == "match_arm" {
            if let Some(value) = node.child_by_field_name("value").filter(|value| value.kind() != "block") {
                self.probe(value, depth, Some(value.end_byte()));
            }
        }
        let before = self.found.faults.len();
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            let is_length =
                node.kind() == "array_expression" && node.child_by_field_name("length") == Some(child);
            if !is_length {
                self.below(child, depth + 1, runs);
            }
        }
        // The innermost of nested operations only, or their texts would be copied again and again.
        if runs && kind == "binary_expression" && self.found.faults.len() == before {
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
                self.probe(child, depth, None);
            }
            has_attribute = kind.ends_with("attribute_item");
        }
    }

    fn probe(&mut self, node: Node<'_>, depth: usize, closes: Option<usize>) {
        let row = |point: tree_sitter::Point| u32::try_from(point.row).unwrap_or(u32::MAX);
        self.found.probes.push(Probe {
            at: node.start_byte(),
            closes,
            rows: (row(node.start_position()), row(node.end_position())),
            depth,
            is_out: false,
        });
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
            "<" => "<=",
            "<=" => "<",
            ">" => ">=",
            ">=" => ">",
            "==" => "!=",
            "!=" => "==",
            "&&" => "||",
            "||" => "&&",
            "+" if numbers => "-",
            "-" if numbers => "+",
            "*" if numbers => "+",
            "/" if numbers => "*",
            "%" if numbers => "/",
            _ => return,
        };
        let text = format!("{} {other} {}", self.text(left), self.text(right));
        let whole = self.text(node);
        // Blocks in it have probes; `let` in a condition has no value of its own; a comment could swallow what follows.
        if whole.contains(['{', '\n']) || whole.contains("let ") || whole.contains("//") {
            return;
        }
        let mutation = format!("{whole} -> {text}");
        self.found.faults.push(Fault {
            from: node.start_byte(),
            to: node.end_byte(),
            text,
            mutant: Mutant {
                target: self.function.clone(),
                line: u32::try_from(node.start_position().row).unwrap_or(u32::MAX).saturating_add(1),
                mutation,
            },
            is_out: false,
        });
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
