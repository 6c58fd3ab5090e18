//! The windows of everything that is counted, and what of it is shown together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_core::monitor::windows::Clock;
use aqe_core::monitor::{Marks, Series, Span, Totals, Windows};
use aqe_core::registry::ToolEntry;

use super::Lookups;
use crate::upstream::ReplicaName;

/// What a series is of.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    Tool(Arc<ToolEntry>),
    /// All requests of a method that are not of a tool.
    Method(&'static str),
    /// What was sent to a replica.
    Replica(Arc<ReplicaName>),
}

#[derive(Debug)]
struct Track {
    subject: Subject,
    series: Arc<Series>,
    windows: Windows,
    /// It was there at the last look.
    present: bool,
    /// A tool that other programs see by its name, from its first call to its end.
    named: bool,
}

/// Requests since the start of the tools of one upstream that are no longer there.
#[derive(Debug, Clone, Default)]
pub(super) struct Gone {
    /// All.
    pub(super) all: Totals,
    /// Those that were not seen by their names.
    pub(super) unnamed: Totals,
}

/// What is counted, and since when that is not asked: everything since the start.
#[derive(Debug)]
pub(super) struct Counted {
    /// Every series, whether its subject is still there, and whether it is seen by its name.
    pub(super) series: Vec<(Subject, Arc<Series>, Standing)>,
    /// What is no longer there, by upstream.
    pub(super) gone: BTreeMap<Box<str>, Gone>,
}

/// How a series stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its subject was there a second ago.
    pub(super) present: bool,
    /// Other programs see it by its name.
    pub(super) named: bool,
}

/// Every series that has counted anything, with its windows.
#[derive(Debug)]
pub(super) struct Tracks {
    clock: Clock,
    lookups: Marks<Lookups>,
    /// By the address of the series, which is kept alive here.
    all: HashMap<usize, Track>,
    /// Requests of tools that are no longer there.
    gone: Totals,
    /// The same by upstream: as many as there ever were in the configuration.
    gone_of: BTreeMap<Box<str>, Gone>,
    /// Most tools that are seen by their names.
    max_named: usize,
}

impl Tracks {
    pub(super) fn new(now: Instant, max_named: usize) -> Self {
        Self {
            clock: Clock::new(now),
            lookups: Marks::new(Lookups::default()),
            all: HashMap::new(),
            gone: Totals::EMPTY,
            gone_of: BTreeMap::new(),
            max_named,
        }
    }

    /// A second is over; these are the series that there are now, and so many names were looked up since the start.
    pub(super) fn tick(
        &mut self,
        now: Instant,
        lookups: Lookups,
        there: impl Iterator<Item = (Arc<Series>, Subject)>,
    ) {
        let mut named = 0;
        for track in self.all.values_mut() {
            track.present = false;
            named += usize::from(track.named);
        }
        for (series, subject) in there {
            let address = Arc::as_ptr(&series) as usize;
            match self.all.get_mut(&address) {
                Some(track) => {
                    track.present = true;
                    // A tool may be shown under another name than before.
                    track.subject = subject;
                }
                None if series.requests() > 0 => {
                    let is_named = matches!(subject, Subject::Tool(_)) && named < self.max_named;
                    named += usize::from(is_named);
                    let track = Track {
                        subject,
                        series,
                        windows: Windows::default(),
                        present: true,
                        named: is_named,
                    };
                    self.all.insert(address, track);
                }
                None => {}
            }
        }
        self.clock.tick(now);
        let clock = &self.clock;
        self.lookups.push(lookups, clock.is_ten());
        let (gone, gone_of) = (&mut self.gone, &mut self.gone_of);
        self.all.retain(|_, track| {
            track.windows.step(&track.series, clock);
            let stays = track.present || !track.windows.is_idle();
            if !stays && !matches!(track.subject, Subject::Replica(_)) {
                let totals = track.series.totals();
                gone.merge(&totals);
                if let Subject::Tool(tool) = &track.subject {
                    let of = gone_of.entry(tool.upstream.name.clone()).or_default();
                    of.all.merge(&totals);
                    if !track.named {
                        of.unnamed.merge(&totals);
                    }
                }
            }
            stays
        });
    }

    /// The time that a window covers, at the last second.
    pub(super) fn covered(&self, span: Span) -> Duration {
        self.clock.covered(span)
    }

    /// Look-ups in a window.
    pub(super) fn lookups(&self, span: Span) -> Lookups {
        let (before, now) = self.lookups.ends(span);
        now.since(before)
    }

    /// Everything in a window.
    pub(super) fn read(&self, span: Span) -> Vec<(Subject, Totals)> {
        let read =
            |track: &Track| (track.subject.clone(), track.windows.totals(&track.series, span, &self.clock));
        self.all.values().map(read).collect()
    }

    /// Everything that is counted, to be read without holding this.
    pub(super) fn counted(&self) -> Counted {
        let one = |track: &Track| {
            let standing = Standing { present: track.present, named: track.named };
            (track.subject.clone(), Arc::clone(&track.series), standing)
        };
        Counted { series: self.all.values().map(one).collect(), gone: self.gone_of.clone() }
    }

    /// What of it is wanted, together; nothing is held of each by itself.
    pub(super) fn sum(&self, span: Span, wanted: impl Fn(&Subject) -> bool) -> Totals {
        let mut totals = Totals::EMPTY;
        for track in self.all.values().filter(|track| wanted(&track.subject)) {
            track.windows.add_to(&mut totals, &track.series, span, &self.clock);
        }
        totals
    }

    /// Requests since the start, and those that failed, of what is wanted and still there.
    pub(super) fn counts(&self, wanted: impl Fn(&Subject) -> bool) -> (u64, u64) {
        let wanted = self.all.values().filter(|track| wanted(&track.subject));
        wanted.fold((0, 0), |(requests, errors), track| {
            (requests + track.series.requests(), errors + track.series.errors())
        })
    }

    /// Requests since the start of what is no longer there.
    pub(super) fn gone(&self) -> &Totals {
        &self.gone
    }

    /// All requests of the last second.
    pub(super) fn last_second(&self) -> Totals {
        let mut totals = Totals::EMPTY;
        for track in self.all.values() {
            if !matches!(track.subject, Subject::Replica(_)) {
                track.windows.add_last_second(&mut totals);
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use aqe_core::monitor::Finished;
    use aqe_core::registry::{RawTool, RegistryConfig, SnapshotBuilder, UpstreamTools};

    use super::*;
    use crate::monitor::SinceStart;

    #[test]
    fn what_was_counted_stays_in_the_whole_when_its_subject_has_gone() {
        let (here, gone) = (Arc::<Series>::default(), Arc::<Series>::default());
        here.finished(&Finished::default());
        gone.finished(&Finished::default());
        let mut now = Instant::now();
        let mut tracks = Tracks::new(now, 0);
        let mut tick = |tracks: &mut Tracks, there: &[(&Arc<Series>, &'static str)]| {
            now += Duration::from_secs(1);
            let there = there.iter().map(|(series, name)| (Arc::clone(series), Subject::Method(name)));
            tracks.tick(now, Lookups::default(), there);
        };
        tick(&mut tracks, &[(&here, "here"), (&gone, "gone")]);
        assert_eq!(tracks.last_second().requests(), 2);
        for _ in 0..400 {
            tick(&mut tracks, &[(&here, "renamed")]);
        }
        let read = tracks.read(Span::Start);
        assert!(matches!(&read[..], [(Subject::Method("renamed"), totals)] if totals.requests() == 1));
        assert_eq!(tracks.gone().requests(), 1);
    }

    /// Tools of the upstream `files`, as a catalog has them.
    fn tools(names: &[&str]) -> Vec<Arc<ToolEntry>> {
        let tool = |name: &&str| {
            let definition = format!(r#"{{"name":"{name}"}}"#);
            RawTool::new(definition.into(), 8..10 + name.len(), *name).unwrap()
        };
        let tools = names.iter().map(tool).collect();
        let files = UpstreamTools { name: "files".into(), tools, ..UpstreamTools::default() };
        let builder = SnapshotBuilder::new(RegistryConfig::default()).upstream(&files);
        builder.build(SystemTime::UNIX_EPOCH).tools().to_vec()
    }

    #[test]
    fn figures_for_other_programs_never_shrink_though_tools_come_and_go() {
        let tools = tools(&["a", "b", "c"]);
        let mut now = Instant::now();
        let mut tracks = Tracks::new(now, 2);
        let mut tick = |tracks: &mut Tracks, there: &[usize]| {
            now += Duration::from_secs(1);
            let there = there
                .iter()
                .map(|at| (Arc::clone(&tools[*at].usage.series), Subject::Tool(Arc::clone(&tools[*at]))));
            tracks.tick(now, Lookups::default(), there);
            SinceStart::read(tracks.counted())
        };
        let call = |at: usize| tools[at].usage.series.finished(&Finished::default());
        (0..3).for_each(call);
        let read = tick(&mut tracks, &[0, 1, 2]);
        // Two have names, the third is one of the others.
        assert_eq!(read.tools.len(), 2);
        assert_eq!(read.others["files"].requests(), 1);
        assert_eq!((read.upstreams["files"].requests(), read.methods["tools/call"].requests()), (3, 3));
        let mut last = read;
        for second in 0..400 {
            if second % 7 == 0 {
                call(0);
            }
            let read = tick(&mut tracks, &[0]);
            assert!(read.others["files"].requests() >= last.others["files"].requests());
            assert!(read.upstreams["files"].requests() >= last.upstreams["files"].requests());
            assert!(read.methods["tools/call"].requests() >= last.methods["tools/call"].requests());
            last = read;
        }
        assert_eq!(last.tools.len() + last.others.len(), 2, "one has a name, and one of the others has gone");
        assert_eq!(last.upstreams["files"].requests(), 3 + 58);
    }

    #[test]
    fn look_ups_are_those_of_the_window() {
        let mut now = Instant::now();
        let mut tracks = Tracks::new(now, 0);
        for second in 1..=15 {
            now += Duration::from_secs(1);
            let lookups = Lookups { exact: 5 * second.min(2), unknown: second, ..Lookups::default() };
            tracks.tick(now, lookups, std::iter::empty());
        }
        let of = |span| tracks.lookups(span);
        assert_eq!(of(Span::TenSeconds), Lookups { unknown: 10, ..Lookups::default() });
        assert_eq!(of(Span::Minute), Lookups { exact: 10, resolved: 0, unknown: 15 });
        assert_eq!(of(Span::Minute), of(Span::Start));
    }

    #[test]
    fn what_was_never_asked_for_takes_no_room() {
        let now = Instant::now();
        let mut tracks = Tracks::new(now, 0);
        tracks.tick(now, Lookups::default(), [(Arc::default(), Subject::Method("idle"))].into_iter());
        assert!(tracks.read(Span::Start).is_empty());
    }
}
