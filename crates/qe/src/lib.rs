//! The built-in quality-engineering tools.
