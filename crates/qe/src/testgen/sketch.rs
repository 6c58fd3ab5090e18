//! Mode `plan`, and what there is for Java that cannot be compiled here: functions found in the text, and boundary inputs for what
//! types they name. Nothing is run, so nothing is said of results.

use serde::Serialize;

use super::target::{Language, Target};
use crate::reply::Refusal;

/// Functions of one plan, and inputs of one parameter.
const FUNCTIONS_MAX: usize = 60;
const INPUTS_MAX: usize = 6;
/// Lines that a signature may go on for.
const SIGNATURE_LINES_MAX: usize = 12;
/// Words that begin a type.
const TYPES: [&str; 7] = ["class", "struct", "enum", "interface", "record", "trait", "type"];

#[derive(Debug, Serialize)]
pub(crate) struct Sketch {
    file: String,
    language: Language,
    /// Always `not run`: a plan says what to try, not what comes of it.
    status: &'static str,
    reason: String,
    functions: Vec<Function>,
    functions_total: usize,
}

#[derive(Debug, Serialize)]
struct Function {
    name: String,
    line: usize,
    signature: String,
    /// For each parameter, values at the borders of its type; none where the type is not a simple one.
    inputs: Vec<Inputs>,
}

#[derive(Debug, Serialize)]
struct Inputs {
    parameter: String,
    values: Vec<&'static str>,
}

/// From the text alone; `reason`: why it is not run, where it was to be.
///
/// # Errors
/// A function is wanted that is not there.
pub(super) fn of(target: &Target, reason: Option<String>) -> Result<Sketch, Refusal> {
    let text = String::from_utf8_lossy(&target.source);
    let lines: Vec<&str> = text.lines().collect();
    let mut functions: Vec<Function> =
        (0..lines.len()).filter_map(|line| function(&lines, line, target.language)).collect();
    // The text alone does not say of which type a function is.
    let wanted: Vec<String> = target
        .functions
        .iter()
        .map(|one| one.rsplit(['.', ':']).next().unwrap_or_default().to_owned())
        .collect();
    // What it speaks of may be there in a form that is not read here.
    let missing: Vec<String> = wanted.iter().filter(|name| !text.contains(name.as_str())).cloned().collect();
    target.has_last("public function", &missing, functions.iter().map(|one| one.name.as_str()))?;
    let is_type = |name: &String| TYPES.iter().any(|word| text.contains(&format!("{word} {name}")));
    if !wanted.iter().any(is_type) {
        functions.retain(|one| wanted.is_empty() || wanted.contains(&one.name));
    }
    let functions_total = functions.len();
    functions.truncate(FUNCTIONS_MAX);
    Ok(Sketch {
        file: target.file.clone(),
        language: target.language,
        status: "not run",
        reason: reason.unwrap_or_else(|| "mode \"plan\" runs nothing; mode \"generate\" does".into()),
        functions,
        functions_total,
    })
}

/// The public function that begins in a line.
fn function(lines: &[&str], line: usize, language: Language) -> Option<Function> {
    let begin = lines.get(line)?.trim_start();
    let rest = after_keyword(begin, language)?;
    let name: String =
        rest.chars().take_while(|one| one.is_alphanumeric() || matches!(one, '_' | '$')).collect();
    let is_private = match language {
        Language::Go => !name.starts_with(char::is_uppercase),
        _ => name.starts_with('_'),
    };
    if name.is_empty() || is_private {
        return None;
    }
    let whole: String = lines
        .iter()
        .skip(line)
        .take(SIGNATURE_LINES_MAX)
        .map(|line| line.trim())
        .collect::<Vec<_>>()
        .join(" ");
    let at = whole.find(&name)? + name.len();
    let after = whole.get(at..)?;
    let generics = if after.starts_with(['<', '[']) { closing(after)? + 1 } else { 0 };
    let open = at + generics + after.get(generics..)?.find('(')?;
    // Between the name and its parameters there may be type parameters, but no other text.
    if whole.get(at + generics..open)?.contains([';', '{', '=']) {
        return None;
    }
    let close = open + closing(whole.get(open..)?)?;
    let end = whole.get(close..)?.find(['{', ';']).map_or(close + 1, |end| close + end);
    let parameters = split(whole.get(open + 1..close)?);
    Some(Function {
        signature: whole.get(..end)?.trim().trim_end_matches(':').to_owned(),
        inputs: parameters.iter().filter_map(|parameter| inputs(parameter, language)).collect(),
        name,
        line: line + 1,
    })
}

/// What follows the words that begin a public function, if a line begins one.
fn after_keyword(text: &str, language: Language) -> Option<&str> {
    match language {
        Language::Rust => {
            let mut rest = text.strip_prefix("pub ")?;
            while let Some(more) =
                ["const ", "async ", "unsafe "].iter().find_map(|word| rest.strip_prefix(word))
            {
                rest = more;
            }
            rest.strip_prefix("fn ")
        }
        Language::Go => {
            let rest = text.strip_prefix("func ")?;
            // A method's receiver stands before its name.
            if rest.starts_with('(') {
                Some(rest.get(closing(rest)? + 1..)?.trim_start())
            } else {
                Some(rest)
            }
        }
        Language::Java => {
            let mut rest = text.strip_prefix("public ")?;
            while let Some(more) = ["static ", "final ", "synchronized ", "abstract "]
                .iter()
                .find_map(|word| rest.strip_prefix(word))
            {
                rest = more;
            }
            let before = rest.split('(').next()?;
            if before.len() == rest.len()
                || ["class ", "interface ", "enum ", "record "].iter().any(|word| rest.starts_with(word))
            {
                return None;
            }
            let name = before.rsplit(' ').next()?;
            rest.get(before.len() - name.len()..)
        }
        Language::Python => text.strip_prefix("async ").unwrap_or(text).strip_prefix("def "),
        Language::JavaScript | Language::TypeScript => {
            let rest = text.strip_prefix("export ").unwrap_or(text);
            let rest = rest.strip_prefix("default ").unwrap_or(rest);
            rest.strip_prefix("async ").unwrap_or(rest).strip_prefix("function ")
        }
    }
}

/// Where the bracket that a text begins with closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (place, one) in text.char_indices() {
        match one {
            '(' | '[' | '<' | '{' => depth += 1,
            '>' if text[..place].ends_with(['-', '=']) => {}
            ')' | ']' | '>' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(place);
        }
    }
    None
}

/// At commas outside of brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0_i32, 0);
    for (place, one) in text.char_indices() {
        match one {
            '(' | '[' | '<' | '{' => depth += 1,
            ')' | ']' | '>' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[begin..place]);
                begin = place + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn inputs(parameter: &str, language: Language) -> Option<Inputs> {
    let (name, kind) = match language {
        Language::Java => parameter.rsplit_once(' ').map(|(kind, name)| (name, kind))?,
        Language::Go => parameter.split_once(' ').unwrap_or((parameter, "")),
        _ => parameter.split_once(':').unwrap_or((parameter, "")),
    };
    let name = name.trim_start_matches("mut ").trim();
    if matches!(name, "self" | "&self" | "&mut self" | "cls" | "this" | "*" | "/") {
        return None;
    }
    let kind = kind.split('=').next().unwrap_or_default().trim().trim_start_matches("final ");
    let mut values = values(kind, language).to_vec();
    values.truncate(INPUTS_MAX);
    Some(Inputs { parameter: name.split('=').next().unwrap_or(name).trim().to_owned(), values })
}

fn values(kind: &str, language: Language) -> &'static [&'static str] {
    match (language, kind) {
        (Language::Rust, "i8" | "i16" | "i32" | "i64" | "isize" | "i128") => &["0", "1", "-1", "MIN", "MAX"],
        (Language::Rust, "u8" | "u16" | "u32" | "u64" | "usize" | "u128") => &["0", "1", "MAX"],
        (Language::Rust, "f32" | "f64") => &["0.0", "-0.0", "1.5", "NAN", "INFINITY", "EPSILON"],
        (Language::Rust, "&str" | "String" | "&String") => {
            &["\"\"", "\"a\"", "\" \"", "\"é\\u{1F600}\"", "\"a\\nb\""]
        }
        (Language::Rust, kind) if kind.starts_with("Option<") => &["None", "Some(…)"],
        (Language::Rust, kind) if kind.starts_with("&[") || kind.starts_with("Vec<") => {
            &["empty", "one", "two equal", "many"]
        }
        (Language::Go, "string") | (Language::Java, "String") => {
            &["\"\"", "\"a\"", "\" \"", "\"é\"", "\"a\\nb\""]
        }
        (Language::Go, "int" | "int64" | "int32") | (Language::Java, "int" | "long" | "Integer" | "Long") => {
            &["0", "1", "-1", "smallest", "largest"]
        }
        (Language::Go, "uint" | "uint64" | "byte") => &["0", "1", "largest"],
        (Language::Go | Language::Java, "float64" | "float32" | "double" | "float") => {
            &["0", "-1.5", "NaN", "infinite"]
        }
        (Language::Go, kind) if kind.starts_with("[]") => &["nil", "empty", "one", "many"],
        (Language::Go, "error") | (Language::Java, "Object") => &["nil or null", "a value"],
        (Language::Java, kind) if kind.starts_with("List<") || kind.ends_with("[]") => {
            &["null", "empty", "one", "many"]
        }
        (Language::Rust | Language::Go, "bool") | (Language::Java | Language::TypeScript, "boolean") => {
            &["true", "false"]
        }
        (Language::Python, "int") => &["0", "1", "-1", "2**31"],
        (Language::Python, "float") => &["0.0", "-1.5", "inf", "nan"],
        (Language::Python, "str") | (Language::TypeScript, "string") => &["''", "'a'", "' '", "'é'"],
        (Language::Python, "bool") => &["True", "False"],
        (Language::TypeScript, "number") => &["0", "1", "-1", "NaN", "Infinity"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(language: Language, source: &str) -> Vec<(String, Vec<(String, usize)>)> {
        let target = Target {
            file: "f".into(),
            path: "f".into(),
            language,
            functions: Vec::new(),
            lines: None,
            source: source.as_bytes().to_vec(),
        };
        let inputs = |function: Function| {
            function.inputs.into_iter().map(|inputs| (inputs.parameter, inputs.values.len())).collect()
        };
        of(&target, None)
            .unwrap()
            .functions
            .into_iter()
            .map(|function| (function.name.clone(), inputs(function)))
            .collect()
    }

    #[test]
    fn public_functions_and_their_parameters_are_found() {
        let rust = plan(
            Language::Rust,
            "fn hidden() {}\npub const fn a<T: Fn(u8) -> u8>(\n    x: u32,\n    mut y: HashMap<u8, (u8, u8)>,\n) -> bool {\n",
        );
        assert_eq!(rust, [("a".into(), vec![("x".into(), 3), ("y".into(), 0)])]);
        let go = plan(Language::Go, "func (s *Store) Put(key string, n int) error {\nfunc hidden() {\n");
        assert_eq!(go, [("Put".into(), vec![("key".into(), 5), ("n".into(), 5)])]);
        let java = plan(
            Language::Java,
            "public class A {\n  public static List<String> of(final String a, int... b) {\n",
        );
        assert_eq!(java, [("of".into(), vec![("a".into(), 5), ("b".into(), 0)])]);
        let python = plan(Language::Python, "def _p(): pass\nasync def f(self, a: int = 3, *, b='x'):\n");
        assert_eq!(python, [("f".into(), vec![("a".into(), 4), ("b".into(), 0)])]);
    }
}
