//! Fixture upstreams and misbehaving peers, for tests and benchmarks only.

pub mod fixture;
