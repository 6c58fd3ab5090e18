//! What was computed is kept for later calls and other processes, and never answers for what has changed.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::project::git_in;
use crate::support::{Tools, folder_of};

const METRICS: &str = "qe_quality_metrics";

/// The answer of a process of its own, which ends: its keeping is done.
async fn asked(root: &Path, kept: &Path, tool: &str, arguments: &str) -> Value {
    let tools = Tools::keeping(&[root], kept);
    tools.settle();
    tools.call(tool, arguments).await
}

/// Longer than a tick of the file systems that tests run on: with a clock that is ahead ([`Tools::settle`]) a change within one
/// would not be seen.
fn tick() {
    std::thread::sleep(std::time::Duration::from_millis(20));
}

fn functions(answer: &Value) -> Vec<(String, u64)> {
    let items = answer["items"].as_array().unwrap().iter();
    items
        .map(|item| (item["name"].as_str().unwrap().to_owned(), item["cyclomatic"].as_u64().unwrap()))
        .collect()
}

const BY_FUNCTION: &str = r#"{"group_by":"function"}"#;
const SOURCES: [(&str, &str); 3] = [
    ("src/a.py", "def f(a):\n    if a and a.b:\n        return 1\n"),
    ("src/b.rs", "fn g(a: u8) -> u8 { if a > 1 { 2 } else { 3 } }\n"),
    ("src/c.go", "package c\nfunc h() int { return 1 }\n"),
];

#[tokio::test]
async fn another_process_measures_only_what_it_does_not_know() {
    let (folder, kept) = (folder_of(&SOURCES), tempfile::tempdir().unwrap());
    let root = folder.path();
    let first = asked(root, kept.path(), METRICS, BY_FUNCTION).await;
    assert_eq!((&first["computed_files"], &first["cached_files"]), (&json!(3), &json!(0)));
    let mut second = asked(root, kept.path(), METRICS, BY_FUNCTION).await;
    assert_eq!((&second["computed_files"], &second["cached_files"]), (&json!(0), &json!(3)));
    (second["computed_files"], second["cached_files"]) = (json!(3), json!(0));
    assert_eq!(first, second);
    // The content counts, wherever it is.
    fs::rename(root.join("src/a.py"), root.join("src/renamed.py")).unwrap();
    fs::write(root.join("src/new.go"), "package c\nfunc i() int { return 1 }\n").unwrap();
    let third = asked(root, kept.path(), METRICS, BY_FUNCTION).await;
    assert_eq!((&third["computed_files"], &third["cached_files"]), (&json!(1), &json!(3)));
    assert!(
        third["items"].as_array().unwrap().iter().any(|item| item["file"] == "src/renamed.py"),
        "{third:#}"
    );
    // But not what it means in another language.
    fs::copy(root.join("src/b.rs"), root.join("src/b.js")).unwrap();
    assert_eq!(asked(root, kept.path(), METRICS, BY_FUNCTION).await["computed_files"], 1);
}

#[tokio::test]
async fn a_source_that_was_rewritten_is_never_taken_for_what_it_was() {
    let (folder, kept) = (folder_of(&SOURCES), tempfile::tempdir().unwrap());
    let place = folder.path().join("src/a.py");
    let written = fs::metadata(&place).unwrap().modified().unwrap();
    let standing = Tools::keeping(&[folder.path()], kept.path());
    standing.settle();
    for round in 0..12 {
        tick();
        // The same size and time each time, and nothing between the writing and the call.
        let body = ["if a and a.b:", "if a:        ", "if (a or a.b and a):"][round % 3];
        let text = format!("{:<60}", format!("def f(a):\n    {body}\n        return 1\n#"));
        fs::write(&place, text).unwrap();
        fs::File::options().write(true).open(&place).unwrap().set_modified(written).unwrap();
        let wanted = [3, 2, 4][round % 3];
        for answer in [
            asked(folder.path(), kept.path(), METRICS, BY_FUNCTION).await,
            standing.call(METRICS, BY_FUNCTION).await,
        ] {
            assert!(functions(&answer).contains(&("f".into(), wanted)), "round {round}: {answer:#}");
            // Each of the three texts is measured once.
            let most = if round == 0 { 3 } else { u64::from(round < 3) };
            assert!(answer["computed_files"].as_u64().unwrap() <= most, "round {round}: {answer:#}");
        }
    }
}

#[tokio::test]
async fn a_kept_file_that_is_damaged_or_cannot_be_made_costs_time_and_nothing_else() {
    let (folder, kept) = (folder_of(&SOURCES), tempfile::tempdir().unwrap());
    let root = folder.path();
    let wanted = functions(&asked(root, kept.path(), METRICS, BY_FUNCTION).await);
    let file = kept.path().join("derived.db");
    let sound = fs::read(&file).unwrap();
    for damage in 0..8 {
        let mut damaged = sound.clone();
        match damage {
            0 => damaged.truncate(5_000),
            1 => damaged.fill(0),
            _ => damaged.iter_mut().skip(damage * 100).step_by(1_000).for_each(|byte| *byte ^= 0x55),
        }
        fs::write(&file, damaged).unwrap();
        assert_eq!(functions(&asked(root, kept.path(), METRICS, BY_FUNCTION).await), wanted, "{damage}");
    }
    assert_eq!(asked(root, kept.path(), METRICS, BY_FUNCTION).await["computed_files"], 0);
    let no_folder = kept.path().join("derived.db");
    assert_eq!(functions(&asked(root, &no_folder, METRICS, BY_FUNCTION).await), wanted);
}

#[tokio::test]
async fn gaps_and_duplicates_are_the_same_from_what_is_kept() {
    let copy =
        (0..12).fold(String::new(), |text, line| text + &format!("v{line} = f{line} + g{line} * {line}\n"));
    let folder = folder_of(&SOURCES);
    let root = folder.path();
    fs::write(root.join("src/one.py"), &copy).unwrap();
    fs::write(root.join("src/two.py"), format!("f(1)\n{copy}")).unwrap();
    let report = "SF:src/a.py\nDA:1,1\nDA:2,1\nDA:3,0\nBRDA:2,0,0,1\nBRDA:2,0,1,0\nend_of_record\nSF:src/two.py\nDA:1,0\nend_of_record\n";
    fs::write(root.join("lcov.info"), report).unwrap();
    let kept = tempfile::tempdir().unwrap();
    for (tool, arguments) in [
        ("qe_coverage_gaps", "{}"),
        (METRICS, r#"{"group_by":"duplicate"}"#),
        (METRICS, r#"{"scope":"all"}"#),
    ] {
        let known_by_none = Tools::over(&[root]);
        known_by_none.settle();
        let mut wanted = known_by_none.call(tool, arguments).await;
        for _ in 0..2 {
            let mut answer = asked(root, kept.path(), tool, arguments).await;
            for of in [&mut wanted, &mut answer] {
                if let Some(of) = of.as_object_mut() {
                    of.retain(|name, _| name != "computed_files" && name != "cached_files");
                }
            }
            assert_eq!(answer, wanted, "{tool} {arguments}");
        }
    }
}

#[tokio::test]
async fn changes_are_known_to_other_processes_until_there_are_others() {
    let (folder, kept) = (folder_of(&SOURCES), tempfile::tempdir().unwrap());
    let root = folder.path();
    git_in(root, &["init", "-q", "-b", "main"]);
    let commit = |mail: &str| {
        fs::write(root.join("src/a.py"), format!("x = '{mail}'\n")).unwrap();
        git_in(root, &["add", "."]);
        let mail = format!("user.email={mail}");
        git_in(root, &["-c", "user.name=A", "-c", &mail, "-c", "commit.gpgsign=false", "commit", "-qm", "c"]);
    };
    commit("a@x");
    let of = |answer: Value| {
        let items = answer["items"].as_array().unwrap();
        let file = items.iter().find(|item| item["path"].as_str().unwrap().ends_with("a.py")).unwrap();
        (file["commits_90d"].as_u64().unwrap(), file["authors_90d"].as_u64().unwrap())
    };
    let churn = async |arguments: &str| of(asked(root, kept.path(), METRICS, arguments).await);
    for _ in 0..2 {
        assert_eq!(churn("{}").await, (1, 1));
    }
    commit("b@x");
    let standing = Tools::keeping(&[root], kept.path());
    standing.settle();
    for _ in 0..2 {
        assert_eq!(churn("{}").await, (2, 2));
        assert_eq!(of(standing.call(METRICS, "{}").await), (2, 2));
    }
    // Of a part of the repository the paths are others.
    assert_eq!(churn(r#"{"root":"src"}"#).await, (2, 2));
    // Without a new commit two authors may turn out to be one.
    fs::write(root.join(".mailmap"), "A <a@x> <b@x>\n").unwrap();
    for _ in 0..2 {
        assert_eq!(churn("{}").await, (2, 1));
        assert_eq!(churn(r#"{"root":"src"}"#).await, (2, 1));
        assert_eq!(of(standing.call(METRICS, "{}").await), (2, 1));
    }
}

#[tokio::test]
async fn a_report_that_was_read_is_read_again_when_it_was_rewritten() {
    let folder = folder_of(&SOURCES);
    let root = folder.path();
    let tools = Tools::over(&[root]);
    tools.settle();
    let junit = |outcome: &str| format!(r#"<testsuite><testcase name="a">{outcome}</testcase></testsuite>"#);
    let of_mutant = |status: &str| {
        let place = json!({"start": {"line": 2, "column": 1}, "end": {"line": 2, "column": 3}});
        let mutant = json!({"id": "1", "status": status, "mutatorName": "m", "location": place});
        let file = json!({"language": "python", "source": "", "mutants": [mutant]});
        json!({"schemaVersion": "2", "thresholds": {"high": 80, "low": 60}, "files": {"src/a.py": file}})
            .to_string()
    };
    fs::create_dir_all(root.join("reports/mutation")).unwrap();
    for round in 0..12 {
        let is_good = round % 2 == 0;
        tick();
        // The same size each time.
        fs::write(root.join("junit.xml"), junit(["<failure />", "<skipped />"][round % 2])).unwrap();
        let status = ["Survived", "Killed"][usize::from(is_good)];
        fs::write(root.join("reports/mutation/mutation.json"), format!("{:<400}", of_mutant(status)))
            .unwrap();
        for _ in 0..2 {
            let answer = tools.call(METRICS, "{}").await;
            assert_eq!(answer["tests"]["failed"], u64::from(is_good), "round {round}: {answer:#}");
            assert_eq!(answer["mutation"]["killed"], u64::from(is_good), "round {round}: {answer:#}");
        }
    }
    fs::remove_file(root.join("junit.xml")).unwrap();
    assert!(tools.call(METRICS, "{}").await["tests"].is_null());
}
