//! Code that tells what of it runs: a probe before each statement, and faults that can be switched on. No line is added, so
//! that what the compiler says of a line holds for the source.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use super::candidates::Mutant;
use super::mutation::spread;

/// Nothing is planted in text that is longer.
const OPERATION_BYTES_MAX: usize = 160;

/// How a language writes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) hit: fn(usize) -> String,
    /// Of a number, what takes the place of the plain text, and that.
    pub(super) fault: fn(usize, &str, &str) -> String,
}

/// What is put into a source.
#[derive(Debug)]
pub(super) struct Probes {
    style: Style,
    all: Vec<Probe>,
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
    /// Those that `walk` finds; of the faults at most `faults_max`, evenly over the file.
    pub(super) fn of(source: &str, style: Style, faults_max: usize, walk: impl FnOnce(&mut Self)) -> Self {
        let mut found = Self { style, all: Vec::new(), faults: Vec::new(), lines: BTreeMap::new() };
        walk(&mut found);
        found.faults.retain(|fault| fault.to - fault.from <= OPERATION_BYTES_MAX);
        spread(&mut found.faults, faults_max);
        found.own(source);
        found
    }

    /// A probe before a node, or around it where it is no statement.
    pub(super) fn probe(&mut self, node: Node<'_>, depth: usize, closes: Option<usize>) {
        let row = |point: tree_sitter::Point| u32::try_from(point.row).unwrap_or(u32::MAX);
        self.all.push(Probe {
            at: node.start_byte(),
            closes,
            rows: (row(node.start_position()), row(node.end_position())),
            depth,
            is_out: false,
        });
    }

    /// How many faults there are so far.
    pub(super) fn faults_so_far(&self) -> usize {
        self.faults.len()
    }

    /// An operation of `function` that may be another.
    pub(super) fn fault(&mut self, node: Node<'_>, function: &str, whole: &str, text: String) {
        self.faults.push(Fault {
            from: node.start_byte(),
            to: node.end_byte(),
            mutant: Mutant {
                target: function.to_owned(),
                line: u32::try_from(node.start_position().row).unwrap_or(u32::MAX).saturating_add(1),
                mutation: format!("{whole} -> {text}"),
            },
            text,
            is_out: false,
        });
    }

    /// Which probes stand for which lines: the innermost that a line is of.
    fn own(&mut self, source: &str) {
        for (row, text) in (0_u32..).zip(source.lines()) {
            let code = text.split("//").next().unwrap_or(text);
            if !code.chars().any(|one| !one.is_whitespace() && !"{}()[];,".contains(one)) {
                continue;
            }
            let over: Vec<usize> = (0..self.all.len())
                .filter(|probe| (self.all[*probe].rows.0..=self.all[*probe].rows.1).contains(&row))
                .collect();
            let Some(deepest) = over.iter().map(|probe| self.all[*probe].depth).max() else { continue };
            let own = over.into_iter().filter(|probe| self.all[*probe].depth == deepest);
            self.lines.insert(row + 1, own.collect());
        }
    }

    /// The source with what was not dropped.
    pub(super) fn put(&self, source: &str) -> String {
        let mut pieces: Vec<(usize, u8, usize, String)> = Vec::new();
        for (number, probe) in self.all.iter().enumerate().filter(|(_, probe)| !probe.is_out) {
            let brace = if probe.closes.is_some() { "{ " } else { "" };
            pieces.push((probe.at, 1, probe.at, format!("{brace}{}; ", (self.style.hit)(number))));
            if let Some(end) = probe.closes {
                pieces.push((end, 0, end, " }".into()));
            }
        }
        for (number, fault) in self.faults.iter().enumerate().filter(|(_, fault)| !fault.is_out) {
            let plain = &source[fault.from..fault.to];
            pieces.push((fault.from, 2, fault.to, (self.style.fault)(number + 1, &fault.text, plain)));
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
            for probe in self.all.iter_mut().filter(|probe| !probe.is_out && is_on(probe)) {
                probe.is_out = true;
                some = true;
            }
        }
        some
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Lines that probes stand for.
    pub(super) fn universe(&self) -> Vec<u32> {
        let is_in = |probe: &usize| !self.all[*probe].is_out;
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
