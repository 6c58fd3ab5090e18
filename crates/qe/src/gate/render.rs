//! A verdict for other readers: people, and programs that show findings or tests.

mod junit;
mod markdown;
mod sarif;

pub(crate) use junit::junit;
pub(crate) use markdown::markdown;
pub(crate) use sarif::sarif;

#[cfg(test)]
mod tests;
