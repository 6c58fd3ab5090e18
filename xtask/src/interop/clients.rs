//! Real clients through one gateway in front of all real servers at once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::process::{Finished, Server, finish};
use super::world::{Upstream, World};
use super::{Context, Result, Tally};

/// Time for one client to do all its checks; measured: 15 s at most.
const LIMIT: Duration = Duration::from_secs(300);

/// A client script, its era, and the revision that it must negotiate with the
/// gateway (`None`: the script cannot tell).
type Client = (&'static str, &'static str, Option<&'static str>);

const LEGACY: Option<&str> = Some("2025-11-25");
const MODERN: Option<&str> = Some("2026-07-28");
const CLIENTS: [Client; 10] = [
    ("ts-v1.mjs", "legacy", LEGACY),
    ("ts-v2.mjs", "legacy", LEGACY),
    ("ts-v2.mjs", "auto", MODERN),
    ("ts-v2.mjs", "modern", MODERN),
    ("python.py", "legacy", LEGACY),
    ("python.py", "auto", MODERN),
    ("python.py", "modern", MODERN),
    ("inspector.mjs", "legacy", None),
    ("inspector.mjs", "auto", None),
    ("inspector.mjs", "modern", None),
];

/// Two clients that know tasks, each in its era.
const TASKS: Client = ("tasks.mjs", "both", None);

/// Every client by HTTP against one gateway, then each by stdio against its own.
pub(super) fn run(context: &Context) -> Result<Option<Tally>> {
    let world = World::build(context)?;
    let mut tally = Tally::default();
    let Some(gateway) = &context.gateway else {
        directly(context, &world, &mut tally)?;
        return Ok(Some(tally));
    };
    let configuration = world.configuration()?;
    let mut command = context.run.over_http(gateway, "gateway-clients")?;
    command.arg("--mcp-config").arg(&configuration).arg("--config").arg(world.settings()?);
    let server = Server::start(&mut command)?;
    for client in CLIENTS {
        one(context, &world, client, "http", None, &["--url", &server.url], &mut tally)?;
    }
    one(context, &world, TASKS, "http", None, &["--url", &server.url], &mut tally)?;
    if let Err(error) = server.stop() {
        tally.fail(&format!("the gateway ends on SIGTERM: {error}"));
    }
    let (gateway, configuration) = (gateway.display().to_string(), configuration.display().to_string());
    let start = ["--", &gateway, "mcp", "start", "--transport", "stdio", "--mcp-config", &configuration];
    for client in CLIENTS {
        one(context, &world, client, "stdio", None, &start, &mut tally)?;
    }
    Ok(Some(tally))
}

/// The baseline: each client against each server, without a gateway between them.
fn directly(context: &Context, world: &World, tally: &mut Tally) -> Result<()> {
    for (script, era, _) in CLIENTS {
        for (&name, upstream) in &world.upstreams {
            match upstream {
                // Only dual-era servers can be met in the modern era.
                _ if era == "modern" && !["time", "git", "many"].contains(&name) => {}
                Upstream::Http { url, .. } => {
                    one(
                        context,
                        world,
                        (script, era, None),
                        "http",
                        Some((name, &BTreeMap::new())),
                        &["--url", url],
                        tally,
                    )?;
                }
                Upstream::Stdio { command, args, env } => {
                    let command = command.display().to_string();
                    let mut line = vec!["--", &command];
                    line.extend(args.iter().map(String::as_str));
                    one(context, world, (script, era, None), "stdio", Some((name, env)), &line, tally)?;
                }
            }
        }
    }
    Ok(())
}

/// Runs one client script and counts its lines `ok …` and `not ok …`.
fn one(
    context: &Context,
    world: &World,
    (script, era, revision): Client,
    transport: &str,
    only: Option<(&str, &BTreeMap<&'static str, String>)>,
    target: &[&str],
    tally: &mut Tally,
) -> Result<()> {
    let title = [Some(script), Some(era), Some(transport), only.map(|(upstream, _)| upstream)];
    let title = title.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let is_python = Path::new(script).extension().is_some_and(|extension| extension == "py");
    let program = if is_python { context.tools.python("python") } else { context.tools.node().to_owned() };
    let log = title.replace(' ', "-");
    let mut command = context.run.command(&program, &log)?;
    command
        .arg(context.tools.script(&format!("clients/{script}")))
        .args(["--era", era, "--dir"])
        .arg(&world.folder);
    if let Some(revision) = revision {
        command.args(["--version", revision]);
    }
    if let Some((upstream, env)) = only {
        command.args(["--only", upstream]).envs(env);
    }
    let finished = finish(command.args(target), LIMIT)?;
    fs::write(context.run.logs().join(format!("{log}.txt")), &finished.stdout)?;
    count(&finished, &title, tally);
    Ok(())
}

/// Counts the checks that a script has printed, one a line: `ok …` and `not ok …`.
pub(super) fn count(finished: &Finished, title: &str, tally: &mut Tally) {
    let before = *tally;
    for line in finished.stdout.lines() {
        if let Some(failed) = line.strip_prefix("not ok ") {
            tally.fail(&format!("{title}: {failed}"));
        } else if line.starts_with("ok ") {
            tally.pass(1);
        }
    }
    if tally.failed == before.failed
        && let Some(failure) = finished.failure()
    {
        tally.fail(&format!("{title}: {failure}"));
    }
    if tally.passed == before.passed && tally.failed == before.failed {
        tally.fail(&format!("{title}: made no check"));
    }
    println!("  {title}: {} passed, {} failed", tally.passed - before.passed, tally.failed - before.failed);
}
