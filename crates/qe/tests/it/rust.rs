//! `qe_test_generate` for Rust packages as they are published: old editions, and dependencies that are not here.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Tools, folder_of};

const SOURCE: &str = "/// Adds one to each.\npub fn bump(all: &mut [u8]) -> usize {\n    for one in all.iter_mut() {\n        *one = one.wrapping_add(1);\n    }\n    all.len()\n}\n\npub struct Door {\n    pub open: bool,\n}\n\npub trait Knock {\n    fn knock(&self) -> &'static str;\n}\n\nimpl Knock for Door {\n    fn knock(&self) -> &'static str {\n        if self.open { \"come in\" } else { \"who is there\" }\n    }\n}\n";

async fn generate(folder: &Path, more: Value) -> Value {
    let mut arguments = json!({ "targets": [{ "file": "src/lib.rs" }], "budget_ms": 100 });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Tools::over(&[folder]).call("qe_test_generate", &arguments.to_string()).await
}

#[tokio::test]
async fn tests_of_a_package_without_an_edition_pass_by_themselves() {
    let folder = folder_of(&[
        ("Cargo.toml", "[package]\nname = \"old-door\"\nversion = \"0.1.0\"\n"),
        ("src/lib.rs", SOURCE),
    ]);
    let answer = generate(folder.path(), json!({ "write": "files" })).await;
    let result = &answer["results"][0];
    assert_eq!(result["after"]["line"]["pct"], 100.0, "{answer}");
    let text = fs::read_to_string(folder.path().join("tests/lib_characterization.rs")).unwrap();
    assert!(text.contains("extern crate old_door;\n") && text.contains("old_door::bump(&mut "), "{text}");
    let run = Command::new("cargo")
        .args(["test", "--offline", "-q", "--tests"])
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .env_remove("RUSTFLAGS")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}\n{text}", String::from_utf8_lossy(&run.stderr));
}

#[tokio::test]
async fn what_no_default_feature_needs_need_not_be_here() {
    let manifest = "[package]\nname = \"door\"\nversion = \"0.1.0\"\nedition = \"2021\"\nautotests = false\n\n\
        [features]\ndefault = [\"std\"]\nstd = []\nextra = [\"dep:no-such-package-3f1\", \"std\"]\nmore = [\"other-such-package-3f1/x\"]\n\n\
        [dependencies]\nno-such-package-3f1 = { version = \"1\", optional = true }\n\n\
        [target.'cfg(unix)'.dependencies.other-such-package-3f1]\nversion = \"2\"\noptional = true\n\n\
        [dev-dependencies.third-such-package-3f1]\nversion = \"1\"\n";
    let folder = folder_of(&[("Cargo.toml", manifest), ("src/lib.rs", SOURCE)]);
    let answer = generate(folder.path(), json!({})).await;
    assert_eq!(answer["results"][0]["after"]["line"]["pct"], 100.0, "{answer}");
    let needed = manifest.replace("default = [\"std\"]", "default = [\"extra\"]");
    fs::write(folder.path().join("Cargo.toml"), needed).unwrap();
    let arguments = json!({ "targets": [{ "file": "src/lib.rs" }] }).to_string();
    let text = Tools::over(&[folder.path()]).refusal("qe_test_generate", &arguments).await;
    assert!(
        text.contains("plan only: cargo cannot build it here") && text.contains("no-such-package-3f1"),
        "{text}"
    );
}
