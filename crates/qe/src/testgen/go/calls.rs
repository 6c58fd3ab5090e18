//! Calls as a recorder makes them, and as tests say what came of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::items::Call;
use super::values::{self, fallible};

const RUNTIME: &str = include_str!("recorder.txt");
/// What the recorder itself imports.
const IMPORTED: [&str; 4] = ["fmt", "strings", "testing", "time"];

/// How results are said, the most telling first, as the recorder names them: as source; as they show themselves, where source
/// has addresses; by type.
const WAYS: [(char, &str, &str); 3] = [('v', "%#v", "value"), ('d', "%v", "debug"), ('n', "%T", "type")];

/// What stands in a line of the recorder: a call, or one of its values (the parameter and the place).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Call(usize),
    Value(usize, usize, usize),
}

/// The recorder of these calls, and what stands in its lines.
pub(super) fn recorder(package: &str, calls: &[Call]) -> (String, BTreeMap<u32, Line>) {
    let mut body = String::new();
    let mut lines = BTreeMap::new();
    for (number, call) in calls.iter().enumerate() {
        call.record(number, &mut body, &mut lines);
    }
    body.push_str("\nvar aqeCases = []aqeCase{\n");
    for (number, call) in calls.iter().enumerate() {
        let sizes: Vec<String> =
            call.values.iter().filter(|_| !call.is_out).map(|one| one.len().to_string()).collect();
        let _ = writeln!(body, "\t{{[]int{{{}}}, aqeC{number}}},", sizes.join(", "));
    }
    body.push_str("}\n");
    let mut imports = String::new();
    for path in values::packages([body.as_str()]).into_iter().filter(|path| !IMPORTED.contains(path)) {
        let _ = writeln!(imports, "\t\"{path}\"");
    }
    let head = RUNTIME.replace("PACKAGE", package).replace("IMPORTS\n", &imports);
    let above = u32::try_from(head.lines().count()).unwrap_or(u32::MAX);
    let lines = lines.into_iter().map(|(line, what)| (line + above, what)).collect();
    (head + &body, lines)
}

impl Call {
    fn verbs(&self, way: char) -> Option<String> {
        let (_, verb, _) = WAYS.iter().find(|(kind, ..)| *kind == way)?;
        let of = |kind: &String| if kind == "error" { "%v" } else { verb };
        let mut verbs: Vec<&str> = self.results.iter().map(of).collect();
        if way == 'v' && self.changes() {
            verbs.push("%+v");
        }
        (!verbs.is_empty()).then(|| verbs.join(" "))
    }

    /// Whether its object may be another one afterwards.
    fn changes(&self) -> bool {
        self.receiver.as_ref().is_some_and(|kind| kind.starts_with('*'))
    }

    /// What says its results in this way.
    fn said(&self, way: char) -> Option<String> {
        let verbs = self.verbs(way)?;
        let mut said: Vec<String> = (0..self.results.len()).map(|at| format!("r{at}")).collect();
        if way == 'v' && self.changes() {
            said.push("*object".into());
        }
        Some(format!("fmt.Sprintf(\"{verbs}\", {})", said.join(", ")))
    }

    /// Statements that call it with these values, and what is then said of it in this way.
    pub(super) fn called(&self, values: &[String], way: char) -> (String, Option<String>) {
        let arguments = if self.receiver.is_some() { values.get(1..).unwrap_or_default() } else { values };
        let whole = match &self.receiver {
            Some(_) => format!("object.{}({})", self.name, arguments.join(", ")),
            None => format!("{}({})", self.name, arguments.join(", ")),
        };
        let said = self.said(way);
        let of_results = !self.results.is_empty() && said.is_some();
        let names: Vec<String> = (0..self.results.len()).map(|at| format!("r{at}")).collect();
        let call = if of_results { format!("{} := {whole}", names.join(", ")) } else { whole };
        (call, said)
    }

    /// A function of several lines: one for each value, so that an error of the compiler names it, and one for the call.
    fn record(&self, number: usize, text: &mut String, lines: &mut BTreeMap<u32, Line>) {
        if self.is_out {
            let _ = writeln!(text, "func aqeC{number}(i []int) func(int) string {{ panic(0) }}");
            return;
        }
        let here = |text: &String| u32::try_from(text.lines().count()).unwrap_or(u32::MAX) + 1;
        let _ = writeln!(text, "func aqeC{number}(i []int) func(int) string {{");
        let kinds: Vec<&String> = self.receiver.iter().chain(&self.parameters).collect();
        let mut names = Vec::new();
        for (at, (kind, values)) in kinds.iter().zip(&self.values).enumerate() {
            let name = if at == 0 && self.receiver.is_some() { "object".into() } else { format!("a{at}") };
            lines.insert(here(text), Line::Call(number));
            let _ = writeln!(text, "\tvar {name} {}; switch i[{at}] {{", kind.trim_start_matches("..."));
            for (place, value) in values.iter().enumerate() {
                lines.insert(here(text), Line::Value(number, at, place));
                let _ = writeln!(text, "\tcase {place}: {name} = {value}");
            }
            text.push_str("\t}\n");
            names.push(name);
        }
        let (call, _) = self.called(&names, 'v');
        let ways: Vec<String> =
            WAYS.iter().map(|(way, ..)| self.said(*way).unwrap_or_else(|| "\"\"".into())).collect();
        lines.insert(here(text), Line::Call(number));
        let _ = writeln!(
            text,
            "\taqeAct(); {call}; return func(way int) string {{ switch way {{ case 0: return {}; case 1: return {} }}; return {} }}\n}}",
            ways[0], ways[1], ways[2]
        );
    }

    /// Leaves out a value that does not compile; `false`: it was left out before.
    pub(super) fn drop_value(&mut self, at: usize, place: usize) -> bool {
        let kinds: Vec<&String> = self.receiver.iter().chain(&self.parameters).collect();
        let Some(kind) = kinds.get(at) else { return false };
        // Every type has this one.
        let nothing = format!("*new({})", kind.trim_start_matches("..."));
        self.values
            .get_mut(at)
            .and_then(|values| values.get_mut(place))
            .is_some_and(|value| std::mem::replace(value, nothing.clone()) != nothing)
    }

    pub(super) fn chosen(&self, at: &[usize]) -> Vec<String> {
        self.values.iter().zip(at).filter_map(|(values, at)| values.get(*at).cloned()).collect()
    }

    /// A test of what was recorded.
    pub(super) fn test(&self, at: &[usize], kind: char, text: &str) -> (String, &'static str) {
        let values = self.chosen(at);
        let way = if kind == 'p' { 'v' } else { kind };
        let (call, said) = self.called(&values, way);
        let object = match (&self.receiver, values.first()) {
            (Some(_), Some(value)) => match fallible(value) {
                Some(call) => {
                    format!("\tobject, err := {call}\n\tif err != nil {{\n\t\tt.Fatal(err)\n\t}}\n")
                }
                None => format!("\tobject := {value}\n"),
            },
            _ => String::new(),
        };
        if kind == 'p' {
            let call = call.split_once(" := ").map_or(call.as_str(), |(_, call)| call);
            let guard = "\tdefer func() {\n\t\tif recover() == nil {\n\t\t\tt.Error(\"it did not panic\")\n\t\t}\n\t}()\n";
            return (format!("func test_(t *testing.T) {{\n{object}{guard}\t{call}\n}}\n"), "panic");
        }
        let oracle = WAYS.iter().find(|(way, ..)| *way == kind).map_or("value", |(_, _, oracle)| *oracle);
        let check = said.map_or_else(String::new, |said| {
            format!("\tgot := {said}\n\tif want := {text}; got != want {{\n\t\tt.Errorf(\"got %s, want %s\", got, want)\n\t}}\n")
        });
        let oracle = if check.is_empty() { "runs" } else { oracle };
        (format!("func test_(t *testing.T) {{\n{object}\t{call}\n{check}}}\n"), oracle)
    }
}
