//! The well-behaved tools.

use std::{fmt::Write, io, time::Duration};

use serde::Deserialize;

use super::{
    bad,
    channel::{Channel, success},
    conduct, large,
    request::{Request, quote},
    server::{Call, Refusal, Server, Session, lock},
};

/// How long `ask` waits for the client's response unless told otherwise.
const ASK_TIMEOUT_MS: u64 = 30_000;

/// Serves one `tools/call`.
pub(super) async fn call(
    server: &Server,
    session: &Session,
    request: &Request,
    call: &Call,
    channel: &mut Channel,
) -> io::Result<()> {
    let name = request.params.name.as_deref().unwrap_or_default();
    let (id, now) = (request.id.as_deref(), server.conduct());
    let mark = mark(request).unwrap_or_default();
    server.journal.record_marked("tool", name, id, &session.name, &mark);
    if name == "tell" && !now.refuses() {
        // Done as soon as it is known: whatever becomes of the answer.
        server.journal.record_marked("told", name, id, &session.name, &mark);
    }
    if let Some(done) = conduct::misbehave(&now, request, call, channel).await {
        return finish(done, request, channel).await;
    }
    let outcome = match name {
        "reply" => reply(request, channel).await,
        "received" => Ok(received(request, channel).await),
        "progress" => progress(request, channel).await,
        "log" => log(request, channel).await,
        "sleep" => sleep(server, session, request, call, channel).await,
        "journal" => journal(server, request, channel).await,
        "ask" => ask(server, request, channel).await,
        "notify" => notify(server, session, request, channel).await,
        "forget" => {
            session.forget();
            Ok(channel.text(request, "forgotten", None).await)
        }
        "bad" => bad::call(request, call, channel).await,
        "large" => large::call(request, channel).await,
        "bare" => Ok(channel.text(request, "bare", None).await),
        "tell" => Ok(channel.text(request, &mark, None).await),
        _ if generated(name) < server.options.tools => Ok(channel.text(request, name, None).await),
        _ => Err(format!("Unknown tool: {name}")),
    };
    finish(outcome, request, channel).await
}

async fn finish(outcome: Outcome, request: &Request, channel: &mut Channel) -> io::Result<()> {
    match outcome {
        Ok(written) => written,
        // What is wrong with a call is the caller's business: -32602 in every revision.
        Err(message) => {
            channel.refuse(request, &Refusal { status: 200, code: -32602, message, data: None }).await
        }
    }
}

/// What a tool did: wrong arguments, or whether its answer could be written.
pub(super) type Outcome = Result<io::Result<()>, String>;

/// The number of a generated tool, `usize::MAX` for other names.
fn generated(name: &str) -> usize {
    name.strip_prefix("tool_").and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
}

/// What a call brings to be known by.
fn mark(request: &Request) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Arguments {
        mark: String,
    }
    request.arguments().map(|Arguments { mark }| mark)
}

async fn reply(request: &Request, channel: &mut Channel) -> Outcome {
    #[derive(Deserialize)]
    struct Arguments {
        result: Option<String>,
        error: Option<String>,
    }
    let arguments: Arguments = request.arguments()?;
    let response = match (arguments.result, arguments.error) {
        (Some(result), None) => success(request, &result),
        (None, Some(error)) => format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, request.id_text()),
        _ => return Err("reply takes either result or error".to_owned()),
    };
    Ok(channel.last(response.as_bytes()).await)
}

async fn received(request: &Request, channel: &mut Channel) -> io::Result<()> {
    let structured = request.headers.as_ref().map(|headers| {
        let fields: Vec<_> =
            headers.iter().map(|(name, value)| format!("[{},{}]", quote(name), quote(value))).collect();
        let mut map = serde_json::Map::new();
        for (name, value) in headers.iter() {
            map.entry(name).or_insert_with(|| value.into());
        }
        let peer = request.peer.map_or_else(|| "null".to_owned(), |peer| quote(&peer.to_string()));
        format!(
            r#"{{"headers":{},"fields":[{}],"peer":{peer},"pid":{}}}"#,
            serde_json::Value::Object(map),
            fields.join(","),
            std::process::id(),
        )
    });
    let text = String::from_utf8_lossy(&request.bytes);
    channel.text(request, &text, structured.as_deref()).await
}

async fn progress(request: &Request, channel: &mut Channel) -> Outcome {
    #[derive(Deserialize)]
    struct Arguments {
        count: u64,
        #[serde(default)]
        interval_ms: u64,
        raw: Option<String>,
    }
    let Arguments { count, interval_ms, raw } = request.arguments()?;
    let token = request.params.meta.as_ref().and_then(|meta| meta.progress_token.as_ref());
    let extra = raw.map(|raw| format!(",{raw}")).unwrap_or_default();
    for index in 1..=count {
        if interval_ms > 0 {
            tokio::time::sleep(Duration::from_millis(interval_ms)).await;
        }
        if let Some(token) = token {
            let message = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{},"progress":{index},"total":{count}{extra}}}}}"#,
                token.get()
            );
            if let Err(error) = channel.message(&message).await {
                return Ok(Err(error));
            }
        }
    }
    Ok(channel.text(request, &format!("sent {count}"), None).await)
}

async fn log(request: &Request, channel: &mut Channel) -> Outcome {
    #[derive(Deserialize)]
    struct Arguments {
        #[serde(default = "one")]
        count: u64,
        level: Option<String>,
        data: Option<String>,
        #[serde(default)]
        force: bool,
    }
    let arguments: Arguments = request.arguments()?;
    // A modern request gets log messages only if it asks for them (2026-07-28, logging).
    let wanted = request.params.meta.as_ref().is_some_and(|meta| meta.log_level.is_some());
    if !request.modern || wanted || arguments.force {
        let level = quote(arguments.level.as_deref().unwrap_or("info"));
        for index in 1..=arguments.count {
            let data = arguments.data.clone().unwrap_or_else(|| index.to_string());
            let message = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":{level},"logger":null,"data":{data}}}}}"#
            );
            if let Err(error) = channel.message(&message).await {
                return Ok(Err(error));
            }
        }
    }
    Ok(channel.text(request, "logged", None).await)
}

async fn sleep(
    server: &Server,
    session: &Session,
    request: &Request,
    call: &Call,
    channel: &mut Channel,
) -> Outcome {
    #[derive(Deserialize)]
    struct Arguments {
        ms: u64,
    }
    let Arguments { ms } = request.arguments()?;
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(ms)) => {
            server.journal.record("sleep_done", "tools/call", request.id.as_deref(), &session.name);
            Ok(channel.text(request, &format!("slept {ms} ms"), None).await)
        }
        () = call.cancelled.notified() => {
            // A cancelled request gets no answer (2025-11-25 and 2026-07-28, cancellation). Over HTTP
            // the response then ends without one.
            server.journal.record("sleep_cancelled", "tools/call", request.id.as_deref(), &session.name);
            Ok(channel.abandon().await)
        }
    }
}

async fn journal(server: &Server, request: &Request, channel: &mut Channel) -> Outcome {
    #[derive(Deserialize)]
    struct Arguments {
        #[serde(default)]
        clear: bool,
    }
    let Arguments { clear } = request.arguments()?;
    let entries = server.journal.to_json();
    if clear {
        server.journal.clear();
    }
    let structured = format!(r#"{{"entries":{entries}}}"#);
    Ok(channel.text(request, "see structuredContent", Some(&structured)).await)
}

async fn ask(server: &Server, request: &Request, channel: &mut Channel) -> Outcome {
    #[derive(Deserialize)]
    struct Arguments {
        method: String,
        params: Option<String>,
        timeout_ms: Option<u64>,
    }
    let arguments: Arguments = request.arguments()?;
    let method = quote(&arguments.method);
    let params = arguments.params.map(|params| format!(r#","params":{params}"#)).unwrap_or_default();
    if request.modern {
        // No requests from servers: the client brings the responses along in a second call.
        return Ok(if let Some(responses) = &request.params.input_responses {
            let structured = format!(r#"{{"inputResponses":{}}}"#, responses.get());
            channel.text(request, responses.get(), Some(&structured)).await
        } else {
            let result = format!(
                r#"{{"resultType":"input_required","inputRequests":{{"ask":{{"method":{method}{params}}}}},"requestState":"état=1.0","x-extra":null}}"#
            );
            channel.result(request, &result).await
        });
    }
    let (id, response) = server.ask();
    let question = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method}{params}}}"#);
    if let Err(error) = channel.message(&question).await {
        return Ok(Err(error));
    }
    let patience = Duration::from_millis(arguments.timeout_ms.unwrap_or(ASK_TIMEOUT_MS));
    Ok(match tokio::time::timeout(patience, response).await {
        Ok(Ok(bytes)) => {
            let text = String::from_utf8_lossy(&bytes);
            channel.text(request, &text, Some(&format!(r#"{{"response":{text}}}"#))).await
        }
        Ok(Err(_)) | Err(_) => channel.text(request, "no response", None).await,
    })
}

async fn notify(server: &Server, session: &Session, request: &Request, channel: &mut Channel) -> Outcome {
    #[derive(Deserialize)]
    struct Arguments {
        method: String,
        params: Option<String>,
        #[serde(default = "one")]
        count: u64,
        via: Option<String>,
    }
    let arguments: Arguments = request.arguments()?;
    let mut message = format!(r#"{{"jsonrpc":"2.0","method":{}"#, quote(&arguments.method));
    if let Some(params) = &arguments.params {
        // Writing to a string cannot fail.
        let _ = write!(message, r#","params":{params}"#);
    }
    message.push('}');
    let mut sent = 0;
    for _ in 0..arguments.count {
        sent += match (arguments.via.as_deref().unwrap_or("session"), &mut *channel) {
            ("call", channel) => channel.message(&message).await.map(|()| 1),
            (_, _) if request.modern => Ok(server.publish(&arguments.method, arguments.params.as_deref())),
            (_, Channel::Stdio(out)) => out.line(message.as_bytes()).await.map(|()| 1),
            (_, Channel::Http(_)) => {
                let outbox = lock(&session.outbox).clone();
                Ok(outbox.map_or(0, |outbox| usize::from(outbox.try_send(message.clone()).is_ok())))
            }
        }
        .map_err(|error| error.to_string())?;
    }
    Ok(channel.text(request, &format!("sent {sent}"), None).await)
}

fn one() -> u64 {
    1
}
