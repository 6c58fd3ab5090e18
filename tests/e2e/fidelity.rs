//! What a client and an upstream say to each other survives byte for byte, except ids, prefixed names, progress
//! tokens and what belongs to an era.

use aqe_testkit::{
    client::{Answer, Message, StdioClient},
    process::binary,
};
use serde_json::{json, value::RawValue};

use crate::support::{Client, Era, Gateway, Over, Pair, Plan, Upstream, each, id_of};

/// Members that a decoder and encoder would change: number texts, escapes, order, white space, repeated names.
const ODD: &str = r#""z":1.0,"a":-0,"n":123456789012345678901234567890,"e":1e400,"E":1E+2,"none":null,"nested":{ "b" : [1, 2.50 ,{"c":null}],"a":{}},"esc\u0061ped":"\u00e9\/\"\\\b\ud83c\udf75 é🍵","":"","twice":1,"twice":2"#;

/// What a modern client adds to `_meta`.
const OWN: &str = r#","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}"#;

/// The parts of a call as its sender writes it.
fn call_text(id: &str, token: &str, own: &str) -> String {
    format!(
        r#"{{"x-first":{{{ODD}}},"jsonrpc":"2.0","id":{id},"x-null":null,"method":"tools/call","params":{{"x-before":-0.0,"name":"received","arguments":{{{ODD}}},"x-after":[1e400],"_meta":{{"traceparent":null,"progressToken":{token},"x-deep":{{{ODD}}}{own}}}}},"x-last":1E5}}"#
    )
}

#[tokio::test]
async fn a_request_reaches_the_upstream_as_the_client_wrote_it() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = pair.open(&[]).await;
        for (id, token) in [("\"an id\"", "\"a token\""), ("7", "9007199254740993")] {
            let own = if pair.client == Era::Modern { OWN } else { "" };
            let message = Message::call(id, "received", "{}");
            let answer = client.exchange(&message, &call_text(id, token, own)).await;
            let received = answer.content_text();
            let ours = id_of(&received);
            if pair.is_same_era() {
                assert_eq!(received, call_text(&ours, &ours, own));
            } else if pair.upstream == Era::Legacy {
                assert_eq!(received, call_text(&ours, &ours, ""));
            } else {
                // The gateway speaks for the client: its members are in front.
                let expected = call_text(&ours, &ours, "");
                let (head, tail) = expected.split_once(r#""traceparent""#).expect("expected the mark");
                let tail = format!(r#""traceparent"{tail}"#);
                assert!(received.starts_with(head) && received.ends_with(&tail), "{received}\n{expected}");
                let added = &received[head.len()..received.len() - tail.len()];
                assert!(
                    added.contains(r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#),
                    "{added}"
                );
            }
        }
    })
    .await;
}

/// What `reply` is told to answer, in the words of the upstream's era, and what the client must get.
fn result(era: Era, members: &str) -> String {
    match era {
        Era::Legacy => format!("{{{members}}}"),
        Era::Modern => format!(r#"{{"resultType":"complete",{members}}}"#),
    }
}

#[tokio::test]
async fn a_result_reaches_the_client_as_the_upstream_wrote_it() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = pair.open(&[]).await;
        let content = r#""content":[{"type":"text","x-extra":null,"text":"\u00e9"}]"#;
        for members in [
            format!("{content},{ODD}"),
            format!(r#""structuredContent":{{ {ODD} }} , "isError":null,{content},"_meta":{{{ODD}}}"#),
            format!("{content} \t "),
        ] {
            let arguments = json!({ "result": result(pair.upstream, &members) }).to_string();
            let answer = client.call(1, "reply", &arguments).await;
            assert_eq!(answer.raw_result(), result(pair.client, &members));
        }
    })
    .await;
}

#[tokio::test]
async fn an_error_reaches_the_client_as_the_upstream_wrote_it() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = pair.open(&[]).await;
        for error in [
            format!(
                r#"{{"code":-32099,"message":"m\u0000 \ud83d\ude00","x":[1e400],"data":{{{ODD}}},{ODD}}}"#
            ),
            r#"{"message":"order","data":null,"code":-1}"#.to_owned(),
            r#"{ "code" : 0 , "message" : "" , "data" : [ 1.0 , "\/" ] }"#.to_owned(),
            r#"{"code":-32602,"message":"said by the upstream","data":1e400}"#.to_owned(),
        ] {
            let arguments = json!({ "error": error }).to_string();
            let answer = client.call(1, "reply", &arguments).await;
            assert_eq!(answer.raw_error(), error);
        }
    })
    .await;
}

#[tokio::test]
async fn an_error_of_one_era_reaches_a_client_of_the_other_with_a_code_that_it_knows() {
    let pairs = Pair::all().into_iter().filter(|pair| !pair.is_same_era()).collect();
    each(pairs, |pair| async move {
        let (_gateway, mut client) = pair.open(&[]).await;
        let (said, told) = match pair.client {
            Era::Modern => (-32002, -32602),
            Era::Legacy => (-32021, -32603),
        };
        let error = |code: i32| format!(r#"{{"message":"m","code":{code},"data":{{"uri":1e400}}}}"#);
        let answer = client.call(1, "reply", &json!({ "error": error(said) }).to_string()).await;
        assert_eq!(answer.raw_error(), error(told));
    })
    .await;
}

#[tokio::test]
async fn every_id_comes_back_as_it_was_written() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = pair.open(&[]).await;
        let ids = [
            "0",
            "-1",
            "1.0",
            "1e2",
            "123456789012345678901234567890",
            r#""""#,
            r#""1""#,
            r#""\u00e9\n \ud83c\udf75 é🍵""#,
        ];
        for id in ids {
            assert_eq!(client.request(&Message::call(id, "bare", "{}")).await.content_text(), "bare");
        }
        // Alike, and all in flight at the same time.
        let alike = ["1", "1.0", "\"1\"", "10e-1"];
        for (at, id) in alike.iter().enumerate() {
            client.begin(&Message::call(id, "sleep", &format!(r#"{{"ms":{}}}"#, 200 + at))).await;
        }
        for (at, id) in alike.iter().enumerate() {
            assert_eq!(client.finish(id).await.content_text(), format!("slept {} ms", 200 + at), "{id}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_notification_reaches_the_client_as_the_upstream_wrote_it_with_the_clients_token() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = pair.open(&[]).await;
        for token in ["\"t\\u00f6ken\"", "-3", "9007199254740993"] {
            let arguments = json!({ "count": 1, "raw": format!(r#""message":null,{ODD}"#) }).to_string();
            let answer =
                client.request(&Message::call(1, "progress", &arguments).progress_token(token)).await;
            assert_eq!(
                answer.before,
                [format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1,"total":1,"message":null,{ODD}}}}}"#
                )]
            );
        }
        let arguments = json!({ "data": format!("{{{ODD}}}") }).to_string();
        let mut message = Message::call(2, "log", &arguments);
        if pair.client == Era::Modern {
            message = message.meta("io.modelcontextprotocol/logLevel", "\"debug\"");
        }
        let answer = client.request(&message).await;
        if pair.client == Era::Legacy && pair.upstream == Era::Modern {
            // Such an upstream logs only for a client that has asked for a level.
            return;
        }
        assert_eq!(
            answer.before,
            [format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","logger":null,"data":{{{ODD}}}}}}}"#
            )]
        );
    })
    .await;
}

/// The entries of a list as they came.
fn entries(answer: &Answer) -> Vec<String> {
    let members: std::collections::BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(answer.raw_result()).expect("expected an object");
    let list = ["tools", "resources", "resourceTemplates", "prompts"]
        .iter()
        .find_map(|member| members.get(*member))
        .expect("expected a list");
    let entries: Vec<Box<RawValue>> = serde_json::from_str(list.get()).expect("expected an array");
    entries.iter().map(|entry| entry.get().to_owned()).collect()
}

const LISTS: [&str; 4] = ["tools/list", "resources/list", "resources/templates/list", "prompts/list"];
const FULL: [&str; 4] = ["--resources", "2", "--prompts", "2"];

/// The upstream without a gateway.
async fn direct(era: Era) -> StdioClient {
    let name = format!("{era:?}").to_lowercase();
    let mut client = StdioClient::spawn(&binary("rawmcp"), [&["stdio", "--era", &name], &FULL[..]].concat());
    client.open(era.revision()).await;
    client
}

#[tokio::test]
async fn a_definition_is_listed_as_the_upstream_wrote_it() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = pair.open(&FULL).await;
        let mut direct = direct(pair.upstream).await;
        for method in LISTS {
            let mut expected = entries(&direct.request(&Message::request(1, method)).await);
            let mut listed = entries(&client.request(&Message::request(1, method)).await);
            expected.sort();
            listed.sort();
            assert_eq!(listed, expected, "{method}");
        }
    })
    .await;
}

#[tokio::test]
async fn resources_prompts_and_completions_come_as_the_upstream_wrote_them() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = pair.open(&FULL).await;
        let mut direct = direct(pair.upstream).await;
        for (message, cached) in [
            (Message::request(1, "resources/read").param("uri", "\"raw://resource/1\""), true),
            (Message::request(2, "prompts/get").param("name", "\"prompt_1\""), false),
            (
                Message::request(3, "completion/complete")
                    .param("ref", r#"{"type":"ref/prompt","name":"prompt_0"}"#)
                    .param("argument", r#"{"name":"subject","value":""}"#),
                false,
            ),
        ] {
            let said = direct.request(&message).await.raw_result().to_owned();
            let expected = match (pair.upstream, pair.client) {
                (Era::Legacy, Era::Modern) => {
                    let hints = if cached { r#""ttlMs":0,"cacheScope":"private","# } else { "" };
                    said.replacen('{', &format!(r#"{{"resultType":"complete",{hints}"#), 1)
                }
                (Era::Modern, Era::Legacy) => said.replacen(r#","resultType":"complete""#, "", 1),
                _ => said,
            };
            assert_eq!(client.request(&message).await.raw_result(), expected);
        }
    })
    .await;
}

async fn open_two() -> (Gateway, Client) {
    let first = Upstream::raw("a", Era::Legacy, Over::Stdio, &[]).await;
    let second = Upstream::raw("b", Era::Modern, Over::Http, &[]).await;
    let mut gateway = Gateway::start(Plan::new(Over::Http).upstream(first).upstream(second)).await;
    let client = gateway.connect(Era::Legacy.revision(), "{}").await;
    (gateway, client)
}

#[tokio::test]
async fn with_two_upstreams_only_the_names_differ() {
    let (_gateway, mut client) = open_two().await;
    let mut direct = direct(Era::Legacy).await;
    let mut expected: Vec<String> = entries(&direct.request(&Message::request(1, "tools/list")).await);
    let listed = entries(&client.request(&Message::request(1, "tools/list")).await);
    assert_eq!(listed.len(), 2 * expected.len());
    let prefixed =
        |entry: &String, prefix: &str| entry.replacen(r#""name":""#, &format!(r#""name":"{prefix}__"#), 1);
    expected = expected.iter().flat_map(|entry| [prefixed(entry, "a"), prefixed(entry, "b")]).collect();
    expected.sort();
    let mut sorted = listed;
    sorted.sort();
    assert_eq!(sorted, expected);
    for (tool, method) in [("a__received", r#""name":"received""#), ("b__received", r#""name":"received""#)] {
        let answer = client.call(2, tool, &format!("{{{ODD}}}")).await;
        assert!(answer.content_text().contains(method), "{}", answer.text);
        assert!(answer.content_text().contains(ODD), "{}", answer.text);
    }
}
