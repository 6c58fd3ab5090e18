//! Functions that are wanted but not there, in every language: the error names what is.

use std::process::Command;

use serde_json::json;

use crate::support::{Tools, folder_of};

type Files = &'static [(&'static str, &'static str)];

/// Of each language a file with `half` and `twice`, what else belongs to it, and the program that runs it.
const FILES: [(&str, &str, Files, &str); 6] = [
    (
        "half.py",
        "def half(n: int):\n    return n / 2\n\n\ndef twice(n: int):\n    return n * 2\n",
        &[],
        "python3",
    ),
    (
        "half.mjs",
        "export function half(n) {\n  return n / 2;\n}\nexport function twice(n) {\n  return n * 2;\n}\n",
        &[],
        "node",
    ),
    (
        "src/lib.rs",
        "pub fn half(n: i32) -> i32 {\n    n / 2\n}\npub fn twice(n: i32) -> i32 {\n    n * 2\n}\n",
        &[("Cargo.toml", "[package]\nname = \"half\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")],
        "cargo",
    ),
    (
        "half.go",
        "package half\n\nfunc Half(n int) int {\n\treturn n / 2\n}\n\nfunc Twice(n int) int {\n\treturn n * 2\n}\n",
        &[("go.mod", "module example.org/half\n")],
        "go",
    ),
    (
        "Half.java",
        "public class Half {\n  public static int half(int n) { return n / 2; }\n  public static int twice(int n) { return n * 2; }\n}\n",
        &[],
        "javac",
    ),
    (
        "half.ts",
        "export function half(n: number) {\n  return n;\n}\nexport function twice(n: number) {\n  return n;\n}\n",
        &[],
        "",
    ),
];

#[tokio::test]
async fn a_function_that_is_not_there_is_an_error_that_names_those_that_are() {
    for (file, source, more, program) in FILES {
        let folder = folder_of(&[&[(file, source)][..], more].concat());
        let modes = if program.is_empty() { &["plan"][..] } else { &["plan", "generate"] };
        for mode in modes {
            if *mode == "generate" && Command::new(program).arg("--version").output().is_err() {
                eprintln!("skipped: {program} is not installed");
                continue;
            }
            let wanted = if file == "Half.java" { "Half.third" } else { "third" };
            let arguments = json!({ "targets": [{ "file": file, "function": wanted }], "mode": mode });
            let text =
                Tools::over(&[folder.path()]).refusal("qe_test_generate", &arguments.to_string()).await;
            let low = text.to_lowercase();
            for part in ["there is no", "third", file, "half", "twice"] {
                assert!(low.contains(&part.to_lowercase()), "{file}, {mode}, {part}: {text}");
            }
        }
    }
}
