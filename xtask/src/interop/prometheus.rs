//! A real Prometheus in front of a gateway under load, and promtool on what is published for it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::clients::count;
use super::process::{Server, finish};
use super::{Context, Result, Tally};

/// Time for all checks; measured: 33 s.
const LIMIT: Duration = Duration::from_secs(180);

/// Starts the gateway in front of the raw upstream, which sleeps and fails as it is told, and runs the script.
pub(super) fn run(context: &Context) -> Result<Option<Tally>> {
    let Some(gateway) = &context.gateway else { return Ok(None) };
    for program in ["prometheus", "promtool"] {
        let found = finish(context.run.command(Path::new(program), program)?.arg("--version"), LIMIT);
        found.map_err(|_| format!("{program} is not on the path. On Debian: apt-get install prometheus"))?;
    }
    let folder = context.run.folder().join("prometheus");
    fs::create_dir_all(&folder)?;
    let mut command = context.run.over_http(gateway, "gateway-prometheus")?;
    command.args(["--no-builtin", "--config"]).arg(configuration(context, &folder)?);
    let server = Server::start(&mut command)?;
    let mut command = context.run.command(&context.tools.python("python"), "prometheus")?;
    command.arg(context.tools.script("monitoring/prometheus.py")).args(["--url", &server.url]);
    command.arg("--root").arg(context.tools.root()).arg("--dir").arg(&folder);
    let finished = finish(&mut command, LIMIT)?;
    fs::write(context.run.logs().join("prometheus.txt"), &finished.stdout)?;
    let mut tally = Tally::default();
    count(&finished, "prometheus", &mut tally);
    if let Err(error) = server.stop() {
        tally.fail(&format!("the gateway ends on SIGTERM: {error}"));
    }
    Ok(Some(tally))
}

/// One upstream, a child.
fn configuration(context: &Context, folder: &Path) -> Result<std::path::PathBuf> {
    let raw = context.fixture.with_file_name("rawmcp");
    let (mark, id) = context.run.mark();
    // A TOML basic string takes the escapes of JSON.
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let table = format!(
        "[[upstream]]\nname = \"up\"\ncommand = {}\nargs = [\"stdio\"]\nenv = {{ {mark} = {} }}\n",
        text(&raw.display().to_string()),
        text(id)
    );
    let path = folder.join("aqe.toml");
    fs::write(&path, table)?;
    Ok(path)
}
