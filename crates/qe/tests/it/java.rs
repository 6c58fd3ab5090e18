//! `qe_test_generate` for Java, and tests of Java that others wrote.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Tools, folder_of};

const JAVA: &str = r#"package shop.till;

import java.util.ArrayList;
import java.util.List;

/** A till. */
public class Till {
    public enum Size { SMALL, LARGE }

    public record Line(String name, int count) {
        public Line {
            if (count < 0) throw new IllegalArgumentException("count of " + name);
        }
        public int twice() { return count * 2; }
    }

    private final List<String> names = new ArrayList<>();
    private final int limit;

    public Till(int limit) {
        this.limit = limit;
    }

    public static int price(Size size, int count) {
        if (count < 0) throw new IllegalArgumentException("count");
        int unit;
        switch (size) {
            case LARGE:
                unit = 9;
                break;
            default:
                unit = 5;
        }
        if (count >= 10) {
            return count * unit * 9 / 10;
        }
        return count * unit;
    }

    public boolean add(String name) {
        if (names.size() >= limit)
            return false;
        names.add(name);
        return true;
    }

    public int size() {
        return names.size();
    }

    public void clear() {
        names.clear();
    }

    public static List<String> words(String text) {
        List<String> all = new ArrayList<>();
        for (String word : text.split(" ")) {
            if (!word.isEmpty()) all.add(word.toLowerCase());
        }
        return all;
    }

    public static <T extends Comparable<T>> T most(List<T> all) {
        T best = null;
        for (T one : all) {
            if (best == null || one.compareTo(best) > 0) best = one;
        }
        return best;
    }

    public static long spin(int n) {
        while (n == 2) { }
        return n;
    }

    public static void quit() {
        System.exit(3);
    }

    public static double now() {
        return System.nanoTime() / 1e9;
    }
}
"#;

fn has_java() -> bool {
    Command::new("javac").arg("-version").output().is_ok()
}

async fn call(folder: &Path, file: &str, more: Value) -> Value {
    let mut arguments = json!({ "targets": [{ "file": file }], "budget_ms": 100 });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Tools::over(&[folder]).call("qe_test_generate", &arguments.to_string()).await
}

#[tokio::test]
async fn tests_for_a_java_class_are_found_by_running_it_and_compile_by_themselves() {
    if !has_java() {
        let folder = folder_of(&[("Till.java", &JAVA.replace("package shop.till;", ""))]);
        let answer = call(folder.path(), "Till.java", json!({})).await;
        assert_eq!(answer["results"][0]["status"], "not run", "{answer}");
        eprintln!("skipped: javac is not installed; that it is missing was tested");
        return;
    }
    let folder = folder_of(&[("src/main/java/shop/till/Till.java", JAVA), ("pom.xml", "<project/>")]);
    let file = "src/main/java/shop/till/Till.java";
    let answer = call(folder.path(), file, json!({ "write": "files" })).await;
    let result = &answer["results"][0];
    assert_eq!(result["framework"], "junit5", "{answer}");
    assert!(["kept", "emitted"].contains(&result["status"].as_str().unwrap()), "{answer}");
    assert!(result["after"]["line"]["pct"].as_f64().unwrap() >= 90.0, "{answer}");
    let mutation = &result["mutation"];
    assert!(
        mutation["killed"].as_u64().unwrap() * 10 >= mutation["total"].as_u64().unwrap() * 7,
        "{mutation}"
    );
    let path = folder.path().join("src/test/java/shop/till/TillCharacterizationTest.java");
    let text = fs::read_to_string(path).unwrap();
    for part in [
        "package shop.till;",
        "import org.junit.jupiter.api.Test;",
        "Till.price(Till.Size.LARGE",
        "thrown = assertThrows(IllegalArgumentException.class",
        "Till object = new Till(",
        "assertEquals(0, object.size());",
        "Arrays.asList(\"hello\", \"world\")",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("quit(") && !text.contains("spin(2)") && !text.contains("Till.now())"), "{text}");
    assert_eq!(result["commands"][0], "mvn -q test -Dtest=TillCharacterizationTest");
}

#[tokio::test]
async fn an_older_junit_and_a_class_without_a_package_are_written_as_they_are() {
    if !has_java() {
        return;
    }
    let source = "import java.util.Optional;\n\npublic class Half {\n  public static double half(double n) { return n / 2; }\n  public static Optional<Integer> parsed(String s) {\n    try {\n      return Optional.of(Integer.parseInt(s));\n    } catch (NumberFormatException e) {\n      return Optional.empty();\n    }\n  }\n  public static int first(int[] all) { return all[0]; }\n}\n";
    let folder = folder_of(&[
        ("Half.java", source),
        ("build.gradle", "dependencies { testImplementation 'junit:junit:4.13' }"),
    ]);
    let answer = call(folder.path(), "Half.java", json!({})).await;
    let result = &answer["results"][0];
    assert_eq!(result["framework"], "junit4", "{answer}");
    let text = result["test_file"]["content"].as_str().unwrap();
    for part in [
        "import org.junit.Test;",
        "@Test(expected = ArrayIndexOutOfBoundsException.class)",
        ", 0);",
        "Optional.of(42)",
        "public void half",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(result["after"]["line"]["pct"], 100.0, "{answer}");
    let again = call(folder.path(), "Half.java", json!({})).await;
    assert_eq!(again["results"], answer["results"], "the same seed gives the same bytes");
}

#[tokio::test]
async fn a_java_class_that_needs_what_is_not_here_is_planned_and_says_so() {
    let source = "package a;\nimport com.example.nowhere.Thing;\npublic class A {\n  public static int f(int n) { return Thing.of(n); }\n}\n";
    let folder = folder_of(&[("a/A.java", source)]);
    let answer = call(folder.path(), "a/A.java", json!({})).await;
    let result = &answer["results"][0];
    assert_eq!(result["status"], "not run", "{answer}");
    let reason = result["reason"].as_str().unwrap();
    assert!(
        reason.contains("package com.example.nowhere does not exist")
            || reason.contains("javac is not installed"),
        "{reason}"
    );
    assert_eq!(result["functions"][0]["name"], "f");
}

#[tokio::test]
async fn candidates_in_java_are_judged_test_by_test() {
    if !has_java() {
        return;
    }
    let source = "package a;\npublic class Lock {\n  public static int code(String text) {\n    if (text.equals(\"xyzzy-56\") && text.length() > 3) {\n      return 1;\n    }\n    return 0;\n  }\n}\n";
    let folder = folder_of(&[("src/main/java/a/Lock.java", source)]);
    let good = "package a;\nimport static org.junit.jupiter.api.Assertions.assertEquals;\nimport org.junit.jupiter.api.Test;\nclass LockTest {\n  @Test void again() { assertEquals(1, Lock.code(\"xyzzy-56\")); }\n  @Test void wrong() { assertEquals(2, Lock.code(\"a\")); }\n  @Test void zlast() { assertEquals(1, Lock.code(\"xyzzy-56\")); }\n}\n";
    let bad = "package a;\nclass BadTest {\n  int x = \"no\";\n}\n";
    let candidates = json!([{ "path": "src/test/java/a/LockTest.java", "content": good }, { "path": "src/test/java/a/BadTest.java", "content": bad }]);
    let answer = call(
        folder.path(),
        "src/main/java/a/Lock.java",
        json!({ "mode": "verify", "candidates": candidates }),
    )
    .await;
    let result = &answer["results"][0];
    let accepted: Vec<(&str, bool)> = result["tests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|test| {
            (test["name"].as_str().unwrap().split("::").nth(1).unwrap(), test["accepted"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(accepted, [("again", true), ("wrong", false), ("zlast", false)], "{answer}");
    let broken = result["broken"][0]["error"].as_str().unwrap();
    assert!(broken.contains("BadTest.java:3: incompatible types"), "{answer}");
    assert!(result["after"]["line"]["covered"].as_u64().unwrap() >= 2, "{answer}");
    assert!(!folder.path().join("src/test").exists());
}
