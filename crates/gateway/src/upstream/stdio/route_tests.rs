//! Which line reaches which call, without a process.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use aqe_core::envelope::{Limits, Line, Lines, Message};
use bytes::Bytes;
use proptest::prelude::*;

use super::super::{CallError, CallTag, Events, Inbox, Item};
use super::desk::{Desk, Length};
use super::route::{Counts, Router};

const TAG: CallTag = CallTag { owner: 0, wants_log: false, repeatable: false };

#[derive(Default)]
struct Unsolicited(Mutex<Vec<String>>);

impl Events for Unsolicited {
    fn unsolicited(&self, message: Message) {
        self.0.lock().unwrap().push(message.method().into_owned());
    }
    fn closed(&self, _reason: &str) {}
    fn session_lost(&self) {}
}

struct Bench {
    router: Router,
    desk: Arc<Desk>,
    counts: Arc<Counts>,
    events: Arc<Unsolicited>,
    calls: Vec<Arc<Inbox>>,
}

/// A router with calls of the ids 1 to `calls` open.
fn bench(calls: u64) -> Bench {
    let (desk, counts, events) = (Arc::new(Desk::new(None)), Arc::default(), Arc::<Unsolicited>::default());
    let open = |_| desk.open(desk.next_id(), TAG, Bytes::from_static(b"{}"), Length::Any).unwrap();
    let calls = (0..calls).map(open).collect();
    let (label, max) = ("test".to_owned(), 10_000);
    let router = Router::new(
        label,
        Arc::clone(&desk),
        Arc::clone(&events) as Arc<dyn Events>,
        Arc::clone(&counts),
        Limits::default(),
        max,
    );
    Bench { router, desk, counts, events, calls }
}

impl Bench {
    fn read(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        let mut lines = Lines::new(self.router.max_line_bytes);
        lines.buffer().extend_from_slice(text.as_ref());
        while let Some(line) = lines.next_line() {
            self.router.line(line);
        }
        lines.finish_stream().into_iter().for_each(|line| self.router.line(line));
        self
    }

    /// What the call has received: `n` for a notification, `a` for the answer, `m` for malformed.
    fn got(&self, id: usize) -> String {
        let mut cx = Context::from_waker(Waker::noop());
        std::iter::from_fn(|| match self.calls[id - 1].poll_next(&mut cx) {
            Poll::Ready(Item::Notification(_)) => Some('n'),
            Poll::Ready(Item::Answer(_)) => Some('a'),
            Poll::Ready(Item::Failed(CallError::Malformed(_))) => Some('m'),
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => None,
        })
        .collect()
    }

    fn counts(&self) -> (u64, u64, u64) {
        (self.counts.late.load(Relaxed), self.counts.malformed.load(Relaxed), self.counts.noise.load(Relaxed))
    }
}

#[test]
fn answers_go_to_their_calls_whether_the_id_is_a_number_or_a_string_of_it() {
    let mut bench = bench(3);
    bench.read(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    bench.read(r#"{"jsonrpc":"2.0","id":"1","error":{"code":1,"message":""}}"#);
    assert_eq!([bench.got(1), bench.got(2), bench.got(3)], ["a", "a", ""]);
    assert_eq!(bench.desk.in_flight().len(), 1);
}

#[test]
fn a_batch_is_as_good_as_its_messages() {
    let mut bench = bench(2);
    bench.read(r#" [ {"jsonrpc":"2.0","id":2,"result":{}}, {"jsonrpc":"2.0","method":"x"},{"jsonrpc":"2.0","id":1,"result":{}}]"#);
    assert_eq!([bench.got(1), bench.got(2)], ["a", "a"]);
    assert_eq!(*bench.events.0.lock().unwrap(), ["x"]);
}

#[test]
fn progress_and_subscriptions_go_to_their_calls_and_nothing_follows_the_answer() {
    let mut bench = bench(2);
    let progress =
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
    let listen = r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"1"}}}"#;
    bench
        .read(progress)
        .read(listen)
        .read(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)
        .read(progress)
        .read(listen);
    assert_eq!([bench.got(1), bench.got(2)], ["nna", ""]);
    assert_eq!(bench.counts(), (2, 0, 0));
    assert!(bench.events.0.lock().unwrap().is_empty());
}

#[test]
fn what_belongs_to_no_call_is_handed_up() {
    let mut bench = bench(1);
    for text in [
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"theirs","progress":1}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/odd","params":{"progressToken":1}}"#,
    ] {
        bench.read(text);
    }
    assert_eq!(bench.got(1), "");
    assert_eq!(bench.events.0.lock().unwrap().len(), 4);
}

/// Broken answers that carry their call's id: the call fails however many others are open.
#[test]
fn a_broken_answer_fails_the_call_it_names() {
    let deep =
        format!(r#"{{"jsonrpc":"2.0","id":2,"result":{{"x":{}{}}}}}"#, "[".repeat(200), "]".repeat(200));
    let long = format!(r#"{{"jsonrpc":"2.0","id":2,"result":{{"x":"{}"}}}}"#, "x".repeat(20_000));
    let long_end = format!(r#"{{"result":{{"x":"{}"}},"jsonrpc":"2.0","id":2}}"#, "x".repeat(20_000));
    let cases: [&[u8]; 15] = [
        deep.as_bytes(),
        long.as_bytes(),
        long_end.as_bytes(),
        b"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"x\":\"\xff\"}}",
        br#"{"jsonrpc":"2.0","id":2,"result":{"x":NaN}}"#,
        br#"{"result":{"x":NaN},"jsonrpc":"2.0","id":2}"#,
        br#"{"jsonrpc":"2.0","id":2,"result":{},"error":{}}"#,
        br#"{"jsonrpc":"2.0","id":2}"#,
        br#"{"jsonrpc":"2.0","id":2,"id":3,"result":{}}"#,
        br#"{"jsonrpc":"1.0","id":2,"result":{}}"#,
        br#"{"id":2,"result":{}}"#,
        br#"{"jsonrpc":"2.0","id":2,"result":"text"}"#,
        br#"{"jsonrpc":"2.0","id":"2","result":{"#,
        br#"[{"jsonrpc":"2.0","id":2,"result":{"x":NaN}}]"#,
        br#"{"jsonrpc":"2.0","id":2,"result":{}} {}"#,
    ];
    for text in cases {
        let mut bench = bench(3);
        bench.read(text);
        let text = String::from_utf8_lossy(&text[..text.len().min(60)]).into_owned();
        assert_eq!([bench.got(1), bench.got(2), bench.got(3)], ["", "m", ""], "{text}");
        assert_eq!(bench.counts(), (0, 1, 0), "{text}");
    }
}

/// Broken answers without a usable id: the call fails if it can only have been that one.
#[test]
fn a_broken_answer_without_an_id_fails_the_only_call_there_is() {
    let cases: [&str; 8] = [
        r#"{"jsonrpc":"2.0","id":99,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"01","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"other","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"not now"}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","result":{"x":"#,
        r#"[{"jsonrpc":"2.0","result":{}]"#,
    ];
    for text in cases {
        let (mut alone, mut two) = (bench(1), bench(2));
        alone.read(text);
        two.read(text);
        assert_eq!([alone.got(1), two.got(1), two.got(2)], ["m", "", ""], "{text}");
        assert_eq!((alone.counts(), two.counts()), ((0, 1, 0), (0, 1, 0)), "{text}");
    }
}

#[test]
fn a_second_answer_is_ignored_and_counted() {
    let mut bench = bench(2);
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    bench.read(answer).read(answer).read(r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#);
    assert_eq!([bench.got(1), bench.got(2)], ["a", ""]);
    assert_eq!(bench.counts(), (2, 1, 0));
}

#[test]
fn a_broken_message_that_is_no_answer_fails_nobody() {
    let mut bench = bench(1);
    bench.read(r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":NaN}}"#);
    bench.read(r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":[}"#);
    bench.read(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"no such notification"}}"#);
    assert_eq!((bench.got(1).as_str(), bench.counts()), ("", (0, 3, 0)));
}

#[test]
fn log_lines_are_skipped_whatever_they_start_with() {
    let mut bench = bench(1);
    let lines: [&[u8]; 9] = [
        b"Server listening on stdio...",
        b"[info] calling a tool",
        b"[2026-01-01 00:00:00] ready",
        b"[1,2,3]",
        b"[]",
        b"{not json}",
        br#"{"level":30,"time":1,"msg":"calling a tool","error":null}"#,
        b"\xff\xfe\x00\x01",
        b"\"text\"",
    ];
    for line in lines {
        bench.read(line);
    }
    bench.read("x".repeat(20_000));
    assert_eq!((bench.got(1).as_str(), bench.counts()), ("", (0, 0, 10)));
}

proptest! {
    /// However the lines look, nothing panics and no call gets more than one end.
    #[test]
    fn any_line_is_survived(lines in prop::collection::vec(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        r#"[\[{]?\{"jsonrpc":"2.0",?("id":"?[0-9]{1,2}"?)?,?("result":[{\[]?[}\]]?)?,?("error":\{\})?,?("method":"x")?\}\]?"#
            .prop_map(String::into_bytes),
    ], 0..20)) {
        let mut bench = bench(4);
        for line in lines {
            bench.router.line(Line::Whole(line.into()));
        }
        for id in 1..=4 {
            let ends = bench.got(id).chars().filter(|item| matches!(item, 'a' | 'm')).count();
            prop_assert!(ends <= 1);
            prop_assert_eq!(ends == 0, bench.desk.in_flight().iter().any(|(open, _)| *open == id as u64));
        }
    }
}
