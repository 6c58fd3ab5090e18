//! `qe_quality_metrics`: how large, how complex, how often changed, how much of it twice.

mod files;
mod measure;

pub(crate) use files::is_test;
