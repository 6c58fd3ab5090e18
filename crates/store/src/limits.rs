//! Bounds, each with its unit and its reason.

use std::time::Duration;

/// Bytes of one value. A result of twice this size (structured and as text) stays far below the 16 MiB
/// that a message may have, and one write never holds the others up for long.
pub const VALUE_MAX_BYTES: usize = 1 << 20;
/// Bytes of a value that may be written on the caller's thread: longer ones take longer to read than to hand over.
pub const SHORT_VALUE_BYTES: usize = 8 << 10;
/// Bytes of a key: room for any path or qualified name, small enough to live in an index page.
pub const KEY_MAX_BYTES: usize = 512;
/// Bytes of a namespace's name.
pub const NAMESPACE_MAX_BYTES: usize = 128;
/// Bytes of a principal's id: longest `iss` + `sub` seen in practice, with room.
pub const PRINCIPAL_MAX_BYTES: usize = 512;
/// Tags of one version: they are filters, not text.
pub const TAGS_MAX: usize = 16;
/// Bytes of one tag.
pub const TAG_MAX_BYTES: usize = 64;
/// Bytes of the JSON text that says where a value comes from.
pub const SOURCE_MAX_BYTES: usize = 4 << 10;
/// Versions kept of one entry; older ones are dropped. A counter that is written all day must not
/// grow the file for ever.
pub const HISTORY_MAX: u64 = 100;
/// Entries of one namespace: what search is designed for.
pub const ENTRIES_PER_NAMESPACE: u64 = 100_000;
/// Bytes of one namespace, history included: one runaway agent must not fill the disk.
pub const BYTES_PER_NAMESPACE: u64 = 256 << 20;
/// Namespaces of one principal: a program that makes a namespace of every key is stopped here.
pub const NAMESPACES_PER_PRINCIPAL: u64 = 1_000;
/// Entries of one principal, in all namespaces: ten full ones.
pub const ENTRIES_PER_PRINCIPAL: u64 = 1_000_000;
/// Bytes of one principal, in all namespaces: half of the file, so that another one finds room.
pub const BYTES_PER_PRINCIPAL: u64 = 2 << 30;
/// How long an expired entry stays in the file, unreadable as current: long enough that a writer with an
/// old `if_version` meets a conflict and not a new version 1, and that a reader is told "expired".
pub const EXPIRED_KEPT_MS: i64 = 24 * 3600 * 1000;
/// Expired entries removed with one write: keeps the cost of each write bounded and still removes
/// faster than entries can come in.
pub const PURGE_PER_WRITE: u32 = 8;

/// Entries of one page of a list.
pub const LISTED_MAX: u32 = 1_000;

/// Bytes of an entry's text that it is found by: what follows is kept, but not searched.
pub const INDEXED_MAX_BYTES: usize = 64 << 10;
/// Bytes of memory for the documents of search, by their own estimate: some namespaces of 100,000 short entries. Those not
/// searched for longest go first and are read again when they are asked for.
pub const SEARCH_MEMORY_BYTES: usize = 256 << 20;
/// Bytes of the file beside the store that keeps what search has read: some images of all that fits into memory.
pub const SEARCH_FILE_BYTES: u64 = 512 << 20;
/// Entries of a namespace that are read before what was read is kept: below, reading them again costs little.
pub const IMAGE_AFTER_ENTRIES: usize = 2_000;
/// Share of a namespace's documents, in percent, that are read from the tables before its image is made anew.
pub const IMAGE_AFTER_PERCENT: usize = 25;
/// How much older than the last reading a search may be. Searches wait for one another, so an earlier one may come later; one
/// that is older still was asked by a clock that was set back.
pub const SEARCH_LATE_MAX_MS: i64 = 60_000;
/// Candidates of each kind that a search may ask for.
pub const CANDIDATES_MAX: usize = 1_000;
/// Bytes of a query.
pub const QUERY_MAX_BYTES: usize = 4 << 10;
/// Vectors that one transaction brings up to date.
pub const VECTORS_PER_STEP: u32 = 1_000;

/// Manifests in all: more upstreams than one gateway serves.
pub const MANIFESTS_MAX: u64 = 1_000;
/// Bytes of one manifest: the largest message that we accept from an upstream.
pub const MANIFEST_MAX_BYTES: usize = 16 << 20;
/// Bytes of a manifest's fingerprint.
pub const FINGERPRINT_MAX_BYTES: usize = 256;

/// Firings of alerts that are kept of one server: some weeks of a bad one.
pub const ALERTS_PER_SERVER: u32 = 1_000;
/// Firings of alerts that are kept in all.
pub const ALERTS_MAX: u32 = 10_000;
/// Bytes of the texts of one firing.
pub const ALERT_MAX_BYTES: usize = 16 << 10;

/// Measured commits that are kept of one branch of one project: some months of a busy one.
pub const MEASUREMENTS_PER_BRANCH: u32 = 500;
/// Measured values that are kept in all.
pub const MEASUREMENTS_MAX: u32 = 200_000;
/// Bytes of one measurement.
pub const MEASUREMENT_MAX_BYTES: usize = 16 << 10;

/// Bytes of the id of a fleet or a run, or of the name of a worker or a server.
pub const WORK_ID_MAX_BYTES: usize = 128;
/// Bytes of the settings that are kept with a fleet.
pub const FLEET_SETTINGS_MAX_BYTES: usize = 64 << 10;
/// Fleets of one principal.
pub const FLEETS_PER_PRINCIPAL: u64 = 100;
/// Bytes of a task's key.
pub const TASK_KEY_MAX_BYTES: usize = 256;
/// Bytes of a profile's name.
pub const PROFILE_MAX_BYTES: usize = 128;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_KEY_MAX_BYTES: usize = 256;
/// Bytes of one task's payload: arguments, not data.
pub const PAYLOAD_MAX_BYTES: usize = 64 << 10;
/// Bytes of all payloads of one submission: what one transaction may take in.
pub const SUBMISSION_MAX_BYTES: usize = 16 << 20;
/// Tasks of one run, those that running tasks have added among them.
pub const TASKS_PER_RUN: u64 = 20_000;
/// Tasks of one principal that are not over: a queue that nobody works off is noticed here and not on a full disk.
pub const OPEN_TASKS_PER_PRINCIPAL: u64 = 100_000;
/// Attempts that a task may be given. Events of a task are bounded by it, too.
pub const ATTEMPTS_MAX: u32 = 20;
/// Tasks above a task that have submitted one another.
pub const PARENTS_MAX: u32 = 8;
/// Bytes of a result, and of the evidence for it.
pub const RESULT_MAX_BYTES: usize = 256 << 10;
/// Bytes of what an error says.
pub const ERROR_MAX_BYTES: usize = 4 << 10;
/// Bytes of what is said of progress.
pub const PROGRESS_MAX_BYTES: usize = 1 << 10;
/// Bytes of an event's detail; longer ones are cut.
pub const EVENT_DETAIL_MAX_BYTES: usize = 256;
/// Events that are shown with a task; it has more only after many attempts.
pub const EVENTS_SHOWN: u32 = 100;
/// Profiles that one claim can name.
pub const PROFILES_PER_CLAIM: usize = 64;
/// Tasks that one claim can get.
pub const CLAIM_MAX: u32 = 256;
/// The shortest lease: a slow disk must not end it.
pub const LEASE_MIN_MS: i64 = 1_000;
/// The longest lease: for so long at most a dead worker keeps a task.
pub const LEASE_MAX_MS: i64 = 3_600_000;
/// Leases given up, or tasks made ready, in one transaction.
pub const SWEEP_MAX: u32 = 1_000;
/// Tasks removed in one transaction: some tens of milliseconds.
pub const PRUNE_MAX: u32 = 1_000;
/// Items of one page.
pub const PAGE_MAX: u32 = 1_000;
/// Patterns of one principal: what a suggestion looks through in some milliseconds.
pub const PATTERNS_PER_PRINCIPAL: u64 = 10_000;
/// From so many patterns on, tasks make no new ones but count for their profile: the rest is left to people and other tools.
pub const PATTERNS_BEFORE_TASKS_SHARE: u64 = 5_000;
/// Observations of one principal that are kept one by one; tallies forget none.
pub const OBSERVATIONS_PER_PRINCIPAL: u64 = 200_000;
/// Observations that are counted in one transaction.
pub const OBSERVATIONS_PER_BATCH: usize = 10_000;
/// Attempts from which is learnt in one transaction: some milliseconds, for which other writers wait.
pub const LESSONS_MAX: u32 = 256;
/// How long a suggestion counts as the reason for what is tried: a week, in milliseconds.
pub const SUGGESTION_COUNTS_MS: i64 = 7 * 24 * 3600 * 1000;
/// Contexts of one pattern that are counted apart.
pub const CONTEXTS_PER_PATTERN: u64 = 64;
/// Bytes of a context's name.
pub const CONTEXT_MAX_BYTES: usize = 1_024;
/// Bytes of a pattern's title, description and content: a note to act upon, not a document.
pub const PATTERN_TITLE_MAX_BYTES: usize = 200;
pub const PATTERN_DESCRIPTION_MAX_BYTES: usize = 2_000;
pub const PATTERN_CONTENT_MAX_BYTES: usize = 8_000;
/// Bytes of a reference to evidence, and of the name of whoever asserts something.
pub const EVIDENCE_MAX_BYTES: usize = 256;
pub const ASSERTED_BY_MAX_BYTES: usize = 128;

/// Writes waiting for the writer thread; the next is refused. At some 20,000 writes a second this is
/// 50 ms of work.
pub const WRITE_QUEUE: usize = 1_024;
/// Writes in one transaction: bounds how long the first of them waits for the last.
pub const WRITES_PER_COMMIT: usize = 128;
/// How long a write waits for another process that holds the file.
pub const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Connections for reading. Two short reads at once suffice where a read takes microseconds.
pub const READERS: usize = 2;
/// KiB of page cache per connection; the operating system caches the file anyway.
pub const PAGE_CACHE_KIB: i64 = 1_024;
/// Bytes of the file at most, unless configured otherwise.
pub const FILE_MAX_BYTES: u64 = 4 << 30;
/// A file up to this size is checked whole when it is opened (a few milliseconds); above it opening
/// checks header and schema only, and `check` the rest.
pub const CHECK_AT_OPEN_MAX_BYTES: u64 = 1 << 20;
/// Entries whose retrievals are counted in memory before they are written.
pub const HITS_PENDING_MAX: usize = 1_024;
/// How long counted retrievals wait for the writer to be idle.
pub const HITS_FLUSH_AFTER: Duration = Duration::from_secs(1);

/// Bytes of one line of an export: the largest value, each of whose characters may be written as two, and what is said
/// beside it.
pub const EXPORT_LINE_MAX_BYTES: usize = 4 << 20;
/// Entries, and bytes of them, that an import writes in one transaction: others wait for less than a second.
pub const IMPORT_BATCH_ENTRIES: usize = 500;
pub const IMPORT_BATCH_BYTES: usize = 8 << 20;
/// Conflicts of an import, and faults of a check, that are named one by one.
pub const NAMED_MAX: usize = 20;
