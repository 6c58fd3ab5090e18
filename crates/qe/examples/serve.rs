//! Answers `tools/call` on standard input, one request a line: the built-in tools without the gateway, for trying them out
//! and for the scripts in `interop/qe/`.
//!
//! `cargo run --release -p aqe-qe --example serve -- [--keep FOLDER | --store FILE] FOLDER…` reads the projects below the folders. It
//! keeps what it has computed of sources, or what it was told and has learnt, where it is told.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aqe_core::inprocess::Caller;
use aqe_store::{Derived, SqliteOptions, SqliteStore};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut roots: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let mut option = |name: &str| {
        let is_given = roots.len() > 1 && roots[0].as_os_str() == name;
        is_given.then(|| roots.drain(..2).nth(1)).flatten()
    };
    let derived = option("--keep").map(|folder| Arc::new(Derived::new(&folder, 128 << 20)));
    let file = option("--store");
    let directory = tempfile::tempdir()?;
    let store = SqliteStore::open(
        &file.unwrap_or_else(|| directory.path().join("store.db")),
        &SqliteOptions { embedder: Some(aqe_qe::embedder()), ..SqliteOptions::default() },
    )?;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let tools =
        aqe_qe::builtin(Arc::new(store), &aqe_qe::Settings { roots, derived, ..Default::default() }, now);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let Some(id) = request.get("id") else { continue };
        let name = request["params"]["name"].as_str().unwrap_or_default();
        let arguments = request["params"]["arguments"].to_string();
        let began = Instant::now();
        let caller =
            Caller { principal: "local", deadline: began + Duration::from_secs(300), progress: None };
        let reply = match runtime.block_on(tools.call(name, &arguments, caller)) {
            Ok(reply) => {
                let result: Value = serde_json::from_slice(&reply.json)?;
                json!({"jsonrpc": "2.0", "id": id, "result": result, "micros": began.elapsed().as_micros() as u64})
            }
            Err(error) => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": error.to_string()}})
            }
        };
        writeln!(output, "{reply}")?;
        output.flush()?;
    }
    Ok(())
}
