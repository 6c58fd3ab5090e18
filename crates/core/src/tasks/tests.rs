//! The table with a clock that is set by hand.

use super::*;

const LIMITS: TaskLimits = TaskLimits {
    max_working: 2,
    max_working_in_all: 3,
    max_known: 4,
    max_bytes: 100,
    max_bytes_in_all: 150,
    min_rest: Duration::from_secs(60),
};
const TTL: Duration = Duration::from_secs(600);

/// A table, its clock, and what was cancelled.
struct Desk {
    tasks: Tasks<u32>,
    start: Instant,
    now: Duration,
}

impl Desk {
    fn new() -> Self {
        Self { tasks: Tasks::new(LIMITS), start: Instant::now(), now: Duration::ZERO }
    }

    fn now(&self) -> Moment {
        Moment { at: self.start + self.now, wall: SystemTime::UNIX_EPOCH + self.now }
    }

    fn after(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn create(&mut self, owner: &str, id: &str) -> Result<Seen, Full> {
        let now = self.now();
        Ok(self.tasks.room(&owner.into(), now)?.create(id.into(), TTL, None, 7, now))
    }

    fn end(&mut self, id: &str, bytes: usize) -> Option<Seen> {
        self.tasks.end(id, result(bytes), self.now())
    }

    fn get(&self, owner: &str, id: &str) -> Option<Seen> {
        self.tasks.get(owner, id, self.now().at)
    }

    fn ids(&self, owner: &str) -> Vec<String> {
        let (seen, _) = self.tasks.list(owner, 0, usize::MAX, self.now().at);
        seen.into_iter().map(|seen| seen.id.to_string()).collect()
    }
}

fn result(bytes: usize) -> Outcome {
    Outcome::Result { json: vec![b' '; bytes].into(), is_error: false }
}

#[test]
fn a_task_works_until_it_ends_and_then_stays_what_it_became() {
    let mut desk = Desk::new();
    let now = desk.now();
    let created =
        desk.tasks.room(&"a".into(), now).unwrap().create("1".into(), TTL, Some("begun".into()), 7, now);
    assert_eq!((&created.state, created.ttl, created.note.as_deref()), (&State::Working, TTL, Some("begun")));
    desk.after(5);
    desk.tasks.note("1", "half", desk.now());
    let working = desk.get("a", "1").unwrap();
    assert_eq!(
        (working.note.as_deref(), working.created, working.updated),
        (Some("half"), created.created, desk.now().wall)
    );
    desk.after(5);
    let ended = desk.end("1", 9).unwrap();
    assert_eq!((&ended.state, ended.updated), (&State::Ended(result(9)), desk.now().wall));
    desk.after(5);
    desk.tasks.note("1", "too late", desk.now());
    assert!(desk.end("1", 1).is_none(), "it ends once");
    assert_eq!(desk.tasks.cancel("a", "1", desk.now()), Err(NotCancelled::Over(Box::new(ended.clone()))));
    assert_eq!(desk.get("a", "1").unwrap(), ended);
}

#[test]
fn a_cancelled_task_stays_cancelled_and_its_work_is_handed_out_once() {
    let mut desk = Desk::new();
    desk.create("a", "1").unwrap();
    let (seen, work) = desk.tasks.cancel("a", "1", desk.now()).unwrap();
    assert_eq!((seen.state, work), (State::Cancelled(Canceller::Client), Some(7)));
    assert!(desk.end("1", 1).is_none(), "what comes after it changes nothing");
    assert_eq!(desk.get("a", "1").unwrap().state, State::Cancelled(Canceller::Client));
    assert!(matches!(desk.tasks.cancel("a", "1", desk.now()), Err(NotCancelled::Over(_))));
    assert_eq!(desk.tasks.cancel("a", "2", desk.now()), Err(NotCancelled::Unknown));
}

#[test]
fn an_operator_cancels_what_works_whoever_it_belongs_to_and_nothing_else() {
    let mut desk = Desk::new();
    desk.create("a", "1").unwrap();
    desk.tasks.note("1", "half", desk.now());
    assert_eq!(desk.tasks.note_of("1").as_deref(), Some("half"));
    let now = desk.now();
    let (seen, work) = desk.tasks.cancel_working("1", Canceller::Operator, now).unwrap();
    assert_eq!((seen.state, work), (State::Cancelled(Canceller::Operator), Some(7)));
    assert!(desk.tasks.cancel_working("1", Canceller::Operator, now).is_none(), "it is over");
    assert!(
        desk.tasks.cancel_working("2", Canceller::Operator, now).is_none()
            && desk.tasks.note_of("2").is_none()
    );
}

#[test]
fn a_task_is_unknown_to_everybody_else() {
    let mut desk = Desk::new();
    desk.create("a", "1").unwrap();
    desk.create("b", "2").unwrap();
    assert!(desk.get("b", "1").is_none());
    assert_eq!(desk.tasks.cancel("b", "1", desk.now()), Err(NotCancelled::Unknown));
    assert_eq!((desk.ids("a"), desk.ids("b")), (vec!["1".to_owned()], vec!["2".to_owned()]));
    assert_eq!(desk.get("a", "1").unwrap().state, State::Working);
}

#[test]
fn what_has_ended_is_kept_for_its_time_and_then_gone_even_if_nobody_sweeps() {
    let mut desk = Desk::new();
    desk.create("a", "1").unwrap();
    desk.end("1", 10).unwrap();
    desk.after(599);
    assert!(desk.get("a", "1").is_some());
    desk.after(1);
    assert!(desk.get("a", "1").is_none() && desk.ids("a").is_empty());
    assert_eq!(desk.tasks.counts(), TaskCounts { working: 0, known: 1, bytes: 10 });
    desk.tasks.sweep(desk.now().at);
    assert_eq!(desk.tasks.counts(), TaskCounts::default());
}

#[test]
fn what_ends_late_can_still_be_fetched_and_what_works_is_not_forgotten() {
    let mut desk = Desk::new();
    desk.create("a", "1").unwrap();
    desk.after(700);
    desk.tasks.sweep(desk.now().at);
    assert_eq!(desk.get("a", "1").unwrap().state, State::Working);
    assert_eq!(desk.end("1", 1).unwrap().ttl, Duration::from_secs(760));
    desk.after(59);
    assert!(desk.get("a", "1").is_some());
    desk.after(1);
    assert!(desk.get("a", "1").is_none());
    // Who asked for less is not given more.
    let short = Duration::from_secs(2);
    let now = desk.now();
    desk.tasks.room(&"a".into(), now).unwrap().create("2".into(), short, None, 7, now);
    desk.after(10);
    assert_eq!(desk.end("2", 1).unwrap().ttl, Duration::from_secs(12));
}

#[test]
fn so_many_work_at_a_time_of_one_principal_and_of_all() {
    let mut desk = Desk::new();
    desk.create("a", "1").unwrap();
    desk.create("a", "2").unwrap();
    assert_eq!(desk.create("a", "3"), Err(Full { working: 2 }));
    desk.create("b", "4").unwrap();
    assert_eq!(desk.create("c", "5"), Err(Full { working: 3 }));
    desk.end("1", 1).unwrap();
    desk.create("c", "5").unwrap();
    assert_eq!(desk.tasks.counts(), TaskCounts { working: 3, known: 4, bytes: 1 });
}

#[test]
fn the_oldest_outcomes_go_when_there_are_too_many_or_too_large_ones() {
    let mut desk = Desk::new();
    for id in ["1", "2", "3", "4", "5", "6"] {
        desk.create("a", id).unwrap();
        desk.end(id, 10).unwrap();
    }
    assert_eq!(desk.ids("a"), ["3", "4", "5", "6"]);
    desk.create("a", "7").unwrap();
    desk.end("7", 75).unwrap();
    assert_eq!(desk.ids("a"), ["5", "6", "7"], "at most 100 bytes");
    // Of another, until the two are too much for all.
    desk.create("b", "8").unwrap();
    desk.end("8", 60).unwrap();
    assert_eq!((desk.ids("a"), desk.ids("b")), (vec!["6".to_owned(), "7".to_owned()], vec!["8".to_owned()]));
    desk.create("b", "9").unwrap();
    desk.end("9", 200).unwrap();
    assert!(desk.ids("b").is_empty(), "one that is too large for all is not kept either");
    assert_eq!(desk.ids("a"), ["6", "7"]);
}

#[test]
fn a_list_comes_in_pages_and_misses_none() {
    let mut desk = Desk::new();
    for id in ["1", "2", "3"] {
        desk.create("a", id).unwrap();
        desk.end(id, 1).unwrap();
    }
    let (first, more) = desk.tasks.list("a", 0, 2, desk.now().at);
    assert!(more && first.len() == 2);
    let (rest, more) = desk.tasks.list("a", first[1].order, 2, desk.now().at);
    assert!(!more && rest.len() == 1 && &*rest[0].id == "3");
}

#[test]
fn at_the_end_all_work_is_handed_out() {
    let mut desk = Desk::new();
    desk.create("a", "1").unwrap();
    desk.create("a", "2").unwrap();
    desk.end("1", 1).unwrap();
    assert_eq!(desk.tasks.cancel_all(desk.now()), [7]);
    assert!(desk.tasks.cancel_all(desk.now()).is_empty());
    assert_eq!(desk.get("a", "2").unwrap().state, State::Cancelled(Canceller::Stop));
}
