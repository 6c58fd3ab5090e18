//! The promises of the store, kept by its SQLite implementation.

#![cfg(test)]

mod alerts;
mod cache;
mod delete;
mod derived;
mod durability;
mod files;
mod learning;
mod lifetimes;
mod measurements;
mod memory;
mod model;
mod search;
mod search_images;
mod support;
mod transfer;
mod upkeep;
mod work;
