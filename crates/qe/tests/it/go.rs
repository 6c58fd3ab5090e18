//! `qe_test_generate` for Go packages whose objects are made by functions that may fail.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Tools, folder_of};

const VERSION: &str = r#"package version

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Version is made by Parse only, as in "1.2.3".
type Version struct {
	parts []int
	next  *Version
}

// Parse reads a version.
func Parse(text string) (*Version, error) {
	parts := []int{}
	for _, part := range strings.Split(text, ".") {
		number, err := strconv.Atoi(part)
		if err != nil {
			return nil, fmt.Errorf("malformed version: %s", text)
		}
		parts = append(parts, number)
	}
	return &Version{parts: parts, next: &Version{}}, nil
}

// Major is the first of its numbers.
func (v *Version) Major() int {
	return v.parts[0]
}

// Newer says whether it is of a later series.
func (v *Version) Newer(other *Version) bool {
	if v.Major() > other.Major() {
		return true
	}
	return false
}

func (v *Version) String() string {
	return fmt.Sprint(v.parts)
}

// Bump has a pointer in it, so that it cannot be said as source.
func (v Version) Bump() *Version {
	return &Version{parts: []int{v.parts[0] + 1}, next: &v}
}

// Until says how long that is.
func Until(span time.Duration) string {
	if span > time.Hour {
		return "long"
	}
	return "short"
}
"#;

const RANGE: &str = r"package version

// ID is an array.
type ID [2]byte

// Range is in another file than what it is made of.
type Range struct {
	low  *Version
	high ID
}

// NewRange makes one.
func NewRange(low *Version, high ID) Range {
	return Range{low: low, high: high}
}

// Has says whether a version is in it.
func (r Range) Has(one *Version) bool {
	if one.Major() < r.low.Major() {
		return false
	}
	return one.Major() <= int(r.high[0])
}
";

fn has_go() -> bool {
    let is_here = Command::new("go").arg("version").output().is_ok();
    if !is_here {
        eprintln!("skipped: go is not installed");
    }
    is_here
}

async fn generate(folder: &Path, file: &str) -> Value {
    let arguments = json!({ "targets": [{ "file": file }], "budget_ms": 100, "write": "files" });
    Tools::over(&[folder]).call("qe_test_generate", &arguments.to_string()).await
}

#[tokio::test]
async fn objects_are_made_by_functions_that_may_fail_and_in_other_files() {
    if !has_go() {
        return;
    }
    let folder = folder_of(&[
        ("go.mod", "module example.org/version\n"),
        ("version.go", VERSION),
        ("range.go", RANGE),
    ]);
    let answer = generate(folder.path(), "version.go").await;
    assert_eq!(answer["results"][0]["after"]["line"]["pct"], 100.0, "{answer}");
    let text = fs::read_to_string(folder.path().join("version_characterization_test.go")).unwrap();
    for part in [
        "object, err := Parse(\"1.2.3\")\n\tif err != nil {\n\t\tt.Fatal(err)\n",
        "malformed version: hello world",
        "\"time\"\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // What holds an address is said as it shows itself, and a nil object is no finding.
    assert!(!text.contains("0xc0") && text.contains("fmt.Sprintf(\"%v\", r0)"), "{text}");
    let answer = generate(folder.path(), "range.go").await;
    assert_eq!(answer["results"][0]["after"]["line"]["pct"], 100.0, "{answer}");
    let run = Command::new("go")
        .args(["test", "."])
        .env("GOCACHE", folder.path().join(".cache"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}
