//! Other gateways beside ours, in front of the same upstream and in the same run; and other servers beside our tools.
//!
//! [`table`]: what the files in `peers/` say. [`install`]: bringing it here. [`start`]: starting it. [`scene`],
//! [`measure`]: gateways in turns; [`tables`]: their figures as rows. [`servers`]: servers of the same kind as our tools.

mod install;
mod measure;
mod scene;
mod servers;
mod start;
mod table;
mod tables;

use std::time::Duration;

use self::measure::Entry;
use self::scene::Scene;
use self::start::Launch;
use self::table::{Peer, Places};
use crate::Result;
use crate::calls::progress;
use crate::message::Era;
use crate::report::Section;
use crate::serve::Serve;
use crate::subject::{Home, Running, Subject, Upstream};

/// Tools of the upstream.
const TOOLS: usize = 50;

/// How to compare.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// One round of one side.
    pub(crate) round: Duration,
    /// Rounds of each side.
    pub(crate) rounds: usize,
    /// Connections, or requests in flight, where there is more than one.
    pub(crate) connections: usize,
    /// Timed starts of each side in a scene.
    pub(crate) starts: usize,
    /// Only peers whose name holds this.
    pub(crate) only: String,
}

impl Plan {
    /// As it is kept beside the figures.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "seconds": self.round.as_secs_f64(),
            "rounds": self.rounds,
            "connections": self.connections,
            "starts": self.starts,
            "tools": TOOLS,
        })
    }
}

/// A section and its name in the result file.
pub(crate) type Named = (String, Section);

/// Installs what is missing, and measures all scenes and all servers.
pub(crate) fn measure(subject: &Subject, plan: &Plan) -> Result<Vec<Named>> {
    let only = plan.only.to_lowercase();
    let peers: Vec<Peer> =
        table::all()?.into_iter().filter(|peer| peer.name.to_lowercase().contains(&only)).collect();
    let installed: Vec<_> = peers
        .iter()
        .map(|peer| install::ready(peer).map_err(|error| format!("not installed: {error}")))
        .collect();
    let (servers, gateways): (Vec<_>, Vec<_>) =
        peers.iter().zip(&installed).partition(|(peer, _)| peer.server.is_some());
    let mut sections = Vec::new();
    if !gateways.is_empty() {
        sections.push(("peers".to_owned(), tables::versions(&gateways)));
        for (scene, era) in Scene::all() {
            sections.extend(play(scene, era, subject, &gateways, plan)?);
        }
    }
    if !servers.is_empty() {
        sections.extend(servers::measure(subject, &servers, plan)?);
    }
    Ok(sections)
}

/// A peer, and where it is or why it is not.
type Installed<'a> = (&'a Peer, &'a std::result::Result<std::path::PathBuf, String>);

fn play(
    scene: Scene,
    era: Era,
    subject: &Subject,
    peers: &[Installed<'_>],
    plan: &Plan,
) -> Result<Vec<Named>> {
    let name = format!("{}, {}", scene.name(), era.name());
    progress(&name);
    let web = Running::start(Serve::echo_http(TOOLS).command()?, None)?;
    let child = Serve::EchoStdio { tools: TOOLS, aside: true };
    let behind = if scene.has_child() { Upstream::Child { tools: TOOLS } } else { Upstream::Http(web.url()) };
    let entry =
        |name: &str, launch: Launch, is_peer| Entry { name: name.into(), launch: Ok(launch), is_peer };
    let home = Home::new(&behind)?;
    let mut entries = Vec::new();
    if scene.has_http_clients() {
        let command = subject.http_with_its_threads(&home);
        entries.push(entry(tables::OURS, Launch::says(&command, Some(home)), true));
        entries.push(entry(tables::DIRECT, Launch::running(web.url()), false));
        let proxy = Serve::Proxy { upstream: web.url().trim_end_matches("/mcp").to_owned() };
        entries.push(entry(tables::COPY, Launch::says(&proxy.command()?, None), false));
    } else {
        let command = subject.stdio(&home);
        entries.push(entry(tables::OURS, Launch::pipes(&command, Some(home)), true));
        let own = Serve::EchoStdio { tools: TOOLS, aside: false };
        entries.push(entry(tables::DIRECT, Launch::pipes(&own.command()?, None), false));
    }
    for (peer, folder) in peers {
        let launch = folder.as_ref().map_err(Clone::clone).and_then(|folder| {
            let way = peer.way(scene, era)?;
            let places =
                places(&folder.to_string_lossy(), &web.url(), &child).map_err(|error| error.to_string())?;
            Launch::peer(way, &places, scene.has_http_clients()).map_err(|error| error.to_string())
        });
        entries.push(Entry { name: peer.name.clone(), launch, is_peer: true });
    }
    // Starts are the same in both eras.
    let plan = Plan { starts: if era == Era::Legacy { plan.starts } else { 0 }, ..plan.clone() };
    let rows = measure::scene(&name, &entries, era, &plan)?;
    let key = format!("{}-{}", scene.key(), era.name());
    Ok(vec![
        (format!("{key}-calls"), tables::calls(&name, &rows, &plan)),
        (format!("{key}-process"), tables::process(&name, &rows, &plan)),
    ])
}

/// What a peer's file may name.
fn places(installed: &str, url: &str, child: &Serve) -> Result<Places> {
    let command = child.command()?;
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    Ok(Places(vec![
        ("installed", installed.to_owned()),
        ("peers", concat!(env!("CARGO_MANIFEST_DIR"), "/peers").to_owned()),
        ("url", url.to_owned()),
        ("echo", words[0].clone()),
        // JSON's strings are TOML's as well.
        ("echo_args", serde_json::to_string(&words[1..])?),
        ("echo_line", words.join(" ")),
    ]))
}
