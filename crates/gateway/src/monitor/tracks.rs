//! The windows of everything that is counted, and what of it is shown together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_core::monitor::windows::Clock;
use aqe_core::monitor::{Series, Span, Totals, Windows};
use aqe_core::registry::ToolEntry;

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
}

/// Every series that has counted anything, with its windows.
#[derive(Debug)]
pub(super) struct Tracks {
    clock: Clock,
    /// By the address of the series, which is kept alive here.
    all: HashMap<usize, Track>,
    /// Requests of tools that are no longer there.
    gone: Totals,
}

impl Tracks {
    pub(super) fn new(now: Instant) -> Self {
        Self { clock: Clock::new(now), all: HashMap::new(), gone: Totals::EMPTY }
    }

    /// A second is over; these are the series that there are now.
    pub(super) fn tick(&mut self, now: Instant, there: impl Iterator<Item = (Arc<Series>, Subject)>) {
        for track in self.all.values_mut() {
            track.present = false;
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
                    let track = Track { subject, series, windows: Windows::default(), present: true };
                    self.all.insert(address, track);
                }
                None => {}
            }
        }
        let ten = self.clock.tick(now);
        let gone = &mut self.gone;
        self.all.retain(|_, track| {
            track.windows.step(&track.series, ten);
            let stays = track.present || !track.windows.is_idle();
            if !stays && !matches!(track.subject, Subject::Replica(_)) {
                gone.merge(&track.series.totals());
            }
            stays
        });
    }

    /// The time that a window covers, at the last second.
    pub(super) fn covered(&self, span: Span) -> Duration {
        self.clock.covered(span)
    }

    /// Everything in a window.
    pub(super) fn read(&self, span: Span) -> Vec<(Subject, Totals)> {
        let read = |track: &Track| (track.subject.clone(), track.windows.totals(&track.series, span));
        self.all.values().map(read).collect()
    }

    /// What of it is wanted, together; nothing is held of each by itself.
    pub(super) fn sum(&self, span: Span, wanted: impl Fn(&Subject) -> bool) -> Totals {
        let mut totals = Totals::EMPTY;
        for track in self.all.values().filter(|track| wanted(&track.subject)) {
            totals.merge(&track.windows.totals(&track.series, span));
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
                totals.merge(&track.windows.last_second());
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use aqe_core::monitor::Finished;

    use super::*;

    #[test]
    fn what_was_counted_stays_in_the_whole_when_its_subject_has_gone() {
        let (here, gone) = (Arc::<Series>::default(), Arc::<Series>::default());
        here.finished(&Finished::default());
        gone.finished(&Finished::default());
        let mut now = Instant::now();
        let mut tracks = Tracks::new(now);
        let mut tick = |tracks: &mut Tracks, there: &[(&Arc<Series>, &'static str)]| {
            now += Duration::from_secs(1);
            let there = there.iter().map(|(series, name)| (Arc::clone(series), Subject::Method(name)));
            tracks.tick(now, there);
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

    #[test]
    fn what_was_never_asked_for_takes_no_room() {
        let now = Instant::now();
        let mut tracks = Tracks::new(now);
        tracks.tick(now, [(Arc::default(), Subject::Method("idle"))].into_iter());
        assert!(tracks.read(Span::Start).is_empty());
    }
}
