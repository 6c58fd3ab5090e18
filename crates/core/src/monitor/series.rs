//! All that is recorded of one tool, method or replica.

use std::sync::OnceLock;
use std::time::Duration;

use super::histogram::{Counts, Histogram, Sparse};
use super::slot::{self, Counter, Slot};

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum ErrorKind {
    /// The tool ran and said that it failed (`isError`).
    Tool,
    /// The upstream answered with a JSON-RPC error.
    Upstream,
    /// We refused it: no such tool, bad parameters.
    InvalidRequest,
    /// No answer in time.
    Timeout,
    /// The upstream could not be started or reached.
    Unavailable,
    /// Too many calls are waiting already.
    Overloaded,
    /// The upstream's connection ended during the call.
    Closed,
    /// What the upstream answered is no valid response.
    Malformed,
    /// The upstream answered with an HTTP status and no JSON-RPC message.
    HttpStatus,
    /// The client did not read what the call sent it.
    ClientTooSlow,
    /// Our own fault.
    Internal,
    /// A person cancelled it from outside.
    Operator,
}

impl ErrorKind {
    /// All kinds, in the order of their positions.
    pub const ALL: [Self; 12] = [
        Self::Tool,
        Self::Upstream,
        Self::InvalidRequest,
        Self::Timeout,
        Self::Unavailable,
        Self::Overloaded,
        Self::Closed,
        Self::Malformed,
        Self::HttpStatus,
        Self::ClientTooSlow,
        Self::Internal,
        Self::Operator,
    ];

    /// How it is called in figures and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool_error",
            Self::Upstream => "upstream_error",
            Self::InvalidRequest => "invalid_request",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::Closed => "closed",
            Self::Malformed => "malformed",
            Self::HttpStatus => "http_status",
            Self::ClientTooSlow => "client_too_slow",
            Self::Internal => "internal",
            Self::Operator => "operator",
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Finished {
    /// From the request being read whole to its answer being handed to the transport.
    pub latency: Duration,
    /// What the upstream took of it; `None` if it was not asked.
    pub upstream: Option<Duration>,
    /// Why it failed, if it did.
    pub error: Option<ErrorKind>,
    /// The answer was one that had been given before, or to another one at the same time.
    pub from_cache: bool,
    /// Length of the request.
    pub request_bytes: usize,
    /// Length of the answer.
    pub response_bytes: usize,
    /// Length of the result in it, as far as a model reads it.
    pub result_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
#[repr(usize)]
enum Sum {
    Requests,
    Cancelled,
    FromCache,
    RequestBytes,
    ResponseBytes,
    ResultBytes,
}

const SUMS: usize = Sum::ResultBytes as usize + 1;
const KINDS: usize = ErrorKind::ALL.len();

/// What one slot has recorded.
#[derive(Debug, Default)]
struct Cell {
    sums: [Counter; SUMS],
    errors: [Counter; KINDS],
    latency: Histogram,
    upstream: Histogram,
    overhead: Histogram,
}

impl Cell {
    fn add<const SOLE: bool>(&self, sum: Sum, count: usize) {
        self.sums[sum as usize].add::<SOLE>(count as u64);
    }

    #[inline]
    fn finished<const SOLE: bool>(&self, end: &Finished) {
        self.add::<SOLE>(Sum::Requests, 1);
        self.add::<SOLE>(Sum::RequestBytes, end.request_bytes);
        self.add::<SOLE>(Sum::ResponseBytes, end.response_bytes);
        self.add::<SOLE>(Sum::ResultBytes, end.result_bytes);
        if end.from_cache {
            self.add::<SOLE>(Sum::FromCache, 1);
        }
        if let Some(kind) = end.error {
            self.errors[kind as usize].add::<SOLE>(1);
        }
        let latency = nanos(end.latency);
        self.latency.record::<SOLE>(latency);
        if let Some(upstream) = end.upstream {
            let upstream = nanos(upstream);
            self.upstream.record::<SOLE>(upstream);
            self.overhead.record::<SOLE>(latency.saturating_sub(upstream));
        }
    }

    fn cancelled<const SOLE: bool>(&self) {
        self.add::<SOLE>(Sum::Requests, 1);
        self.add::<SOLE>(Sum::Cancelled, 1);
    }
}

/// What is recorded of one tool, method or replica since the start.
#[derive(Debug)]
pub struct Series {
    cells: [OnceLock<Box<Cell>>; slot::COUNT],
}

impl Default for Series {
    fn default() -> Self {
        Self { cells: [const { OnceLock::new() }; slot::COUNT] }
    }
}

impl Series {
    #[inline]
    fn cell(&self, slot: Slot) -> &Cell {
        self.cells[slot.index()].get_or_init(Box::default)
    }

    /// Records a request that was answered.
    #[inline]
    pub fn finished(&self, end: &Finished) {
        let slot = Slot::own();
        let cell = self.cell(slot);
        if slot.is_owned() { cell.finished::<true>(end) } else { cell.finished::<false>(end) }
    }

    /// Records a request that its client gave up: it is neither an error nor has it a latency.
    pub fn cancelled(&self) {
        let slot = Slot::own();
        let cell = self.cell(slot);
        if slot.is_owned() { cell.cancelled::<true>() } else { cell.cancelled::<false>() }
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.sum(Sum::Requests)
    }

    /// Requests that failed so far.
    pub fn errors(&self) -> u64 {
        self.recorded().flat_map(|cell| &cell.errors).map(Counter::get).sum()
    }

    fn sum(&self, sum: Sum) -> u64 {
        self.recorded().map(|cell| cell.sums[sum as usize].get()).sum()
    }

    fn recorded(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter_map(|cell| cell.get().map(|cell| &**cell))
    }

    /// Everything so far. A request that ends meanwhile may be in some figures and not in others.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::EMPTY;
        self.add_to(&mut totals);
        totals
    }

    /// Adds everything so far.
    pub(super) fn add_to(&self, totals: &mut Totals) {
        for cell in self.recorded() {
            for (sum, counter) in totals.sums.iter_mut().zip(&cell.sums) {
                *sum += counter.get();
            }
            for (sum, counter) in totals.errors.iter_mut().zip(&cell.errors) {
                *sum += counter.get();
            }
            cell.latency.add_to(&mut totals.latency);
            cell.upstream.add_to(&mut totals.upstream);
            cell.overhead.add_to(&mut totals.overhead);
        }
    }
}

/// Without the 128 bits of [`Duration::as_nanos`].
fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}

/// What was recorded in some time, of one series or of several together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    sums: [u64; SUMS],
    errors: [u64; KINDS],
    /// Client-seen latency of all requests that were answered.
    pub latency: Counts,
    /// What the upstream took of those that it was asked for.
    pub upstream: Counts,
    /// What we took of the same.
    pub overhead: Counts,
}

impl Totals {
    /// Nothing.
    pub const EMPTY: Self = Self {
        sums: [0; SUMS],
        errors: [0; KINDS],
        latency: Counts::EMPTY,
        upstream: Counts::EMPTY,
        overhead: Counts::EMPTY,
    };

    /// Requests: answered and cancelled ones.
    pub fn requests(&self) -> u64 {
        self.sums[Sum::Requests as usize]
    }

    /// Those that their clients gave up.
    pub fn cancelled(&self) -> u64 {
        self.sums[Sum::Cancelled as usize]
    }

    /// Those that were answered without asking the upstream for them alone.
    pub fn from_cache(&self) -> u64 {
        self.sums[Sum::FromCache as usize]
    }

    /// Bytes of requests.
    pub fn request_bytes(&self) -> u64 {
        self.sums[Sum::RequestBytes as usize]
    }

    /// Bytes of answers.
    pub fn response_bytes(&self) -> u64 {
        self.sums[Sum::ResponseBytes as usize]
    }

    /// Bytes of results, as far as models read them.
    pub fn result_bytes(&self) -> u64 {
        self.sums[Sum::ResultBytes as usize]
    }

    /// Those that failed.
    pub fn errors(&self) -> u64 {
        self.errors.iter().sum()
    }

    /// Those that failed for this reason.
    pub fn errors_of(&self, kind: ErrorKind) -> u64 {
        self.errors[kind as usize]
    }

    /// The share of requests that failed; `None` without requests.
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests() > 0).then(|| self.errors() as f64 / self.requests() as f64)
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Self) {
        add_all(&mut self.sums, &other.sums);
        add_all(&mut self.errors, &other.errors);
        self.latency.merge(&other.latency);
        self.upstream.merge(&other.upstream);
        self.overhead.merge(&other.overhead);
    }

    pub(super) fn sparse(&self) -> Step {
        Step {
            sums: self.sums,
            errors: self.errors,
            latency: self.latency.sparse(),
            upstream: self.upstream.sparse(),
            overhead: self.overhead.sparse(),
        }
    }

    pub(super) fn merge_step(&mut self, step: &Step) {
        add_all(&mut self.sums, &step.sums);
        add_all(&mut self.errors, &step.errors);
        self.latency.merge_sparse(&step.latency);
        self.upstream.merge_sparse(&step.upstream);
        self.overhead.merge_sparse(&step.overhead);
    }
}

fn add_all(to: &mut [u64], from: &[u64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

fn subtracted<const N: usize>(now: &[u64; N], before: &[u64; N]) -> [u64; N] {
    std::array::from_fn(|at| now[at].saturating_sub(before[at]))
}

/// [`Totals`] in little memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Step {
    sums: [u64; SUMS],
    errors: [u64; KINDS],
    latency: Sparse,
    upstream: Sparse,
    overhead: Sparse,
}

impl Step {
    /// Brings it to `now`, a later state of the same series, and returns what has come since.
    pub(super) fn advance(&mut self, now: &Totals) -> Self {
        let sums = subtracted(&now.sums, &std::mem::replace(&mut self.sums, now.sums));
        let errors = subtracted(&now.errors, &std::mem::replace(&mut self.errors, now.errors));
        Self {
            sums,
            errors,
            latency: self.latency.advance(&now.latency),
            upstream: self.upstream.advance(&now.upstream),
            overhead: self.overhead.advance(&now.overhead),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_stand_at_their_positions() {
        for (at, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
        }
    }

    #[test]
    fn counts_are_exact_whichever_threads_record() {
        let series = Series::default();
        std::thread::scope(|scope| {
            for thread in 0..40 {
                let series = &series;
                scope.spawn(move || {
                    for call in 0..1_000_u64 {
                        if call % 10 == 9 {
                            series.cancelled();
                            continue;
                        }
                        series.finished(&Finished {
                            latency: Duration::from_micros(call + thread),
                            upstream: (call % 2 == 0).then(|| Duration::from_micros(call / 2)),
                            error: (call % 5 == 0).then_some(ErrorKind::Timeout),
                            from_cache: call % 3 == 0,
                            request_bytes: 100,
                            response_bytes: 200,
                            result_bytes: 150,
                        });
                    }
                });
            }
        });
        let totals = series.totals();
        assert_eq!((totals.requests(), totals.cancelled()), (40_000, 4_000));
        assert_eq!((totals.errors(), totals.errors_of(ErrorKind::Timeout)), (8_000, 8_000));
        assert_eq!(totals.latency.count(), 36_000);
        assert_eq!((totals.upstream.count(), totals.overhead.count()), (20_000, 20_000));
        assert_eq!((totals.request_bytes(), totals.response_bytes()), (3_600_000, 7_200_000));
        assert_eq!(series.requests(), 40_000);
    }

    #[test]
    fn overhead_is_what_the_upstream_did_not_take() {
        let series = Series::default();
        let end = Finished {
            latency: Duration::from_millis(12),
            upstream: Some(Duration::from_millis(10)),
            ..Finished::default()
        };
        series.finished(&end);
        assert_eq!(series.totals().overhead.sum(), Duration::from_millis(2));
    }
}
