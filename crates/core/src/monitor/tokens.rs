//! How many tokens a text takes in a model's context: an estimate, since models cut differently and we have none of them.

/// Bytes of JSON text that make one token.
pub const BYTES_PER_TOKEN: u64 = 4;

/// How [`estimate`] is made, for whoever shows its figures.
pub const ESTIMATOR: &str = "bytes of JSON text / 4";

/// Estimated tokens of so many bytes of JSON text.
pub const fn estimate(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}
