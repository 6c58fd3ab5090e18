//! Traces and metrics of a gateway between the official Python client and servers, at a collector in Python.

use std::fs;
use std::time::Duration;

use super::clients::count;
use super::process::finish;
use super::{Context, Result, Tally};

/// Time for all checks; measured: 5 s.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs the script, which starts the gateway itself: the collector is there before it and after it.
pub(super) fn run(context: &Context) -> Result<Option<Tally>> {
    let Some(gateway) = &context.gateway else { return Ok(None) };
    let folder = context.run.folder().join("otlp");
    fs::create_dir_all(&folder)?;
    let mut command = context.run.command(&context.tools.python("python"), "otlp")?;
    command.arg(context.tools.script("monitoring/otlp.py"));
    command.arg("--gateway").arg(gateway).arg("--dir").arg(&folder);
    let finished = finish(&mut command, LIMIT)?;
    fs::write(context.run.logs().join("otlp.txt"), &finished.stdout)?;
    let mut tally = Tally::default();
    count(&finished, "otlp", &mut tally);
    Ok(Some(tally))
}
