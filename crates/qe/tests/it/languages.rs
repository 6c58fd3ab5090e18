//! `qe_test_generate` for languages that are compiled first.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::Tools;

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

fn package(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let place = folder.path().join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }
    folder
}

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
#[ignore = "a trial by hand: AQE_TRY names the folder, AQE_FILE the file"]
async fn trial() {
    let folder = std::env::var("AQE_TRY").unwrap();
    let began = std::time::Instant::now();
    let file = std::env::var("AQE_FILE").unwrap();
    let more: Value =
        std::env::var("AQE_MORE").map_or(json!({}), |more| serde_json::from_str(&more).unwrap());
    let mut arguments = json!({ "targets": [{ "file": file }] });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let tools = Tools::over(&[Path::new(&folder)]);
    let reply = tools.raw("qe_test_generate", &arguments.to_string()).await.unwrap();
    let reply: Value = serde_json::from_str(&reply).unwrap();
    let text = reply["content"][0]["text"].as_str().unwrap();
    let Ok(answer) = serde_json::from_str::<Value>(text) else { panic!("{text}") };
    eprintln!("{}", serde_json::to_string_pretty(&answer).unwrap());
    eprintln!("{}", answer["results"][0]["test_file"]["content"].as_str().unwrap_or(""));
    eprintln!("took {:?}", began.elapsed());
}

#[tokio::test]
async fn tests_for_a_rust_library_pass_by_themselves_and_a_fault_turns_one_red() {
    let folder = package(&[
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
