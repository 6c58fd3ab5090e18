//! The binary, as users and agents run it: real processes, each test with a home of its own.

mod check;
mod cli;
mod http;
mod lifecycle;
mod state;
mod stdio;
mod support;
