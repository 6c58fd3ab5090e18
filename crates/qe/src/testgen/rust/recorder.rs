//! The program that calls the functions of a file with chosen values and writes down what comes of it, and the tests that
//! say the same.

use std::fmt::Write as _;

use super::items::{Call, Items, Receiver};
use super::package::Package;
use super::values::{Literals, Pools, Values};

const RUNTIME: &str = include_str!("recorder.txt");

/// A call and the values of what it takes, the receiver's first.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) call: Call,
    pub(super) values: Vec<Values>,
    pub(super) is_out: bool,
}

/// What a case came to, as the recorder writes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) kind: char,
    /// Source of a literal or, of a text, of a string.
    pub(super) text: &'a str,
    pub(super) state: &'a str,
}

impl Case {
    /// `Err`: a type of which no value can be written.
    pub(super) fn of(call: &Call, items: &Items, literals: &Literals) -> Result<Self, String> {
        let pools = Pools { literals, items };
        let mut values = Vec::new();
        let receiver = call.receiver.as_ref().map(|(_, kind)| kind.clone());
        for kind in receiver.iter().chain(&call.parameters) {
            let is_text = receiver.is_some() && values.is_empty() && kind == "str";
            let mut found = pools
                .of(if is_text { "&str" } else { kind }, &call.generics, 0)
                .ok_or_else(|| format!("no values are known of {kind}"))?;
            if receiver.is_some() && values.is_empty() {
                for one in &mut found.made {
                    *one = typed(one, kind);
                }
            }
            values.push(found);
        }
        Ok(Self { call: call.clone(), values, is_out: false })
    }

    fn called(&self, values: &[String]) -> String {
        let (object, arguments) = match (&self.call.receiver, values.split_first()) {
            (Some(_), Some((object, arguments))) => (Some(object), arguments),
            _ => (None, values),
        };
        let path = &self.call.path;
        let arguments = arguments.join(", ");
        let text = match object {
            Some(object) => format!("{object}.{path}({arguments})"),
            None => format!("{path}({arguments})"),
        };
        let is_endless = ["impl Iterator", "impl DoubleEndedIterator", "impl ExactSizeIterator"];
        if is_endless.iter().any(|one| self.call.returns.trim_start_matches("->").trim().starts_with(one)) {
            format!("{text}.take(20).collect::<Vec<_>>()")
        } else {
            text
        }
    }

    /// In one line, so that an error of the compiler names the case.
    fn recorded(&self, number: usize) -> String {
        let mut text = format!("fn c{number}(i: &[usize]) -> Said {{ ");
        let mut passed = Vec::new();
        for (at, values) in self.values.iter().enumerate() {
            let _ = write!(text, "let mut a{at} = match i[{at}] {{ ");
            let last = values.made.len() - 1;
            for (place, made) in values.made.iter().enumerate() {
                let pattern = if place == last { "_".to_owned() } else { place.to_string() };
                let _ = write!(text, "{pattern} => {made}, ");
            }
            text.push_str("}; ");
            passed.push(format!("{}a{at}{}", values.passed.0, values.passed.1));
        }
        if self.call.receiver.is_some() && !passed.is_empty() {
            passed[0] = "a0".into();
        }
        let called = self.called(&passed);
        let _ = write!(text, "act(); let (kind, text) = {{ let r = {called}; (&&&W(&r)).say() }}; ");
        let is_unique = self.call.receiver.as_ref().is_some_and(|(way, _)| *way == Receiver::Unique);
        text.push_str(if is_unique {
            "let state = (&&W(&a0)).state(); "
        } else {
            "let state = String::new(); "
        });
        text.push_str("Said { kind, text, state } }\n");
        text
    }

    /// How the call with these values looks in a test, in short.
    pub(super) fn shown(&self, at: &[usize]) -> String {
        let values: Vec<String> =
            self.values.iter().zip(at).map(|(values, at)| values.written(*at)).collect();
        self.called(&values)
    }

    /// A test of what was recorded, and one that says less.
    pub(super) fn test(&self, at: &[usize], said: Said<'_>) -> (String, Option<String>, &'static str) {
        let values: Vec<String> =
            self.values.iter().zip(at).map(|(values, at)| values.written(*at)).collect();
        let is_unique = self.call.receiver.as_ref().is_some_and(|(way, _)| *way == Receiver::Unique);
        let (before, called) = if is_unique {
            let mut by_name = values.clone();
            by_name[0] = "object".into();
            (format!("    let mut object = {};\n", values[0]), self.called(&by_name))
        } else {
            (String::new(), self.called(&values))
        };
        let state = if said.state.is_empty() {
            String::new()
        } else {
            format!("    assert_eq!(format!(\"{{object:?}}\"), {});\n", said.state)
        };
        let test =
            |attribute: &str, body: &str| format!("#[test]\n{attribute}fn test_() {{\n{before}{body}}}\n");
        let plain = format!("    let _ = {called};\n");
        match said.kind {
            'v' => {
                let assertion = match said.text {
                    "true" => format!("    assert!({called});\n"),
                    "false" => format!("    assert!(!{called});\n"),
                    "()" => format!("    {called};\n"),
                    text => format!("    assert_eq!({called}, {text});\n"),
                };
                let kind = if said.text == "()" && state.is_empty() { "runs" } else { "value" };
                (test("", &format!("{assertion}{state}")), Some(test("", &plain)), kind)
            }
            'd' => {
                let assertion = format!("    assert_eq!(format!(\"{{:?}}\", {called}), {});\n", said.text);
                (test("", &format!("{assertion}{state}")), Some(test("", &plain)), "debug")
            }
            'p' => {
                // The name of a test takes the place of the first `test_` of its text.
                let is_said = said.text.len() > 2 && !said.text.contains("test_");
                let expected = if is_said {
                    format!("#[should_panic(expected = {})]\n", said.text)
                } else {
                    "#[should_panic]\n".into()
                };
                (test(&expected, &plain), None, "panic")
            }
            _ => {
                let kind = if state.is_empty() { "runs" } else { "debug" };
                (test("", &format!("{plain}{state}")), None, kind)
            }
        }
    }
}

/// A number on which a method is called needs a type, and brackets where it is negative.
fn typed(made: &str, kind: &str) -> String {
    let is_number = made.trim_start_matches('-').starts_with(|one: char| one.is_ascii_digit());
    match (is_number, made.starts_with('-')) {
        (true, true) => format!("({made}_{kind})"),
        (true, false) => format!("{made}_{kind}"),
        _ => made.to_owned(),
    }
}

/// Lines that bring traits into scope.
pub(super) fn uses<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let mut paths: Vec<&str> = cases.filter_map(|case| case.call.uses.as_deref()).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.iter().fold(String::new(), |mut text, path| {
        let _ = writeln!(text, "use {path} as _;");
        text
    })
}

/// The whole program, and the line of the first case.
pub(super) fn source(cases: &[Case], package: &Package) -> (String, usize) {
    let mut text = format!("{RUNTIME}{}", package.head());
    text.push_str(&uses(cases.iter().filter(|case| !case.is_out)));
    let _ = writeln!(text, "use {}::aqe_probe::{{PROBES, plant, take}};", package.name);
    let first = text.lines().count() + 1;
    for (number, case) in cases.iter().enumerate() {
        if case.is_out {
            let _ = writeln!(text, "fn c{number}(_: &[usize]) -> Said {{ panic!() }}");
        } else {
            text.push_str(&case.recorded(number));
        }
    }
    text.push_str("static CASES: &[Case] = &[\n");
    for (number, case) in cases.iter().enumerate() {
        let sizes: Vec<usize> =
            if case.is_out { Vec::new() } else { case.values.iter().map(|one| one.made.len()).collect() };
        let _ = writeln!(text, "    Case {{ sizes: &{sizes:?}, run: c{number} }},");
    }
    text.push_str("];\n");
    (text, first)
}
