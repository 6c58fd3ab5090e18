//! What upstreams ask of clients: forwarded within an era, refused at once where it cannot be, and never to the
//! wrong client.

use std::time::{Duration, Instant};

use aqe_testkit::client::{Answer, Message};
use serde_json::{Value, json};

use crate::support::{Client, Era, Gateway, Over, Pair, each, id_of, text_of};

const ABLE: &str = r#"{"sampling":{},"elicitation":{"form":{},"url":{}},"roots":{"listChanged":true}}"#;

/// Methods and params that no decoder leaves as they are.
const QUESTIONS: [(&str, &str); 3] = [
    (
        "sampling/createMessage",
        r#"{"maxTokens":1.0e2,"messages":[{"role":"user","content":{"type":"text","text":"\u00e9","x":null}}],"x-extra":1e400}"#,
    ),
    (
        "elicitation/create",
        r#"{"requestedSchema":{"type":"object","properties":{"n":{"type":"number","default":1.0}}}, "message":"\ud83c\udf75"}"#,
    ),
    ("roots/list", r#"{"_meta":{"x":-0}}"#),
];

/// What the client answers to each.
const RESPONSE: &str = r#""x-before":null,"result":{"b":1e400,"a":[1.0,null], "\u0061":"\/"},"x-after":-0.0"#;

fn pairs(client: Era, upstream: Era) -> Vec<Pair> {
    Pair::all().into_iter().filter(|pair| pair.client == client && pair.upstream == upstream).collect()
}

fn ask(id: &str, method: &str, params: &str) -> Message {
    let arguments = json!({ "method": method, "params": params, "timeout_ms": 5000 });
    Message::call(id, "ask", &arguments.to_string())
}

fn response(request: &str, members: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},{members}}}"#, id_of(request))
}

#[tokio::test]
async fn a_question_and_its_answer_pass_as_they_were_written() {
    each(pairs(Era::Legacy, Era::Legacy), |pair| async move {
        let (_gateway, mut client) = pair.open_with(&[], ABLE).await;
        for (method, params) in QUESTIONS {
            for members in [RESPONSE, r#""error":{"code":-1,"message":"declined","data":1e400}"#] {
                let answer = client
                    .request_answering(&ask("\"q\"", method, params), |request| {
                        let id = id_of(request);
                        assert_eq!(
                            request,
                            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
                        );
                        response(request, members)
                    })
                    .await;
                let heard = text_of(&answer);
                let id = id_of(&heard);
                assert!(id.starts_with("\"raw-"), "{heard}");
                assert_eq!(heard, format!(r#"{{"jsonrpc":"2.0","id":{id},{members}}}"#));
            }
        }
    })
    .await;
}

/// What the upstream got for its question when nobody could be asked.
fn refusal(answer: &Answer) -> Value {
    let heard: Value = serde_json::from_str(&text_of(answer)).expect("expected a response");
    heard["error"].clone()
}

#[tokio::test]
async fn a_question_that_the_client_cannot_answer_is_refused_at_once() {
    each(pairs(Era::Legacy, Era::Legacy), |pair| async move {
        let (_gateway, mut client) = pair.open_with(&[], r#"{"roots":{}}"#).await;
        let begun = Instant::now();
        for (method, params) in &QUESTIONS[..2] {
            let answer = client.request(&ask("\"q\"", method, params)).await;
            assert_eq!(answer.before, Vec::<String>::new(), "the client was asked");
            assert_eq!(refusal(&answer)["code"], -32601, "{}", answer.text);
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        let (method, params) = QUESTIONS[2];
        let answer = client
            .request_answering(&ask("\"q\"", method, params), |request| response(request, RESPONSE))
            .await;
        assert_eq!(answer.before.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_question_across_eras_is_refused_and_never_hangs() {
    each(pairs(Era::Modern, Era::Legacy), |pair| async move {
        let (_gateway, mut client) = pair.open_with(&[], ABLE).await;
        let begun = Instant::now();
        for (method, params) in QUESTIONS {
            let answer = client.request(&ask("\"q\"", method, params)).await;
            assert_eq!(answer.before, Vec::<String>::new(), "a modern client was sent a request");
            assert_eq!(refusal(&answer)["code"], -32601, "{}", answer.text);
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    })
    .await;
    each(pairs(Era::Legacy, Era::Modern), |pair| async move {
        let (_gateway, mut client) = pair.open_with(&[], ABLE).await;
        let begun = Instant::now();
        let (method, params) = QUESTIONS[1];
        let answer = client.request(&ask("\"q\"", method, params)).await;
        assert_eq!(answer.before, Vec::<String>::new());
        assert_eq!(answer.error_code(), -32603, "{}", answer.text);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    })
    .await;
}

#[tokio::test]
async fn rounds_of_input_pass_as_they_were_written() {
    each(pairs(Era::Modern, Era::Modern), |pair| async move {
        let (_gateway, mut client) = pair.open_with(&[], ABLE).await;
        for (method, params) in QUESTIONS {
            let asked = client.request(&ask("\"first\"", method, params)).await;
            assert_eq!(
                asked.raw_result(),
                format!(
                    r#"{{"resultType":"input_required","inputRequests":{{"ask":{{"method":"{method}","params":{params}}}}},"requestState":"état=1.0","x-extra":null}}"#
                )
            );
            let responses = r#"{"ask":{"z":1e400,"a":1.0,"content":{ "n":-0 }},"":null}"#;
            let again = ask("\"second\"", method, params)
                .param("inputResponses", responses)
                .param("requestState", "\"\\u00e9tat=1.0\"");
            let answer = client.request(&again).await;
            assert_eq!(text_of(&answer), responses);
        }
        let received = Message::call(3, "received", "{}").param("requestState", "\"\\u00e9tat=1.0\"");
        let received = client.request(&received).await.content_text();
        assert!(received.contains(r#""requestState":"\u00e9tat=1.0""#), "{received}");
    })
    .await;
}

/// Asks with a mark in the params and counts the questions that came, every one of which must hold the mark.
async fn asked_with_mark(client: &mut Client, mark: &str) -> (usize, Answer) {
    let params = json!({ "message": mark, "requestedSchema": { "type": "object", "properties": {} } });
    let message = ask(&format!("\"{mark}\""), "elicitation/create", &params.to_string());
    let answer = client
        .request_answering(&message, |request| {
            assert!(
                request.contains(mark),
                "{mark} was asked what another client was meant to be: {request}"
            );
            response(request, &format!(r#""result":{{"action":"accept","content":{{"by":"{mark}"}}}}"#))
        })
        .await;
    (answer.before.len(), answer)
}

#[tokio::test]
async fn with_two_clients_a_question_reaches_the_one_that_called_or_none() {
    let pairs = pairs(Era::Legacy, Era::Legacy).into_iter().filter(|pair| pair.client_over == Over::Http);
    each(pairs.collect(), |pair| async move {
        let (mut gateway, mut first) = pair.open_with(&[], ABLE).await;
        let mut second: Client = connect(&mut gateway, pair).await;
        // One after the other: each is asked its own.
        for round in 0..3 {
            for (client, name) in [(&mut first, "one"), (&mut second, "two")] {
                let mark = format!("{name}-{round}");
                let (asked, answer) = asked_with_mark(client, &mark).await;
                assert_eq!(asked, 1);
                assert!(answer.content_text().contains(&mark), "{}", answer.text);
            }
        }
        // At the same time: its own or a refusal.
        for round in 10..20 {
            let (one, two) = (format!("one-{round}"), format!("two-{round}"));
            let answers = tokio::join!(asked_with_mark(&mut first, &one), asked_with_mark(&mut second, &two));
            for ((asked, answer), mark) in [(answers.0, one), (answers.1, two)] {
                let own = answer.content_text().contains(&mark);
                assert!(own || (asked == 0 && refusal(&answer)["code"] == -32601), "{}", answer.text);
                assert!(own || pair.upstream_over == Over::Stdio, "over HTTP each call has its own stream");
            }
        }
    })
    .await;
}

async fn connect(gateway: &mut Gateway, pair: Pair) -> Client {
    gateway.connect(pair.client.revision(), ABLE).await
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_harms_nothing() {
    each(pairs(Era::Legacy, Era::Legacy), |pair| async move {
        let (_gateway, mut client) = pair.open_with(&[], ABLE).await;
        let answer = client
            .request_answering(&ask("\"q\"", "roots/list", "{}"), |request| {
                response(request, r#""result":{"roots":[]}"#)
            })
            .await;
        // The same once more, and one to a question that never was.
        let again = response(&answer.before[0], r#""result":{"roots":["late"]}"#);
        for stray in [again.as_str(), r#"{"jsonrpc":"2.0","id":"never","result":{}}"#] {
            client.send_text(stray).await;
        }
        assert_eq!(client.call(2, "bare", "{}").await.content_text(), "bare");
    })
    .await;
}
