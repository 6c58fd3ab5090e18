//! What tests can call in a Java file, and the types that make what it takes.

use std::collections::BTreeMap;

use tree_sitter::Node;

use super::super::candidates::Fate;

/// What a class is, as far as it matters to make one.
#[derive(Debug, Clone)]
pub(super) struct Class {
    /// As a test of the package writes it: `Outer.Inner`, with what stands for its type parameters.
    pub(super) kind: String,
    /// The same without type parameters.
    pub(super) name: String,
    /// Constants of an enum.
    pub(super) constants: Vec<String>,
    /// What makes one: text before the arguments, and their types.
    pub(super) makers: Vec<(String, Vec<String>)>,
}

/// A method or a constructor.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// As results name it: `Class.method`.
    pub(super) target: String,
    pub(super) owner: String,
    /// `new` for constructors.
    pub(super) name: String,
    pub(super) is_static: bool,
    pub(super) parameters: Vec<String>,
    pub(super) result: String,
    /// What tells of an object after a call of a method without a result: expressions on it, and their types.
    pub(super) observers: Vec<(String, String)>,
}

#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) package: String,
    /// Import lines, as written.
    pub(super) imports: Vec<String>,
    pub(super) classes: Vec<Class>,
    pub(super) calls: Vec<Call>,
    pub(super) fates: Vec<Fate>,
    /// All that tests could call, wanted or not; constructors as `Class.new`.
    pub(super) all: Vec<String>,
}

const EFFECTS: [&str; 18] = [
    "System.exit",
    "Runtime.getRuntime",
    "ProcessBuilder",
    "FileOutputStream",
    "FileWriter",
    "RandomAccessFile",
    "Files.write",
    "Files.delete",
    "Files.create",
    "Files.move",
    "Files.copy",
    "Files.newBufferedWriter",
    ".delete()",
    "new Socket",
    "ServerSocket",
    "HttpClient",
    ".openConnection",
    "System.in",
];

const OBSERVERS_MAX: usize = 3;

/// From the tree of a file, as far as `wants` says.
pub(super) fn of(source: &str, root: Node<'_>, wants: &dyn Fn(&str) -> bool, allow_effects: bool) -> Items {
    let mut walk = Walk { source, wants, allow_effects, nested: Variables::new(), found: Items::default() };
    walk.nested(root, "", 0);
    let mut cursor = root.walk();
    for node in root.named_children(&mut cursor) {
        match node.kind() {
            "package_declaration" => {
                let text = walk.text(node);
                let name = text.rsplit("package").next().unwrap_or_default();
                name.trim().trim_end_matches(';').trim().clone_into(&mut walk.found.package);
            }
            "import_declaration" => {
                let text = walk.text(node).split_whitespace().collect::<Vec<_>>().join(" ");
                walk.found.imports.push(text);
            }
            _ => walk.class(node, "", false),
        }
    }
    walk.found
}

struct Walk<'a> {
    source: &'a str,
    wants: &'a dyn Fn(&str) -> bool,
    allow_effects: bool,
    /// Classes in classes, and how tests write them.
    nested: Variables,
    found: Items,
}

type Variables = BTreeMap<String, String>;

impl<'a> Walk<'a> {
    fn text(&self, node: Node<'_>) -> &'a str {
        self.source.get(node.byte_range()).unwrap_or_default()
    }

    fn field(&self, node: Node<'_>, name: &str) -> &'a str {
        node.child_by_field_name(name).map_or("", |one| self.text(one))
    }

    /// Tests have not the short names that the classes around a class give it.
    fn nested(&mut self, node: Node<'_>, outer: &str, depth: usize) {
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor).filter(|_| depth < 40) {
            let own = match child.kind() {
                "class_declaration" | "enum_declaration" | "record_declaration" | "interface_declaration" => {
                    self.field(child, "name")
                }
                "class_body" | "interface_body" | "enum_body" | "enum_body_declarations" => {
                    self.nested(child, outer, depth + 1);
                    continue;
                }
                _ => continue,
            };
            let name = if outer.is_empty() { own.to_owned() } else { format!("{outer}.{own}") };
            if !outer.is_empty() {
                self.nested.insert(own.to_owned(), name.clone());
            }
            self.nested(child, &name, depth + 1);
        }
    }

    fn is(&self, node: Node<'_>, word: &str) -> bool {
        let mut cursor = node.walk();
        let modifiers = node.named_children(&mut cursor).find(|one| one.kind() == "modifiers");
        modifiers.is_some_and(|one| self.text(one).split_whitespace().any(|other| other == word))
    }

    fn class(&mut self, node: Node<'_>, outer: &str, in_interface: bool) {
        let kind = node.kind();
        if !matches!(
            kind,
            "class_declaration" | "enum_declaration" | "record_declaration" | "interface_declaration"
        ) || self.is(node, "private")
        {
            return;
        }
        // An inner class needs an object of the outer one.
        if kind == "class_declaration" && !outer.is_empty() && !in_interface && !self.is(node, "static") {
            return;
        }
        let own = self.field(node, "name");
        let name = if outer.is_empty() { own.to_owned() } else { format!("{outer}.{own}") };
        let variables = self.variables(node, &self.nested);
        let mut class =
            Class { kind: name.clone(), name: name.clone(), constants: Vec::new(), makers: Vec::new() };
        if let Some(parameters) = node.child_by_field_name("type_parameters") {
            let mut cursor = parameters.walk();
            let each: Vec<&str> = parameters
                .named_children(&mut cursor)
                .filter_map(|one| variables.get(self.variable(one)).map(String::as_str))
                .collect();
            class.kind = format!("{name}<{}>", each.join(", "));
        }
        let makes = match kind {
            "class_declaration" => !self.is(node, "abstract"),
            "record_declaration" => true,
            _ => false,
        };
        let maker = format!("new {}", class.kind);
        if kind == "record_declaration" {
            let parameters = self.parameters(node, &variables);
            class.makers.push((maker.clone(), parameters.clone()));
            self.call(node, &class, ("new", true, true), parameters, class.kind.clone());
        }
        let mut members = Vec::new();
        members_of(node, &mut members);
        let mut has_constructor = false;
        for member in &members {
            match member.kind() {
                "enum_constant" => {
                    class.constants.push(format!("{name}.{}", self.field(*member, "name")));
                }
                "constructor_declaration" => {
                    has_constructor = true;
                    if makes && !self.is(*member, "private") {
                        let parameters = self.parameters(*member, &variables);
                        class.makers.push((maker.clone(), parameters.clone()));
                        self.call(*member, &class, ("new", true, true), parameters, class.kind.clone());
                    }
                }
                _ => {}
            }
        }
        if makes && !has_constructor && kind == "class_declaration" {
            class.makers.push((maker, Vec::new()));
        }
        let first = self.found.calls.len();
        let mut observers = Vec::new();
        for member in members.iter().filter(|member| member.kind() == "method_declaration") {
            // Methods of interfaces have code where they are `default` or `static`.
            if self.is(*member, "private")
                || self.is(*member, "abstract")
                || member.child_by_field_name("body").is_none()
            {
                continue;
            }
            let own = self.variables(*member, &variables);
            let parameters = self.parameters(*member, &own);
            let (result, called) =
                (substitute(self.field(*member, "type"), &own), self.field(*member, "name"));
            let is_static = self.is(*member, "static");
            if is_static && bare(&result) == name {
                class.makers.push((format!("{name}.{called}"), parameters.clone()));
            }
            let tells = called == "toString"
                || ["get", "is", "has"].iter().any(|start| called.starts_with(start))
                || ["size", "length", "count", "name", "value"].contains(&called);
            if !is_static && parameters.is_empty() && tells && is_plain(&result) {
                observers.push((format!("{called}()"), result.clone()));
            }
            self.call(*member, &class, (called, is_static, false), parameters, result);
        }
        observers.sort_by_key(|(text, _)| text != "toString()");
        observers.truncate(OBSERVERS_MAX);
        for call in self.found.calls.iter_mut().skip(first).filter(|call| !call.is_static) {
            let own = format!("{}()", call.name);
            call.observers = observers.iter().filter(|(text, _)| *text != own).cloned().collect();
        }
        self.found.classes.push(class);
        for member in members {
            self.class(member, &name, kind == "interface_declaration");
        }
    }

    fn call(
        &mut self,
        node: Node<'_>,
        class: &Class,
        (name, is_static, is_maker): (&str, bool, bool),
        parameters: Vec<String>,
        result: String,
    ) {
        let target = format!("{}.{name}", class.name);
        if name == "main" {
            return;
        }
        self.found.all.push(target.clone());
        // A constructor is called as its class is.
        let last = class.name.rsplit('.').next().unwrap_or_default();
        let is_wanted = (self.wants)(&target)
            || (self.wants)(&format!("{last}.{name}"))
            || is_maker && (self.wants)(&format!("{}.{last}", class.name));
        if !is_wanted {
            return;
        }
        let body = node.child_by_field_name("body").map_or("", |body| self.text(body));
        let effect = EFFECTS.iter().find(|effect| body.contains(**effect));
        if let Some(effect) = effect.filter(|_| !self.allow_effects) {
            self.found.fates.push(Fate {
                target,
                status: "refused".into(),
                reason: Some(format!("uses {effect}; allow_effects runs it")),
            });
            return;
        }
        self.found.calls.push(Call {
            target,
            owner: class.kind.clone(),
            name: name.to_owned(),
            is_static,
            parameters,
            result,
            observers: Vec::new(),
        });
    }

    /// The name of a type parameter.
    fn variable(&self, parameter: Node<'_>) -> &'a str {
        let mut cursor = parameter.walk();
        let name = parameter.named_children(&mut cursor).find(|one| one.kind() == "type_identifier");
        name.map_or("", |name| self.text(name))
    }

    /// What stands for the type parameters of a class or method.
    fn variables(&self, node: Node<'_>, outer: &Variables) -> Variables {
        let mut found = outer.clone();
        let Some(parameters) = node.child_by_field_name("type_parameters") else { return found };
        let mut cursor = parameters.walk();
        for one in parameters.named_children(&mut cursor) {
            let mut cursor = one.walk();
            let bound = one.named_children(&mut cursor).find(|part| part.kind() == "type_bound");
            let bound = bound.map_or("", |bound| self.text(bound).trim_start_matches("extends").trim());
            let stands = match bare(bound).as_str() {
                "" | "Object" | "CharSequence" | "Comparable" => "String",
                "Number" => "Integer",
                _ => bound,
            };
            found.insert(self.variable(one).to_owned(), stands.to_owned());
        }
        found
    }

    fn parameters(&self, node: Node<'_>, variables: &Variables) -> Vec<String> {
        let Some(list) = node.child_by_field_name("parameters") else { return Vec::new() };
        let mut found = Vec::new();
        let mut cursor = list.walk();
        for one in list.named_children(&mut cursor) {
            let kind = match one.kind() {
                "formal_parameter" => {
                    format!("{}{}", self.field(one, "type"), self.field(one, "dimensions"))
                }
                "spread_parameter" => {
                    let mut cursor = one.walk();
                    let kind = one.named_children(&mut cursor).find(|part| {
                        !matches!(part.kind(), "modifiers" | "variable_declarator")
                            && !part.kind().ends_with("annotation")
                    });
                    format!("{}[]", kind.map_or("", |kind| self.text(kind)))
                }
                _ => continue,
            };
            found.push(substitute(&kind, variables));
        }
        found
    }
}

/// Members of a class, an enum or an interface.
fn members_of<'t>(node: Node<'t>, found: &mut Vec<Node<'t>>) {
    let Some(body) = node.child_by_field_name("body") else { return };
    let mut cursor = body.walk();
    for one in body.named_children(&mut cursor) {
        if one.kind() == "enum_body_declarations" {
            let mut cursor = one.walk();
            found.extend(one.named_children(&mut cursor));
        } else {
            found.push(one);
        }
    }
}

/// Results that a literal can say.
fn is_plain(kind: &str) -> bool {
    matches!(kind, "int" | "long" | "short" | "byte" | "char" | "boolean" | "String" | "double" | "float")
}

/// Without type parameters.
pub(super) fn bare(kind: &str) -> String {
    kind.split('<').next().unwrap_or(kind).trim().to_owned()
}

/// A type without wildcards, with what stands for type variables.
fn substitute(kind: &str, variables: &Variables) -> String {
    let mut text = String::new();
    let mut word = String::new();
    let plain = kind.replace("? extends ", "").replace("? super ", "");
    for one in plain.chars().chain(['\0']) {
        if one.is_alphanumeric() || matches!(one, '_' | '$' | '.') {
            word.push(one);
            continue;
        }
        text.push_str(variables.get(&word).map_or(word.as_str(), String::as_str));
        word.clear();
        match one {
            '\0' => {}
            '?' => text.push_str("String"),
            one if one.is_whitespace() => {
                if text.ends_with(',') {
                    text.push(' ');
                }
            }
            one => text.push(one),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_constructors_and_what_makes_objects_are_found() {
        let source = "package a.b;\nimport java.util.List;\npublic class A<T extends Comparable<T>> {\n  enum E { X, Y { int f() { return 1; } } }\n  public record R(int x, String... y) {}\n  A(final T one) {}\n  static <U> List<U> of(final U a, int[] b, Map<? extends T, ?> c) { return null; }\n  private void hidden() {}\n  void wipe() { System.exit(1); }\n  int size() { return 0; }\n  void add(T t) {}\n}\n";
        let mut parser = tree_sitter::Parser::new();
        parser.set_language(&tree_sitter_java::LANGUAGE.into()).unwrap();
        let tree = parser.parse(source, None).unwrap();
        let items = of(source, tree.root_node(), &|_| true, false);
        assert_eq!(
            (items.package.as_str(), items.imports.as_slice()),
            ("a.b", &["import java.util.List;".to_owned()][..])
        );
        let calls: Vec<String> = items
            .calls
            .iter()
            .map(|call| {
                format!("{} {}({}) {}", call.result, call.target, call.parameters.join("; "), call.is_static)
            })
            .collect();
        assert_eq!(
            calls,
            [
                "A<String> A.new(String) true",
                "List<String> A.of(String; int[]; Map<String, String>) true",
                "int A.size() false",
                "void A.add(String) false",
                "A.R A.R.new(int; String[]) true",
            ]
        );
        assert_eq!(items.calls[3].observers, [("size()".to_owned(), "int".to_owned())]);
        assert_eq!(items.fates[0].target, "A.wipe");
        let constants: Vec<&String> = items.classes.iter().flat_map(|class| &class.constants).collect();
        assert_eq!(constants, ["A.E.X", "A.E.Y"]);
    }
}
