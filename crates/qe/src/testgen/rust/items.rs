//! What tests can call in a Rust file: public functions, methods and what makes objects.

use std::collections::{BTreeMap, BTreeSet};

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

struct Walk<'a> {
    source: &'a str,
    package: &'a Package,
    wanted: &'a [String],
    allow_effects: bool,
    is_target: bool,
    effects: BTreeMap<&'a str, &'static str>,
    found: Items,
}

/// From all files of a library.
pub(super) fn of(files: &[File], wanted: &[String], allow_effects: bool) -> Items {
    let mut found = Items::default();
    // A type may stand in one file and what makes it in another.
    for are_types in [true, false] {
        for file in files {
            let root = file.tree.root_node();
            let mut walk = Walk {
                source: &file.text,
                package: &file.package,
                wanted,
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
    fn text(&self, node: Node<'_>) -> &'a str {
        self.source.get(node.byte_range()).unwrap_or_default()
    }

    fn part(&self, node: Node<'_>, name: &str) -> &'a str {
        node.child_by_field_name(name).map_or("", |one| self.text(one))
    }

    fn is_public(&self, node: Node<'_>) -> bool {
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

    fn calls(&mut self, root: Node<'_>) {
        let mut cursor = root.walk();
        for node in root.named_children(&mut cursor) {
            if is_for_tests(node, self.source) {
                continue;
            }
            match node.kind() {
                "function_item" if self.is_public(node) => self.function(node, None),
                "impl_item" => self.implementation(node),
                _ => {}
            }
        }
    }

    fn implementation(&mut self, node: Node<'_>) {
        let of = plain(self.part(node, "type"));
        let bare = of.split('<').next().unwrap_or(&of).trim().to_owned();
        let wanted = plain(self.part(node, "trait"));
        let last = wanted.rsplit("::").next().unwrap_or(&wanted).to_owned();
        let path = self.found.types.get(&bare).cloned();
        // Of types of others only what has literals, which is what extension traits are made for.
        let Some(shown) = path.or_else(|| is_simple(&of).then(|| of.clone())) else { return };
        let generics = self.generics(node);
        let Some(body) = node.child_by_field_name("body") else { return };
        match last.split('<').next().unwrap_or_default() {
            "Default" => self.maker(&bare, Maker::Plain(format!("{shown}::default()"))),
            "FromStr" => {
                self.maker(&bare, Maker::Parse);
                self.add(
                    Call {
                        target: format!("{bare}::from_str"),
                        path: format!("str::parse::<{shown}>"),
                        receiver: None,
                        parameters: vec!["&str".into()],
                        returns: format!("Result<{of}, _>"),
                        generics,
                        uses: None,
                    },
                    "from_str",
                );
                return;
            }
            "Display" if self.found.types.contains_key(&bare) => {
                self.add(
                    Call {
                        target: format!("{bare}::to_string"),
                        path: "to_string".into(),
                        receiver: Some((Receiver::Shared, of.clone())),
                        parameters: Vec::new(),
                        returns: "String".into(),
                        generics,
                        uses: None,
                    },
                    "fmt",
                );
                return;
            }
            "PartialOrd" | "Ord" | "PartialEq" | "Hash" | "Debug" | "Drop" | "Error" | "Clone" => return,
            _ => {}
        }
        let uses = if wanted.is_empty() {
            None
        } else {
            match self.package.path(last.split('<').next().unwrap_or_default()) {
                Some(path)
                    if self
                        .source
                        .contains(&format!("pub trait {}", last.split('<').next().unwrap_or_default())) =>
                {
                    Some(path)
                }
                // What the standard library has in scope everywhere.
                _ if matches!(
                    last.split('<').next(),
                    Some(
                        "From"
                            | "TryFrom"
                            | "Iterator"
                            | "DoubleEndedIterator"
                            | "ExactSizeIterator"
                            | "AsRef"
                            | "Into"
                    )
                ) =>
                {
                    None
                }
                _ => return,
            }
        };
        let mut cursor = body.walk();
        for item in body.named_children(&mut cursor).filter(|one| one.kind() == "function_item") {
            if (wanted.is_empty() && !self.is_public(item)) || is_for_tests(item, self.source) {
                continue;
            }
            self.function(
                item,
                Some(Owner { bare: &bare, of: &of, shown: &shown, generics: &generics, uses: uses.clone() }),
            );
        }
    }

    fn maker(&mut self, name: &str, maker: Maker) {
        if let Some(makers) = self.found.makers.get_mut(name) {
            makers.push(maker);
        }
    }

    fn generics(&self, node: Node<'_>) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let inner = plain(self.part(node, "type_parameters"));
        let inner = inner.strip_prefix('<').and_then(|one| one.strip_suffix('>')).unwrap_or_default();
        for part in split(inner) {
            let (name, bounds) = part.split_once(':').unwrap_or((&part, ""));
            found.insert(name.trim().to_owned(), bounds.trim().to_owned());
        }
        let mut cursor = node.walk();
        if let Some(clause) = node.children(&mut cursor).find(|one| one.kind() == "where_clause") {
            let text = plain(self.text(clause));
            for part in split(text.trim_start_matches("where")) {
                if let Some((name, bounds)) = part.split_once(':')
                    && let Some(held) = found.get_mut(name.trim())
                {
                    held.push_str(" + ");
                    held.push_str(bounds.trim());
                }
            }
        }
        found
    }

    fn function(&mut self, node: Node<'_>, owner: Option<Owner<'_>>) {
        let name = self.part(node, "name");
        let target =
            owner.as_ref().map_or_else(|| name.to_owned(), |owner| format!("{}::{name}", owner.bare));
        let mut cursor = node.walk();
        let modifiers: String = node
            .children(&mut cursor)
            .filter(|one| one.kind() == "function_modifiers")
            .map(|one| self.text(one))
            .collect();
        for (word, reason) in
            [("async", "async: it needs an executor"), ("unsafe", "unsafe: its contract is not known")]
        {
            if modifiers.contains(word) {
                return self.fate(&target, "not searched", reason);
            }
        }
        let mut receiver = None;
        let mut parameters = Vec::new();
        if let Some(list) = node.child_by_field_name("parameters") {
            let mut cursor = list.walk();
            for one in list.named_children(&mut cursor) {
                match one.kind() {
                    "self_parameter" => {
                        let text = plain(self.text(one));
                        let way = match (text.contains('&'), text.contains("mut ")) {
                            (true, true) => Receiver::Unique,
                            (true, false) => Receiver::Shared,
                            _ => Receiver::Owned,
                        };
                        receiver = owner.as_ref().map(|owner| (way, owner.of.to_owned()));
                    }
                    "parameter" => parameters.push(plain(self.part(one, "type"))),
                    _ => {}
                }
            }
        }
        let mut generics = owner.as_ref().map_or_else(BTreeMap::new, |owner| owner.generics.clone());
        generics.extend(self.generics(node));
        let mut returns = plain(self.part(node, "return_type"));
        let of = owner.as_ref().map_or("", |owner| owner.of);
        if !of.is_empty() {
            for kind in parameters.iter_mut().chain([&mut returns]) {
                *kind = with_self(kind, of);
            }
        }
        let path = match (&owner, &receiver) {
            (Some(_), Some(_)) => name.to_owned(),
            (Some(owner), None) if is_simple(owner.shown) => format!("<{}>::{name}", owner.shown),
            (Some(owner), None) => format!("{}::{name}", owner.shown),
            (None, _) => match self.package.path(name) {
                Some(path) => path,
                None => return self.fate(&target, "not searched", "no public path leads to it"),
            },
        };
        let call = Call {
            target,
            path,
            receiver,
            parameters,
            returns,
            generics,
            uses: owner.as_ref().and_then(|owner| owner.uses.clone()),
        };
        if let Some(owner) = &owner
            && call.receiver.is_none()
            && let Some(ending) = makes(&call.returns, owner.bare)
        {
            self.maker(owner.bare, Maker::Function(call.clone(), ending));
        }
        if owner.is_none() {
            let made =
                self.found.types.keys().find_map(|name| Some((name.clone(), makes(&call.returns, name)?)));
            if let Some((made, ending)) = made {
                self.maker(&made, Maker::Function(call.clone(), ending));
            }
        }
        self.add(call, name);
    }

    fn add(&mut self, call: Call, name: &str) {
        let is_wanted = |one: &String| {
            let one = one.replace('.', "::");
            one == call.target || call.target.starts_with(&format!("{one}::"))
        };
        if !self.is_target || !self.wanted.is_empty() && !self.wanted.iter().any(is_wanted) {
            return;
        }
        match self.effects.get(name).filter(|_| !self.allow_effects) {
            Some(effect) => {
                self.fate(&call.target, "refused", &format!("calls {effect}; allow_effects runs it"))
            }
            None => self.found.calls.push(call),
        }
    }

    fn fate(&mut self, target: &str, status: &str, reason: &str) {
        if !self.is_target {
            return;
        }
        self.found.fates.push(Fate {
            target: target.into(),
            status: status.into(),
            reason: Some(reason.into()),
        });
    }
}

struct Owner<'a> {
    bare: &'a str,
    of: &'a str,
    shown: &'a str,
    generics: &'a BTreeMap<String, String>,
    uses: Option<String>,
}

/// How what a function returns becomes an object of a type, if it does.
fn makes(returns: &str, bare: &str) -> Option<&'static str> {
    let is = |text: &str| text.split('<').next().unwrap_or_default().trim() == bare;
    if is(returns) {
        return Some("");
    }
    let inner = ["Option<", "Result<", "io::Result<"].iter().find_map(|one| returns.strip_prefix(one))?;
    split(inner.strip_suffix('>')?).first().is_some_and(|one| is(one)).then_some(".unwrap()")
}

/// `Self` by its name.
fn with_self(kind: &str, of: &str) -> String {
    let mut found = String::new();
    let mut word = String::new();
    for one in kind.chars().chain(['\0']) {
        if one.is_alphanumeric() || one == '_' {
            word.push(one);
            continue;
        }
        found.push_str(if word == "Self" { of } else { &word });
        word.clear();
        if one != '\0' {
            found.push(one);
        }
    }
    found
}

fn is_simple(kind: &str) -> bool {
    let names: BTreeSet<&str> = [
        "str", "String", "bool", "char", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32",
        "u64", "u128", "usize", "f32", "f64",
    ]
    .into();
    names.contains(kind)
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
