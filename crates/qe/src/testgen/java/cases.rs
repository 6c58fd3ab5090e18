//! Calls as a recorder makes them, and as tests say what came of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::recording::Recorded;
use super::items::{Call, Class};
use super::values::{Literals, Values};

/// Which JUnit the tests are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    Four,
    Five,
}

/// Values of one type that several calls share.
#[derive(Debug)]
pub(super) struct Pool {
    kind: String,
    values: Vec<String>,
    /// Those that do not compile are left out.
    out: Vec<bool>,
}

/// A call, and the pool of each of its values: the object's first.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) call: Call,
    pools: Vec<usize>,
    pub(super) is_out: bool,
}

/// What stands in a line of the recorder.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line {
    Import(usize),
    /// Where a type is named for all of its values.
    Pool(usize),
    Value(usize, usize),
    Case(usize),
}

#[derive(Debug, Default)]
pub(super) struct Cases {
    pub(super) all: Vec<Case>,
    pools: Vec<Pool>,
    /// Import lines that the recorder has, too.
    pub(super) imports: Vec<String>,
}

impl Cases {
    /// Adds a call, if values are known of all that it takes.
    pub(super) fn add(&mut self, call: Call, classes: &[Class], literals: &Literals) -> Result<(), String> {
        let values = Values { classes, literals };
        let mut pools = Vec::new();
        if !call.is_static {
            let kind = format!("object {}", call.owner);
            let made = values.objects(&call.owner);
            pools.push(
                self.pool(kind, made).ok_or_else(|| format!("nothing is known that makes {}", call.owner))?,
            );
        }
        for kind in &call.parameters {
            let made = values.of(kind);
            pools
                .push(self.pool(kind.clone(), made).ok_or_else(|| format!("no values are known of {kind}"))?);
        }
        self.all.push(Case { call, pools, is_out: false });
        Ok(())
    }

    fn pool(&mut self, kind: String, made: Option<Vec<String>>) -> Option<usize> {
        if let Some(place) = self.pools.iter().position(|pool| pool.kind == kind) {
            return Some(place);
        }
        let values = made?;
        self.pools.push(Pool { kind, out: vec![false; values.len()], values });
        Some(self.pools.len() - 1)
    }

    /// Leaves out what stands in a line; what call that ends, if any. `false`: it was out already.
    pub(super) fn drop(&mut self, line: Line) -> (bool, Option<&Call>) {
        match line {
            Line::Pool(pool) => {
                let mut is_new = false;
                for case in self.all.iter_mut().filter(|case| case.pools.contains(&pool)) {
                    is_new |= !std::mem::replace(&mut case.is_out, true);
                }
                (is_new, None)
            }
            Line::Import(at) => {
                let is_new = self.imports.get(at).is_some_and(|text| !text.is_empty());
                if let Some(text) = self.imports.get_mut(at) {
                    text.clear();
                }
                (is_new, None)
            }
            Line::Value(pool, at) => {
                let out = self.pools.get_mut(pool).and_then(|pool| pool.out.get_mut(at));
                (out.is_some_and(|out| !std::mem::replace(out, true)), None)
            }
            Line::Case(at) => match self.all.get_mut(at) {
                Some(case) if !case.is_out => {
                    case.is_out = true;
                    (true, Some(&case.call))
                }
                _ => (false, None),
            },
        }
    }

    /// The recorder, and what stands in its lines.
    pub(super) fn source(&self, package: &str, runtime: &str) -> (String, BTreeMap<u32, Line>) {
        let mut lines = BTreeMap::new();
        let mut text = String::new();
        if !package.is_empty() {
            let _ = writeln!(text, "package {package};");
        }
        let next = |text: &str| u32::try_from(text.lines().count()).unwrap_or(u32::MAX) + 1;
        for (at, import) in self.imports.iter().enumerate() {
            lines.insert(next(&text), Line::Import(at));
            let _ = writeln!(text, "{import}");
        }
        text.push_str("@SuppressWarnings(\"all\")\nclass AqeRecorder {\n");
        let here = if package.is_empty() { String::new() } else { format!("{package}.") };
        let _ = writeln!(text, "  static final String HERE = \"{here}\";");
        text.push_str(runtime);
        for (number, pool) in self.pools.iter().enumerate() {
            if !self.all.iter().any(|case| !case.is_out && case.pools.contains(&number)) {
                continue;
            }
            let kind = pool.kind.trim_start_matches("object ");
            lines.insert(next(&text), Line::Pool(number));
            let _ = writeln!(text, "  static {kind} v{number}(int i) throws Throwable {{ switch (i) {{");
            for (at, value) in pool.values.iter().enumerate().filter(|(at, _)| !pool.out[*at]) {
                lines.insert(next(&text), Line::Value(number, at));
                let _ = writeln!(text, "    case {at}: return {value};");
            }
            text.push_str("    default: throw new Skip(); } }\n");
        }
        for (number, case) in self.all.iter().enumerate().filter(|(_, case)| !case.is_out) {
            lines.insert(next(&text), Line::Case(number));
            let _ = writeln!(text, "  {}", self.recorded(number, case));
        }
        text.push_str("  static final Case[] CASES = {\n");
        for (number, case) in self.all.iter().enumerate() {
            let sizes: Vec<String> = case
                .pools
                .iter()
                .filter_map(|pool| self.pools.get(*pool))
                .map(|pool| pool.values.len().to_string())
                .collect();
            let run = if case.is_out {
                "i -> { throw new Skip(); }".to_owned()
            } else {
                format!("AqeRecorder::c{number}")
            };
            let sizes = if case.is_out { String::new() } else { sizes.join(", ") };
            let _ = writeln!(text, "    new Case(new int[] {{{sizes}}}, {run}),");
        }
        text.push_str("  };\n}\n");
        (text, lines)
    }

    /// A method in one line, so that an error of the compiler names the case.
    fn recorded(&self, number: usize, case: &Case) -> String {
        let mut text = format!("static Said c{number}(int[] i) throws Throwable {{ ");
        let mut names = Vec::new();
        for (at, pool) in case.pools.iter().enumerate() {
            let name = case.variable(at);
            let kind = self.pools.get(*pool).map_or("", |pool| pool.kind.trim_start_matches("object "));
            let _ = write!(text, "{kind} {name} = v{pool}(i[{at}]); ");
            names.push(name);
        }
        let call = case.called(&names);
        let observed: Vec<String> = case.observed().into_iter().map(|(text, _)| text).collect();
        let said = if case.call.result == "void" {
            let _ = write!(text, "act(); {call}; Said said = new Said('n', \"\", \"\"); ");
            "said"
        } else {
            let _ = write!(text, "act(); {} r = {call}; Said said = said(r); ", case.call.result);
            "said"
        };
        if observed.is_empty() {
            let _ = write!(text, "return {said}; }}");
        } else {
            let _ = write!(text, "return with({said}, new Object[] {{{}}}); }}", observed.join(", "));
        }
        text
    }

    /// The values of a case at these places.
    fn chosen(&self, case: &Case, at: &[usize]) -> Vec<String> {
        let values = case.pools.iter().zip(at);
        values.filter_map(|(pool, at)| self.pools.get(*pool)?.values.get(*at).cloned()).collect()
    }

    /// How the call looks, in short.
    pub(super) fn shown(&self, case: usize, at: &[usize]) -> String {
        self.all.get(case).map(|case| case.called(&self.chosen(case, at))).unwrap_or_default()
    }

    /// A test of what was recorded, and its oracle.
    pub(super) fn test(&self, one: &Recorded, flavour: Flavour) -> Option<(String, &'static str)> {
        let case = self.all.get(one.case)?;
        let mut values = self.chosen(case, &one.at);
        let public = if flavour == Flavour::Four { "public " } else { "" };
        let mut body = String::new();
        let states: Vec<&str> =
            if one.state.is_empty() { Vec::new() } else { one.state.split('\u{1}').collect() };
        let is_thrown = one.kind == 'p';
        if !case.call.is_static {
            let _ = writeln!(body, "        {} object = {};", case.call.owner, values.first()?);
            values[0] = "object".into();
        }
        // What is looked at after the call needs a name.
        let observed = if is_thrown { Vec::new() } else { case.observed() };
        for (at, value) in values.iter_mut().enumerate().skip(usize::from(!case.call.is_static)) {
            let name = case.variable(at);
            if observed.iter().any(|(text, _)| *text == name) && !states.is_empty() {
                let kind = case.parameter(at)?;
                let _ = writeln!(body, "        {kind} {name} = {value};");
                *value = name;
            }
        }
        let call = case.called(&values);
        let mut attribute = String::from("    @Test\n");
        let oracle = match one.kind {
            'p' if flavour == Flavour::Four => {
                attribute = format!("    @Test(expected = {}.class)\n", one.text);
                let _ = writeln!(body, "        {call};");
                "exception"
            }
            'p' if one.state.is_empty() => {
                let _ = writeln!(body, "        assertThrows({}.class, () -> {call});", one.text);
                "exception"
            }
            'p' => {
                let _ =
                    writeln!(body, "        {0} thrown = assertThrows({0}.class, () -> {call});", one.text);
                let _ = writeln!(body, "        assertEquals({}, thrown.getMessage());", one.state);
                "exception"
            }
            'v' => {
                let _ = writeln!(body, "        {}", assertion(&case.call.result, &one.text, &call, flavour));
                "value"
            }
            'd' => {
                let _ = writeln!(body, "        assertEquals({}, String.valueOf({call}));", one.text);
                "debug"
            }
            _ if case.call.result == "void" => {
                let _ = writeln!(body, "        {call};");
                if states.is_empty() { "runs" } else { "value" }
            }
            _ => {
                let _ = writeln!(body, "        assertNotNull({call});");
                if states.is_empty() { "runs" } else { "value" }
            }
        };
        for ((text, kind), literal) in observed.iter().zip(states) {
            let _ = writeln!(body, "        {}", assertion(kind, literal, text, flavour));
        }
        Some((format!("{attribute}    {public}void test_() throws Exception {{\n{body}    }}\n"), oracle))
    }
}

impl Case {
    fn variable(&self, at: usize) -> String {
        match (at, self.call.is_static) {
            (0, false) => "object".into(),
            (at, true) => format!("a{at}"),
            (at, false) => format!("a{}", at - 1),
        }
    }

    fn parameter(&self, at: usize) -> Option<&String> {
        self.call.parameters.get(if self.call.is_static { at } else { at.checked_sub(1)? })
    }

    /// The call with these values, the object's first.
    fn called(&self, values: &[String]) -> String {
        let own = usize::from(!self.call.is_static);
        let arguments = values.get(own..).unwrap_or_default().join(", ");
        let class = self.call.owner.split('<').next().unwrap_or_default();
        match (self.call.name.as_str(), self.call.is_static) {
            ("new", _) => format!("new {}({arguments})", self.call.owner),
            (name, true) => format!("{class}.{name}({arguments})"),
            (name, false) => {
                format!("{}.{name}({arguments})", values.first().map_or("object", String::as_str))
            }
        }
    }

    /// What is looked at after the call: of methods without a result, what they may have changed.
    fn observed(&self) -> Vec<(String, String)> {
        if self.call.name == "new" {
            return Vec::new();
        }
        let mut found: Vec<(String, String)> =
            self.call.observers.iter().map(|(text, kind)| (format!("object.{text}"), kind.clone())).collect();
        if self.call.result == "void" {
            let own = usize::from(!self.call.is_static);
            for (at, kind) in self.call.parameters.iter().enumerate() {
                if kind.ends_with("[]") && kind.matches('[').count() == 1 && !kind.contains('<') {
                    found.push((self.variable(at + own), kind.clone()));
                }
            }
        }
        found
    }
}

/// That an expression of a type is what a literal says.
fn assertion(kind: &str, literal: &str, got: &str, flavour: Flavour) -> String {
    let is_float = matches!(kind, "double" | "float");
    match literal {
        "null" => format!("assertNull({got});"),
        "true" if kind == "boolean" => format!("assertTrue({got});"),
        "false" if kind == "boolean" => format!("assertFalse({got});"),
        _ if literal.starts_with("new ") && literal.contains("[] {") => {
            let is_float = literal.starts_with("new double[]") || literal.starts_with("new float[]");
            let delta = if is_float && flavour == Flavour::Four { ", 0" } else { "" };
            format!("assertArrayEquals({literal}, {got}{delta});")
        }
        _ if is_float && flavour == Flavour::Four => format!("assertEquals({literal}, {got}, 0);"),
        // An overload for primitives and one for objects would both be meant.
        _ if matches!(
            kind,
            "Integer" | "Long" | "Short" | "Byte" | "Character" | "Double" | "Float" | "Boolean"
        ) =>
        {
            format!("assertEquals({kind}.valueOf({literal}), {got});")
        }
        _ => format!("assertEquals({literal}, {got});"),
    }
}
