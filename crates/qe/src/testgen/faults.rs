//! Faults that are planted in JavaScript and TypeScript: found by the grammar, put into copies of the file.

use serde::Serialize;
use tree_sitter::{Node, Parser};

use super::candidates::Mutant;
use super::mutation::{opposite, spread};
use super::target::{Language, Target};

/// Text that takes the place of bytes of the source.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Fault {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) text: String,
    #[serde(skip)]
    pub(super) mutant: Mutant,
}

/// At most `most`, evenly over the file.
pub(super) fn of(target: &Target, most: usize) -> Vec<Fault> {
    let grammar = match target.language {
        Language::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
        _ => tree_sitter_javascript::LANGUAGE,
    };
    let Ok(source) = std::str::from_utf8(&target.source) else { return Vec::new() };
    let mut parser = Parser::new();
    if parser.set_language(&grammar.into()).is_err() {
        return Vec::new();
    }
    let Some(tree) = parser.parse(source, None) else { return Vec::new() };
    let mut found = Vec::new();
    walk(tree.root_node(), source, "", 0, &mut found);
    spread(&mut found, most);
    found
}

fn walk(node: Node<'_>, source: &str, function: &str, depth: usize, found: &mut Vec<Fault>) {
    if depth > 300 {
        return;
    }
    let text = |node: Node<'_>| source.get(node.byte_range()).unwrap_or_default();
    let name = |node: Node<'_>| node.child_by_field_name("name").map_or("", text);
    let function = match node.kind() {
        "function_declaration" | "method_definition" | "class_declaration" | "variable_declarator"
            if !name(node).is_empty() =>
        {
            name(node)
        }
        _ => function,
    };
    let mut put = |at: Node<'_>, new: String| {
        let shown = |text: &str| {
            text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(60).collect::<String>()
        };
        found.push(Fault {
            from: at.start_byte(),
            to: at.end_byte(),
            mutant: Mutant {
                target: function.to_owned(),
                line: u32::try_from(at.start_position().row).unwrap_or(u32::MAX).saturating_add(1),
                mutation: format!("{} -> {}", shown(text(at)), shown(&new)),
            },
            text: new,
        });
    };
    match node.kind() {
        // Types are not run.
        "type_annotation"
        | "type_alias_declaration"
        | "interface_declaration"
        | "type_arguments"
        | "type_parameters"
        | "import_statement" => return,
        "binary_expression" => {
            if let Some(operator) = node.child_by_field_name("operator")
                && let Some(other) = other(text(operator))
            {
                put(operator, other.to_owned());
            }
        }
        "number" => {
            if let Ok(value) = text(node).parse::<u64>() {
                put(node, format!("{}", value.saturating_add(1)));
            }
        }
        "true" => put(node, "false".into()),
        "false" => put(node, "true".into()),
        "if_statement" => {
            if let Some(condition) = node.child_by_field_name("condition") {
                put(condition, format!("(!{})", text(condition)));
            }
        }
        "return_statement" if node.named_child_count() == 1 => {
            if let Some(value) =
                node.named_child(0).filter(|value| !matches!(value.kind(), "undefined" | "null"))
            {
                put(value, "undefined".into());
            }
        }
        _ => {}
    }
    let mut cursor = node.walk();
    for child in node.named_children(&mut cursor) {
        walk(child, source, function, depth + 1, found);
    }
}

fn other(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "===" => "!==",
        "!==" => "===",
        "??" => "&&",
        "+" => "-",
        "-" => "+",
        "*" => "/",
        "/" | "%" => "*",
        operator => return opposite(operator),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_stand_in_code_and_not_in_texts_or_types() {
        let target = Target {
            file: "a.ts".into(),
            path: "a.ts".into(),
            language: Language::TypeScript,
            functions: Vec::new(),
            lines: None,
            source: b"type A = 1 | 2;\n// 1 < 2\nconst f = (x: number) => 'a < b' + (x < 3);\n".to_vec(),
        };
        let found = of(&target, 50);
        let mutations: Vec<_> = found.iter().map(|fault| fault.mutant.mutation.as_str()).collect();
        assert_eq!(mutations, ["+ -> -", "< -> <=", "3 -> 4"]);
        assert!(found.iter().all(|fault| fault.mutant.target == "f" && fault.mutant.line == 3));
        assert_eq!(of(&target, 2).len(), 2);
    }
}
