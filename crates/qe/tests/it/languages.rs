//! `qe_test_generate` for languages that are compiled first.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Tools, folder_of};

const RUST: &str = r#"//! A till.

/// What something costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Size {
    Small,
    Large,
}

/// ```
/// assert_eq!(till::price(&till::Size::Small, 3), Some(15));
/// ```
pub fn price(size: &Size, count: u32) -> Option<u32> {
    if count == 0 {
        return None;
    }
    let unit = match size {
        Size::Small => 5,
        Size::Large => 9,
    };
    if count >= 10 {
        return Some(count.saturating_mul(unit) / 10 * 9);
    }
    Some(count * unit)
}

/// Panics for an empty name.
pub fn initial(name: &str) -> char {
    name.chars().next().expect("a name has a letter")
}

pub fn words(text: impl AsRef<str>) -> Vec<String> {
    text.as_ref().split_whitespace().map(str::to_lowercase).collect()
}

/// Keeps names up to a limit.
#[derive(Debug, Default)]
pub struct Basket {
    names: Vec<String>,
    limit: usize,
}

impl Basket {
    pub fn new(limit: usize) -> Self {
        Self { names: Vec::new(), limit }
    }

    pub fn add(&mut self, name: String) -> Result<usize, String> {
        if self.names.len() >= self.limit {
            return Err(name);
        }
        self.names.push(name);
        Ok(self.names.len())
    }

    pub fn is_full(&self) -> bool {
        self.names.len() >= self.limit
    }
}

pub fn wipe(path: &str) {
    std::fs::remove_file(path).ok();
}

pub fn spin(n: u8) -> u8 {
    while n == 2 {}
    n
}
"#;

async fn generate(folder: &Path, file: &str, more: Value) -> Value {
    let mut arguments = json!({ "targets": [{ "file": file }], "budget_ms": 100 });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Tools::over(&[folder]).call("qe_test_generate", &arguments.to_string()).await
}

fn fate<'a>(answer: &'a Value, target: &str) -> &'a Value {
    let fates = answer["results"][0]["targets"].as_array().unwrap();
    fates.iter().find(|fate| fate["target"] == target).unwrap_or_else(|| panic!("{target}: {answer}"))
}

fn cargo_passes(folder: &Path) -> bool {
    let run = Command::new("cargo")
        .args(["test", "--offline", "-q", "--tests"])
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        .current_dir(folder)
        .output()
        .unwrap();
    run.status.success()
}

#[tokio::test]
async fn tests_for_a_rust_library_pass_by_themselves_and_a_fault_turns_one_red() {
    let folder = folder_of(&[
        ("Cargo.toml", "[package]\nname = \"till\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"),
        ("src/lib.rs", RUST),
    ]);
    let answer = generate(folder.path(), "src/lib.rs", json!({ "write": "files" })).await;
    let result = &answer["results"][0];
    assert_eq!((&result["status"], &result["framework"]), (&json!("kept"), &json!("cargo")), "{answer}");
    assert!(result["after"]["line"]["pct"].as_f64().unwrap() >= 90.0, "{answer}");
    let mutation = &result["mutation"];
    assert!(
        mutation["killed"].as_u64().unwrap() * 10 >= mutation["total"].as_u64().unwrap() * 7,
        "{mutation}"
    );
    assert_eq!(fate(&answer, "wipe")["status"], "refused");
    let path = folder.path().join("tests/lib_characterization.rs");
    let text = fs::read_to_string(&path).unwrap();
    for part in
        ["till::price(&till::Size::Small", "should_panic(expected = \"a name has a letter\")", "object.add("]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("wipe(") && !text.contains("spin(2)"), "{text}");
    assert!(cargo_passes(folder.path()), "{text}");
    if let Ok(run) = Command::new("rustfmt").args(["--check", "--edition", "2021"]).arg(&path).output() {
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    }
    fs::write(folder.path().join("src/lib.rs"), RUST.replace("Size::Large => 9", "Size::Large => 8"))
        .unwrap();
    assert!(!cargo_passes(folder.path()), "{text}");
    fs::write(folder.path().join("src/lib.rs"), RUST).unwrap();
    fs::remove_file(&path).unwrap();
    // What the first call left behind is what the second begins with: nothing but the sources.
    fs::remove_dir_all(folder.path().join("target")).unwrap();
    let again = generate(folder.path(), "src/lib.rs", json!({ "write": "files" })).await;
    assert_eq!(again["results"], answer["results"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

/// Stands in for a compiler of the project: it knows the types of this test only, and moves every line down by one.
const COMPILER: &str = r"exports.transformSync = (text) => ({
  code: '\n' + text.replace(/^(type|enum) [^}]*?[;}]$/gm, (all) => all.replace(/[^\n]/g, ' ')).replace(/: (Size|number|string|boolean)(\[\])?/g, ''),
  map: JSON.stringify({ version: 3, sources: ['a.ts'], mappings: ';AAAA' + ';AACA'.repeat(60) }),
});
exports.version = '0';
";

const TYPESCRIPT: &str = "type Size = 'tiny' | 'enormous';

export function price(size: Size, count: number): number {
  if (size === 'enormous') return count * 9;
  return count > 3 ? count * 4 : count * 5;
}

export class Till {
  private total: number = 0;
  constructor(private readonly sizes: Size[]) {
    this.total = sizes.length;
  }
  get count(): number {
    return this.total;
  }
}
";

#[tokio::test]
async fn typescript_is_run_by_what_the_project_compiles_it_with() {
    let source = TYPESCRIPT
        .replace("private total: number", "total: number")
        .replace("private readonly sizes: Size[]", "sizes: Size[]");
    let folder = folder_of(&[
        ("package.json", r#"{"type":"module"}"#),
        ("src/till.ts", &source),
        ("node_modules/esbuild/package.json", r#"{"name":"esbuild","main":"index.js"}"#),
        ("node_modules/esbuild/index.js", COMPILER),
    ]);
    let answer = generate(folder.path(), "src/till.ts", json!({})).await;
    let result = &answer["results"][0];
    assert_eq!(result["after"]["line"]["pct"], 100.0, "{answer}");
    let text = result["test_file"]["content"].as_str().unwrap();
    // Values come from the types.
    for part in ["from '../src/till.ts'", "price('enormous'", "new Till(['tiny'"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(result["mutation"]["killed"].as_u64().unwrap() >= 6, "{}", result["mutation"]);
    assert!(answer["provenance"][0]["tool"].as_str().unwrap().ends_with("esbuild 0"), "{answer}");
    // Lines are those of the source.
    let lines = result["tests"][0]["new_lines"].to_string();
    assert!(lines.contains('4') || lines.contains('5'), "{result}");
}

#[tokio::test]
async fn typescript_without_a_way_to_run_it_says_what_to_install() {
    let native = Command::new("node").args(["-p", "process.features.typescript || ''"]).output().unwrap();
    if !native.stdout.trim_ascii().is_empty() {
        eprintln!("skipped: this Node.js runs TypeScript by itself");
        return;
    }
    let folder = folder_of(&[("till.ts", TYPESCRIPT)]);
    let arguments = json!({ "targets": [{ "file": "till.ts" }] }).to_string();
    let text = Tools::over(&[folder.path()]).refusal("qe_test_generate", &arguments).await;
    assert!(text.contains("plan only") && text.contains("install typescript"), "{text}");
}

#[tokio::test]
async fn candidates_in_javascript_are_judged_test_by_test() {
    let source =
        "export function code(text) {\n  if (text === 'xyzzy-56') {\n    return 1;\n  }\n  return 0;\n}\n";
    let folder = folder_of(&[("package.json", r#"{"type":"module"}"#), ("locked.js", source)]);
    let good = "import assert from 'node:assert';\nimport { describe, it, test } from 'node:test';\nimport { code } from '../locked.js';\ndescribe('a lock', () => {\n  it('opens', () => assert.equal(code('xyzzy-56'), 1));\n});\ntest('wrong', () => assert.equal(code('a'), 2));\ntest('again', async () => assert.equal(code('xyzzy-56'), 1));\nlet runs = 0;\ntest('runs first', () => { assert.equal(code('a'), 0); });\n";
    let candidates = json!([{ "path": "test/new.test.js", "content": good }, { "path": "test/broken.test.js", "content": "import '" }]);
    let verify = json!({ "targets": [{ "file": "locked.js" }], "mode": "verify", "candidates": candidates });
    let answer = Tools::over(&[folder.path()]).call("qe_test_generate", &verify.to_string()).await;
    let result = &answer["results"][0];
    let accepted = |name: &str| {
        let tests = result["tests"].as_array().unwrap();
        let test = tests.iter().find(|test| test["name"].as_str().unwrap().ends_with(name)).unwrap();
        test["accepted"].as_bool().unwrap()
    };
    assert_eq!(
        ["a lock > opens", "wrong", "again", "runs first"].map(accepted),
        [true, false, false, true],
        "{answer}"
    );
    assert!(result["mutation"]["killed"].as_u64().unwrap() >= 3, "{answer}");
    assert_eq!(result["broken"].as_array().unwrap().len(), 1, "{answer}");
    assert!(!folder.path().join("test").exists());
}

#[tokio::test]
async fn tests_for_the_projects_own_runner_say_that_it_was_not_run() {
    let manifest = r#"{"devDependencies":{"vitest":"3"}}"#;
    let folder =
        folder_of(&[("package.json", manifest), ("half.mjs", "export const half = (n) => n / 2;\n")]);
    let answer = generate(folder.path(), "half.mjs", json!({})).await;
    let result = &answer["results"][0];
    assert_eq!((&result["framework"], &result["status"]), (&json!("vitest"), &json!("emitted")), "{answer}");
    assert!(result["reason"].as_str().unwrap().contains("vitest itself was not run"), "{answer}");
    assert!(
        result["test_file"]["content"].as_str().unwrap().contains("import { test } from 'vitest';"),
        "{answer}"
    );
}

#[tokio::test]
async fn lines_of_javascript_are_those_of_the_file() {
    let source = "export const zero = () => 0;\n\n\n// A remark after empty lines.\nexport function sign(n) {\n  if (n < 0) {\n\n    // Another.\n    return -1;\n  }\n  return 1;\n}\n";
    let folder = folder_of(&[("sign.mjs", source)]);
    let answer = generate(folder.path(), "sign.mjs", json!({})).await;
    let tests = answer["results"][0]["tests"].as_array().unwrap();
    let lines: Vec<u64> = tests
        .iter()
        .flat_map(|test| test["new_lines"].as_array().unwrap())
        .flat_map(|range| range[0].as_u64().unwrap()..=range[1].as_u64().unwrap())
        .collect();
    for line in [6, 9, 11] {
        assert!(lines.contains(&line), "{line}: {answer}");
    }
    assert!(!lines.contains(&8) && !lines.contains(&4), "{answer}");
}

const GO: &str = "package till

import \"errors\"

// Price says what count of them cost.
func Price(size string, count int) (int, error) {
	if count < 0 {
		return 0, errors.New(\"count\")
	}
	unit := 5
	switch size {
	case \"large\":
		unit = 9
	}
	if count >= 10 {
		return count * unit * 9 / 10, nil
	}
	return count * unit, nil
}

func First(names []string) string {
	return names[0]
}

type Basket struct {
	names []string
	limit int
}

func NewBasket(limit int) *Basket {
	return &Basket{limit: limit}
}

func (b *Basket) Add(name string) bool {
	if len(b.names) >= b.limit {
		return false
	}
	b.names = append(b.names, name)
	return true
}
";

#[tokio::test]
async fn tests_for_a_go_package_pass_by_themselves_and_a_fault_turns_one_red() {
    if Command::new("go").arg("version").output().is_err() {
        let folder = folder_of(&[("till.go", GO)]);
        let arguments = json!({ "targets": [{ "file": "till.go" }] }).to_string();
        let text = Tools::over(&[folder.path()]).refusal("qe_test_generate", &arguments).await;
        assert!(text.contains("plan only: go is not installed"), "{text}");
        eprintln!("skipped: go is not installed; that it is missing was tested");
        return;
    }
    let folder = folder_of(&[("go.mod", "module example.org/till\n"), ("till.go", GO)]);
    let answer = generate(folder.path(), "till.go", json!({ "write": "files" })).await;
    let result = &answer["results"][0];
    assert_eq!((&result["status"], &result["framework"]), (&json!("kept"), &json!("go")), "{answer}");
    assert_eq!(result["after"]["line"]["pct"], 100.0, "{answer}");
    assert_eq!(result["mutation"]["killed"], result["mutation"]["total"], "{answer}");
    assert_eq!(result["tests"][0]["name"], "TestPriceCharacterization1", "{answer}");
    let path = folder.path().join("till_characterization_test.go");
    let text = fs::read_to_string(&path).unwrap();
    for part in [
        "func TestPriceCharacterization(t *testing.T) {",
        "Price(tt.size, tt.count)",
        "t.Run(tt.name, ",
        "\"large\", 1, \"9 <nil>\"}",
        "it did not panic",
        "object := NewBasket(",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let passes = || {
        let cache = folder.path().join(".cache");
        let run =
            Command::new("go").arg("test").env("GOCACHE", cache).current_dir(folder.path()).output().unwrap();
        run.status.success()
    };
    assert!(passes(), "{text}");
    let format = Command::new("gofmt").arg("-l").arg(&path).output();
    assert!(format.is_ok_and(|run| run.stdout.is_empty()), "{text}");
    fs::write(folder.path().join("till.go"), GO.replace("unit = 9", "unit = 8")).unwrap();
    assert!(!passes(), "{text}");
}
