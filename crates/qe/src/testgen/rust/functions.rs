//! Functions, methods and implementations of traits in a Rust file.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use super::super::candidates::Fate;
use super::instrument::is_for_tests;
use super::items::{Call, Maker, Receiver, Walk, plain, split};

impl Walk<'_> {
    pub(super) fn calls(&mut self, root: Node<'_>) {
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
                Some(&Owner { bare: &bare, of: &of, shown: &shown, generics: &generics, uses: uses.clone() }),
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

    fn function(&mut self, node: Node<'_>, owner: Option<&Owner<'_>>) {
        let name = self.part(node, "name");
        let target = owner.map_or_else(|| name.to_owned(), |owner| format!("{}::{name}", owner.bare));
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
                        receiver = owner.map(|owner| (way, owner.of.to_owned()));
                    }
                    "parameter" => parameters.push(plain(self.part(one, "type"))),
                    _ => {}
                }
            }
        }
        let mut generics = owner.map_or_else(BTreeMap::new, |owner| owner.generics.clone());
        generics.extend(self.generics(node));
        let mut returns = plain(self.part(node, "return_type"));
        let of = owner.map_or("", |owner| owner.of);
        if !of.is_empty() {
            for kind in parameters.iter_mut().chain([&mut returns]) {
                *kind = with_self(kind, of);
            }
        }
        let path = match (owner, &receiver) {
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
            uses: owner.and_then(|owner| owner.uses.clone()),
        };
        if let Some(owner) = owner
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
        if !self.is_target {
            return;
        }
        self.found.all.push(call.target.clone());
        if !(self.wants)(&call.target) {
            return;
        }
        match self.effects.get(name).filter(|_| !self.allow_effects) {
            Some(effect) => {
                self.fate(&call.target, "refused", &format!("calls {effect}; allow_effects runs it"));
            }
            None => self.found.calls.push(call),
        }
    }

    fn fate(&mut self, target: &str, status: &str, reason: &str) {
        if !self.is_target {
            return;
        }
        self.found.all.push(target.into());
        if !(self.wants)(target) {
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
