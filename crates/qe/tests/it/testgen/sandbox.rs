//! What generated runs cannot do, whatever they try it with.

use super::*;

/// Calls of the C library, which no hook of the interpreter sees.
fn source(outside: &Path) -> String {
    let place = outside.display();
    format!(
        r#"
import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)


def scribble(n: int):
    return LIBC.open(b"{place}/made", 0o101, 0o600) >= 0


def peek(n: int):
    return LIBC.open(b"{place}/secret", 0) >= 0


def inside(n: int):
    return LIBC.open(b"made", 0o101, 0o600) >= 0


def spawn(n: int):
    child = LIBC.fork()
    if child == 0:
        LIBC._exit(0)
    return child > 0


def dial(n: int):
    return LIBC.socket(2, 1, 0) >= 0


def strike(n: int):
    return LIBC.kill(os.getppid(), 0) == 0
"#
    )
}

#[tokio::test]
async fn native_code_neither_writes_nor_reads_outside_nor_starts_nor_calls_nor_signals_anything() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "key").unwrap();
    let folder = folder_of(&[("native.py", &source(outside.path()))]);
    let answer = generate(folder.path(), "native.py", json!({ "allow_effects": true })).await;
    assert_eq!(names(outside.path()), ["secret"]);
    assert_eq!(names(folder.path()), ["native.py"]);
    let sandbox = &answer["sandbox"];
    // A kernel without Landlock or seccomp is no fault, as long as the result says so.
    if sandbox["files"] != "kernel" || sandbox["processes"] != "none" {
        assert!(sandbox["files"] == "refused" || sandbox["processes"] != "none", "{sandbox}");
        return;
    }
    let text = content(&answer);
    for call in ["scribble", "peek", "spawn", "dial", "strike"] {
        assert!(text.contains(&format!("self.assertIs({call}(1), False)")), "{call}: {text}");
    }
    assert!(text.contains("self.assertIs(inside(1), True)"), "the copy is there to be written: {text}");
}

/// Processes that work in a folder in which there is such a file.
fn working_beside(file: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    all.filter(|process| process.join("cwd").join(file).exists())
        .map(|process| process.display().to_string())
        .collect()
}

#[tokio::test]
async fn no_process_outlives_a_call_that_was_given_up() {
    let file = format!("endless_{}.py", std::process::id());
    let folder = folder_of(&[(
        &file,
        "import time\n\nwhile True:\n    try:\n        time.sleep(60)\n    except BaseException:\n        pass\n",
    )]);
    let tools = Tools::over(&[folder.path()]);
    let arguments = json!({ "targets": [{ "file": file }] }).to_string();
    let call = tokio::time::timeout(Duration::from_millis(2_500), tools.call("qe_test_generate", &arguments));
    let (_, seen) = tokio::join!(call, async {
        let mut seen = Vec::new();
        while seen.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            seen = working_beside(&file);
        }
        seen
    });
    let began = Instant::now();
    while seen.iter().any(|process| Path::new(process).join("cwd").join("..").exists()) {
        assert!(began.elapsed() < Duration::from_secs(10), "{seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_fault_of_the_harness_is_not_blamed_on_the_code() {
    // The harness, not the code, is what then fails: it has no numbers to choose with.
    let source = "import random\n\nrandom.Random = None\n\n\ndef half(n: int):\n    return n / 2\n";
    let folder = folder_of(&[("half.py", source)]);
    let arguments = json!({ "targets": [{ "file": "half.py" }] }).to_string();
    let text = Tools::over(&[folder.path()]).refusal("qe_test_generate", &arguments).await;
    assert!(text.contains("a fault of ours, not of the code") && text.contains("(generate:"), "{text}");
    assert!(!text.contains("ended the interpreter"), "{text}");
    // What the project's own code raises where the harness looks at it is the code's.
    let source = "import os\n\n\ndef quit(n: int):\n    if n == 2:\n        os._exit(1)\n    return n\n";
    fs::write(folder.path().join("half.py"), source).unwrap();
    let answer = generate(folder.path(), "half.py", json!({ "allow_effects": true })).await;
    let fates = answer["results"][0]["targets"].to_string();
    assert!(fates.contains("ended the interpreter (exit 1)"), "{answer}");
}
