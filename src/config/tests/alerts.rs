//! What alerts mean in a sound configuration, and what is remarked on.

use std::time::Duration;

use aqe_core::monitor::alerts::{Condition, Rule, Scope, Severity, Thresholds};

use super::{notes, toml};

fn rules(text: &str) -> Vec<Rule> {
    toml(text).unwrap().config.alerts.rules
}

#[test]
fn without_a_word_the_default_rules_hold() {
    let alerts = toml("").unwrap().config.alerts;
    assert_eq!(alerts.rules, Thresholds::default().rules());
    assert!(alerts.enabled && alerts.webhooks.is_empty() && alerts.commands.is_empty());
    assert_eq!(alerts.repeat, Some(Duration::from_secs(4 * 3600)));
    assert_eq!((alerts.log, alerts.mcp_log), (Some(Severity::Info), Some(Severity::Warning)));
}

#[test]
fn each_threshold_is_set_by_one_key() {
    let found = rules(
        "[monitoring.alert_thresholds]\np95_response_time_ms = 100\nerror_rate = 0.01\npool_hit_rate = 0.9\n\
         memory_bytes = 1e9\n",
    );
    let expected =
        Thresholds { p95_response_time_ms: 100.0, error_rate: 0.01, pool_hit_rate: 0.9, memory_bytes: 1e9 };
    assert_eq!(found, expected.rules());
}

#[test]
fn a_rule_of_the_name_of_a_default_takes_its_place_and_one_that_is_off_takes_it_away() {
    let found = rules(
        "[[monitoring.alert]]\nname = \"error-rate\"\nsignal = \"error_rate\"\nabove = 0.5\ntool = \"a\"\n\
         [[monitoring.alert]]\nname = \"memory\"\nenabled = false\n",
    );
    let names: Vec<(&str, bool)> = found.iter().map(|rule| (&*rule.name, rule.is_default)).collect();
    assert_eq!(names, [("response-time", true), ("pool-hit-rate", true), ("error-rate", false)]);
    assert_eq!(found[2].scope, Scope::Tool("a".into()));
}

#[test]
fn a_burn_rate_is_by_default_the_fast_one_of_the_workbook() {
    let found = rules("[[monitoring.alert]]\nname = \"budget\"\nburn_rate = {}\n");
    let Condition::BurnRate(burn) = &found.last().unwrap().condition else { panic!("{found:?}") };
    assert!((burn.objective - 0.999).abs() < 1e-9 && (burn.factor - 14.4).abs() < 1e-9);
    assert_eq!((burn.long, burn.short), (Duration::from_secs(3600), Duration::from_secs(300)));
}

#[test]
fn a_repetition_of_zero_is_none_and_a_sink_can_be_off() {
    let alerts = toml("[monitoring.alerting]\nrepeat_s = 0\nlog = \"off\"\n").unwrap().config.alerts;
    assert_eq!((alerts.repeat, alerts.log), (None, None));
}

#[test]
fn a_rule_about_what_is_not_configured_is_remarked_on_where_it_stands() {
    let rule = |name: &str, more: &str| {
        format!("[[monitoring.alert]]\nname = \"{name}\"\nsignal = \"error_rate\"\nabove = 0.1\n{more}\n")
    };
    let text = [
        "[[upstream]]\nname = \"files\"\ncommand = \"x\"\n".to_owned(),
        rule("good", "upstream = \"files\""),
        rule("built-in", "upstream = \"qe\""),
        rule("typo", "upstream = \"flies\""),
        rule("other", "upstream = \"files\"\nreplica = \"two\""),
    ]
    .concat();
    let loaded = toml(&text).unwrap();
    assert_eq!(
        notes(&loaded),
        [
            "aqe.toml:15:8: warning: the alert \"typo\" will never fire: no upstream is called \"flies\"",
            "aqe.toml:20:8: warning: the alert \"other\" will never fire: no replica of \"files\" is called \"two\"; \
             there are: files",
        ]
    );
}

#[test]
fn a_secret_of_a_webhook_is_never_shown() {
    let text = "[[monitoring.webhook]]\nname = \"a\"\nurl = \"https://example.org/${TOKEN}\"\n\
                secret = \"${TOKEN}\"\nheaders = { X-Key = \"${TOKEN}\" }\n";
    let shown = format!("{:?}", toml(text).unwrap().config.alerts);
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
}
