//! Reads JSON strings, one a line, and prints each one's vector as a JSON array of 64 numbers, or `null`.
//!
//! `interop/qe/embedding.py` compares them with the reference implementation's.

#![allow(clippy::print_stdout)]

use std::io::{self, BufRead as _};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in io::stdin().lock().lines() {
        let text: String = serde_json::from_str(&line?)?;
        match aqe_embed::embed(&text) {
            Some(vector) => println!("{}", serde_json::to_string(&vector.0[..])?),
            None => println!("null"),
        }
    }
    Ok(())
}
