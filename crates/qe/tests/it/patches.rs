//! Patches of `qe_test_generate` are what Git applies, as they leave the command line, and beside tests that are there already.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::support::{Tools, folder_of};

fn run(folder: &Path, program: &str, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).env("GOCACHE", folder.join(".git/go")).env_remove("RUSTFLAGS");
    command.env("CARGO_TARGET_DIR", folder.join(".git/target")).output().unwrap()
}

fn git(folder: &Path, args: &[&str]) {
    let all = [&["-c", "user.name=a", "-c", "user.email=a@example.org"][..], args].concat();
    let output = run(folder, "git", &all);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Applies the patch of a first call, commits it, and applies that of a second call; then runs all tests together. Names of the
/// two test files.
async fn applied(files: &[(&str, &str)], file: &str, framework: &str, runs: &[&str]) -> Option<[String; 2]> {
    if Command::new(runs[0]).arg("--version").output().is_err() {
        eprintln!("skipped: {} is not installed", runs[0]);
        return None;
    }
    let folder = folder_of(files);
    git(folder.path(), &["init", "-q"]);
    git(folder.path(), &["add", "-A"]);
    git(folder.path(), &["commit", "-qm", "begin"]);
    let mut paths = Vec::new();
    for _ in 0..2 {
        let arguments = json!({ "targets": [{ "file": file }], "budget_ms": 100, "max_tests": 6, "write": "patch", "framework": framework });
        let answer = Tools::over(&[folder.path()]).call("qe_test_generate", &arguments.to_string()).await;
        let made = &answer["results"][0]["test_file"];
        let patch = made["patch"].as_str().unwrap_or_else(|| panic!("{answer}"));
        fs::write(folder.path().join(".git/patch"), patch).unwrap();
        git(folder.path(), &["apply", "--index", "--whitespace=error-all", ".git/patch"]);
        git(folder.path(), &["commit", "-qm", "tests"]);
        let path = made["path"].as_str().unwrap().to_owned();
        assert!(folder.path().join(&path).is_file() && !paths.contains(&path), "{path}: {paths:?}");
        paths.push(path);
    }
    let output = run(folder.path(), runs[0], &runs[1..]);
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    paths.try_into().ok()
}

#[tokio::test]
async fn patches_for_python_apply() {
    let source = "def half(n: int):\n    if n < 0:\n        raise ValueError('n')\n    return n / 2\n";
    let runs = ["python3", "-B", "-m", "unittest", "discover", "-s", "tests"];
    let paths = applied(&[("half.py", source)], "half.py", "unittest", &runs).await.unwrap();
    assert_eq!(paths[1], "tests/test_half_characterization_2.py");
}

#[tokio::test]
async fn patches_for_javascript_apply() {
    let source = "export const half = (n) => (n < 0 ? -1 : n / 2);\n";
    let Some(paths) = applied(&[("half.mjs", source)], "half.mjs", "node", &["node", "--test"]).await else {
        return;
    };
    assert!(paths[1].ends_with("_2.test.mjs"), "{paths:?}");
}

#[tokio::test]
async fn patches_for_rust_apply() {
    let manifest = "[package]\nname = \"half\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";
    let source = "pub fn half(n: i32) -> Option<i32> {\n    if n < 0 {\n        return None;\n    }\n    Some(n / 2)\n}\n";
    let files = [("Cargo.toml", manifest), (".gitignore", "Cargo.lock\n"), ("src/lib.rs", source)];
    let runs = ["cargo", "test", "--offline", "-q", "--tests"];
    let paths = applied(&files, "src/lib.rs", "auto", &runs).await.unwrap();
    assert_eq!(paths[1], "tests/lib_characterization_2.rs");
}

#[tokio::test]
async fn patches_for_go_apply_and_their_tests_have_names_of_their_own() {
    let source =
        "package half\n\nfunc Half(n int) int {\n\tif n < 0 {\n\t\treturn -1\n\t}\n\treturn n / 2\n}\n";
    let files = [("go.mod", "module example.org/half\n"), ("half.go", source)];
    let Some(paths) = applied(&files, "half.go", "auto", &["go", "test", "./..."]).await else { return };
    assert_eq!(paths[1], "half_characterization_2_test.go");
}

#[tokio::test]
async fn patches_for_java_apply() {
    let source = "package a;\n\npublic class Half {\n    public static int half(int n) {\n        if (n < 0) {\n            return -1;\n        }\n        return n / 2;\n    }\n}\n";
    let files = [("src/main/java/a/Half.java", source)];
    // Whether JUnit is here is for others to say; that both are Java, the compiler's parser says.
    let runs = ["javac", "-proc:none", "-d", ".git/classes", "src/main/java/a/Half.java"];
    let Some(paths) = applied(&files, "src/main/java/a/Half.java", "auto", &runs).await else { return };
    assert_eq!(paths[1], "src/test/java/a/HalfCharacterization_2Test.java");
}
