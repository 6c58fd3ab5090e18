//! What tests can call in a Go file, and what its package has to call it with.

use tree_sitter::{Node, Tree};

use super::super::candidates::Fate;
use super::values::{Maker, Type, Vocabulary};

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
    /// All that tests could call, wanted or not.
    pub(super) all: Vec<String>,
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

/// A file of a package.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) text: &'a str,
    pub(super) tree: &'a Tree,
}

/// Of the first of the files, as far as `wants` says; the others of its package, and documents, say what it can be called with.
pub(super) fn of(
    files: &[File<'_>],
    documents: &[String],
    wants: impl Fn(&str) -> bool,
    allow_effects: bool,
) -> Items {
    let mut found = Items::default();
    let Some(own) = files.first() else { return found };
    let mut known = Vocabulary::default();
    for file in files {
        known.learn(file.tree.root_node(), file.text);
        types(*file, &mut known);
    }
    for text in documents {
        known.read(text);
    }
    for (place, file) in files.iter().enumerate() {
        for (call, effect) in functions(*file) {
            if effect.is_none() {
                makes(&call, &mut known);
            }
            if place == 0 && call.name.starts_with(char::is_uppercase) {
                found.all.push(call.target);
            }
        }
    }
    let mut cursor = own.tree.root_node().walk();
    for node in own.tree.root_node().named_children(&mut cursor) {
        if node.kind() == "package_clause" {
            let text = own.text.get(node.byte_range()).unwrap_or_default();
            text.trim_start_matches("package").trim().clone_into(&mut found.package);
        }
    }
    for (mut call, effect) in functions(*own) {
        if !wants(&call.target) || !call.name.starts_with(char::is_uppercase) {
            continue;
        }
        let mut fate = |status: &str, reason: String| {
            found.fates.push(Fate {
                target: call.target.clone(),
                status: status.into(),
                reason: Some(reason),
            });
        };
        if let Some(effect) = effect.filter(|_| !allow_effects) {
            fate("refused", format!("calls {effect}; allow_effects runs it"));
            continue;
        }
        let values: Result<Vec<_>, &String> =
            call.receiver.iter().chain(&call.parameters).map(|kind| known.of(kind).ok_or(kind)).collect();
        match values {
            Ok(values) => {
                call.values = values;
                found.calls.push(call);
            }
            Err(kind) => fate("not searched", format!("no values are known of {kind}")),
        }
    }
    found
}

/// The types that a file declares.
fn types(file: File<'_>, known: &mut Vocabulary) {
    let text = |node: Node<'_>| file.text.get(node.byte_range()).unwrap_or_default().to_owned();
    let root = file.tree.root_node();
    let mut cursor = root.walk();
    for node in root.named_children(&mut cursor).filter(|node| node.kind() == "type_declaration") {
        let mut cursor = node.walk();
        for spec in node.named_children(&mut cursor).filter(|one| one.kind() == "type_spec") {
            let (Some(name), Some(is)) = (spec.child_by_field_name("name"), spec.child_by_field_name("type"))
            else {
                continue;
            };
            if spec.child_by_field_name("type_parameters").is_some() {
                continue;
            }
            let of = match is.kind() {
                "struct_type" => Type::Struct(fields(is, file.text)),
                _ => Type::Of(text(is)),
            };
            known.types.insert(text(name), of);
        }
    }
}

/// Of a struct; none where one of them has no name of its own.
fn fields(node: Node<'_>, source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut cursor = node.walk();
    let Some(list) = node.named_children(&mut cursor).find(|one| one.kind() == "field_declaration_list")
    else {
        return found;
    };
    let mut cursor = list.walk();
    for field in list.named_children(&mut cursor).filter(|one| one.kind() == "field_declaration") {
        let kind = field.child_by_field_name("type").and_then(|kind| source.get(kind.byte_range()));
        let mut cursor = field.walk();
        let names: Vec<&str> = field
            .children_by_field_name("name", &mut cursor)
            .filter_map(|name| source.get(name.byte_range()))
            .collect();
        let (Some(kind), false) = (kind, names.is_empty()) else { return Vec::new() };
        found.extend(names.into_iter().map(|name| (name.to_owned(), kind.to_owned())));
    }
    found
}

/// Functions and methods of a file, and what of them touches what is outside.
fn functions(file: File<'_>) -> Vec<(Call, Option<&'static str>)> {
    let source = file.text;
    let part = |node: Node<'_>, name: &str| {
        node.child_by_field_name(name).and_then(|one| source.get(one.byte_range())).unwrap_or_default()
    };
    let mut found = Vec::new();
    let root = file.tree.root_node();
    let mut cursor = root.walk();
    for node in root.named_children(&mut cursor) {
        if !matches!(node.kind(), "function_declaration" | "method_declaration")
            || node.child_by_field_name("type_parameters").is_some()
        {
            continue;
        }
        let name = part(node, "name");
        let receiver =
            node.child_by_field_name("receiver").and_then(|list| types_of(list, source).into_iter().next());
        let owner = receiver.as_deref().map(|one| one.trim_start_matches('*').to_owned());
        let results = match node.child_by_field_name("result") {
            Some(result) if result.kind() == "parameter_list" => types_of(result, source),
            Some(_) => vec![part(node, "result").to_owned()],
            None => Vec::new(),
        };
        let parameters = node.child_by_field_name("parameters");
        let body = part(node, "body");
        found.push((
            Call {
                target: owner.map_or_else(|| name.to_owned(), |owner| format!("{owner}.{name}")),
                name: name.to_owned(),
                receiver,
                names: parameters.map_or_else(Vec::new, |list| names_of(list, source)),
                parameters: parameters.map_or_else(Vec::new, |list| types_of(list, source)),
                results,
                values: Vec::new(),
                is_out: false,
            },
            EFFECTS.iter().find(|effect| body.contains(**effect)).copied(),
        ));
    }
    found
}

/// A function that returns an object of the package makes one; with an error beside it, it may fail.
fn makes(call: &Call, known: &mut Vocabulary) {
    let (Some(made), None) = (call.results.first(), &call.receiver) else { return };
    let bare = made.trim_start_matches('*');
    if !known.types.contains_key(bare) {
        return;
    }
    let may_fail = call.results.len() == 2 && call.results[1] == "error";
    // What is made of itself would be made without end; what takes an error says how failures are dealt with.
    if call.parameters.len() == 2 && call.parameters[0] == *made && call.parameters[1] == "error" {
        known.must.insert(made.clone(), call.name.clone());
    } else if (call.results.len() == 1 || may_fail)
        && !call.parameters.iter().any(|one| one.trim_start_matches(['*', '.', '[', ']']) == bare)
    {
        let maker = Maker { name: call.name.clone(), parameters: call.parameters.clone(), may_fail };
        let makers = known.makers.entry(made.clone()).or_default();
        // Those that every user sees come first.
        let place = makers.iter().position(|one| !one.name.starts_with(char::is_uppercase));
        let place = place.filter(|_| maker.name.starts_with(char::is_uppercase)).unwrap_or(makers.len());
        makers.insert(place, maker);
    }
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
