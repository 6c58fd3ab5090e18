//! What the kinds of nodes of each grammar mean to us. Languages differ in names and agree in roles.

use std::sync::LazyLock;

use super::functions::FunctionKind;
use super::language::{LANGUAGES, Language};

/// What a node is, as far as anything here depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Role {
    #[default]
    Other,
    /// A function with an entry of its own.
    Function(FunctionKind),
    /// A closure that counts to the function around it.
    Closure,
    /// A class, an `impl`, a module: part of the qualified names of what is in it.
    Scope,
    If,
    /// A clause `elif`; `else if` elsewhere is an [`Self::If`] in an `else`.
    ElseIf,
    Else,
    Loop,
    /// A loop without a condition.
    Endless,
    Switch,
    Case,
    Try,
    Catch,
    Ternary,
    /// `let … else`, if it has the `else`.
    Let,
    /// Two operands and an operator, which may be a [`Self::LogicalOperator`].
    Binary,
    /// Operands between logical operators.
    Logical,
    LogicalOperator,
    /// The arguments of a Rust macro: words that no grammar orders.
    Words,
    /// `if`, `while` and `for` of Rust, as words.
    Keyword,
    Parentheses,
    /// `break`, `continue` or `goto`, perhaps to a label.
    Jump,
    /// A `for` or an `if` of a comprehension, a guard of a `case`.
    Clause,
    /// Rust's `?`.
    Question,
    Assert,
    /// Other places where the way parts: JavaScript's `?.`, logical assignments and values by default.
    Parting,
    /// A parameter, which parts the way if it has a value by default.
    Parameter,
    Call,
    Comment,
    Text,
    /// A statement that may be a docstring.
    Statement,
    /// Rust's `#[…]`.
    Attribute,
}

/// The roles of one grammar, by number of the kind of node, and numbers of the fields that are asked for.
#[derive(Debug)]
pub(super) struct Roles {
    by_kind: Vec<Role>,
    /// Fields of a loop or a condition that are evaluated outside of what they govern, by number.
    heads: Vec<bool>,
    pub(super) fields: Fields,
}

/// Numbers of fields; 0, which no field has, where the grammar does not know one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) alternative: u16,
    pub(super) operator: u16,
}

impl Roles {
    pub(super) fn of(language: Language) -> &'static Self {
        static ALL: LazyLock<Vec<Roles>> =
            LazyLock::new(|| LANGUAGES.iter().map(|&language| Roles::new(language)).collect());
        &ALL[language as usize]
    }

    fn new(language: Language) -> Self {
        let grammar = language.grammar();
        let kinds = 0..u16::try_from(grammar.node_kind_count()).unwrap_or(u16::MAX);
        let by_kind = kinds.map(|kind| {
            let name = grammar.node_kind_for_id(kind).unwrap_or_default();
            if grammar.node_kind_is_named(kind) { named(language, name) } else { token(language, name) }
        });
        let field = |name: &str| grammar.field_id_for_name(name).map_or(0, std::num::NonZero::get);
        let mut heads = vec![false; grammar.field_count() + 1];
        for name in [
            "condition",
            "value",
            "left",
            "right",
            "initializer",
            "init",
            "increment",
            "update",
            "subject",
            "pattern",
        ] {
            heads[usize::from(field(name))] = true;
        }
        heads[0] = false;
        Self {
            by_kind: by_kind.collect(),
            heads,
            fields: Fields { alternative: field("alternative"), operator: field("operator") },
        }
    }

    /// The number of an error's kind is beyond all others.
    pub(super) fn role(&self, kind: u16) -> Role {
        self.by_kind.get(usize::from(kind)).copied().unwrap_or_default()
    }

    pub(super) fn is_head(&self, field: u16) -> bool {
        self.heads.get(usize::from(field)).is_some_and(|&is| is)
    }
}

fn token(language: Language, name: &str) -> Role {
    match (language, name) {
        (Language::JavaScript | Language::TypeScript | Language::Tsx, "&&=" | "||=" | "??=") => Role::Parting,
        (Language::Rust, "if" | "while" | "for") => Role::Keyword,
        (Language::Python, "and" | "or")
        | (Language::JavaScript | Language::TypeScript | Language::Tsx, "??")
        | (_, "&&" | "||") => Role::LogicalOperator,
        _ => Role::Other,
    }
}

fn named(language: Language, name: &str) -> Role {
    let own = match language {
        Language::Go => go(name),
        Language::Java => java(name),
        Language::Python => python(name),
        Language::Rust => rust(name),
        Language::JavaScript | Language::TypeScript | Language::Tsx => javascript(name),
    };
    own.unwrap_or(match name {
        "if_statement" => Role::If,
        "for_statement" | "while_statement" => Role::Loop,
        "try_statement" => Role::Try,
        "binary_expression" => Role::Binary,
        "parenthesized_expression" => Role::Parentheses,
        "comment" | "line_comment" | "block_comment" => Role::Comment,
        "call_expression" => Role::Call,
        "break_statement" | "continue_statement" => Role::Jump,
        _ => Role::Other,
    })
}

fn go(name: &str) -> Option<Role> {
    Some(match name {
        "function_declaration" => Role::Function(FunctionKind::Function),
        "method_declaration" => Role::Function(FunctionKind::Method),
        "func_literal" => Role::Function(FunctionKind::Closure),
        "expression_switch_statement" | "type_switch_statement" | "select_statement" => Role::Switch,
        "expression_case" | "type_case" | "communication_case" => Role::Case,
        "goto_statement" => Role::Jump,
        "interpreted_string_literal" | "raw_string_literal" | "rune_literal" => Role::Text,
        _ => return None,
    })
}

fn java(name: &str) -> Option<Role> {
    Some(match name {
        "method_declaration" => Role::Function(FunctionKind::Method),
        "constructor_declaration" | "compact_constructor_declaration" => {
            Role::Function(FunctionKind::Constructor)
        }
        "lambda_expression" => Role::Closure,
        "class_declaration"
        | "interface_declaration"
        | "enum_declaration"
        | "record_declaration"
        | "annotation_type_declaration" => Role::Scope,
        "enhanced_for_statement" | "do_statement" => Role::Loop,
        "switch_expression" => Role::Switch,
        "switch_label" => Role::Case,
        "try_with_resources_statement" => Role::Try,
        "catch_clause" => Role::Catch,
        "ternary_expression" => Role::Ternary,
        "method_invocation" | "object_creation_expression" => Role::Call,
        "string_literal" | "character_literal" => Role::Text,
        _ => return None,
    })
}

fn python(name: &str) -> Option<Role> {
    Some(match name {
        "function_definition" => Role::Function(FunctionKind::Function),
        "lambda" => Role::Closure,
        "class_definition" => Role::Scope,
        "elif_clause" => Role::ElseIf,
        "else_clause" => Role::Else,
        "match_statement" => Role::Switch,
        "case_clause" => Role::Case,
        "except_clause" => Role::Catch,
        "conditional_expression" => Role::Ternary,
        "boolean_operator" => Role::Logical,
        "for_in_clause" | "if_clause" => Role::Clause,
        "assert_statement" => Role::Assert,
        "call" => Role::Call,
        "string" => Role::Text,
        "expression_statement" => Role::Statement,
        _ => return None,
    })
}

fn rust(name: &str) -> Option<Role> {
    Some(match name {
        "function_item" => Role::Function(FunctionKind::Function),
        "closure_expression" => Role::Closure,
        "impl_item" | "trait_item" | "mod_item" => Role::Scope,
        "if_expression" => Role::If,
        "else_clause" => Role::Else,
        "for_expression" | "while_expression" => Role::Loop,
        "loop_expression" => Role::Endless,
        "match_expression" => Role::Switch,
        "match_arm" => Role::Case,
        "let_declaration" => Role::Let,
        "let_chain" => Role::Logical,
        "try_expression" => Role::Question,
        "break_expression" | "continue_expression" => Role::Jump,
        "string_literal" | "raw_string_literal" | "char_literal" => Role::Text,
        "token_tree" => Role::Words,
        "attribute_item" => Role::Attribute,
        _ => return None,
    })
}

fn javascript(name: &str) -> Option<Role> {
    Some(match name {
        "function_declaration" | "generator_function_declaration" => Role::Function(FunctionKind::Function),
        "function_expression" | "generator_function" | "arrow_function" => {
            Role::Function(FunctionKind::Closure)
        }
        "method_definition" => Role::Function(FunctionKind::Method),
        "class_declaration" | "abstract_class_declaration" | "class" | "internal_module" | "module" => {
            Role::Scope
        }
        "else_clause" => Role::Else,
        "for_in_statement" | "do_statement" => Role::Loop,
        "switch_statement" => Role::Switch,
        "switch_case" => Role::Case,
        "catch_clause" => Role::Catch,
        "ternary_expression" => Role::Ternary,
        "optional_chain" | "assignment_pattern" | "object_assignment_pattern" => Role::Parting,
        "required_parameter" | "optional_parameter" => Role::Parameter,
        "new_expression" => Role::Call,
        "html_comment" => Role::Comment,
        "string" | "template_string" | "regex" => Role::Text,
        _ => return None,
    })
}
