//! The bounds of the histograms that other programs get.
//!
//! Ours have buckets of 1.6 %; each bound here is one of theirs too, so that no count is an estimate. A value that equals
//! a bound to the nanosecond counts above it.

/// The upper bound of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Nanoseconds.
    pub ns: u64,
    /// Seconds, as both text formats and the programs that read them write the number (Go's `%g`, and `.0` after a whole
    /// one), so that a series has the same name in each.
    pub le: &'static str,
}

const fn bound(ns: u64, le: &'static str) -> Bound {
    Bound { ns, le }
}

/// Powers of two nanoseconds from 66 µs to 69 s, and between 50 ms and 1 s one more in the middle of each: where limits
/// of response times are.
pub static DURATIONS: [Bound; 26] = [
    bound(1 << 16, "6.5536e-05"),
    bound(1 << 17, "0.000131072"),
    bound(1 << 18, "0.000262144"),
    bound(1 << 19, "0.000524288"),
    bound(1 << 20, "0.001048576"),
    bound(1 << 21, "0.002097152"),
    bound(1 << 22, "0.004194304"),
    bound(1 << 23, "0.008388608"),
    bound(1 << 24, "0.016777216"),
    bound(1 << 25, "0.033554432"),
    bound(3 << 24, "0.050331648"),
    bound(1 << 26, "0.067108864"),
    bound(3 << 25, "0.100663296"),
    bound(1 << 27, "0.134217728"),
    bound(3 << 26, "0.201326592"),
    bound(1 << 28, "0.268435456"),
    bound(3 << 27, "0.402653184"),
    bound(1 << 29, "0.536870912"),
    bound(3 << 28, "0.805306368"),
    bound(1 << 30, "1.073741824"),
    bound(1 << 31, "2.147483648"),
    bound(1 << 32, "4.294967296"),
    bound(1 << 33, "8.589934592"),
    bound(1 << 34, "17.179869184"),
    bound(1 << 35, "34.359738368"),
    bound(1 << 36, "68.719476736"),
];

/// The same in larger steps, for what there are hundreds of: half of the text, and finer where it matters.
pub static DURATIONS_OF_MANY: [Bound; 12] = [
    bound(1 << 18, "0.000262144"),
    bound(1 << 20, "0.001048576"),
    bound(1 << 22, "0.004194304"),
    bound(1 << 24, "0.016777216"),
    bound(1 << 26, "0.067108864"),
    bound(1 << 27, "0.134217728"),
    bound(3 << 26, "0.201326592"),
    bound(1 << 29, "0.536870912"),
    bound(1 << 30, "1.073741824"),
    bound(1 << 32, "4.294967296"),
    bound(1 << 34, "17.179869184"),
    bound(1 << 36, "68.719476736"),
];

#[cfg(test)]
mod tests {
    use super::super::super::histogram::{bounds_of, bucket_of};
    use super::*;

    #[test]
    fn bounds_grow_are_exact_in_our_histograms_and_are_written_as_they_are() {
        for bounds in [&DURATIONS[..], &DURATIONS_OF_MANY] {
            assert!(bounds.is_sorted_by(|one, next| one.ns < next.ns));
        }
        for Bound { ns, le } in DURATIONS.into_iter().chain(DURATIONS_OF_MANY) {
            assert_eq!(bounds_of(bucket_of(ns)).0, ns, "{le}");
            assert_eq!(le.parse::<f64>().unwrap().to_bits(), (ns as f64 / 1e9).to_bits(), "{le}");
            // `%g` takes the exponent below 1e-4.
            assert_eq!(le.contains('e'), ns < 100_000, "{le}");
        }
    }
}
