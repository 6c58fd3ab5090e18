//! What is kept from call to call, and what is judged by reports of the project.

use std::fmt::Write as _;

use super::*;

const ROOF: &str = "from wall import height\n\n\ndef roof(n: int) -> str:\n    if n > height():\n        return 'high'\n    return 'low'\n";

async fn call(tools: &Tools, arguments: Value) -> Value {
    let mut answer = tools.call("qe_test_generate", &arguments.to_string()).await;
    answer["results"][0].take()
}

#[tokio::test]
async fn an_unchanged_module_is_not_searched_again_and_a_changed_one_is() {
    let folder = folder_of(&[("roof.py", ROOF), ("wall.py", "def height():\n    return 5\n")]);
    let tools = Tools::over(&[folder.path()]);
    let arguments = json!({ "targets": [{ "file": "roof.py" }], "budget_ms": 100, "framework": "unittest" });
    let first = call(&tools, arguments.clone()).await;
    assert_eq!(first["cached"], Value::Null, "{first}");
    let mut second = call(&tools, arguments.clone()).await;
    assert_eq!(second["cached"].take(), json!(true), "{second}");
    second.as_object_mut().unwrap().remove("cached");
    assert_eq!(first, second);
    // Of the same size, at once: what it imports, then itself.
    fs::write(folder.path().join("wall.py"), "def height():\n    return 7\n").unwrap();
    let third = call(&tools, arguments.clone()).await;
    assert_eq!(third["cached"], Value::Null);
    fs::write(folder.path().join("roof.py"), ROOF.replace("'low'", "'big'")).unwrap();
    let fourth = call(&tools, arguments.clone()).await;
    assert!(fourth["test_file"]["content"].as_str().unwrap().contains("'big'"), "{fourth}");
    let mut other = arguments;
    other["seed"] = 9.into();
    assert_eq!(call(&tools, other).await["cached"], Value::Null);
}

/// A report in which `price` ran with small counts only, and `Basket` not at all.
fn report(source: &str) -> String {
    let mut text = "SF:shop.py\n".to_owned();
    let price = source.lines().position(|line| line.starts_with("def price")).unwrap() + 1;
    for (number, line) in (1..).zip(source.lines()) {
        let is_code = !line.trim().is_empty() && !line.contains("\"\"\"") && !line.contains(">>>");
        if is_code && line.trim() != "15" {
            let has_run = !line.starts_with(' ') || number > price && number < price + 8;
            writeln!(text, "DA:{number},{}", u8::from(has_run)).unwrap();
        }
    }
    text + "end_of_record\n"
}

#[tokio::test]
async fn the_call_that_a_gap_suggests_works_as_it_is_and_reaches_the_gap() {
    let folder = folder_of(&[("shop.py", SHOP), ("lcov.info", &report(SHOP))]);
    let tools = Tools::over(&[folder.path()]);
    let gaps = tools.call("qe_coverage_gaps", "{}").await;
    let gaps = gaps["gaps"].as_array().unwrap();
    let gap = gaps.iter().find(|gap| gap["function"]["name"] == "Basket.add").unwrap();
    let mut arguments = gap["suggest"]["arguments"].clone();
    assert_eq!(arguments["targets"][0]["gap_id"], gap["id"]);
    let result = call(&tools, arguments.clone()).await;
    let (before, after) = (&result["before"]["line"]["covered"], &result["after"]["line"]["covered"]);
    assert!(before.as_u64().unwrap() < after.as_u64().unwrap(), "{result}");
    assert_eq!(result["before_source"]["report"], "lcov.info");
    assert_eq!(result["before"]["branch"], Value::Null, "the report has none");
    let range = &gap["range"];
    for test in result["tests"].as_array().unwrap() {
        let is_within =
            |lines: &Value| lines[0].as_u64() <= range[1].as_u64() && lines[1].as_u64() >= range[0].as_u64();
        assert!(
            test["new_lines"].as_array().unwrap().iter().any(is_within) || test["kills"] != 0,
            "{test} {gap}"
        );
        assert!(test["target"].as_str().unwrap().starts_with("Basket.add"), "{test}");
    }
    fs::write(folder.path().join("shop.py"), SHOP.replace("OverflowError", "OverFlowError")).unwrap();
    let text = tools.refusal("qe_test_generate", &arguments.to_string()).await;
    assert!(text.contains("has changed"), "{text}");
    arguments["targets"] = json!([{ "gap_id": "x" }]);
    let text = tools.refusal("qe_test_generate", &arguments.to_string()).await;
    assert!(text.contains("qe_coverage_gaps"), "{text}");
}

#[tokio::test]
async fn what_the_project_covers_already_needs_no_test_and_what_is_unknown_is_null() {
    let folder = folder_of(&[("shop.py", SHOP)]);
    let tools = Tools::over(&[folder.path()]);
    let arguments = json!({ "targets": [{ "file": "shop.py", "function": "price" }], "budget_ms": 100 });
    let result = call(&tools, arguments.clone()).await;
    assert_eq!(result["before"], Value::Null);
    assert!(result["before_source"]["reason"].as_str().unwrap().contains("no coverage report"), "{result}");
    assert!(result["counts"]["kept"].as_u64().unwrap() >= 3, "{result}");
    let mut all = "SF:shop.py\n".to_owned();
    for line in 1..=SHOP.lines().count() {
        writeln!(all, "DA:{line},1").unwrap();
    }
    fs::write(folder.path().join("lcov.info"), all + "end_of_record\n").unwrap();
    let result = call(&tools, arguments).await;
    assert_eq!((&result["counts"]["kept"], &result["test_file"]), (&json!(0), &Value::Null), "{result}");
}

#[tokio::test]
async fn a_written_file_runs_from_anywhere_also_where_sources_have_their_own_folder() {
    let folder = folder_of(&[("src/shop/__init__.py", ""), ("src/shop/price.py", SHOP)]);
    let answer = generate(folder.path(), "src/shop/price.py", json!({ "write": "files" })).await;
    let result = &answer["results"][0];
    let path = result["test_file"]["path"].as_str().unwrap();
    assert_eq!(result["commands"], json!([format!("python {path}")]));
    let run = |folder: &Path, path: &Path| {
        Command::new("python3").arg("-B").arg(path).current_dir(folder).output().unwrap().status.success()
    };
    assert!(run(folder.path(), Path::new(path)));
    assert!(run(Path::new("/"), &folder.path().join(path)));
}
