//! The official conformance suite, with the gateway in front of the fixture
//! upstream, and with the gateway as the client of the suite's own servers.
//!
//! What must pass is written down scenario by scenario in
//! `interop/conformance.json`, so that a scenario that is silently left out,
//! or passes with fewer checks than it has, fails the run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::process::{Server, finish};
use super::{Context, Result, Tally};

/// Time for one run of the suite; measured: 11 s at most.
const LIMIT: Duration = Duration::from_secs(300);

/// `interop/conformance.json`.
#[derive(Debug, Deserialize)]
struct Baseline {
    /// By revision.
    server: BTreeMap<String, ServerRun>,
    client: Vec<ClientRun>,
}

#[derive(Debug, Deserialize)]
struct ServerRun {
    /// What selects the scenarios on the suite's command line.
    args: Vec<String>,
    /// The least number of passed checks, by scenario.
    passed: BTreeMap<String, usize>,
}

#[derive(Debug, Deserialize)]
struct ClientRun {
    scenario: String,
    version: String,
    /// The least number of passed checks.
    passed: usize,
}

impl Baseline {
    fn read(context: &Context) -> Result<Self> {
        Ok(serde_json::from_slice(&fs::read(context.tools.script("conformance.json"))?)?)
    }
}

/// The fixture by HTTP behind the gateway, or alone.
pub(super) fn over_http(context: &Context) -> Result<Option<Tally>> {
    let fixture = Server::start(context.run.command(&context.fixture, "fixture")?.arg("http"))?;
    let tally = match &context.gateway {
        None => server_runs(context, &fixture.url)?,
        Some(gateway) => behind(context, gateway, &format!("url = {}", quoted(&fixture.url)?))?,
    };
    Ok(Some(tally))
}

/// The fixture by stdio behind the gateway; the suite itself only speaks HTTP.
pub(super) fn over_stdio(context: &Context) -> Result<Option<Tally>> {
    let Some(gateway) = &context.gateway else { return Ok(None) };
    let command = quoted(&context.fixture.display().to_string())?;
    let (mark, id) = context.run.mark();
    let upstream = format!("command = {command}\nargs = [\"stdio\"]\nenv = {{ {mark} = \"{id}\" }}");
    behind(context, gateway, &upstream).map(Some)
}

/// Text as a TOML basic string, of which a JSON string is a special case.
fn quoted(text: &str) -> Result<String> {
    Ok(serde_json::to_string(text)?)
}

/// Runs the server scenarios against a gateway with one upstream.
fn behind(context: &Context, gateway: &Path, upstream: &str) -> Result<Tally> {
    let config = context.run.folder().join("aqe.toml");
    fs::write(&config, format!("[[upstream]]\nname = \"fixture\"\n{upstream}\n"))?;
    let mut command = context.run.command(gateway, "gateway")?;
    command.args([
        "mcp",
        "start",
        "--json",
        "--no-builtin",
        "--transport",
        "http",
        "--listen",
        "127.0.0.1:0",
    ]);
    let server = Server::start(command.arg("--config").arg(&config))?;
    let mut tally = server_runs(context, &server.url)?;
    if let Err(error) = server.stop() {
        tally.fail(&format!("the gateway ends on SIGTERM: {error}"));
    }
    Ok(tally)
}

fn server_runs(context: &Context, url: &str) -> Result<Tally> {
    let mut tally = Tally::default();
    for (revision, run) in &Baseline::read(context)?.server {
        let mut command = context.run.command(context.tools.node(), "suite")?;
        command.arg(context.tools.package("conformance/dist/index.js")).args(["server", "--url", url]);
        let finished = finish(command.args(&run.args), LIMIT)?;
        let before = tally;
        judge(&mut tally, revision, &run.passed, &summary(&finished.stdout));
        if tally.failed == before.failed
            && let Some(failure) = finished.failure()
        {
            tally.fail(&format!("{revision}: the suite ended with {failure}"));
        }
        if tally.failed > before.failed {
            fs::write(context.run.logs().join(format!("suite-{revision}.txt")), &finished.stdout)?;
        }
        println!("  {revision}: {} checks in {} scenarios", tally.passed - before.passed, run.passed.len());
    }
    Ok(tally)
}

/// Passed and failed checks by scenario.
type Summary = BTreeMap<String, (usize, usize)>;

/// Reads the lines `✓ ping: 2 passed, 0 failed` of the suite's summary.
fn summary(output: &str) -> Summary {
    let line = |line: &str| {
        let (name, counts) = line.strip_prefix(['✓', '✗'])?.trim().split_once(": ")?;
        let (passed, failed) = counts.split_once(" passed, ")?;
        Some((name.to_owned(), (passed.parse().ok()?, failed.strip_suffix(" failed")?.parse().ok()?)))
    };
    output.lines().filter_map(line).collect()
}

fn judge(tally: &mut Tally, revision: &str, wanted: &BTreeMap<String, usize>, found: &Summary) {
    for (scenario, &least) in wanted {
        match found.get(scenario) {
            None => tally.fail(&format!("{revision} {scenario}: did not run")),
            Some(&(passed, 0)) if passed >= least => tally.pass(passed),
            Some(&(passed, failed)) => {
                tally.fail(&format!("{revision} {scenario}: {passed} of {least} passed, {failed} failed"));
            }
        }
    }
    for scenario in found.keys().filter(|scenario| !wanted.contains_key(*scenario)) {
        tally.fail(&format!("{revision} {scenario}: ran, but is not in conformance.json"));
    }
}

/// The gateway as the client of the suite's servers, driven by a real client.
pub(super) fn as_client(context: &Context) -> Result<Option<Tally>> {
    let mut tally = Tally::default();
    let driver = context.tools.script("conformance-client.mjs");
    // The suite gives this line to a shell.
    let line = format!("'{}' '{}'", context.tools.node().display(), driver.display());
    for ClientRun { scenario, version, passed: least } in Baseline::read(context)?.client {
        let log = format!("client-{scenario}-{version}");
        let mut command = context.run.command(context.tools.node(), &log)?;
        command.arg(context.tools.package("conformance/dist/index.js")).args(["client", "--command", &line]);
        command.arg("--output-dir").arg(context.run.logs());
        if let Some(gateway) = &context.gateway {
            let gateway = gateway.display().to_string();
            let start = [&gateway, "mcp", "start", "--no-builtin", "--transport", "stdio"];
            command.env("AQE_GATEWAY", serde_json::to_string(&start)?);
        }
        let finished = finish(command.args(["--scenario", &scenario, "--spec-version", &version]), LIMIT)?;
        // The suite reports on a client on its standard error.
        let report = fs::read_to_string(context.run.logs().join(format!("{log}.log")))?;
        let passed = client_passed(&report).unwrap_or_default();
        match finished.failure() {
            None if passed >= least => tally.pass(passed),
            failure => {
                let failure = failure.unwrap_or_else(|| "too few checks".to_owned());
                tally.fail(&format!("{scenario} {version}: {passed} of {least} passed; {failure}"));
            }
        }
    }
    Ok(Some(tally))
}

/// The first number of `Passed: 9/9, 0 failed, 0 warnings`.
fn client_passed(report: &str) -> Option<usize> {
    let line = report.lines().rev().find_map(|line| line.strip_prefix("Passed: "))?;
    line.split_once('/')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
=== Running scenario: ping ===
✓ ping: 2 passed, 0 failed
✗ tools-list: 1 passed, 2 failed

Total: 3 passed, 2 failed

Not scored for 2025-11-25: 1 scenario(s) run, 0 failing.
  ✓ json-schema-2020-12 (pending)
";

    #[test]
    fn the_summary_of_the_suite_is_read_scenario_by_scenario() {
        let summary = summary(OUTPUT);
        assert_eq!(summary.len(), 2);
        assert_eq!(summary["ping"], (2, 0));
        assert_eq!(summary["tools-list"], (1, 2));
        assert_eq!(client_passed("Checks:\nPassed: 9/9, 0 failed, 0 warnings\n"), Some(9));
    }

    #[test]
    fn scenarios_that_fail_or_are_missing_or_weaker_or_unknown_fail_the_run() {
        let wanted =
            |pairs: &[(&str, usize)]| pairs.iter().map(|&(name, least)| (name.to_owned(), least)).collect();
        let judged = |wanted: &BTreeMap<String, usize>| {
            let mut tally = Tally::default();
            judge(&mut tally, "2025-11-25", wanted, &summary("✓ ping: 2 passed, 0 failed\n"));
            (tally.passed, tally.failed)
        };
        assert_eq!(judged(&wanted(&[("ping", 2)])), (2, 0));
        assert_eq!(judged(&wanted(&[("ping", 3)])), (0, 1));
        assert_eq!(judged(&wanted(&[("ping", 2), ("tools-list", 1)])), (2, 1));
        assert_eq!(judged(&wanted(&[])), (0, 1));
    }
}
