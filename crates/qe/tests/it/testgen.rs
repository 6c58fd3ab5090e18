//! `qe_test_generate`: tests for Python and JavaScript, found by running them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod kept;
mod reach;
mod sandbox;

use crate::support::{Tools, folder_of};

/// A module with branches, a class, an enumeration, a generator and a coroutine.
const SHOP: &str = r#"
import enum


class Size(enum.Enum):
    SMALL = 1
    LARGE = 2


class Basket:
    def __init__(self, limit: int = 3):
        if limit < 1:
            raise ValueError("limit")
        self.limit = limit
        self.items = []

    def add(self, name: str, count: int = 1):
        if len(self.items) + count > self.limit:
            raise OverflowError(name)
        self.items.extend([name] * count)

    def describe(self) -> str:
        if not self.items:
            return "empty"
        return ", ".join(sorted(self.items))


def price(size: Size, count: int) -> int:
    """
    >>> price(Size.SMALL, 3)
    15
    """
    if count < 0:
        raise ValueError("count")
    unit = 5 if size is Size.SMALL else 9
    if count >= 10:
        return count * unit * 9 // 10
    return count * unit


def steps(n: int):
    for step in range(n):
        yield step * step


async def later(text: str) -> str:
    return text.upper() if text else "nothing"
"#;

async fn generate(folder: &Path, file: &str, more: Value) -> Value {
    let mut arguments = json!({ "targets": [{ "file": file }], "budget_ms": 200, "framework": "unittest" });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Tools::over(&[folder]).call("qe_test_generate", &arguments.to_string()).await
}

fn content(answer: &Value) -> &str {
    answer["results"][0]["test_file"]["content"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

fn fate<'a>(answer: &'a Value, target: &str) -> &'a Value {
    let fates = answer["results"][0]["targets"].as_array().unwrap();
    fates.iter().find(|fate| fate["target"] == target).unwrap_or_else(|| panic!("{target}: {answer}"))
}

fn names(folder: &Path) -> Vec<String> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    found
}

/// Runs a generated Python file as a user would; whether it passes.
fn passes(folder: &Path, test: &str) -> bool {
    let run = Command::new("python3")
        .args(["-B", test])
        .env("PYTHONPATH", folder)
        .current_dir(folder)
        .output()
        .unwrap();
    run.status.success()
}

#[tokio::test]
async fn tests_for_a_python_module_pass_by_themselves_and_reach_nearly_all_of_it() {
    let folder = folder_of(&[("shop.py", SHOP)]);
    let answer = generate(folder.path(), "shop.py", json!({})).await;
    let result = &answer["results"][0];
    let text = content(&answer);
    assert!(result["after"]["line"]["pct"].as_f64().unwrap() >= 95.0, "{answer}");
    assert!(result["after"]["branch"]["pct"].as_f64().unwrap() >= 90.0, "{answer}");
    assert!(result["by_import"]["line"]["covered"].as_u64() < result["after"]["line"]["covered"].as_u64());
    for part in [
        "Characterization tests of shop",
        "OverflowError",
        "asyncio.run(later(",
        "list(steps(",
        "Size.SMALL",
        "Basket(",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    fs::create_dir(folder.path().join("tests")).unwrap();
    fs::write(folder.path().join("tests/t.py"), text).unwrap();
    assert!(passes(folder.path(), "tests/t.py"), "{text}");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes() {
    let folder = folder_of(&[("shop.py", SHOP)]);
    let one = generate(folder.path(), "shop.py", json!({})).await;
    let other = generate(folder.path(), "shop.py", json!({})).await;
    assert!(one["results"][0]["deterministic"].as_bool().unwrap(), "{one}");
    assert_eq!(one, other);
    let seeded = generate(folder.path(), "shop.py", json!({ "seed": 7 })).await;
    assert!(content(&seeded).contains("seed 7"));
}

#[tokio::test]
async fn a_fault_in_the_code_turns_a_kept_test_red() {
    let folder = folder_of(&[("shop.py", SHOP)]);
    let answer = generate(folder.path(), "shop.py", json!({})).await;
    fs::write(folder.path().join("t.py"), content(&answer)).unwrap();
    assert!(passes(folder.path(), "t.py"));
    for (right, wrong) in [
        ("count >= 10", "count > 10"),
        ("9 // 10", "8 // 10"),
        ("step * step", "step + step"),
        ("limit < 1", "limit < 0"),
    ] {
        fs::write(folder.path().join("shop.py"), SHOP.replace(right, wrong)).unwrap();
        assert!(!passes(folder.path(), "t.py"), "{right} -> {wrong}: {}", content(&answer));
    }
    let mutation = &answer["results"][0]["mutation"];
    assert!(
        mutation["killed"].as_u64().unwrap() * 10 >= mutation["total"].as_u64().unwrap() * 7,
        "{mutation}"
    );
}

#[tokio::test]
async fn nothing_is_left_in_the_project_and_files_are_only_added() {
    let folder = folder_of(&[("shop.py", SHOP), ("tests/test_shop_characterization.py", "mine")]);
    generate(folder.path(), "shop.py", json!({})).await;
    assert_eq!(
        (names(folder.path()), names(&folder.path().join("tests"))),
        (vec!["shop.py".to_owned(), "tests".into()], vec!["test_shop_characterization.py".to_owned()])
    );
    let answer = generate(folder.path(), "shop.py", json!({ "write": "files" })).await;
    let file = &answer["results"][0]["test_file"];
    assert_eq!(
        (&file["path"], &file["written"]),
        (&json!("tests/test_shop_characterization_2.py"), &json!(true))
    );
    assert_eq!(
        fs::read_to_string(folder.path().join("tests/test_shop_characterization.py")).unwrap(),
        "mine"
    );
    assert!(passes(folder.path(), "tests/test_shop_characterization_2.py"));
    let answer = generate(folder.path(), "shop.py", json!({ "write": "patch" })).await;
    assert!(
        answer["results"][0]["test_file"]["patch"]
            .as_str()
            .unwrap()
            .starts_with("diff --git a/tests/test_shop_characterization_3.py")
    );
    assert_eq!(names(&folder.path().join("tests")).len(), 2);
}

#[tokio::test]
async fn calls_that_touch_what_is_outside_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "here").unwrap();
    let source = format!(
        "import os, subprocess\nVICTIM = {victim:?}\n\ndef gone(n: int):\n    os.remove(VICTIM)\n\ndef through(n: int):\n    gone(n)\n\ndef run(n: int):\n    subprocess.run(['rm', VICTIM])\n\ndef hidden(n: int):\n    if n > 1:\n        getattr(os, 're' + 'move')(VICTIM)\n    return n\n\ndef plain(n: int):\n    return n + 1\n"
    );
    let folder = folder_of(&[("files.py", &source)]);
    let answer = generate(folder.path(), "files.py", json!({})).await;
    for target in ["gone", "through", "run"] {
        assert_eq!(fate(&answer, target)["status"], "refused", "{answer}");
    }
    assert!(fate(&answer, "gone")["reason"].as_str().unwrap().contains("os.remove() (line 5)"), "{answer}");
    assert!(content(&answer).contains("plain(") && !content(&answer).contains("gone("));
    let partly = answer["results"][0]["targets"]
        .as_array()
        .unwrap()
        .iter()
        .any(|fate| fate["target"] == "hidden" && fate["status"] == "partly");
    assert!(partly, "{answer}");
    // Allowed, what is outside of the copy is still out of reach.
    generate(folder.path(), "files.py", json!({ "allow_effects": true })).await;
    assert_eq!(fs::read_to_string(victim).unwrap(), "here");
}

#[tokio::test]
async fn code_that_hangs_ends_crashes_or_eats_memory_is_bounded_and_named() {
    let source = "import os, ctypes, itertools\n\ndef spin(n: int):\n    while n:\n        pass\n    return n\n\ndef native(n: int):\n    return sum(itertools.repeat(0)) if n > 2 else n\n\ndef leave(n: int):\n    if n == 3:\n        os._exit(0)\n    return n\n\ndef polite(n: int):\n    raise SystemExit(n)\n\ndef hungry(n: int):\n    return len(bytearray(1 << 40)) if n else 0\n\ndef deep(n: int):\n    return deep(n)\n\ndef fine(n: int):\n    return 'big' if n > 99 else 'small'\n";
    let folder = folder_of(&[("bad.py", source)]);
    let began = Instant::now();
    let answer = generate(folder.path(), "bad.py", json!({})).await;
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
    let text = content(&answer);
    assert!(text.contains("fine(") && text.contains("assertRaises(SystemExit)"), "{text} {answer}");
    let fatal: Vec<_> = answer["results"][0]["targets"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|fate| fate["status"] == "fatal" || fate["status"] == "refused")
        .collect();
    assert!(fatal.iter().any(|fate| fate["target"].as_str().unwrap().starts_with("native")), "{answer}");
    assert!(fatal.iter().any(|fate| fate["target"].as_str().unwrap().starts_with("leave")), "{answer}");
}

#[tokio::test]
async fn a_module_that_ends_the_interpreter_when_imported_says_so() {
    let folder = folder_of(&[
        ("a.py", "import os\nos.kill(os.getpid(), 11)\ndef f(): pass\n"),
        ("b.py", "import os\nos._exit(3)\n"),
        ("c.py", "raise KeyError('x')\n"),
        ("d.py", "def f(:\n"),
        ("e.py", "while True: pass\n"),
    ]);
    let tools = Tools::over(&[folder.path()]);
    for (file, words) in [
        ("a.py", "import"),
        ("b.py", "exit 3"),
        ("c.py", "KeyError"),
        ("d.py", "does not compile"),
        ("e.py", "longer than"),
    ] {
        let text =
            tools.refusal("qe_test_generate", &json!({ "targets": [{ "file": file }] }).to_string()).await;
        assert!(text.contains(words), "{file}: {text}");
    }
}

#[tokio::test]
async fn what_differs_from_process_to_process_is_not_asserted() {
    let source = "import datetime, os, random\n\ndef chance(n: int):\n    return random.random() + n\n\ndef today(n: int):\n    return datetime.date.today().isoformat()\n\ndef order(n: int):\n    return list({'a', 'b', 'c', 'd', 'e'})\n\ndef place(n: int):\n    return hash('text') % 1000 + n\n\ndef terminal(n: int):\n    return [os.environ.get(name) for name in ('TERM', 'COLUMNS', 'USER')]\n\ndef steady(n: int):\n    return n * 2\n";
    let folder = folder_of(&[("moody.py", source)]);
    let answer = generate(folder.path(), "moody.py", json!({})).await;
    let text = content(&answer);
    assert!(text.contains("steady("), "{text}");
    // No assertion of a value is left for the others; one of the type may be.
    for line in text.lines().filter(|line| line.contains("assertEqual(") && !line.contains("type(result)")) {
        assert!(line.contains("steady("), "{line}");
    }
    assert!(answer["results"][0]["counts"]["weakened"].as_u64().unwrap() > 0, "{answer}");
    fs::write(folder.path().join("t.py"), text).unwrap();
    for _ in 0..3 {
        assert!(passes(folder.path(), "t.py"), "{text}");
    }
}

#[tokio::test]
async fn a_function_that_remembers_earlier_calls_has_no_test_that_depends_on_them() {
    let folder = folder_of(&[(
        "count.py",
        "CALLS = []\n\ndef nth(n: int):\n    CALLS.append(n)\n    return len(CALLS)\n",
    )]);
    let answer = generate(folder.path(), "count.py", json!({})).await;
    let result = &answer["results"][0];
    let oracles: Vec<_> = result["tests"].as_array().unwrap().iter().map(|test| &test["oracle"]).collect();
    assert!(!oracles.contains(&&json!("value")), "{answer}");
}

#[tokio::test]
async fn a_work_order_says_what_is_missing_and_candidates_are_judged_by_it() {
    let source = "def code(text: str) -> int:\n    if text == 'xyzzy-' + str(len(text) * 7):\n        return 1\n    return 0\n";
    let folder = folder_of(&[("locked.py", source)]);
    let tools = Tools::over(&[folder.path()]);
    let order = json!({ "targets": [{ "file": "locked.py" }], "mode": "workorder" });
    let answer = tools.call("qe_test_generate", &order.to_string()).await;
    let gap = &answer["results"][0]["gaps"][0];
    assert!(gap["source"].as_str().unwrap().contains("return 1"), "{answer}");
    let candidates = json!([{ "path": "tests/test_new.py", "content": "from locked import code\n\ndef test_opens():\n    assert code('xyzzy-56') == 1\n\ndef test_wrong():\n    assert code('a') == 2\n\ndef test_again():\n    assert code('xyzzy-56') == 1\n" }, { "path": "tests/test_broken.py", "content": "def test_(:\n" }]);
    let verify = json!({ "targets": [{ "file": "locked.py" }], "mode": "verify", "candidates": candidates, "mutants": 0 });
    let answer = tools.call("qe_test_generate", &verify.to_string()).await;
    let result = &answer["results"][0];
    let test = |name: &str| {
        result["tests"]
            .as_array()
            .unwrap()
            .iter()
            .find(|test| test["name"].as_str().unwrap().ends_with(name))
            .unwrap()
    };
    let accepted = ["test_opens", "test_again"].map(|name| test(name)["accepted"].as_bool().unwrap());
    assert_eq!(accepted.iter().filter(|one| **one).count(), 1, "the second reaches nothing more: {answer}");
    assert_eq!(
        (&test("test_wrong")["passed"], &test("test_wrong")["accepted"]),
        (&json!(false), &json!(false))
    );
    assert!(test("test_wrong")["error_excerpt"].as_str().is_some());
    assert_eq!(result["broken"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(names(folder.path()), ["locked.py"]);
}

#[tokio::test]
async fn nothing_outside_of_the_roots_is_run_and_bad_arguments_say_what_is_right() {
    let folder = folder_of(&[("a.py", "x = 1\n"), ("b.txt", "")]);
    let tools = Tools::over(&[folder.path()]);
    for (arguments, words) in [
        (json!({ "targets": [{ "file": "../a.py" }] }), "a.py"),
        (json!({ "targets": [{ "file": "b.txt" }] }), "Python (.py)"),
        (json!({ "targets": [] }), "1 to 10"),
        (json!({ "targets": [{ "file": "a.py", "function": "gone" }] }), "no function or class gone"),
        (json!({ "targets": [{ "file": "a.py" }], "mode": "verify" }), "candidates"),
        (json!({ "targets": [{ "file": "a.py" }], "budget_ms": 0 }), "budget_ms"),
    ] {
        let text = tools.refusal("qe_test_generate", &arguments.to_string()).await;
        assert!(text.contains(words), "{arguments}: {text}");
    }
    let answer = generate(folder.path(), "a.py", json!({})).await;
    assert_eq!(
        (&answer["results"][0]["test_file"], &answer["results"][0]["compile_rate"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_plan_runs_nothing() {
    let folder = folder_of(&[
        ("a.py", "raise SystemExit\n\ndef f(n: int): pass\n"),
        ("lib.rs", "pub fn half(n: u32) -> u32 { n / 2 }\n"),
    ]);
    let tools = Tools::over(&[folder.path()]);
    let arguments = json!({ "targets": [{ "file": "a.py" }, { "file": "lib.rs" }], "mode": "plan" });
    let answer = tools.call("qe_test_generate", &arguments.to_string()).await;
    for result in answer["results"].as_array().unwrap() {
        assert_eq!(result["status"], "not run");
        assert!(result["functions"][0]["inputs"][0]["values"].as_array().unwrap().len() > 2, "{answer}");
    }
    assert_eq!(answer.get("sandbox"), None);
}

const PRICE: &str = "export const price = (count, size = 'small') => {\n  if (count < 0) throw new RangeError('count');\n  const unit = size === 'small' ? 5 : 9;\n  if (count >= 10) return Math.floor((count * unit * 9) / 10);\n  return count * unit;\n};\nexport default class Basket {\n  constructor(limit = 3) {\n    this.limit = limit;\n    this.items = [];\n  }\n  add(name) {\n    this.items.push(name);\n    return this.items.length;\n  }\n}\nexport async function later(text) {\n  return text ? String(text).toUpperCase() : 'nothing';\n}\n";

fn node_passes(folder: &Path, test: &str) -> bool {
    Command::new("node").args(["--test", test]).current_dir(folder).output().unwrap().status.success()
}

#[tokio::test]
async fn tests_for_a_javascript_module_pass_by_themselves_and_notice_a_fault() {
    let folder = folder_of(&[("package.json", r#"{"type":"module"}"#), ("src/price.js", PRICE)]);
    let answer =
        generate(folder.path(), "src/price.js", json!({ "framework": "node", "write": "files" })).await;
    let result = &answer["results"][0];
    assert!(result["after"]["line"]["pct"].as_f64().unwrap() >= 95.0, "{answer}");
    assert_eq!(result["after"]["branch"], Value::Null);
    let path = result["test_file"]["path"].as_str().unwrap();
    let text = fs::read_to_string(folder.path().join(path)).unwrap();
    for part in ["from '../src/price.js'", "await later(", "new Basket(", "RangeError"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(node_passes(folder.path(), path), "{text}");
    fs::write(folder.path().join("src/price.js"), PRICE.replace("? 5 : 9", "? 6 : 9")).unwrap();
    assert!(!node_passes(folder.path(), path), "{text}");
}

#[tokio::test]
async fn javascript_is_deterministic_and_held_back_too() {
    let source = "const fs = require('fs');\nmodule.exports = {\n  wipe(path) { fs.rmSync(path); },\n  sneaky(n) { if (n > 1) fs['write' + 'FileSync']('here.txt', 'x'); return n; },\n  quit(n) { if (n === 2) process['ex' + 'it'](0); return n; },\n  spin(n) { while (n) {} return n; },\n  now() { return Date.now(); },\n  twice(n) { return n * 2; },\n};\n";
    let folder = folder_of(&[("odd.cjs", source)]);
    let one = generate(folder.path(), "odd.cjs", json!({})).await;
    let other = generate(folder.path(), "odd.cjs", json!({})).await;
    assert_eq!(one, other);
    assert_eq!(fate(&one, "wipe")["status"], "refused");
    let partly = one["results"][0]["targets"]
        .as_array()
        .unwrap()
        .iter()
        .any(|fate| fate["target"] == "sneaky" && fate["status"] == "partly");
    assert!(partly, "{one}");
    assert!(content(&one).contains("twice(") && !content(&one).contains("wipe("));
    assert_eq!(names(folder.path()), ["odd.cjs"]);
}
