//! Agents' files as their users have them.

use std::path::Path;

use crate::config::endpoint::Endpoint;
use crate::config::report::Report;
use crate::config::secret::Expanded;
use crate::config::{Loaded, Upstream};

use super::{json, json_at, lines, notes};

/// What a file gives: `name target`, one line for each upstream.
fn served(loaded: &Loaded) -> Vec<String> {
    let report = Report::from(loaded);
    report.upstreams.iter().map(|u| format!("{} {}", u.name, u.replicas[0].target)).collect()
}

fn args(upstream: &Upstream) -> Vec<&str> {
    match &upstream.replicas[0].endpoint {
        Endpoint::Child(child) => child.args.iter().map(Expanded::value).collect(),
        Endpoint::Http(_) => panic!("a child was expected"),
    }
}

#[test]
fn a_file_of_claude_code_is_read_as_it_is() {
    let loaded = json(
        r#"{
  "mcpServers": {
    "files": {"type": "stdio", "command": "npx", "args": ["-y", "server", "${PWD:-.}"], "env": {"KEY": "${TOKEN}"}},
    "web": {"type": "http", "url": "https://example.org/${EMPTY:-mcp}", "headers": {"Authorization": "Bearer ${TOKEN}"}}
  }
}"#,
        None,
    )
    .unwrap();
    assert_eq!(served(&loaded), ["files npx -y server '${PWD:-.}'", "web https://example.org/${EMPTY:-mcp}"]);
    assert_eq!(notes(&loaded), [""; 0]);
    let [files, web] = &loaded.config.upstreams[..] else { panic!("two upstreams") };
    assert_eq!(args(files), ["-y", "server", "."]);
    assert_eq!(files.place.to_string(), ".mcp.json:3:5");
    let Endpoint::Http(web) = &web.replicas[0].endpoint else { panic!("a URL") };
    assert_eq!(web.url.value(), "https://example.org/mcp");
    assert_eq!(web.headers[0].1.expose(), "Bearer 0123456789abcdef");
}

#[test]
fn a_file_of_vs_code_with_comments_and_editor_variables_is_read_as_it_is() {
    let text = r#"{
  // servers of this project
  "inputs": [{"id": "key", "type": "promptString"}],
  "servers": {
    "a": {"command": "${workspaceFolder}/bin/a", "args": ["${env:TOKEN}", "${userHome}/x"], "cwd": "sub"},
    "b": {"command": "b", "env": {"KEY": "${input:key}"}, "envFile": ".env"}, /* asks */
  },
}"#;
    let loaded = json_at("/project/.vscode/mcp.json", text, None).unwrap();
    assert_eq!(served(&loaded), ["a '${workspaceFolder}/bin/a' '${env:TOKEN}' '${userHome}/x'"]);
    let a = &loaded.config.upstreams[0];
    assert_eq!(args(a), ["0123456789abcdef", "/home/ann/x"]);
    let Endpoint::Child(child) = &a.replicas[0].endpoint else { panic!("a child") };
    assert_eq!(child.program, Path::new("/project/bin/a"));
    assert_eq!(child.cwd.as_deref(), Some(Path::new("/project/sub")));
    assert_eq!(
        notes(&loaded),
        [
            ".mcp.json:6:42: warning: \"b\" is left out: \"env\": \"${input:key}\" asks the editor, which does not \
             run here; write ${VAR} and set the variable",
            ".mcp.json:6:10: note: \"b\": ignored: \"envFile\"",
        ]
    );
}

#[test]
fn one_server_that_cannot_be_used_leaves_the_others_alone() {
    let loaded = json(
        r#"{"mcpServers": {
"old": {"type": "sse", "url": "https://example.org/sse"},
"odd": {"type": "carrier-pigeon", "command": "x"},
"unset": {"command": "x", "args": ["${NOT_SET}"]},
"both": {"command": "x", "url": "https://example.org/"},
"neither": {},
"text": "npx server",
"number": {"command": "x", "env": {"PORT": 80}},
"args": {"command": "x", "args": "-y"},
"flag": {"command": "x", "disabled": "no"},
"good": {"command": "x", "args": null, "env": {"GONE": null}, "alwaysAllow": []}
}}"#,
        None,
    )
    .unwrap();
    assert_eq!(served(&loaded), ["good x"]);
    assert_eq!(
        notes(&loaded),
        [
            ".mcp.json:2:17: warning: \"old\" is left out: the old SSE transport is not supported; many servers also \
             offer \"http\" at /mcp",
            ".mcp.json:3:17: warning: \"odd\" is left out: \"type\" \"carrier-pigeon\" is not supported; stdio and \
             http are",
            ".mcp.json:4:36: warning: \"unset\" is left out: \"args\": the environment variable NOT_SET is not set; \
             set it, or write ${NOT_SET:-default}",
            ".mcp.json:5:33: warning: \"both\" is left out: \"command\" and \"url\" are both given; an upstream is \
             one or the other",
            ".mcp.json:6:1: warning: \"neither\" is left out: neither \"command\" nor \"url\" is given; an upstream \
             needs one of them",
            ".mcp.json:7:9: warning: \"text\" is left out: it must be an object; found a string",
            ".mcp.json:8:44: warning: \"number\" is left out: \"PORT\" must be a string; found a number",
            ".mcp.json:9:34: warning: \"args\" is left out: \"args\" must be a list of strings; found a string",
            ".mcp.json:10:38: warning: \"flag\" is left out: \"disabled\" must be true or false; found a string",
            ".mcp.json:11:9: note: \"good\": ignored: \"alwaysAllow\"",
        ]
    );
}

#[test]
fn servers_that_are_switched_off_are_known_but_off() {
    let text = r#"{"mcpServers": {"a": {"command": "x", "disabled": true}, "b": {"command": "x", "enabled": false}}}"#;
    let upstreams = json(text, None).unwrap().config.upstreams;
    assert_eq!(upstreams.iter().map(|u| u.enabled).collect::<Vec<_>>(), [false, false]);
}

#[test]
fn other_agents_words_for_a_url_are_understood() {
    let text = r#"{"mcpServers": {"a": {"url": "https://a.example/sse", "httpUrl": "https://a.example/mcp"},
        "b": {"serverUrl": "https://b.example/mcp"}, "c": {"type": "streamable-http", "url": "https://c.example/"}}}"#;
    let expected = ["a https://a.example/mcp", "b https://b.example/mcp", "c https://c.example/"];
    assert_eq!(served(&json(text, None).unwrap()), expected);
}

#[test]
fn an_entry_that_is_this_server_is_left_out_lest_it_start_itself_without_end() {
    let loaded = json(
        r#"{"mcpServers": {
"us": {"command": "/usr/local/bin/aqe-v3", "args": ["mcp", "start"]},
"built": {"command": "cargo", "args": ["run", "--release", "--", "mcp", "start"]},
"wrapped": {"command": "sh", "args": ["/opt/aqe-v3", "mcp", "start", "--transport", "stdio"]},
"http": {"url": "http://localhost:8765/mcp"},
"other": {"command": "aqe-v3", "args": ["qe"]},
"neighbour": {"url": "http://localhost:9999/mcp"}
}}"#,
        None,
    )
    .unwrap();
    assert_eq!(served(&loaded), ["other aqe-v3 qe", "neighbour http://localhost:9999/mcp"]);
    assert_eq!(notes(&loaded)[3], ".mcp.json:5:1: note: \"http\" is left out: it is this server");
}

#[test]
fn our_file_stands_before_theirs() {
    let ours = "[[upstream]]\nname = \"files\"\ncommand = \"ours\"\n";
    let theirs = r#"{"mcpServers": {"Files": {"command": "theirs"}, "more": {"command": "x"}}}"#;
    let loaded = json(theirs, Some(ours)).unwrap();
    assert_eq!(served(&loaded), ["files ours", "more x"]);
    assert_eq!(notes(&loaded), [".mcp.json:1:17: note: \"Files\" is left out: another server has that name"]);
}

#[test]
fn names_that_may_not_be_used_are_changed_and_reported() {
    let server = r#"{"command": "x"}"#;
    let names = [
        "my server",
        "my/server",
        "a__b",
        "a___b",
        "-x-",
        "文件",
        "文",
        "io.github.user/very-long-name-of-a-server",
    ];
    let entries: Vec<String> = names.iter().map(|name| format!("\"{name}\": {server}")).collect();
    let text = format!("{{\"mcpServers\": {{{}}}}}", entries.join(", "));
    let loaded = json(&text, None).unwrap();
    let mapped: Vec<&str> = loaded.config.upstreams.iter().map(|u| u.name.as_str()).collect();
    let expected = [
        "my-server",
        "my-server-2",
        "a-b",
        "a-_b",
        "x",
        "server",
        "server-2",
        "io.github.user-very-long-name-of",
    ];
    assert_eq!(mapped, expected);
    assert_eq!(notes(&loaded)[1], ".mcp.json:1:48: note: \"my/server\" is called \"my-server-2\" here");
    // Whatever the separator, what comes out can be used.
    for separator in ["-", "_", ".", "-_", "--", "a-", "._-"] {
        let toml = format!("[registry]\nseparator = \"{separator}\"\n");
        assert_eq!(json(&text, Some(&toml)).unwrap().config.upstreams.len(), names.len(), "{separator}");
    }
}

#[test]
fn a_file_that_is_none_of_these_is_a_fault_with_its_place() {
    for (text, expected) in [
        ("", ".mcp.json:1:1: the file is empty"),
        ("[]", ".mcp.json:1:1: the file must hold an object; found a list"),
        ("{\"mcpServers\": []}", ".mcp.json:1:16: \"mcpServers\" must be an object; found a list"),
        (
            "{\"mcpServers\": {\n\"a\": {\"command\" \"x\"}}}",
            ".mcp.json:2:17: expected colon after the string or word in object property",
        ),
        (
            "{\"mcpServers\": {\n\"a\": {'command': 1}}}",
            ".mcp.json:2:7: single-quoted strings are not allowed",
        ),
        ("{\"mcpServers\": {\n", ".mcp.json:1:16: unterminated object"),
    ] {
        assert_eq!(lines(&json(text, None).unwrap_err()), [expected], "{text}");
    }
}

#[test]
fn a_file_without_servers_is_only_a_warning() {
    let expected = ".mcp.json:1:1: warning: no servers: the file has neither \"mcpServers\" nor \"servers\"";
    assert_eq!(notes(&json("{}", None).unwrap()), [expected]);
    assert_eq!(notes(&json("{\"mcpServers\": {}}", None).unwrap()), [""; 0]);
}

#[test]
fn of_two_servers_with_one_name_the_first_is_served() {
    let text = r#"{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}, "servers": {"A": {"command": "z"}}}"#;
    let loaded = json(text, None).unwrap();
    assert_eq!(served(&loaded), ["a x"]);
    assert_eq!(notes(&loaded)[1], ".mcp.json:1:76: note: \"A\" is left out: another server has that name");
}

#[test]
fn faults_of_both_files_are_reported_together() {
    let faults = json("{", Some("[server]\nx = 1\n")).unwrap_err();
    assert_eq!(lines(&faults), ["aqe.toml:2:1: unknown key \"x\"", ".mcp.json:1:1: unterminated object"]);
}
