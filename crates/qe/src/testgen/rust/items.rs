//! What tests can call in a Rust file: public functions, methods and what makes objects.

use std::collections::BTreeMap;

use tree_sitter::Node;

use super::super::candidates::Fate;
use super::instrument::is_for_tests;
use super::package::Package;

/// A function or method, and all that a call of it needs.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// As results name it: `function` or `Type::method`.
    pub(super) target: String,
    /// With the path of the library; a method's has none.
    pub(super) path: String,
    /// `&self`, `&mut self` or `self`, and the type, as tests write it.
    pub(super) receiver: Option<(Receiver, String)>,
    /// Types of the parameters.
    pub(super) parameters: Vec<String>,
    pub(super) returns: String,
    /// Type parameters and their bounds.
    pub(super) generics: BTreeMap<String, String>,
    /// A trait that has to be in scope.
    pub(super) uses: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiver {
    Shared,
    Unique,
    Owned,
}

/// A way to an object of a type of the file.
#[derive(Debug, Clone)]
pub(super) enum Maker {
    /// A value as it is written.
    Plain(String),
    /// An associated function, and how what it returns becomes the object: nothing, or `.unwrap()`.
    Function(Call, &'static str),
    /// `{ field: … }`, or `(…)` where the names are empty.
    Fields(String, Vec<(String, String)>),
    /// `"…".parse()`.
    Parse,
}

#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) calls: Vec<Call>,
    /// By the name of the type in the file.
    pub(super) makers: BTreeMap<String, Vec<Maker>>,
    /// Types of the library: name and path.
    pub(super) types: BTreeMap<String, String>,
    /// Public constants by their type.
    pub(super) constants: BTreeMap<String, Vec<String>>,
    pub(super) fates: Vec<Fate>,
    /// All that tests could call, wanted or not.
    pub(super) all: Vec<String>,
}

/// What a function does to what is outside of the process.
const EFFECTS: [&str; 17] = [
    "fs::write",
    "fs::remove",
    "fs::rename",
    "fs::copy",
    "fs::create",
    "fs::set_permissions",
    "File::create",
    "OpenOptions",
    "Command::new",
    "process::exit",
    "process::abort",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "env::set_",
    "thread::sleep",
];

/// A file of the library.
pub(super) struct File {
    pub(super) text: String,
    pub(super) tree: tree_sitter::Tree,
    pub(super) package: Package,
    /// Tests are wanted of it; of others only what makes objects.
    pub(super) is_target: bool,
}

pub(super) struct Walk<'a> {
    pub(super) source: &'a str,
    pub(super) package: &'a Package,
    pub(super) wants: &'a dyn Fn(&str) -> bool,
    pub(super) allow_effects: bool,
    pub(super) is_target: bool,
    pub(super) effects: BTreeMap<&'a str, &'static str>,
    pub(super) found: Items,
}

/// From all files of a library; tests are wanted of what `wants` says.
pub(super) fn of(files: &[File], wants: &dyn Fn(&str) -> bool, allow_effects: bool) -> Items {
    let mut found = Items::default();
    // A type may stand in one file and what makes it in another.
    for are_types in [true, false] {
        for file in files {
            let root = file.tree.root_node();
            let mut walk = Walk {
                source: &file.text,
                package: &file.package,
                wants,
                allow_effects,
                is_target: file.is_target,
                effects: if are_types { BTreeMap::new() } else { effects(&file.text, root) },
                found,
            };
            if are_types {
                walk.types(root);
            } else {
                walk.calls(root);
            }
            found = walk.found;
        }
    }
    found
}

/// Functions that touch what is outside, by themselves or through others of the file.
fn effects<'a>(source: &'a str, root: Node<'_>) -> BTreeMap<&'a str, &'static str> {
    let mut bodies: Vec<(&str, &str)> = Vec::new();
    let mut left = vec![root];
    while let Some(node) = left.pop() {
        if node.kind() == "function_item" {
            let text =
                |part: &str| node.child_by_field_name(part).and_then(|one| source.get(one.byte_range()));
            bodies.push((text("name").unwrap_or_default(), text("body").unwrap_or_default()));
        }
        let mut cursor = node.walk();
        left.extend(node.named_children(&mut cursor));
    }
    let mut found: BTreeMap<&str, &'static str> = BTreeMap::new();
    loop {
        let before = found.len();
        for (name, body) in &bodies {
            let own = EFFECTS.iter().find(|effect| body.contains(**effect)).copied();
            let through =
                || found.iter().find(|(other, _)| body.contains(&format!("{other}("))).map(|(_, one)| *one);
            if let Some(effect) = own.or_else(through) {
                found.entry(name).or_insert(effect);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// In one line, without lifetimes.
pub(super) fn plain(text: &str) -> String {
    let mut found = String::new();
    let mut letters = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .collect::<Vec<_>>()
        .into_iter()
        .peekable();
    while let Some(one) = letters.next() {
        if one == '\'' {
            while letters.next_if(|next| next.is_alphanumeric() || *next == '_').is_some() {}
            letters.next_if(|next| *next == ' ' || *next == ',');
        } else {
            found.push(one);
        }
    }
    found.replace("<>", "").replace("< ", "<").trim().to_owned()
}

impl<'a> Walk<'a> {
    pub(super) fn text(&self, node: Node<'_>) -> &'a str {
        self.source.get(node.byte_range()).unwrap_or_default()
    }

    pub(super) fn part(&self, node: Node<'_>, name: &str) -> &'a str {
        node.child_by_field_name(name).map_or("", |one| self.text(one))
    }

    pub(super) fn is_public(&self, node: Node<'_>) -> bool {
        let mut cursor = node.walk();
        node.children(&mut cursor).any(|one| one.kind() == "visibility_modifier" && self.text(one) == "pub")
    }

    /// Attributes before an item, without blanks.
    fn attributes(&self, node: Node<'_>) -> String {
        let mut text = String::new();
        let mut before = node.prev_named_sibling();
        while let Some(one) =
            before.filter(|one| matches!(one.kind(), "attribute_item" | "line_comment" | "block_comment"))
        {
            if one.kind() == "attribute_item" {
                text.extend(self.text(one).split_whitespace());
            }
            before = one.prev_named_sibling();
        }
        text
    }

    fn types(&mut self, root: Node<'_>) {
        let mut cursor = root.walk();
        for node in root.named_children(&mut cursor) {
            if matches!(node.kind(), "const_item" | "static_item")
                && self.is_public(node)
                && !is_for_tests(node, self.source)
            {
                if let Some(path) = self.package.path(self.part(node, "name")) {
                    self.found.constants.entry(plain(self.part(node, "type"))).or_default().push(path);
                }
                continue;
            }
            if !matches!(node.kind(), "struct_item" | "enum_item")
                || !self.is_public(node)
                || is_for_tests(node, self.source)
            {
                continue;
            }
            let name = self.part(node, "name");
            let Some(path) = self.package.path(name) else { continue };
            self.found.types.insert(name.to_owned(), path.clone());
            let mut makers = Vec::new();
            let attributes = self.attributes(node);
            if attributes
                .split("derive(")
                .skip(1)
                .any(|one| one.split(')').next().unwrap_or_default().contains("Default"))
            {
                makers.push(Maker::Plain(format!("{path}::default()")));
            }
            let is_generic = node
                .child_by_field_name("type_parameters")
                .is_some_and(|one| !plain(self.text(one)).is_empty());
            if let Some(body) = node
                .child_by_field_name("body")
                .filter(|_| !is_generic && !attributes.contains("non_exhaustive"))
            {
                if node.kind() == "enum_item" {
                    let mut cursor = body.walk();
                    for variant in body.named_children(&mut cursor).filter(|one| one.kind() == "enum_variant")
                    {
                        let at = format!("{path}::{}", self.part(variant, "name"));
                        match variant.child_by_field_name("body") {
                            None => makers.push(Maker::Plain(at)),
                            Some(body) => makers.extend(self.fields(at, body, true)),
                        }
                    }
                } else {
                    makers.extend(self.fields(path.clone(), body, false));
                }
            } else if node.kind() == "struct_item"
                && !is_generic
                && node.child_by_field_name("body").is_none()
            {
                makers.push(Maker::Plain(path));
            }
            self.found.makers.insert(name.to_owned(), makers);
        }
    }

    /// The literal of a struct or variant, if all its fields can be named.
    fn fields(&self, path: String, body: Node<'_>, are_public: bool) -> Option<Maker> {
        let mut fields = Vec::new();
        let mut cursor = body.walk();
        let mut is_open = are_public;
        for child in body.named_children(&mut cursor) {
            match child.kind() {
                "field_declaration" => {
                    if !are_public && !self.is_public(child) {
                        return None;
                    }
                    fields.push((self.part(child, "name").to_owned(), plain(self.part(child, "type"))));
                }
                "visibility_modifier" => is_open = true,
                "attribute_item" | "line_comment" | "block_comment" => {}
                // Of a tuple: its types stand by themselves.
                _ => {
                    if !is_open {
                        return None;
                    }
                    is_open = are_public;
                    fields.push((String::new(), plain(self.text(child))));
                }
            }
        }
        (!fields.is_empty() && fields.len() <= 6).then_some(Maker::Fields(path, fields))
    }
}

/// At commas outside of brackets.
pub(super) fn split(text: &str) -> Vec<String> {
    let (mut parts, mut depth, mut part) = (Vec::new(), 0_i32, String::new());
    let mut last = ' ';
    for one in text.chars() {
        match one {
            '(' | '[' | '<' | '{' => depth += 1,
            '>' if last == '-' || last == '=' => {}
            ')' | ']' | '>' | '}' => depth -= 1,
            _ => {}
        }
        last = one;
        if one == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(one);
        }
    }
    parts.push(part);
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}
