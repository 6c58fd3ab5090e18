//! The official conformance suite, with the gateway in front of the fixture
//! upstream, and with the gateway as the client of the suite's own servers.
//!
//! What must pass is written down scenario by scenario in
//! `interop/conformance.json`, so that a scenario that is silently left out,
//! or passes with fewer checks than it has, fails the run.

use std::collections::{BTreeMap, BTreeSet};
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
    server: Vec<ServerRun>,
    client: Vec<ClientRun>,
}

#[derive(Debug, Deserialize)]
struct ServerRun {
    name: String,
    /// The era of the fixture upstream: `legacy`, `modern` or `dual`.
    fixture: String,
    /// What selects the scenarios on the suite's command line.
    args: Vec<String>,
    /// The least number of passed checks, by scenario.
    passed: BTreeMap<String, usize>,
    /// Scenarios that cannot pass yet; one that does must leave this list.
    #[serde(default)]
    later: BTreeSet<String>,
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
    let mut tally = Tally::default();
    for run in Baseline::read(context)?.server {
        let mut command = context.run.command(&context.fixture, "fixture")?;
        let mut fixture = Server::start(command.args(["http", "--era", &run.fixture]))?;
        match &context.gateway {
            // Across eras there is nothing to check without a gateway.
            None if run.name.contains("-to-") => {}
            None => server_run(context, &run, &fixture.url, &mut tally)?,
            Some(gateway) => {
                behind(context, gateway, &run, &format!("url = {}", quoted(&fixture.url)?), &mut tally)?;
            }
        }
        if let Some(status) = fixture.ended()? {
            tally.fail(&format!("{}: the fixture ended by itself: {status}", run.name));
        }
    }
    Ok(Some(tally))
}

/// The fixture by stdio behind the gateway; the suite itself only speaks HTTP.
pub(super) fn over_stdio(context: &Context) -> Result<Option<Tally>> {
    let Some(gateway) = &context.gateway else { return Ok(None) };
    let command = quoted(&context.fixture.display().to_string())?;
    let (mark, id) = context.run.mark();
    let mut tally = Tally::default();
    for run in Baseline::read(context)?.server {
        let args = format!("args = [\"stdio\", \"--era\", \"{}\"]", run.fixture);
        let upstream = format!("command = {command}\n{args}\nenv = {{ {mark} = \"{id}\" }}");
        behind(context, gateway, &run, &upstream, &mut tally)?;
    }
    Ok(Some(tally))
}

/// Text as a TOML basic string, of which a JSON string is a special case.
fn quoted(text: &str) -> Result<String> {
    Ok(serde_json::to_string(text)?)
}

/// Runs the server scenarios of `run` against a gateway with one upstream.
fn behind(
    context: &Context,
    gateway: &Path,
    run: &ServerRun,
    upstream: &str,
    tally: &mut Tally,
) -> Result<()> {
    let config = context.run.folder().join("aqe.toml");
    fs::write(&config, format!("[[upstream]]\nname = \"fixture\"\n{upstream}\n"))?;
    let mut command = context.run.over_http(gateway, "gateway")?;
    let server = Server::start(command.args(["--no-builtin", "--config"]).arg(&config))?;
    server_run(context, run, &server.url, tally)?;
    if let Err(error) = server.stop() {
        tally.fail(&format!("the gateway ends on SIGTERM: {error}"));
    }
    Ok(())
}

fn server_run(context: &Context, run: &ServerRun, url: &str, tally: &mut Tally) -> Result<()> {
    let mut command = context.run.command(context.tools.node(), "suite")?;
    command.arg(context.tools.package("conformance/dist/index.js")).args(["server", "--url", url]);
    let finished = finish(command.args(&run.args), LIMIT)?;
    let before = *tally;
    judge(tally, run, &summary(&finished.stdout));
    // With failures that are known, the suite's own verdict says nothing.
    if run.later.is_empty()
        && tally.failed == before.failed
        && let Some(failure) = finished.failure()
    {
        tally.fail(&format!("{}: the suite ended with {failure}", run.name));
    }
    fs::write(context.run.logs().join(format!("suite-{}.txt", run.name)), &finished.stdout)?;
    println!("  {}: {} checks in {} scenarios", run.name, tally.passed - before.passed, run.passed.len());
    Ok(())
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

fn judge(tally: &mut Tally, run: &ServerRun, found: &Summary) {
    let name = &run.name;
    for (scenario, &least) in &run.passed {
        match found.get(scenario) {
            None => tally.fail(&format!("{name} {scenario}: did not run")),
            Some(&(passed, 0)) if passed >= least => tally.pass(passed),
            Some(&(passed, failed)) => {
                tally.fail(&format!("{name} {scenario}: {passed} of {least} passed, {failed} failed"));
            }
        }
    }
    for (scenario, &(_, failed)) in found {
        if run.later.contains(scenario) {
            if failed == 0 {
                tally.fail(&format!("{name} {scenario}: passes, and is still in `later`"));
            }
        } else if !run.passed.contains_key(scenario) {
            tally.fail(&format!("{name} {scenario}: ran, but is not in conformance.json"));
        }
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
        let judged = |wanted: &[(&str, usize)], later: &[&str]| {
            let run = ServerRun {
                name: "run".to_owned(),
                fixture: "dual".to_owned(),
                args: Vec::new(),
                passed: wanted.iter().map(|&(name, least)| (name.to_owned(), least)).collect(),
                later: later.iter().map(|&name| name.to_owned()).collect(),
            };
            let mut tally = Tally::default();
            judge(&mut tally, &run, &summary("✓ ping: 2 passed, 0 failed\n✗ wait: 1 passed, 1 failed\n"));
            (tally.passed, tally.failed)
        };
        assert_eq!(judged(&[("ping", 2)], &["wait"]), (2, 0));
        assert_eq!(judged(&[("ping", 3)], &["wait"]), (0, 1), "fewer checks than it has");
        assert_eq!(judged(&[("ping", 2), ("tools-list", 1)], &["wait"]), (2, 1), "missing");
        assert_eq!(judged(&[("ping", 2), ("wait", 1)], &[]), (2, 1), "failed");
        assert_eq!(judged(&[("ping", 2)], &[]), (2, 1), "unknown");
        assert_eq!(judged(&[], &["ping", "wait"]), (0, 1), "passes already");
    }
}
