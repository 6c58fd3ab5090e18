use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const TIMEOUT: Duration = Duration::from_millis(10);
const MAX_BYTES: usize = 1_000;

/// A stream with its queue and a writer that does at once what it is told to.
struct Stream {
    holdback: Holdback,
    now: Instant,
    queue: VecDeque<(u32, Priority, Instant)>,
    held_bytes: usize,
    /// When the writer will look by itself; without one it looks only when woken.
    timer: Option<Instant>,
    /// Writes: the messages of each, and how long each has waited.
    writes: Vec<Vec<(u32, Priority, Duration)>>,
}

impl Stream {
    fn new(limits: Option<Batching>) -> Self {
        Self {
            holdback: Holdback::new(limits),
            now: Instant::now(),
            queue: VecDeque::new(),
            held_bytes: 0,
            timer: None,
            writes: Vec::new(),
        }
    }

    fn add(&mut self, number: u32, priority: Priority, bytes: usize) {
        let now = self.now;
        self.queue.push_back((number, priority, now));
        self.held_bytes += bytes;
        if self.holdback.add(priority, bytes, || now) {
            self.look();
        }
    }

    fn look(&mut self) {
        let now = self.now;
        self.timer = None;
        match self.holdback.due(|| now) {
            Due::Nothing => assert!(self.queue.is_empty()),
            Due::At(until) => self.timer = Some(until),
            Due::Now => {
                let taken = self.queue.drain(..).map(|(number, priority, at)| (number, priority, now - at));
                self.writes.push(taken.collect());
                self.held_bytes = 0;
                self.holdback.written();
            }
        }
    }

    /// Time goes on; a timer fires when it is due.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.timer.filter(|at| *at <= end) {
            self.now = at;
            self.look();
        }
        self.now = end;
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add(Priority, usize),
    Pass(Duration),
    Release,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let priority = prop_oneof![1 => Just(Priority::High), 4 => Just(Priority::Low)];
    let step = prop_oneof![
        8 => (priority, 1..400_usize).prop_map(|(priority, bytes)| Step::Add(priority, bytes)),
        4 => (0..15_000_u64).prop_map(|us| Step::Pass(Duration::from_micros(us))),
        1 => Just(Step::Release),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn nothing_is_lost_nor_reordered_nor_held_back_for_too_long_or_beyond_the_size(
        steps in steps(),
        batching in any::<bool>(),
    ) {
        let limits = batching.then_some(Batching { timeout: TIMEOUT, max_bytes: MAX_BYTES });
        let mut stream = Stream::new(limits);
        let mut added = 0;
        for step in steps {
            match step {
                Step::Add(priority, bytes) => {
                    stream.add(added, priority, bytes);
                    added += 1;
                    // What cannot wait has left with all that was before it.
                    prop_assert!(priority == Priority::Low || stream.queue.is_empty());
                }
                Step::Pass(time) => stream.pass(time),
                Step::Release => if stream.holdback.release() { stream.look() },
            }
            // A timer runs exactly while something waits.
            prop_assert_eq!(stream.timer.is_some(), !stream.queue.is_empty());
            prop_assert!(stream.held_bytes < MAX_BYTES);
            prop_assert!(batching || stream.queue.is_empty());
        }
        stream.pass(TIMEOUT);
        let sent: Vec<_> = stream.writes.iter().flatten().copied().collect();
        prop_assert!(sent.iter().map(|(number, ..)| *number).eq(0..added));
        for (_, priority, waited) in sent {
            let patience = if priority == Priority::High { Duration::ZERO } else { TIMEOUT };
            prop_assert!(waited <= patience);
        }
    }
}

#[test]
fn a_lone_notification_leaves_at_its_time_and_a_storm_by_size() {
    let limits = Batching { timeout: TIMEOUT, max_bytes: MAX_BYTES };
    let mut stream = Stream::new(Some(limits));
    stream.add(0, Priority::Low, 100);
    stream.pass(TIMEOUT / 2);
    assert!(stream.writes.is_empty());
    stream.pass(TIMEOUT / 2);
    assert_eq!(stream.writes, [vec![(0, Priority::Low, TIMEOUT)]]);
    for number in 0..1_000 {
        stream.add(number, Priority::Low, 100);
    }
    assert_eq!(stream.writes.len(), 1 + 1_000 * 100 / MAX_BYTES);
}

#[test]
fn messages_that_were_not_taken_yet_stay_due() {
    let now = Instant::now();
    let mut holdback = Holdback::new(Some(Batching { timeout: TIMEOUT, max_bytes: MAX_BYTES }));
    assert!(holdback.add(Priority::High, 1, || unreachable!("the clock is not read")));
    assert!(!holdback.add(Priority::Low, 1, || unreachable!("the clock is not read")));
    assert_eq!(holdback.due(|| unreachable!("the clock is not read")), Due::Now);
    assert_eq!(holdback.due(|| now), Due::Now);
    holdback.written();
    assert_eq!(holdback.due(|| now), Due::Nothing);
    assert!(!holdback.release());
}

#[test]
fn only_what_merely_informs_is_held_back() {
    for low in ["notifications/progress", "notifications/message"] {
        assert_eq!(Priority::of(low), Priority::Low, "{low}");
    }
    for high in [
        "notifications/cancelled",
        "notifications/tools/list_changed",
        "notifications/resources/updated",
        "notifications/elicitation/complete",
        "notifications/tasks",
        "elicitation/create",
        "sampling/createMessage",
        "vendor/anything",
        "",
    ] {
        assert_eq!(Priority::of(high), Priority::High, "{high}");
    }
}
