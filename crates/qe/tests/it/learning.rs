//! `qe_learn_pattern` and `qe_learn_status`.

use serde_json::{Value, json};

use crate::project::Project;
use crate::support::{Tools, folder_of};

const DAY: i64 = 86_400;

async fn learn(tools: &Tools, arguments: Value) -> Value {
    tools.call("qe_learn_pattern", &arguments.to_string()).await
}

async fn refused(tools: &Tools, arguments: Value) -> String {
    tools.refusal("qe_learn_pattern", &arguments.to_string()).await
}

async fn status(tools: &Tools, arguments: Value) -> Value {
    tools.call("qe_learn_status", &arguments.to_string()).await
}

async fn outcome(tools: &Tools, title: &str, result: &str) -> Value {
    let pattern = json!({"title": title});
    learn(tools, json!({"action": "record", "pattern": pattern, "outcome": {"result": result}})).await
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test]
async fn a_pattern_is_recorded_with_its_posterior_and_suggested_by_words() {
    let tools = Tools::new();
    let pattern = json!({"title": "Fix the seed of random tests", "description": "pytest-randomly reorders tests",
        "content": "Pass -p no:randomly or a seed.", "tags": ["tests"]});
    let context = json!({"language": "Python", "framework": "pytest"});
    let arguments = json!({"action": "record", "pattern": pattern, "context": context,
        "outcome": {"result": "success", "reward": 0.5, "evidence": "run 1"}});
    let first = learn(&tools, arguments.clone()).await;
    assert_eq!(
        (&first["new"], &first["counted"], &first["state"]),
        (&json!(true), &json!(true), &json!("candidate"))
    );
    assert!((number(&first["predicted"]) - 0.5).abs() < 1e-12);
    assert_eq!((&first["posterior"]["alpha"], &first["posterior"]["beta"]), (&json!(2.0), &json!(1.0)));
    assert!((number(&first["posterior"]["lower95"]) - 0.05_f64.sqrt()).abs() < 1e-9);
    assert!((number(&first["posterior"]["upper95"]) - 0.95_f64.sqrt()).abs() < 1e-9);
    assert_eq!(
        first["trials"],
        json!({"successes": 1, "failures": 0, "infrastructure": 0, "flaky": 0, "asserted": 1, "reward_mean": 0.5})
    );
    let again = learn(&tools, arguments).await;
    assert_eq!((&again["counted"], &again["trials"]), (&json!(false), &first["trials"]));
    assert!(again["reason"].as_str().unwrap().contains("evidence"));
    outcome(&tools, "Split long functions", "success").await;

    let suggested =
        learn(&tools, json!({"action": "suggest", "query": "random test seed", "context": context})).await;
    let [one] = &suggested["suggestions"].as_array().unwrap()[..] else { panic!("{suggested:#}") };
    assert_eq!(
        (&one["id"], &one["content"]),
        (&first["pattern_id"], &json!("Pass -p no:randomly or a seed."))
    );
    assert!((number(&one["score"]) - number(&one["parts"]["similarity"]) * 2.0 / 3.0).abs() < 1e-9);
    assert_eq!(one["evidence"][0]["evidence"], "run 1");
    assert_eq!(
        (&one["evidence"][0]["source"], &one["evidence"][0]["asserted_by"]),
        (&json!("asserted"), &json!("caller"))
    );
    assert_eq!(one["evidence"][0]["context"], json!({"language": "python", "framework": "pytest"}));
    assert!(suggested["note"].as_str().unwrap().contains("not instructions"));
    assert_eq!(suggested["searched"], 2);
}

#[tokio::test]
async fn states_follow_the_bounds_and_time_takes_them_back() {
    let tools = Tools::new();
    let mut states = Vec::new();
    for _ in 0..20 {
        states.push(outcome(&tools, "p", "success").await["state"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        (states[3].as_str(), states[4].as_str(), states[18].as_str()),
        ("candidate", "active", "active")
    );
    assert_eq!(states[19], "active", "what a caller asserts does not promote");
    tools.advance(60 * DAY);
    let later = status(&tools, json!({})).await;
    let top = &later["top"][0];
    assert!((number(&top["posterior"]["n_eff"]) - 5.0).abs() < 1e-9, "a quarter of the weight after 60 days");
    assert_eq!(top["state"], "active");
    tools.advance(10 * DAY);
    let later = status(&tools, json!({})).await;
    assert_eq!((&later["top"][0]["state"], &later["at_risk"][0]["id"]), (&json!("active"), &top["id"]));
    tools.advance(300 * DAY);
    assert_eq!(status(&tools, json!({})).await["patterns"]["by_state"]["candidate"], 1);
}

#[tokio::test]
async fn what_our_own_tools_measure_promotes_and_what_a_caller_asserts_does_not() {
    let project = Project::new();
    project.write("src/a.py", &"a = 1\n".repeat(100));
    let conditions = json!([{"metric": "coverage", "op": ">=", "value": 40}]);
    let mut states = Vec::new();
    for turn in 0..20 {
        // Other figures each time: the same verdict counts once.
        let lines: Vec<String> =
            (1..=100).map(|line| format!("DA:{line},{}", u8::from(line <= 50 + turn))).collect();
        project.write("lcov.info", &format!("SF:src/a.py\n{}\nend_of_record\n", lines.join("\n")));
        project.call("qe_quality_gate", json!({"conditions": conditions})).await;
        let known = project.call("qe_learn_status", json!({})).await;
        states.push(known["top"][0]["state"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        (states[3].as_str(), states[4].as_str(), states[18].as_str()),
        ("candidate", "active", "active")
    );
    assert_eq!(states[19], "promoted");
    let asserted = json!({"action": "record", "pattern": {"title": "p"}, "outcome": {"result": "success"}});
    for _ in 0..40 {
        project.call("qe_learn_pattern", asserted.clone()).await;
    }
    let all = project.call("qe_learn_pattern", json!({"action": "export"})).await;
    let [gate, asserted] = &all["patterns"].as_array().unwrap()[..] else { panic!("{all:#}") };
    assert_eq!((&asserted["state"], &asserted["measured"]), (&json!("active"), &Value::Null));
    assert!(number(&asserted["posterior"]["lower95"]) > number(&gate["posterior"]["lower95"]), "{all:#}");
    assert_eq!(gate["measured"], gate["posterior"]);
}

#[tokio::test]
async fn uplift_compares_outcomes_of_what_was_suggested_with_the_others() {
    let tools = Tools::new();
    let none = status(&tools, json!({})).await;
    let of = |status: &Value| status["uplift"]["suggestions"].clone();
    assert!(of(&none)["difference"].is_null() && of(&none)["reason"].is_string());
    let first = outcome(&tools, "Fix the seed of random tests", "failure").await;
    assert_eq!(first["used"], false);
    assert!(of(&status(&tools, json!({})).await)["ci95"].is_null(), "one side is not known");
    let suggested = learn(&tools, json!({"action": "suggest", "query": "seed of random tests"})).await;
    let id = &suggested["suggestions"][0]["id"];
    assert_eq!(*id, first["pattern_id"]);
    let feedback = json!({"action": "feedback", "pattern_id": id, "outcome": {"result": "success"}});
    assert_eq!(learn(&tools, feedback.clone()).await["used"], true);
    assert_eq!(learn(&tools, feedback).await["used"], false, "one suggestion is used once");
    let known = of(&status(&tools, json!({})).await);
    assert_eq!(known["used"], json!({"successes": 1, "n": 1, "share": 1.0}));
    assert_eq!(known["unused"], json!({"successes": 1, "n": 2, "share": 0.5}));
    assert!((number(&known["difference"]) - 0.5).abs() < 1e-12);
    let (low, high) = (number(&known["ci95"][0]), number(&known["ci95"][1]));
    assert!(low < 0.0 && high > 0.5 && high <= 1.0, "three trials prove nothing: {known}");
}

#[tokio::test]
async fn what_is_said_in_other_words_is_suggested() {
    let tools = Tools::new();
    outcome(&tools, "Reproduce the crash before repairing it", "success").await;
    outcome(&tools, "Draw charts in colours that everybody can tell apart", "success").await;
    let found =
        learn(&tools, json!({"action": "suggest", "query": "replicate the failure, then fix it"})).await;
    assert_eq!(found["suggestions"][0]["title"], "Reproduce the crash before repairing it", "{found:#}");
    // A text that is told anew is compared as it is now.
    let told = json!({"title": "Draw charts in colours that everybody can tell apart", "description": "replicate the failure, then fix it"});
    learn(&tools, json!({"action": "record", "pattern": told})).await;
    let found =
        learn(&tools, json!({"action": "suggest", "query": "replicate the failure, then fix it"})).await;
    assert_eq!(found["suggestions"][0]["title"], told["title"], "{found:#}");
}

#[tokio::test]
async fn infrastructure_failures_count_apart() {
    let tools = Tools::new();
    let before = outcome(&tools, "p", "success").await;
    let after = outcome(&tools, "p", "infrastructure").await;
    assert_eq!(before["posterior"], after["posterior"]);
    assert_eq!(after["trials"]["infrastructure"], 1);
    assert_eq!(status(&tools, json!({})).await["calibration"]["trials"], 1);
}

#[tokio::test]
async fn the_context_decides_where_it_is_known_well_enough() {
    let tools = Tools::new();
    let record = async |language: &str, framework: &str, result: &str| {
        let pattern = json!({"title": "mock the network"});
        let context = json!({"language": language, "framework": framework});
        let outcome = json!({"result": result});
        learn(&tools, json!({"action": "record", "pattern": pattern, "context": context, "outcome": outcome}))
            .await
    };
    for _ in 0..6 {
        record("python", "pytest", "success").await;
        record("go", "testing", "failure").await;
    }
    let chance = async |context: Value| {
        let answer = learn(&tools, json!({"action": "suggest", "context": context})).await;
        let one = answer["suggestions"][0].clone();
        (one["parts"]["context"].as_str().unwrap().to_owned(), number(&one["posterior"]["mean"]))
    };
    assert_eq!(
        chance(json!({"language": "python", "framework": "pytest"})).await,
        ("language+framework".into(), 7.0 / 8.0)
    );
    assert_eq!(
        chance(json!({"language": "python", "framework": "nose"})).await,
        ("language".into(), 7.0 / 8.0)
    );
    assert_eq!(chance(json!({"language": "go"})).await, ("language".into(), 1.0 / 8.0));
    assert_eq!(chance(json!({"language": "rust"})).await, ("any".into(), 0.5));
}

#[tokio::test]
async fn near_duplicates_are_one_pattern_and_opposites_never() {
    let tools = Tools::new();
    let text = "Run the whole test suite of the package with a fixed seed before each commit";
    let first = outcome(&tools, text, "success").await;
    let alike = outcome(
        &tools,
        "run the whole test suite of the package, with a fixed seed, before every commit",
        "success",
    )
    .await;
    assert_eq!((&alike["pattern_id"], &alike["merged_into"]), (&first["pattern_id"], &first["pattern_id"]));
    assert_eq!(alike["trials"]["successes"], 2);
    let avoid = json!({"action": "record", "pattern": {"title": text, "polarity": "avoid"}, "outcome": {"result": "success"}});
    let avoid = learn(&tools, avoid).await;
    assert_ne!(avoid["pattern_id"], first["pattern_id"]);
    let text = refused(
        &tools,
        json!({"action": "merge", "pattern_id": avoid["pattern_id"], "into": first["pattern_id"]}),
    )
    .await;
    assert!(text.contains("never merged"), "{text}");
    let other = outcome(&tools, "Pin the versions of dependencies", "failure").await;
    let merged = learn(
        &tools,
        json!({"action": "merge", "pattern_id": other["pattern_id"], "into": first["pattern_id"]}),
    )
    .await;
    assert_eq!(
        (&merged["pattern_id"], &merged["merged"]),
        (&first["pattern_id"], &json!([other["pattern_id"]]))
    );
    assert_eq!((&merged["trials"]["successes"], &merged["trials"]["failures"]), (&json!(2), &json!(1)));
    let later = learn(
        &tools,
        json!({"action": "feedback", "pattern_id": other["pattern_id"], "outcome": {"result": "success"}}),
    )
    .await;
    assert_eq!(later["pattern_id"], first["pattern_id"], "the old id leads to the whole");
    let suggested = learn(&tools, json!({"action": "suggest"})).await;
    let ids = |list: &str| {
        suggested[list].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (ids("suggestions"), ids("avoid")),
        (vec![first["pattern_id"].clone()], vec![avoid["pattern_id"].clone()])
    );
}

#[tokio::test]
async fn what_is_retired_is_not_suggested_until_it_is_told_anew() {
    let tools = Tools::new();
    let id = outcome(&tools, "p", "success").await["pattern_id"].clone();
    let retired = learn(&tools, json!({"action": "retire", "pattern_id": id})).await;
    assert_eq!((&retired["state"], &retired["retired_by_hand"]), (&json!("retired"), &json!(true)));
    assert_eq!(outcome(&tools, "p", "success").await["state"], "retired");
    assert_eq!(learn(&tools, json!({"action": "suggest"})).await["suggestions"], json!([]));
    let told = learn(&tools, json!({"action": "record", "pattern": {"title": "p", "content": "new"}})).await;
    assert_eq!((&told["state"], &told["counted"]), (&json!("candidate"), &json!(false)));
    assert_eq!(learn(&tools, json!({"action": "suggest"})).await["suggestions"][0]["content"], "new");
}

#[tokio::test]
async fn exploring_needs_a_seed_and_repeats_itself_with_it() {
    let tools = Tools::new();
    for title in ["one", "two", "three", "four", "five"] {
        outcome(&tools, title, "success").await;
    }
    let text = refused(&tools, json!({"action": "suggest", "explore": true})).await;
    assert!(text.contains("`seed`"), "{text}");
    let explore = async |seed: u64| {
        let answer = learn(&tools, json!({"action": "suggest", "explore": true, "seed": seed, "k": 5})).await;
        answer["suggestions"].to_string()
    };
    assert_eq!(explore(7).await, explore(7).await);
    let mut orders = Vec::new();
    for seed in 0..8 {
        orders.push(explore(seed).await);
    }
    orders.sort();
    orders.dedup();
    assert!(orders.len() > 3, "other seeds draw otherwise");
    let plain = async || learn(&tools, json!({"action": "suggest", "seed": 3})).await.to_string();
    assert_eq!(plain().await, plain().await);
}

#[tokio::test]
async fn everything_is_exported_once_in_pages() {
    let tools = Tools::new();
    for place in 0..45 {
        let pattern = json!({"title": format!("pattern {place}"), "content": "c".repeat(if place == 7 { 8_000 } else { 10 })});
        learn(&tools, json!({"action": "record", "pattern": pattern})).await;
    }
    let (mut ids, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let mut arguments = json!({"action": "export"});
        if cursor.is_string() {
            arguments["cursor"] = cursor;
        }
        let page = learn(&tools, arguments).await;
        assert!(page.to_string().len() <= 24 << 10 && page["total"] == 45);
        ids.extend(
            page["patterns"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()),
        );
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(ids, (1..=45).map(|id| format!("pat_{id}")).collect::<Vec<_>>());
    outcome(&tools, "pattern 3", "failure").await;
    let one = learn(&tools, json!({"action": "export", "pattern_id": "pat_4"})).await;
    assert_eq!(one["patterns"][0]["observations"][0]["failures"], 1);
}

#[tokio::test]
async fn forecasts_are_judged_by_outcomes_that_came_after() {
    let tools = Tools::new();
    let none = status(&tools, json!({})).await;
    assert!(none["calibration"]["brier"].is_null() && none["calibration"]["reason"].is_string());
    assert!(none["last_learned"].is_null());
    outcome(&tools, "p", "success").await;
    outcome(&tools, "p", "failure").await;
    let known = status(&tools, json!({})).await;
    // Foretold: 1/2, then 2/3.
    let brier = f64::midpoint(0.25, 4.0 / 9.0);
    assert!((number(&known["calibration"]["brier"]) - brier).abs() < 1e-12);
    assert_eq!(
        (&known["calibration"]["trials"], &known["calibration"]["bins"][1]["n"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(known["last_learned"], "2026-11-21T09:30:00Z");
    assert_eq!((&known["observations"]["asserted"], &known["observations"]["kept"]), (&json!(2), &json!(2)));
}

#[tokio::test]
async fn principals_learn_apart_and_credentials_are_not_kept() {
    let tools = Tools::new();
    let id = outcome(&tools, "canary", "success").await["pattern_id"].as_str().unwrap().to_owned();
    for arguments in [
        json!({"action": "suggest"}),
        json!({"action": "export"}),
        json!({"action": "export", "pattern_id": id}),
        json!({"action": "feedback", "pattern_id": id, "outcome": {"result": "failure"}}),
        json!({"action": "retire", "pattern_id": id}),
    ] {
        let reply = tools.raw_as("bob", "qe_learn_pattern", &arguments.to_string()).await.unwrap();
        assert!(!reply.contains("canary"), "{reply}");
    }
    assert_eq!(status(&tools, json!({})).await["top"][0]["posterior"]["beta"], 1.0);
    let token = format!("ghp_{}", "aB3d".repeat(9));
    for arguments in [
        json!({"action": "record", "pattern": {"title": token}}),
        json!({"action": "record", "pattern": {"title": "p", "content": format!("export T={token}")}}),
        json!({"action": "record", "pattern": {"title": "p"}, "context": {"error_signature": token}}),
        json!({"action": "feedback", "pattern_id": id, "outcome": {"result": "failure", "evidence": token}}),
    ] {
        let text = refused(&tools, arguments).await;
        assert!(text.contains("a GitHub token") && !text.contains(&token), "{text}");
    }
}

#[tokio::test]
async fn bad_arguments_are_refused_with_what_to_do() {
    let tools = Tools::new();
    for (arguments, words) in [
        (json!({}), "missing field `action`"),
        (json!({"action": "learn"}), "expected one of `record`"),
        (json!({"action": "record"}), "needs `outcome`"),
        (json!({"action": "feedback", "pattern_id": "pat_1"}), "needs `outcome`"),
        (json!({"action": "feedback", "outcome": {"result": "success"}}), "needs `pattern_id`"),
        (json!({"action": "retire"}), "needs `pattern_id`"),
        (json!({"action": "retire", "pattern_id": "12"}), "such as pat_12"),
        (json!({"action": "retire", "pattern_id": "pat_12"}), "pat_12: there is no such pattern"),
        (json!({"action": "merge", "pattern_id": "pat_1", "into": "pat_2"}), "no such pattern"),
        (json!({"action": "record", "pattern": {"title": ""}}), "title must not be empty"),
        (json!({"action": "record", "pattern": {"title": "x".repeat(201)}}), "title in bytes is 201"),
        (json!({"action": "record", "pattern": {"title": "p"}, "pattern_id": "pat_1"}), "not both"),
        (
            json!({"action": "record", "pattern": {"title": "p"}, "outcome": {"result": "good"}}),
            "expected one of `success`",
        ),
        (
            json!({"action": "record", "pattern": {"title": "p", "polarity": "dont"}}),
            "expected `do` or `avoid`",
        ),
        (json!({"action": "suggest", "context": {"lang": "x"}}), "did you mean `language`?"),
        (json!({"action": "suggest", "k": 11}), "between 1 and 10"),
        (json!({"action": "suggest", "query": "x".repeat(2_001)}), "longer than"),
        (json!({"action": "export", "cursor": "x"}), "`cursor`"),
    ] {
        let text = refused(&tools, arguments.clone()).await;
        assert!(text.contains(words), "{arguments}: {text}");
    }
    let text = tools.refusal("qe_learn_status", r#"{"top":0}"#).await;
    assert!(text.contains("between 1 and 50"), "{text}");
}

#[tokio::test]
async fn a_gates_verdicts_are_learnt_once_for_each_state_of_the_project() {
    let project = Project::new();
    project.write("lcov.info", "SF:src/a.py\nDA:1,1\nDA:2,0\nend_of_record\n");
    project.write("src/a.py", "a = 1\nb = 2\n");
    let conditions = json!([{"metric": "coverage", "op": ">=", "value": 40}, {"metric": "tests_failed", "op": "<=", "value": 0}]);
    for _ in 0..3 {
        project.call("qe_quality_gate", json!({"conditions": conditions})).await;
    }
    let known = project.call("qe_learn_status", json!({})).await;
    assert_eq!(known["patterns"]["total"], 2);
    let trials = &known["observations"];
    assert_eq!(
        (&trials["successes"], &trials["infrastructure"]),
        (&json!(1), &json!(1)),
        "no data is no failure"
    );
    assert_eq!((&trials["asserted"], &trials["lost"]), (&json!(0), &json!(0)), "our own tool saw it");
    project.write("lcov.info", "SF:src/a.py\nDA:1,0\nDA:2,0\nend_of_record\n");
    project.call("qe_quality_gate", json!({"conditions": conditions})).await;
    let exported = project.call("qe_learn_pattern", json!({"action": "export"})).await;
    let one = &exported["patterns"][0];
    assert_eq!(one["title"], "quality gate: coverage >= 40");
    assert_eq!((&one["trials"]["successes"], &one["trials"]["failures"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn test_generation_tells_which_assertions_held() {
    let source = "def half(n):\n    if n % 2:\n        raise ValueError(n)\n    return n // 2\n";
    let folder = folder_of(&[("half.py", source)]);
    let tools = Tools::over(&[folder.path()]);
    let arguments = json!({"targets": [{"file": "half.py"}]}).to_string();
    let first = tools.call("qe_test_generate", &arguments).await;
    let learnt = status(&tools, json!({"top": 20})).await;
    assert!(learnt["patterns"]["total"].as_u64().unwrap() >= 1, "{learnt:#}");
    assert!(learnt["observations"]["successes"].as_u64().unwrap() >= 1);
    assert_eq!(learnt["observations"]["asserted"], 0);
    assert!(learnt["top"][0]["title"].as_str().unwrap().starts_with("generated tests that assert: "));
    // The same search again is no new evidence, and is not changed by what was learnt.
    let again = tools.call("qe_test_generate", &arguments).await;
    assert_eq!(first["results"][0]["test_file"], again["results"][0]["test_file"]);
    assert_eq!(status(&tools, json!({"top": 20})).await, learnt);
}

const SHOP: &str = "def fee(kind, amount):\n    if kind == 'member':\n        return amount * 2\n    if kind == 'guest' and amount > 1234:\n        return amount * 3\n    return amount\n";

#[tokio::test]
async fn a_learned_order_is_asked_for_and_the_fixed_one_stays_what_it_was() {
    let folder = folder_of(&[("shop.py", SHOP), ("half.js", "exports.half = n => n / 2;\n")]);
    let tools = Tools::over(&[folder.path()]);
    let call = async |order: Value| {
        let mut arguments =
            json!({"targets": [{"file": "shop.py"}], "budget_ms": 100, "framework": "unittest"});
        if order.is_string() {
            arguments["order"] = order;
        }
        let mut answer = tools.call("qe_test_generate", &arguments.to_string()).await;
        answer["results"][0].take()
    };
    let before = call(json!("learned")).await;
    assert_eq!(before["order"], json!({}), "nothing was learnt");
    let fixed = call(Value::Null).await;
    assert!(fixed["order"].is_null());
    assert_eq!(fixed["test_file"], before["test_file"], "an order without any knowledge is the fixed one");
    let learnt = status(&tools, json!({})).await;
    let uplift = &learnt["uplift"]["test_generation"];
    assert!(uplift["unused"]["n"].as_u64().unwrap() > 0 && uplift["used"]["n"] == 0, "{uplift}");
    assert!(uplift["difference"].is_null());

    let learned = call(json!("learned")).await;
    let means = learned["order"].as_object().unwrap();
    assert!(means.contains_key("comparison") && means.contains_key("kind"), "{means:?}");
    assert!(means.values().all(|mean| (0.0..1.0).contains(&number(mean))), "{means:?}");
    let learnt = status(&tools, json!({})).await;
    assert!(learnt["uplift"]["test_generation"]["difference"].is_number(), "{learnt:#}");
    // Whatever was learnt, the fixed order gives the same bytes; and so does the learned one over the same observations.
    assert_eq!(call(json!("fixed")).await["test_file"], fixed["test_file"]);
    let refused =
        tools.refusal("qe_test_generate", r#"{"targets":[{"file":"half.js"}],"order":"learned"}"#).await;
    assert!(refused.contains("Python alone"), "{refused}");
}
