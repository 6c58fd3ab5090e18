//! `mcp config check`, and what `mcp start` makes of a bad file.

use crate::support::Home;

#[test]
fn a_sound_configuration_is_said_to_be_sound() {
    let home = Home::with_upstream();
    let ran = home.run(&["mcp", "config", "check"]);
    assert_eq!(ran.code(), Some(0));
    assert!(ran.out().contains("sh upstream.sh"), "{}", ran.out());
    assert!(ran.out().ends_with("the configuration is sound\n"), "{}", ran.out());
    let report = home.run(&["mcp", "config", "check", "--json"]).json();
    assert_eq!(report["upstreams"][0]["name"], "sh");
}

#[test]
fn every_fault_is_named_by_file_and_line_and_nothing_is_started() {
    let home = Home::new();
    home.write("aqe.toml", "[server]\nlisen = 1\nmax_sessions = 0\n");
    for args in [&["mcp", "config", "check"][..], &["mcp", "start"]] {
        let ran = home.run(args);
        assert_eq!(ran.code(), Some(1));
        let told = ran.out() + &ran.err();
        assert!(told.contains("aqe.toml:2:1: unknown key \"lisen\""), "{told}");
        assert!(told.contains("aqe.toml:3:16"), "{told}");
    }
    let ran = home.run(&["mcp", "config", "check", "--json"]);
    assert_eq!(ran.code(), Some(1));
    let report: serde_json::Value = serde_json::from_str(&ran.out()).unwrap();
    assert_eq!(report["faults"].as_array().unwrap().len(), 2);
}

#[test]
fn the_port_is_not_opened_to_the_network_without_a_token() {
    let home = Home::new();
    let ran = home.run(&["mcp", "start", "--transport", "http", "--listen", "0.0.0.0:0"]);
    assert_eq!(ran.code(), Some(1));
    assert!(ran.err().contains("needs authentication"), "{}", ran.err());
}
