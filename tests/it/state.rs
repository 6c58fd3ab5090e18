//! What survives a restart, and what happens where nothing can be kept.

use crate::support::{Home, until};

#[test]
fn tools_of_an_upstream_are_listed_after_a_restart_even_if_it_is_gone() {
    let home = Home::with_upstream();
    let mut server = home.start(&[]);
    until("the upstream's tools", || home.tools().contains(&"slow".to_owned()).then_some(()));
    server.signal();
    assert!(server.ended().success());
    std::fs::remove_file(home.path("project/upstream.sh")).unwrap();
    let _server = home.start(&[]);
    assert!(home.tools().contains(&"slow".to_owned()));
    let failed = home.run(&["mcp", "tools", "call", "slow"]);
    assert_eq!(failed.code(), Some(1));
    assert!(failed.err().contains("upstream sh"), "{}", failed.err());
}

#[test]
fn a_value_stored_by_one_server_is_read_by_the_next() {
    let home = Home::new();
    let mut server = home.start(&[]);
    let value = r#"{"namespace":"a","key":"k","value":[1,"two"]}"#;
    assert_eq!(home.run(&["mcp", "tools", "call", "qe_memory_store", value]).code(), Some(0));
    server.signal();
    assert!(server.ended().success());
    let _server = home.start(&[]);
    let read =
        home.run(&["mcp", "tools", "call", "qe_memory_retrieve", r#"{"namespace":"a","key":"k"}"#, "--json"]);
    assert_eq!(read.json()["structuredContent"]["value"], serde_json::json!([1, "two"]));
}

#[test]
fn without_a_usable_store_the_upstreams_are_served_and_the_loss_is_said() {
    let home = Home::with_upstream();
    std::fs::write(home.path("data/aqe-v3"), "a file where the folder should be").unwrap();
    let mut server = home.start(&[]);
    until("the upstream's tools", || (home.tools() == ["slow", "never"]).then_some(()));
    server.signal();
    assert!(server.ended().success());
    let told = server.stderr();
    assert!(told.contains("the memory tools are not served"), "{told}");
}

#[test]
fn a_store_that_the_user_chose_and_that_cannot_be_used_is_an_error() {
    let home = Home::new();
    home.write("notes.txt", "not a database, and longer than the head of one: ".repeat(40).as_str());
    home.write("aqe.toml", "[store]\npath = \"notes.txt\"\n");
    let ran = home.run(&["mcp", "start", "--transport", "http", "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.code(), Some(1));
    assert!(ran.err().contains("[store] path: ") && ran.err().contains("notes.txt"), "{}", ran.err());
}
