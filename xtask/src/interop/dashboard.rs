//! The dashboard in a real browser.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::clients::count;
use super::process::finish;
use super::{Context, Result, Tally};

/// Time for all checks; measured: 60 s.
const LIMIT: Duration = Duration::from_secs(300);
/// How long the page is to stay open, where somebody asks for more than the usual seconds.
const MINUTES: &str = "AQE_DASHBOARD_MINUTES";
/// What Chromium is called.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Runs the suite; its screenshots stay.
pub(super) fn run(context: &Context) -> Result<Option<Tally>> {
    let Some(gateway) = &context.gateway else { return Ok(None) };
    let browser = browser().ok_or("no chromium on the path. On Debian: apt-get install chromium")?;
    let shots = context.tools.base().join("dashboard");
    fs::create_dir_all(&shots)?;
    let mut command = context.run.command(context.tools.node(), "dashboard")?;
    command.arg(context.tools.script("dashboard/suite.mjs"));
    for (option, path) in [
        ("--gateway", gateway.as_path()),
        ("--fixture", &context.fixture),
        ("--dir", context.run.folder()),
        ("--shots", &shots),
        ("--browser", &browser),
    ] {
        command.arg(option).arg(path);
    }
    let minutes = std::env::var(MINUTES).ok().and_then(|minutes| minutes.parse().ok()).unwrap_or(0);
    let finished = finish(&mut command, LIMIT + Duration::from_secs(60 * minutes))?;
    fs::write(context.run.logs().join("dashboard.txt"), &finished.stdout)?;
    let mut tally = Tally::default();
    count(&finished, "chromium", &mut tally);
    println!("  screenshots: {}", shots.display());
    Ok(Some(tally))
}

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found =
        |name: &str| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    BROWSERS.into_iter().find_map(found)
}
