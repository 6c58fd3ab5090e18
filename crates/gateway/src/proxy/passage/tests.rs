//! How long each side may keep the other waiting, with the clock in hand.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use aqe_core::envelope::{Change, ResultType, Transit};
use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::flow::{Flow, Stop};
use crate::upstream::{CallError, Rest};

/// A text in pieces of 64 KiB, as fast as it is asked for, whose end may never come.
struct Source {
    pieces: VecDeque<Result<&'static str, CallError>>,
    endless: bool,
    silent: bool,
    others: bool,
    taken: Arc<AtomicUsize>,
}

impl Rest for Source {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<BytesMut>, CallError>> {
        self.taken.fetch_add(1, Ordering::Relaxed);
        match self.pieces.pop_front() {
            Some(Ok(piece)) => Poll::Ready(Ok(Some(piece.into()))),
            Some(Err(error)) => Poll::Ready(Err(error)),
            None if self.endless => Poll::Ready(Ok(Some(BytesMut::from(&vec![b'x'; 64 * 1024][..])))),
            None if self.silent => Poll::Pending,
            None => Poll::Ready(Ok(None)),
        }
    }

    fn holds_others(&self) -> bool {
        self.others
    }
}

const HEAD: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"text":""#;

struct Scene {
    flow: Flow,
    taken: Arc<AtomicUsize>,
}

fn scene(change: impl FnOnce(&mut Source)) -> Scene {
    let taken = Arc::<AtomicUsize>::default();
    let mut source = Source {
        pieces: VecDeque::new(),
        endless: false,
        silent: false,
        others: false,
        taken: Arc::clone(&taken),
    };
    change(&mut source);
    let change = Change { from: 7, to: "\"c\"", result_type: ResultType::Keep };
    let flow = Flow {
        transit: Transit::new(change, 128),
        head: HEAD.into(),
        rest: Box::new(source),
        max_bytes: 1 << 40,
        silence: Duration::from_secs(60),
        until: Instant::now() + Duration::from_secs(3_600),
        passed: 0,
    };
    Scene { flow, taken }
}

async fn run(flow: &mut Flow, mut each: impl AsyncFnMut(Bytes)) -> Result<String, Stop> {
    let (to, mut from) = mpsc::channel::<Bytes>(4);
    let mut all = Vec::new();
    let reading = async {
        while let Some(piece) = from.recv().await {
            all.extend_from_slice(&piece);
            each(piece).await;
        }
    };
    let writing = async move {
        let last = flow.run(&to).await;
        drop(to);
        last
    };
    let (last, ()) = tokio::join!(writing, reading);
    all.extend_from_slice(&last?);
    Ok(String::from_utf8(all).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_passed_on_with_the_clients_id() {
    let mut scene = scene(|source| source.pieces = [Ok("ab"), Ok("c\"}"), Ok("}\n")].into());
    let passed = run(&mut scene.flow, async |_| ()).await.unwrap();
    assert_eq!(passed, r#"{"jsonrpc":"2.0","id":"c","result":{"text":"abc"}}"#);
}

#[tokio::test(start_paused = true)]
async fn what_breaks_off_is_not_passed_on_to_its_end() {
    let broken = || Err(CallError::Closed("gone".into()));
    for (pieces, malformed) in
        [(vec![Ok("ab"), broken()], false), (vec![Ok("\"}")], true), (vec![Ok("\"}}}")], true)]
    {
        let mut scene = scene(|source| source.pieces = pieces.into());
        match run(&mut scene.flow, async |_| ()).await {
            Err(Stop::Upstream(CallError::Malformed(_))) if malformed => {}
            Err(Stop::Upstream(CallError::Closed(_))) if !malformed => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_beyond_its_limit_is_given_up() {
    let mut scene = scene(|source| source.endless = true);
    scene.flow.max_bytes = 1_000_000;
    let stop = run(&mut scene.flow, async |_| ()).await.unwrap_err();
    assert!(stop.to_string().contains("more than 1000000 bytes"), "{stop}");
    assert!(scene.taken.load(Ordering::Relaxed) < 20);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_falls_silent_is_given_up_after_its_idle_time() {
    let mut scene = scene(|source| source.silent = true);
    let began = Instant::now();
    assert!(matches!(run(&mut scene.flow, async |_| ()).await, Err(Stop::Silent)));
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_reply_without_end_ends_with_the_longest_call() {
    let mut scene = scene(|source| source.endless = true);
    let began = Instant::now();
    let slow = async |_| sleep(Duration::from_secs(20)).await;
    scene.flow.silence = Duration::from_secs(7_200);
    let outcome = tokio::time::timeout(Duration::from_secs(7_200), run(&mut scene.flow, slow)).await;
    assert!(matches!(outcome, Ok(Err(Stop::TooLate))), "{outcome:?}");
    assert!(began.elapsed().as_secs() < 3_800, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nothing_more_is_read_than_a_slow_client_takes() {
    let Scene { mut flow, taken } = scene(|source| source.endless = true);
    let (to, mut from) = mpsc::channel(4);
    let running = tokio::spawn(async move { flow.run(&to).await });
    for read in 1..100 {
        from.recv().await.unwrap();
        sleep(Duration::from_secs(1)).await;
        let ahead = taken.load(Ordering::Relaxed).saturating_sub(read);
        assert!(ahead <= 8, "{ahead} pieces ahead");
    }
    drop(from);
    assert!(matches!(running.await.unwrap(), Err(Stop::ClientLeft)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_given_up_and_sooner_where_others_wait_behind_it() {
    for (others, seconds) in [(false, 30), (true, 10)] {
        let mut scene = scene(|source| (source.endless, source.others) = (true, others));
        let (to, from) = mpsc::channel(4);
        let began = Instant::now();
        assert!(matches!(scene.flow.run(&to).await, Err(Stop::ClientTooSlow)));
        assert_eq!(began.elapsed().as_secs(), seconds);
        drop(from);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_drips_is_given_up_where_others_wait_behind_it_and_only_there() {
    for others in [false, true] {
        let mut scene = scene(|source| (source.endless, source.others) = (true, others));
        let began = Instant::now();
        let drip = async |_| sleep(Duration::from_secs(1)).await;
        let outcome = tokio::time::timeout(Duration::from_secs(300), run(&mut scene.flow, drip)).await;
        assert_eq!(matches!(outcome, Ok(Err(Stop::ClientTooSlow))), others);
        assert!(!others || began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    }
}
