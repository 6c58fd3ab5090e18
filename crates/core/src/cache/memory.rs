//! The two levels in memory.
//!
//! The second level holds the entries, by the canonical form of the question, in shards of which each has its own
//! lock, under an admission policy of the S3-FIFO family (`quick_cache`): an entry that is asked for once does not
//! displace one that is asked for often. Its bound is one of bytes and one of entries at the same time: each entry
//! weighs at least the share of the bytes that the greatest number of entries leaves it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use super::body::Note;
use super::entry::{Entry, State};
use super::hot::Hot;
use super::question::{Key, Question};
use super::stats::{Counts, Level, Reading};

/// What an entry takes besides its key, its name and its answer, bytes: itself, the counts of two `Arc`s, and a slot of
/// the table, of which about one in two is empty.
const OVERHEAD: u64 =
    (size_of::<Entry>() + 4 * size_of::<usize>() + 2 * size_of::<(Key, Arc<Entry>, u64)>()) as u64;
/// Most shards of the second level: more than threads that use it at the same moment.
const MOST_SHARDS: usize = 16;

/// Bounds of the levels in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryConfig {
    /// Entries of the first level; 0: there is none.
    pub hot_entries: usize,
    /// Entries of the second.
    pub max_entries: usize,
    /// Bytes of the second.
    pub max_bytes: u64,
    /// How long an entry may stay in memory, whatever its rule or its server says.
    pub max_stay: Duration,
    /// Bytes of one entry; a larger one is not kept.
    pub max_entry_bytes: u64,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            hot_entries: 512,
            max_entries: 10_000,
            max_bytes: 64 * 1024 * 1024,
            max_stay: Duration::from_secs(300),
            max_entry_bytes: 1024 * 1024,
        }
    }
}

#[derive(Debug, Clone)]
struct ByWeight;

impl Weighter<Key, Arc<Entry>> for ByWeight {
    fn weight(&self, _key: &Key, entry: &Arc<Entry>) -> u64 {
        entry.weight
    }
}

#[derive(Debug, Clone)]
struct CountEvicted(Arc<Counts>);

impl Lifecycle<Key, Arc<Entry>> for CountEvicted {
    type RequestState = ();

    fn on_evict(&self, _state: &mut (), _key: Key, _entry: Arc<Entry>) {
        self.0.evicted(1);
    }
}

type Entries = Cache<Key, Arc<Entry>, ByWeight, DefaultHashBuilder, CountEvicted>;

/// The levels in memory.
#[derive(Debug)]
pub struct Memory {
    config: MemoryConfig,
    hot: Hot,
    /// Made for the first answer: whoever keeps none should not pay for room that is never used.
    entries: OnceLock<Entries>,
    hot_counts: Counts,
    counts: Arc<Counts>,
}

/// How a level is, and what has become of the questions that were put to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LevelReading {
    /// The level.
    pub level: Level,
    /// The counts so far.
    pub counts: Reading,
    /// Entries held.
    pub entries: usize,
    /// Most entries.
    pub max_entries: usize,
    /// Bytes held; `None` where they are counted by another level.
    pub bytes: Option<u64>,
    /// Most bytes.
    pub max_bytes: Option<u64>,
}

/// An answer that was found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The answer.
    pub entry: Arc<Entry>,
    /// Where.
    pub level: Level,
    /// It is no longer fresh.
    pub stale: bool,
    /// How old it is.
    pub age: Duration,
}

impl Hit {
    /// An entry that counts in this state, if it does.
    pub fn of(entry: &Arc<Entry>, state: State, level: Level, now: Instant) -> Option<Self> {
        let stale = match state {
            State::Fresh => false,
            State::Stale => true,
            State::Expired | State::Invalid => return None,
        };
        Some(Self { entry: Arc::clone(entry), level, stale, age: entry.age(now) })
    }

    /// The response to the request `id` (raw JSON), in parts that are written one after the other.
    pub fn reply(&self, id: &str) -> [bytes::Bytes; 3] {
        self.entry.body.reply(id, note(self.level, self.age, self.stale))
    }
}

fn note(level: Level, age: Duration, stale: bool) -> Note {
    Note { level: level.as_str(), age_ms: age.as_millis() as u64, stale }
}

impl Memory {
    /// Longest entry, in bytes.
    pub fn max_entry_bytes(&self) -> u64 {
        self.config.max_entry_bytes
    }

    /// Levels with these bounds, empty.
    pub fn new(config: MemoryConfig) -> Self {
        Self {
            config,
            hot: Hot::new(config.hot_entries),
            entries: OnceLock::new(),
            hot_counts: Counts::default(),
            counts: Arc::default(),
        }
    }

    fn entries(config: MemoryConfig, counts: &Arc<Counts>) -> Entries {
        let most = config.max_entries.max(1);
        // Each shard has room for several of the largest entries, or it could not choose among them.
        let shards = (config.max_bytes / (4 * config.max_entry_bytes.max(1))).clamp(1, MOST_SHARDS as u64);
        let mut options = OptionsBuilder::new();
        options.estimated_items_capacity(most).weight_capacity(config.max_bytes).shards(shards as usize);
        let options = options.build().unwrap_or_else(|_| unreachable!("both capacities are given"));
        let (hash, evicted) = (DefaultHashBuilder::default(), CountEvicted(Arc::clone(counts)));
        Cache::with_options(options, ByWeight, hash, evicted)
    }

    /// Asks the first level; what it finds is fresh and no failure (`isError`), and is written as the response to the request `id` (raw JSON).
    pub fn hot(&self, question: &Question<'_>, id: &str, now: Instant) -> Option<[bytes::Bytes; 3]> {
        if self.hot.capacity() == 0 {
            return None;
        }
        let found = self.hot.get(question, |entry| {
            let state = self.state(entry, now);
            let fresh = state == State::Fresh;
            let note = || note(Level::Hot, entry.age(now), false);
            (state, fresh.then(|| entry.body.reply(id, note())))
        });
        // A stale one is left to the second level, which has it refreshed.
        let (state, reply) = match found {
            Some((State::Stale, _)) | None => (None, None),
            Some((state, reply)) => (Some(state), reply),
        };
        self.hot_counts.asked(state);
        reply
    }

    /// Asks the second level.
    pub fn get(&self, key: &Key, question: &Question<'_>, now: Instant) -> Option<Hit> {
        let entries = self.entries.get();
        let entry = entries.and_then(|entries| entries.get(key));
        let state = entry.as_ref().map(|entry| self.state(entry, now));
        self.counts.asked(state);
        let (entries, entry) = (entries?, entry?);
        let hit = Hit::of(&entry, state?, Level::Memory, now);
        match &hit {
            None => {
                entries.remove_if(key, |held| Arc::ptr_eq(held, &entry));
            }
            // What is asked for a second time may be asked for more often. Whoever finds it in the first level need not
            // look whether it is a failure.
            Some(Hit { stale: false, .. }) if self.hot.capacity() > 0 && !entry.body.is_error => {
                if entry.wanted.swap(true, Ordering::Relaxed) && self.hot.put(question, &entry) {
                    self.hot_counts.inserted();
                }
            }
            Some(_) => {}
        }
        hit
    }

    /// Whether an entry counts here and now: memory has a limit of its own.
    fn state(&self, entry: &Entry, now: Instant) -> State {
        match entry.state(now) {
            State::Fresh | State::Stale if entry.stay(now) >= self.config.max_stay => State::Expired,
            state => state,
        }
    }

    /// Takes an answer in. It is shared from then on; `None` if it is too large, or counts no more.
    pub fn put(&self, key: &Key, mut entry: Entry, now: Instant) -> Option<Arc<Entry>> {
        let bytes = held(key, &entry);
        if bytes > self.config.max_entry_bytes {
            return None;
        }
        entry.bytes = bytes;
        entry.weight = bytes.max(self.config.max_bytes / self.config.max_entries.max(1) as u64);
        if matches!(self.state(&entry, now), State::Expired | State::Invalid) {
            return None;
        }
        let entry = Arc::new(entry);
        let entries = self.entries.get_or_init(|| Self::entries(self.config, &self.counts));
        entries.insert(key.clone(), Arc::clone(&entry));
        self.counts.inserted();
        Some(entry)
    }

    /// Takes out what `keep` does not want; how many entries that were.
    pub fn retain(&self, keep: impl Fn(&Entry) -> bool) -> usize {
        self.hot.retain(&keep);
        let Some(entries) = self.entries.get() else { return 0 };
        let before = entries.len();
        entries.retain(|_, entry| keep(entry));
        before.saturating_sub(entries.len())
    }

    fn bytes(&self) -> u64 {
        self.entries.get().map_or(0, |entries| entries.iter().map(|(_, entry)| entry.bytes).sum())
    }

    /// How the levels are.
    pub fn read(&self) -> [LevelReading; 2] {
        [
            LevelReading {
                level: Level::Hot,
                counts: self.hot_counts.read(),
                entries: self.hot.len(),
                max_entries: self.hot.capacity(),
                bytes: None,
                max_bytes: None,
            },
            LevelReading {
                level: Level::Memory,
                counts: self.counts.read(),
                entries: self.entries.get().map_or(0, Cache::len),
                max_entries: self.config.max_entries,
                bytes: Some(self.bytes()),
                max_bytes: Some(self.config.max_bytes),
            },
        ]
    }
}

/// The bytes that an entry takes, without what it weighs more for the sake of the number of entries.
fn held(key: &Key, entry: &Entry) -> u64 {
    OVERHEAD + (key.as_bytes().len() + entry.name.len() + entry.body.bytes().len()) as u64
}
