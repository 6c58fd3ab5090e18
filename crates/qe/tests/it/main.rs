//! The tools, called as the gateway calls them.

#![cfg(test)]

mod coverage;
mod definitions;
mod gaps;
mod gate;
mod languages;
mod learning;
mod memory;
mod metrics;
mod peers;
mod project;
mod properties;
mod recorded;
mod reports;
mod support;
mod testgen;
