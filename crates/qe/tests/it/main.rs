//! The tools, called as the gateway calls them.

#![cfg(test)]

mod coverage;
mod definitions;
mod gaps;
mod gate;
mod go;
mod java;
mod kept;
mod languages;
mod learning;
mod memory;
mod metrics;
mod named;
mod native;
mod patches;
mod peers;
mod project;
mod properties;
mod recorded;
mod reports;
mod rust;
mod search;
mod support;
mod testgen;
