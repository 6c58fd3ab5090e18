//! The tools, called as the gateway calls them.

#![cfg(test)]

mod coverage;
mod definitions;
mod gaps;
mod gate;
mod memory;
mod metrics;
mod project;
mod properties;
mod reports;
mod support;
mod testgen;
