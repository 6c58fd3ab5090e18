//! The tools, called as the gateway calls them.

#![cfg(test)]

mod coverage;
mod definitions;
mod gaps;
mod gate;
mod languages;
mod memory;
mod metrics;
mod project;
mod properties;
mod support;
mod testgen;
