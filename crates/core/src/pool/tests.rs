//! Tests that drive the whole pool. What belongs to one file is tested there.

use std::time::{Duration, Instant};

use super::*;

mod model;
