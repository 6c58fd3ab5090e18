//! What a recorder writes of the calls it makes, in one form for all languages that are compiled first; and how it is run
//! although some of the calls end its process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::scratch::Scratch;
use crate::reply::Refusal;
use crate::stop::Stop;

const RESTARTS_MAX: usize = 6;
/// Outcomes of a function that get a test because they differ.
const OUTCOMES_MAX: i64 = 3;

/// A case that was worth keeping.
pub(super) struct Recorded {
    pub(super) case: usize,
    pub(super) at: Vec<usize>,
    pub(super) kind: char,
    pub(super) hits: BTreeSet<usize>,
    pub(super) text: String,
    pub(super) state: String,
    pub(super) kills: Vec<u32>,
}

#[derive(Default)]
pub(super) struct Recording {
    pub(super) kept: Vec<Recorded>,
    pub(super) executed: u64,
    /// Cases that ended the process, and how.
    pub(super) fatal: Vec<(String, String)>,
    /// Faults were not all tried.
    pub(super) cut: bool,
}

impl Recording {
    /// At most so many of the cases, in their order: those that reach what none before them does or notice a fault that none
    /// before them does, then of each function in turn.
    pub(super) fn chosen(&self, most: usize) -> Vec<&Recorded> {
        let (mut hits, mut kills) = (BTreeSet::<usize>::new(), BTreeSet::<u32>::new());
        let mut order: Vec<(usize, usize)> = Vec::with_capacity(self.kept.len());
        let mut of_case: BTreeMap<usize, usize> = BTreeMap::new();
        for (place, one) in self.kept.iter().enumerate() {
            let before = hits.len() + kills.len();
            hits.extend(&one.hits);
            kills.extend(&one.kills);
            let turn = of_case.entry(one.case).or_insert(0);
            *turn += 1;
            order.push((if hits.len() + kills.len() > before { 0 } else { *turn }, place));
        }
        order.sort_unstable();
        order.truncate(most);
        order.sort_unstable_by_key(|(_, place)| *place);
        order.into_iter().filter_map(|(_, place)| self.kept.get(place)).collect()
    }
}

/// What a recorder is to do.
pub(super) struct Asked<'a> {
    pub(super) scratch: &'a Scratch,
    pub(super) file: &'a str,
    /// Numbers of the faults that are in.
    pub(super) faults: Vec<u32>,
    pub(super) seed: u64,
    pub(super) cases: u32,
    pub(super) stop: &'a Stop,
}

type Run<'a> = dyn Fn(&[(&str, String)]) -> Result<String, Refusal> + 'a;

/// Runs the recorder. A case that ends its process is named and left out, and it begins again.
pub(super) fn of(
    asked: Asked<'_>,
    shown: &dyn Fn(usize, &[usize]) -> String,
    run: &Run<'_>,
) -> Result<Recording, Refusal> {
    let Asked { scratch, file, mut faults, seed, cases, stop } = asked;
    let (out, status) = (scratch.beside("recorded"), scratch.beside("status"));
    let mut skip: Vec<String> = Vec::new();
    let mut ended_by: Vec<(String, u32)> = Vec::new();
    let mut fatal = Vec::new();
    for turn in 0..=RESTARTS_MAX {
        // After so many ends the tests are worth more than their faults.
        if turn == RESTARTS_MAX {
            faults.clear();
        }
        let listed: Vec<String> = faults.iter().map(u32::to_string).collect();
        let env = [
            ("AQE_OUT", out.display().to_string()),
            ("AQE_STATUS", status.display().to_string()),
            ("AQE_SKIP", skip.join(";")),
            ("AQE_FAULTS", listed.join(",")),
            ("AQE_SEED", seed.to_string()),
            ("AQE_CASES", cases.to_string()),
        ];
        let _ = fs::remove_file(&status);
        let _ = fs::remove_file(&out);
        let how = run(&env)?;
        let text = fs::read_to_string(&out).unwrap_or_default();
        if text.ends_with("D\n") {
            let mut recording = read(&text);
            recording.fatal = fatal;
            recording.cut = turn == RESTARTS_MAX;
            for (key, fault) in ended_by {
                if let Some(one) = recording.kept.iter_mut().find(|one| key_of(one) == key) {
                    one.kills.push(fault);
                }
            }
            return Ok(recording);
        }
        stop.check()?;
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mut parts = text.trim().splitn(3, ':');
        let (Some(case), Some(at)) = (parts.next(), parts.next()) else {
            return Err(Refusal(format!("{file}: the process that calls it ended: {how}")));
        };
        let key = format!("{case}:{at}");
        if let Some(fault) = parts.next().and_then(|one| one.parse().ok()) {
            // That a fault makes a case endless or ends it is noticed as well.
            faults.retain(|one| *one != fault);
            ended_by.push((key, fault));
        } else {
            let at: Vec<usize> = at.split(',').filter_map(|one| one.parse().ok()).collect();
            let call = case.parse().map(|case| shown(case, &at)).unwrap_or_default();
            fatal.push((call, how));
            skip.push(key);
        }
    }
    Err(Refusal(format!("{file}: its code ended the process {RESTARTS_MAX} times")))
}

/// What makes an outcome worth a test beside the lines it reaches: it is of another form than others of the function, or
/// one of the first that differ.
pub(super) fn different<'a>(
    one: &'a Recorded,
    outcomes: &mut BTreeMap<usize, Vec<&'a str>>,
) -> Vec<(i64, i64)> {
    let form = match (one.kind, one.text.split_once('(')) {
        ('v' | 'd', Some((form, _))) => form.trim_start_matches('"'),
        ('v', None) if matches!(&*one.text, "true" | "false" | "None") => &one.text,
        ('v', None) => "value",
        ('d', None) => "debug",
        ('p', _) => "panic",
        _ => "runs",
    };
    let form =
        form.bytes().fold(7_i64, |sum, byte| (sum * 31 + i64::from(byte)) & 0xffff_ffff) + OUTCOMES_MAX;
    let seen = outcomes.entry(one.case).or_default();
    let case = i64::try_from(one.case).unwrap_or(i64::MAX);
    let mut found = vec![(case, form)];
    let rank = i64::try_from(seen.len()).unwrap_or(i64::MAX);
    if rank < OUTCOMES_MAX && !seen.contains(&one.text.as_str()) {
        found.push((case, rank));
        seen.push(&one.text);
    }
    found
}

fn key_of(one: &Recorded) -> String {
    let at: Vec<String> = one.at.iter().map(usize::to_string).collect();
    format!("{}:{}", one.case, at.join(","))
}

/// What the recorder wrote.
fn read(text: &str) -> Recording {
    let mut found = Recording::default();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let numbers = |text: &str| -> Vec<usize> { text.split(',').filter_map(|one| one.parse().ok()).collect() };
    for line in text.lines() {
        let parts: Vec<&str> = line.split('\t').collect();
        match parts[..] {
            ["R", key, kind, hits, said, state] => {
                let Some((case, at)) = key.split_once(':') else { continue };
                let (Ok(case), Some(kind)) = (case.parse(), kind.chars().next()) else { continue };
                places.insert(key.to_owned(), found.kept.len());
                found.kept.push(Recorded {
                    case,
                    at: numbers(at),
                    kind,
                    hits: numbers(hits).into_iter().collect(),
                    text: said.to_owned(),
                    state: state.to_owned(),
                    kills: Vec::new(),
                });
            }
            ["K", key, fault] => {
                let place = places.get(key).copied();
                if let (Some(one), Ok(fault)) =
                    (place.and_then(|place| found.kept.get_mut(place)), fault.parse())
                {
                    one.kills.push(fault);
                }
            }
            ["E", executed] => found.executed = executed.parse().unwrap_or(0),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(case: usize, hit: usize) -> Recorded {
        let text = String::new();
        Recorded {
            case,
            at: vec![hit],
            kind: 'v',
            hits: [hit].into(),
            text: text.clone(),
            state: text,
            kills: Vec::new(),
        }
    }

    #[test]
    fn no_function_is_crowded_out_by_those_before_it() {
        let mut kept: Vec<Recorded> = (0..9).map(|_| recorded(0, 7)).collect();
        kept.extend([recorded(1, 7), recorded(2, 7), recorded(2, 8)]);
        let recording = Recording { kept, ..Recording::default() };
        let chosen =
            |most| recording.chosen(most).iter().map(|one| (one.case, one.at[0])).collect::<Vec<_>>();
        assert_eq!(chosen(2), [(0, 7), (2, 8)], "what reaches something comes first");
        assert_eq!(chosen(4), [(0, 7), (1, 7), (2, 7), (2, 8)], "then one of each");
        assert_eq!(chosen(99).len(), 12);
    }
}
