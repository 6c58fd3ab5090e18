//! The tools, called as the gateway calls them.

#![cfg(test)]

mod definitions;
mod memory;
mod metrics;
mod properties;
mod support;
mod testgen;
