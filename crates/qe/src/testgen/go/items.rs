//! What tests can call in a Go file, and values to call it with.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use super::super::candidates::Fate;

/// Values of one parameter.
const VALUES_MAX: usize = 24;

/// A function or method.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// As results name it: `Function` or `Type.Method`.
    pub(super) target: String,
    pub(super) name: String,
    pub(super) receiver: Option<String>,
    /// Names of the parameters, as far as they have any.
    pub(super) names: Vec<String>,
    /// Types of the parameters; the last may begin with `...`.
    pub(super) parameters: Vec<String>,
    pub(super) results: Vec<String>,
    /// Expressions for the receiver, then for each parameter.
    pub(super) values: Vec<Vec<String>>,
    pub(super) is_out: bool,
}

#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) package: String,
    pub(super) calls: Vec<Call>,
    pub(super) fates: Vec<Fate>,
}

const EFFECTS: [&str; 10] = [
    "os.Remove",
    "os.Rename",
    "os.Create",
    "os.WriteFile",
    "os.Mkdir",
    "os.Exit",
    "exec.Command",
    "net.Dial",
    "net.Listen",
    "http.",
];

/// From the tree of a file.
pub(super) fn of(source: &str, root: Node<'_>, wanted: &[String], allow_effects: bool) -> Items {
    let text = |node: Node<'_>| source.get(node.byte_range()).unwrap_or_default();
    let part = |node: Node<'_>, name: &str| node.child_by_field_name(name).map_or("", text);
    let mut found = Items::default();
    let mut literals = Literals::default();
    literals.collect(root, source, 0);
    let mut types: BTreeMap<String, &str> = BTreeMap::new();
    let mut cursor = root.walk();
    for node in root.named_children(&mut cursor) {
        if node.kind() == "package_clause" {
            text(node).trim_start_matches("package").trim().clone_into(&mut found.package);
        }
        if node.kind() == "type_declaration" {
            let mut cursor = node.walk();
            for spec in node.named_children(&mut cursor).filter(|one| one.kind() == "type_spec") {
                let kind = spec.child_by_field_name("type").map_or("", |one| one.kind());
                if spec.child_by_field_name("type_parameters").is_none() {
                    types.insert(
                        part(spec, "name").to_owned(),
                        if kind == "struct_type" { "struct" } else { part(spec, "type") },
                    );
                }
            }
        }
    }
    let mut makers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut calls: Vec<(Call, bool, &'static str)> = Vec::new();
    let mut cursor = root.walk();
    for node in root.named_children(&mut cursor) {
        if !matches!(node.kind(), "function_declaration" | "method_declaration") {
            continue;
        }
        let name = part(node, "name");
        if !name.starts_with(char::is_uppercase) || node.child_by_field_name("type_parameters").is_some() {
            continue;
        }
        let receiver =
            node.child_by_field_name("receiver").and_then(|list| types_of(list, source).into_iter().next());
        let owner = receiver.as_deref().map(|one| one.trim_start_matches('*').to_owned());
        let results = node.child_by_field_name("result").map_or_else(Vec::new, |result| {
            if result.kind() == "parameter_list" {
                types_of(result, source)
            } else {
                vec![text(result).to_owned()]
            }
        });
        let parameters =
            node.child_by_field_name("parameters").map_or_else(Vec::new, |list| types_of(list, source));
        let names =
            node.child_by_field_name("parameters").map_or_else(Vec::new, |list| names_of(list, source));
        let effect =
            EFFECTS.iter().find(|effect| part(node, "body").contains(**effect)).copied().unwrap_or_default();
        let call = Call {
            target: owner.as_ref().map_or_else(|| name.to_owned(), |owner| format!("{owner}.{name}")),
            name: name.to_owned(),
            receiver,
            names,
            parameters,
            results,
            values: Vec::new(),
            is_out: false,
        };
        let is_wanted = wanted.is_empty()
            || wanted.iter().any(|one| *one == call.target || call.target.starts_with(&format!("{one}.")));
        calls.push((call, is_wanted, effect));
    }
    // A function that returns an object makes one.
    for (call, _, effect) in &calls {
        let Some(made) = call.results.first().filter(|_| call.receiver.is_none() && effect.is_empty()) else {
            continue;
        };
        let bare = made.trim_start_matches('*');
        if !types.contains_key(bare) || call.results.len() > 1 {
            continue;
        }
        let each: Option<Vec<Vec<String>>> =
            call.parameters.iter().map(|kind| values(kind, &types, &BTreeMap::new(), &literals)).collect();
        for turn in 0..3 {
            let Some(each) = &each else { break };
            let parts: Vec<&str> = each.iter().map(|one| one[turn % one.len()].as_str()).collect();
            let text = format!("{}({})", call.name, parts.join(", "));
            let list = makers.entry(made.clone()).or_default();
            if !list.contains(&text) {
                list.push(text);
            }
        }
    }
    for (mut call, is_wanted, effect) in calls {
        if !is_wanted {
            continue;
        }
        let mut fate = |status: &str, reason: String| {
            found.fates.push(Fate {
                target: call.target.clone(),
                status: status.into(),
                reason: Some(reason),
            });
        };
        if !effect.is_empty() && !allow_effects {
            fate("refused", format!("calls {effect}; allow_effects runs it"));
            continue;
        }
        let kinds: Vec<String> = call.receiver.iter().chain(&call.parameters).cloned().collect();
        if let Some(kind) = kinds.iter().find(|kind| values(kind, &types, &makers, &literals).is_none()) {
            fate("not searched", format!("no values are known of {kind}"));
            continue;
        }
        call.values = kinds.iter().filter_map(|kind| values(kind, &types, &makers, &literals)).collect();
        found.calls.push(call);
    }
    found
}

/// The names of all parameters; none where they have none.
fn names_of(list: Node<'_>, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = list.walk();
    for one in list.named_children(&mut cursor) {
        let mut names = one.walk();
        for name in one.children_by_field_name("name", &mut names) {
            found.push(source.get(name.byte_range()).unwrap_or_default().to_owned());
        }
    }
    found
}

/// The type of each parameter, as often as it has names.
fn types_of(list: Node<'_>, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = list.walk();
    for one in list.named_children(&mut cursor) {
        let Some(kind) = one.child_by_field_name("type") else { continue };
        let text = source.get(kind.byte_range()).unwrap_or_default();
        let mut names = one.walk();
        let count = one.children_by_field_name("name", &mut names).count().max(1);
        let text = if one.kind() == "variadic_parameter_declaration" {
            format!("...{text}")
        } else {
            text.to_owned()
        };
        found.extend(std::iter::repeat_n(text, count));
    }
    found
}

#[derive(Debug, Default)]
struct Literals {
    strings: Vec<String>,
    integers: Vec<i64>,
    runes: Vec<String>,
}

impl Literals {
    fn collect(&mut self, node: Node<'_>, source: &str, depth: usize) {
        let text = source.get(node.byte_range()).unwrap_or_default();
        match node.kind() {
            "import_declaration" => return,
            "interpreted_string_literal" if text.len() <= 60 => self.strings.push(text.to_owned()),
            "rune_literal" => self.runes.push(text.to_owned()),
            "int_literal" => {
                if let Ok(value) = text.parse::<i64>() {
                    self.integers.extend([value, value.saturating_add(1), value.saturating_sub(1)]);
                }
            }
            _ => {}
        }
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor).filter(|_| depth < 200) {
            self.collect(child, source, depth + 1);
        }
    }
}

fn values(
    kind: &str,
    types: &BTreeMap<String, &str>,
    makers: &BTreeMap<String, Vec<String>>,
    literals: &Literals,
) -> Option<Vec<String>> {
    let some = |texts: Vec<String>| {
        let mut seen = BTreeSet::new();
        let texts: Vec<String> =
            texts.into_iter().filter(|one| seen.insert(one.clone())).take(VALUES_MAX).collect();
        (!texts.is_empty()).then_some(texts)
    };
    let words = |texts: &[&str]| texts.iter().map(|one| (*one).to_owned()).collect::<Vec<String>>();
    let numbers = |least: i64, most: i64| {
        let all = [1, 0, 2, -1, 10, 100, 1_000]
            .into_iter()
            .chain(literals.integers.iter().copied().take(14))
            .chain([most, least]);
        all.filter(|one| (least..=most).contains(one))
            .map(|one| format!("{kind}({one})"))
            .collect::<Vec<String>>()
    };
    match kind {
        "string" => {
            let mut all = words(&["\"hello world\"", "\"\"", "\"a\""]);
            all.extend(literals.strings.iter().take(12).cloned());
            all.extend(words(&[
                "\"1.2.3\"",
                "\"42\"",
                "\"fooBarBaz\"",
                "\"  padded  \"",
                "\"h\u{e9}llo \u{df}\"",
                "\"a,b;c=d\"",
                "\"FOO_BAR\"",
                "\"line1\\nline2\"",
            ]));
            some(all)
        }
        "bool" => some(words(&["true", "false"])),
        "int" | "int64" => some(numbers(i64::MIN, i64::MAX)),
        "int32" => some(numbers(i32::MIN.into(), i32::MAX.into())),
        "int16" => some(numbers(i16::MIN.into(), i16::MAX.into())),
        "int8" => some(numbers(i8::MIN.into(), i8::MAX.into())),
        "uint" | "uint64" | "uint32" => some(numbers(0, u32::MAX.into())),
        "uint16" => some(numbers(0, u16::MAX.into())),
        "uint8" | "byte" => some(numbers(0, 255)),
        "rune" => {
            let mut all = words(&["'a'", "' '", "'0'", "'Z'", "'\u{e9}'", "'_'"]);
            all.extend(literals.runes.iter().take(10).cloned());
            some(all)
        }
        "float64" | "float32" => {
            some(["0", "1", "-1.5", "0.1", "1e10", "100"].map(|one| format!("{kind}({one})")).to_vec())
        }
        "error" => some(words(&["error(nil)"])),
        "interface{}" | "any" => some(words(&["1", "\"a\"", "nil", "[]int{1, 2}", "true"])),
        _ => {
            if let Some(inner) = kind.strip_prefix("...") {
                return values(inner, types, makers, literals);
            }
            if let Some(inner) = kind.strip_prefix("[]") {
                let each = values(inner, types, makers, literals)?;
                let list = |parts: &[&String]| {
                    let parts: Vec<&str> = parts.iter().map(|one| one.as_str()).collect();
                    format!("{kind}{{{}}}", parts.join(", "))
                };
                let (first, last) = (&each[0], each.last()?);
                let three: Vec<&String> = each.iter().take(3).collect();
                return some(vec![
                    list(&three),
                    format!("{kind}(nil)"),
                    list(&[first]),
                    list(&[last, first]),
                    list(&[first, first]),
                ]);
            }
            if kind.starts_with("map[") {
                return some(vec![format!("{kind}{{}}"), format!("{kind}(nil)")]);
            }
            let mut all = makers.get(kind).cloned().unwrap_or_default();
            let (bare, sign) = kind.strip_prefix('*').map_or((kind, ""), |bare| (bare, "&"));
            match types.get(bare) {
                Some(&"struct") => all.push(format!("{sign}{bare}{{}}")),
                Some(under) if sign.is_empty() && *under != bare => {
                    let inner = values(under, types, makers, literals)?;
                    all.extend(inner.into_iter().map(|one| format!("{bare}({one})")));
                }
                _ => {}
            }
            some(all)
        }
    }
}
