//! The tools, called as the gateway calls them.

#![cfg(test)]

mod coverage;
mod definitions;
mod gaps;
mod gate;
mod java;
mod kept;
mod languages;
mod learning;
mod memory;
mod metrics;
mod native;
mod peers;
mod project;
mod properties;
mod recorded;
mod reports;
mod rust;
mod search;
mod support;
mod testgen;
