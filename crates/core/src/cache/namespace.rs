//! Making what is kept invalid, at once and whatever its number.
//!
//! Nothing is searched for or removed: each upstream has a few counters, an entry holds the values that they had
//! before its answer was asked for, and it counts as long as they are the same. An answer that was under way when
//! something changed is invalid before it comes.

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::question::Scope;

/// What an answer is an answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `tools/call`.
    Tools,
    /// `prompts/get`.
    Prompts,
    /// `resources/read`.
    Resources,
}

/// Counters for single names. Two names may share one: then one is made invalid in vain, and never the other way.
const MARKS: usize = 256;

/// What makes the answers of one upstream invalid. The same for the life of the process, also when the upstream is
/// replaced or configured anew.
#[derive(Debug)]
pub struct Namespace {
    name: Box<str>,
    all: AtomicU64,
    kinds: [AtomicU64; 3],
    marks: Box<[AtomicU64]>,
    /// By kind: an answer was kept. Until then none is looked for where only answers themselves say that they may be.
    kept: [AtomicBool; 3],
    /// The same for answers that are everybody's.
    kept_public: [AtomicBool; 3],
    /// By kind: there may be answers on disk.
    on_disk: [AtomicBool; 3],
}

/// The counters' values at one moment, as far as they concern one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    all: u64,
    kind: u64,
    mark: u64,
}

impl Stamp {
    /// The stamp in a process in which nothing was made invalid.
    pub const ORIGIN: Self = Self { all: 0, kind: 0, mark: 0 };

    /// As it is written to the disk.
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (part, number) in bytes.chunks_exact_mut(8).zip([self.all, self.kind, self.mark]) {
            part.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// As it was written; `None` if those are no bytes of a stamp.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        (bytes.len() == 24).then_some(())?;
        Some(Self { all: number(0)?, kind: number(8)?, mark: number(16)? })
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tools, Self::Prompts, Self::Resources];
}

impl Namespace {
    /// That of the upstream with this name.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        let marks = (0..MARKS).map(|_| AtomicU64::new(0)).collect();
        Self {
            name: name.into(),
            all: AtomicU64::new(0),
            kinds: Default::default(),
            marks,
            kept: Default::default(),
            kept_public: Default::default(),
            // Those of an earlier process.
            on_disk: std::array::from_fn(|_| AtomicBool::new(true)),
        }
    }

    /// The upstream's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What an answer to this must still find when it is used.
    pub fn stamp(&self, kind: Kind, name: &str) -> Stamp {
        self.stamp_at(kind, mark_of(name))
    }

    /// The same for a name whose counter is known.
    pub(super) fn stamp_at(&self, kind: Kind, mark: u8) -> Stamp {
        Stamp {
            all: self.all.load(Ordering::Acquire),
            kind: self.kinds[kind as usize].load(Ordering::Acquire),
            mark: self.marks[usize::from(mark)].load(Ordering::Acquire),
        }
    }

    /// Whether answers of this kind and scope were kept.
    pub fn keeps(&self, kind: Kind, scope: Scope) -> bool {
        let flags = if scope == Scope::Public { &self.kept_public } else { &self.kept };
        flags[kind as usize].load(Ordering::Relaxed)
    }

    /// Answers of this kind and scope are kept from now on.
    pub fn set_keeps(&self, kind: Kind, scope: Scope) {
        let public = scope == Scope::Public;
        for (flag, now) in [(&self.kept, true), (&self.kept_public, public)] {
            let flag = &flag[kind as usize];
            // Written only where it changes: a line that all threads read stays in all their caches.
            if now && !flag.load(Ordering::Relaxed) {
                flag.store(true, Ordering::Relaxed);
            }
        }
    }

    /// There are answers of this kind on disk. To be called before one is put there.
    pub fn set_on_disk(&self, kind: Kind) {
        self.on_disk[kind as usize].store(true, Ordering::Release);
    }

    /// Whether there may be answers of this kind on disk.
    pub fn is_on_disk(&self, kind: Kind) -> bool {
        self.on_disk[kind as usize].load(Ordering::Acquire)
    }

    /// The same; from now on there are none, because they are removed.
    pub fn take_on_disk(&self, kind: Kind) -> bool {
        self.on_disk[kind as usize].swap(false, Ordering::AcqRel)
    }

    /// Everything of the upstream is invalid.
    pub fn invalidate(&self) {
        self.all.fetch_add(1, Ordering::AcqRel);
    }

    /// Every answer of this kind is.
    pub fn invalidate_kind(&self, kind: Kind) {
        self.kinds[kind as usize].fetch_add(1, Ordering::AcqRel);
    }

    /// The answers to one name are: of a tool, a prompt, or a resource by its URI.
    pub fn invalidate_name(&self, name: &str) {
        self.marks[usize::from(mark_of(name))].fetch_add(1, Ordering::AcqRel);
    }
}

/// The counter of a name.
pub(super) fn mark_of(name: &str) -> u8 {
    // No secret depends on it: who finds two names that share a counter can only cause misses.
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    hasher.write(name.as_bytes());
    (hasher.finish() as usize % MARKS) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_being_written() {
        let stamp = Stamp { all: 1, kind: u64::MAX, mark: 1 << 40 };
        assert_eq!(Stamp::from_bytes(&stamp.to_bytes()), Some(stamp));
        assert_eq!(Stamp::from_bytes(&[0; 23]), None);
        assert_eq!(Stamp::from_bytes(&[0; 25]), None);
    }

    #[test]
    fn each_way_makes_what_it_names_invalid_and_what_it_does_not_stays() {
        let space = Namespace::new("up");
        let stamps = || {
            [(Kind::Resources, "a"), (Kind::Resources, "b"), (Kind::Tools, "c")]
                .map(|(kind, name)| space.stamp(kind, name))
        };
        let before = stamps();
        assert_eq!(before, [Stamp::ORIGIN; 3]);
        space.invalidate_name("a");
        let named = stamps();
        assert_eq!([0, 1, 2].map(|at| named[at] == before[at]), [false, true, true]);
        space.invalidate_kind(Kind::Resources);
        let kind = stamps();
        assert_eq!([0, 1, 2].map(|at| kind[at] == named[at]), [false, false, true]);
        space.invalidate();
        let all = stamps();
        assert_eq!([0, 1, 2].map(|at| all[at] == kind[at]), [false, false, false]);
    }
}
