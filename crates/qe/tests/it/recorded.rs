//! Reports that real tools wrote, beside what the same tools said of the same run. `samples/coverage/README.md` says how
//! they were made.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::project::Project;

/// The sources and reports of one tool.
fn project(sample: &str) -> Project {
    fn copy(folder: &Path, to: &str, project: &Project) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = format!("{to}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                copy(&entry.path(), &format!("{path}/"), project);
            } else {
                project.write(&path, &fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    let project = Project::new();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/coverage");
    copy(&samples.join(sample), "", &project);
    project
}

/// Of each file by path: lines, branches and functions, each `covered/total`, or `-` where there is nothing to count.
async fn sums(project: &Project, report: &str) -> Vec<String> {
    let answer = project.call("qe_coverage_analyze", json!({ "reports": [report] })).await;
    assert_eq!((&answer["unmatched"]["total"], &answer["warnings"]), (&json!(0), &json!([])), "{answer}");
    let told = |counts: &Value| {
        let number = |key: &str| counts[key].as_u64().unwrap_or(0);
        if number("total") == 0 { "-".into() } else { format!("{}/{}", number("covered"), number("total")) }
    };
    let mut sums: Vec<_> = answer["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            let kinds = ["line", "branch", "function"].map(|kind| told(&group[kind]));
            format!("{} {}", group["path"].as_str().unwrap(), kinds.join(" "))
        })
        .collect();
    sums.sort();
    sums
}

#[tokio::test]
async fn jacoco_is_read_as_it_counts() {
    let wanted = ["src/org/example/Shapes.java 33/41 9/17 12/14", "src/org/example/Unused.java 0/2 0/2 0/2"];
    assert_eq!(sums(&project("jacoco"), "jacoco.xml").await, wanted);
}

/// `llvm-cov report` says 21/30 lines of `main.rs`: it has those twice on which there are two functions. Of branches it
/// says 3/4: it leaves out the three decisions in a function that the linker dropped, which its report has.
#[tokio::test]
async fn llvm_is_read_as_it_counts_but_each_line_once_and_unlinked_functions_too() {
    let project = project("llvm");
    let wanted = ["src/main.rs 20/28 3/10 4/6", "src/shapes.rs 7/10 0/2 2/2"];
    assert_eq!(sums(&project, "export.json").await, wanted);
    // Its lcov has a function as often as it was compiled, which is one here, too, and no decisions of those that were dropped.
    let wanted = ["src/main.rs 20/28 3/4 4/6", "src/shapes.rs 7/10 0/2 2/2"];
    assert_eq!(sums(&project, "export.lcov").await, wanted);
}

/// Its result set has the two lines between `:nocov:`, which SimpleCov leaves out later.
#[tokio::test]
async fn simplecov_is_read_as_it_counts_without_what_sources_leave_out() {
    let wanted = ["shapes.rb 10/14 3/10 -", "unused.rb 0/3 - -"];
    assert_eq!(sums(&project("simplecov"), "resultset.json").await, wanted);
}

/// Go counts statements, not lines; of whole functions both say the same.
#[tokio::test]
async fn functions_that_go_calls_whole_or_never_run_are_so() {
    let project = project("go");
    assert_eq!(sums(&project, "cover.out").await, ["shapes.go 15/22 - -"]);
    let answer = project.call("qe_coverage_gaps", json!({ "reports": ["cover.out"] })).await;
    let uncovered: Vec<u64> = answer["gaps"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|gap| gap["ranges"].as_array().unwrap())
        .flat_map(|range| range[0].as_u64().unwrap()..=range[1].as_u64().unwrap())
        .collect();
    let within = |from: u64, to: u64| uncovered.iter().filter(|line| (from..=to).contains(line)).count();
    // New 66.7%, Area 85.7%, Never 0.0%, Half 100.0%
    assert_eq!(
        [within(10, 15), within(18, 31), within(34, 38), within(41, 44)],
        [2, 2, 3, 0],
        "{uncovered:?}"
    );
}
