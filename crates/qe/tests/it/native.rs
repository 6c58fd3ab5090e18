//! What code that was compiled cannot do, and tests of it that others wrote.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Tools, folder_of};

const MANIFEST: &str = "[package]\nname = \"lock\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";

async fn call(folder: &Path, file: &str, more: Value) -> Value {
    let mut arguments = json!({ "targets": [{ "file": file }], "budget_ms": 100 });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Tools::over(&[folder]).call("qe_test_generate", &arguments.to_string()).await
}

fn is_here(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok()
}

/// That a call with effects has written nothing outside, and that its tests say so, where the kernel has Landlock.
async fn writes_nothing_elsewhere(files: &[(&str, &str)], file: &str, said: [&str; 2]) {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "key").unwrap();
    let place = outside.path().display().to_string();
    let files: Vec<(&str, String)> =
        files.iter().map(|(name, text)| (*name, text.replace("OUTSIDE", &place))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let folder = folder_of(&files);
    let answer = call(folder.path(), file, json!({ "allow_effects": true })).await;
    if answer["sandbox"]["files"] != "kernel" {
        assert_eq!(answer["sandbox"]["files"], "refused", "{answer}");
        eprintln!("skipped: this kernel has no Landlock; the result says that files are not held");
        return;
    }
    let names: Vec<_> =
        fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["secret"], "{answer}");
    let text = answer["results"][0]["test_file"]["content"].as_str().unwrap_or_else(|| panic!("{answer}"));
    for part in said {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(answer["sandbox"]["effects"].as_str().unwrap().contains("in the copy"), "{answer}");
}

#[tokio::test]
async fn compiled_rust_writes_and_reads_nothing_outside_of_the_copy() {
    let source = "pub fn scribble(n: bool) -> (bool, bool, bool) {\n    let made = std::fs::write(\"OUTSIDE/made\", [n as u8]).is_ok();\n    (made, std::fs::read(\"OUTSIDE/secret\").is_ok(), std::fs::write(\"made\", b\"x\").is_ok())\n}\n";
    let files = [("Cargo.toml", MANIFEST), ("src/lib.rs", source)];
    writes_nothing_elsewhere(&files, "src/lib.rs", ["lock::scribble(", "(false, false, true)"]).await;
}

#[tokio::test]
async fn a_build_script_writes_and_reads_nothing_outside_of_the_copy() {
    let script = "fn main() {\n    let made = std::fs::write(\"OUTSIDE/made\", \"x\").is_ok();\n    let seen = std::fs::read(\"OUTSIDE/secret\").is_ok();\n    let out = std::path::PathBuf::from(std::env::var_os(\"OUT_DIR\").unwrap()).join(\"made\");\n    println!(\"cargo:rustc-env=SEEN={made} {seen} {}\", std::fs::write(out, \"x\").is_ok());\n}\n";
    let source = "pub fn seen(_n: bool) -> &'static str {\n    env!(\"SEEN\")\n}\n";
    let files = [("Cargo.toml", MANIFEST), ("build.rs", script), ("src/lib.rs", source)];
    writes_nothing_elsewhere(&files, "src/lib.rs", ["lock::seen(", "\"false false true\""]).await;
}

#[tokio::test]
async fn compiled_go_writes_nothing_outside_of_the_copy() {
    if !is_here("go", "version") {
        eprintln!("skipped: go is not installed");
        return;
    }
    let source = "package lock\n\nimport \"os\"\n\nfunc Scribble(n bool) (bool, bool) {\n\treturn os.WriteFile(\"OUTSIDE/made\", nil, 0o600) == nil, os.WriteFile(\"made\", nil, 0o600) == nil\n}\n";
    let files = [("go.mod", "module example.org/lock\n"), ("lock.go", source)];
    writes_nothing_elsewhere(&files, "lock.go", ["Scribble(", "false true"]).await;
}

#[tokio::test]
async fn compiled_java_writes_nothing_outside_of_the_copy() {
    if !is_here("javac", "-version") {
        eprintln!("skipped: javac is not installed");
        return;
    }
    let source = "import java.nio.file.*;\npublic class Lock {\n  static boolean write(String place) {\n    try { Files.write(Paths.get(place), new byte[1]); return true; } catch (java.io.IOException e) { return false; }\n  }\n  public static boolean outside(boolean n) { return write(\"OUTSIDE/made\"); }\n  public static boolean inside(boolean n) { return write(\"made\"); }\n}\n";
    writes_nothing_elsewhere(
        &[("Lock.java", source)],
        "Lock.java",
        ["assertFalse(Lock.outside(", "assertTrue(Lock.inside("],
    )
    .await;
}

/// Name and whether it was accepted, of each test.
fn accepted(answer: &Value) -> Vec<(String, bool)> {
    let tests = answer["results"][0]["tests"].as_array().unwrap();
    let one = |test: &Value| {
        (
            test["name"].as_str().unwrap().split("::").last().unwrap().to_owned(),
            test["accepted"].as_bool().unwrap(),
        )
    };
    tests.iter().map(one).collect()
}

#[tokio::test]
async fn candidates_in_rust_are_judged_test_by_test() {
    let source = "pub fn code(text: &str) -> u8 {\n    if text == \"xyzzy-56\" && text.len() > 3 {\n        return 1;\n    }\n    0\n}\n";
    let folder = folder_of(&[("Cargo.toml", MANIFEST), ("src/lib.rs", source)]);
    let good = "#[test]\nfn again() {\n    assert_eq!(lock::code(\"xyzzy-56\"), 1);\n}\n#[test]\nfn wrong() {\n    assert_eq!(lock::code(\"a\"), 2);\n}\n#[test]\nfn z_same() {\n    assert_eq!(lock::code(\"xyzzy-56\"), 1);\n}\n";
    let bad = "#[test]\nfn bad() {\n    let n: u8 = \"no\";\n}\n";
    let candidates =
        json!([{ "path": "tests/new.rs", "content": good }, { "path": "tests/bad.rs", "content": bad }]);
    let answer =
        call(folder.path(), "src/lib.rs", json!({ "mode": "verify", "candidates": candidates })).await;
    assert_eq!(
        accepted(&answer),
        [("again".to_owned(), true), ("wrong".to_owned(), false), ("z_same".to_owned(), false)],
        "{answer}"
    );
    let result = &answer["results"][0];
    let broken = result["broken"][0]["error"].as_str().unwrap();
    assert!(broken.contains("tests/bad.rs:3: mismatched types"), "{answer}");
    assert!(result["mutation"]["killed"].as_u64().unwrap() >= 1, "{answer}");
    assert!(result["tests"][1]["error_excerpt"].as_str().unwrap().contains("left: 0"), "{answer}");
    assert!(!folder.path().join("tests").exists());
}

#[tokio::test]
async fn candidates_in_go_are_judged_test_by_test() {
    if !is_here("go", "version") {
        eprintln!("skipped: go is not installed");
        return;
    }
    let source = "package lock\n\nfunc Code(text string) int {\n\tif text == \"xyzzy-56\" {\n\t\treturn 1\n\t}\n\treturn 0\n}\n\nfunc Quit() {\n\tpanic(\"quit\")\n}\n";
    let folder = folder_of(&[("go.mod", "module example.org/lock\n"), ("lock.go", source)]);
    let good = "package lock\n\nimport \"testing\"\n\nfunc TestAgain(t *testing.T) {\n\tif Code(\"xyzzy-56\") != 1 {\n\t\tt.Error(\"closed\")\n\t}\n}\n\nfunc TestWrong(t *testing.T) {\n\tif Code(\"a\") != 2 {\n\t\tt.Error(\"no two\")\n\t}\n}\n\nfunc TestQuit(t *testing.T) {\n\tdefer func() { recover() }()\n\tQuit()\n}\n";
    let bad = "package lock\n\nimport \"testing\"\n\nfunc TestBad(t *testing.T) {\n\tvar n int = \"no\"\n\t_ = n\n}\n";
    let candidates =
        json!([{ "path": "new_test.go", "content": good }, { "path": "bad_test.go", "content": bad }]);
    let answer = call(folder.path(), "lock.go", json!({ "mode": "verify", "candidates": candidates })).await;
    assert_eq!(
        accepted(&answer),
        [("TestAgain".to_owned(), true), ("TestWrong".to_owned(), false), ("TestQuit".to_owned(), true)],
        "{answer}"
    );
    let result = &answer["results"][0];
    assert!(
        result["broken"][0]["error"].as_str().unwrap().contains("bad_test.go:6: cannot use \"no\""),
        "{answer}"
    );
    assert!(result["tests"][1]["error_excerpt"].as_str().unwrap().contains("no two"), "{answer}");
    let elsewhere = json!([{ "path": "deep/new_test.go", "content": good }]);
    let arguments = json!({ "targets": [{ "file": "lock.go" }], "mode": "verify", "candidates": elsewhere });
    let text = Tools::over(&[folder.path()]).refusal("qe_test_generate", &arguments.to_string()).await;
    assert!(text.contains("are in its folder"), "{text}");
}
