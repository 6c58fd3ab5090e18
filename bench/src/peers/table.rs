//! The peers: what each file in `peers/` says, and what stands for the places in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Result;
use crate::message::Era;
use crate::peers::scene::Scene;

/// Another gateway, or a server to be compared with our own tools.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peer {
    /// The file's name without its ending: the folder that it is installed in.
    #[serde(skip)]
    pub(crate) key: String,
    /// Its name in tables.
    pub(crate) name: String,
    /// The version that is installed.
    pub(crate) version: String,
    /// How it is configured here, and why so.
    pub(crate) about: String,
    /// How it comes onto this machine.
    pub(crate) install: Install,
    /// How it is started as a gateway.
    #[serde(default)]
    pub(crate) way: Vec<Way>,
    /// Why it is not in a scene, by `scene` or `scene era`.
    #[serde(default)]
    pub(crate) cannot: BTreeMap<String, String>,
    /// How it is started and called as a server.
    #[serde(default)]
    pub(crate) server: Option<ServerWay>,
}

/// How a peer is installed: one of the package managers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Install {
    /// A crate with a program in it.
    Cargo {
        /// Its name.
        package: String,
        /// Features beside the default ones.
        #[serde(default)]
        features: Vec<String>,
    },
    /// A package in a virtual environment of its own.
    Pip {
        /// Its name.
        package: String,
        /// The least minor version of Python 3.
        python: u32,
    },
    /// A package in a folder of its own.
    Npm {
        /// Its name.
        package: String,
    },
}

/// How a gateway is started in front of the upstream.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Way {
    /// The scenes that it can play.
    pub(crate) scenes: Vec<Scene>,
    /// The eras that its clients can speak.
    pub(crate) eras: Vec<EraName>,
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    /// The path of its MCP endpoint, where clients come over HTTP.
    #[serde(default)]
    pub(crate) endpoint: String,
    /// Files in its folder, by name.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// Variables of its environment.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Run once it listens, to register the upstream.
    #[serde(default)]
    pub(crate) then: Vec<String>,
}

/// How a server is started, stores a value and reads it back.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerWay {
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    /// Variables of its environment.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// A call that stores a value; `{number}` is another number each time.
    pub(crate) store: ToolCall,
    /// A call that reads a value that was stored.
    pub(crate) retrieve: ToolCall,
}

/// A tool and its arguments as JSON text.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolCall {
    pub(crate) tool: String,
    pub(crate) arguments: String,
}

/// An era in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EraName {
    Legacy,
    Modern,
}

impl From<EraName> for Era {
    fn from(name: EraName) -> Self {
        match name {
            EraName::Legacy => Self::Legacy,
            EraName::Modern => Self::Modern,
        }
    }
}

impl Peer {
    /// How it plays a scene.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn way(&self, scene: Scene, era: Era) -> std::result::Result<&Way, String> {
        let speaks = |way: &&Way| way.eras.iter().any(|name| Era::from(*name) == era);
        if let Some(way) = self.way.iter().filter(|way| way.scenes.contains(&scene)).find(speaks) {
            return Ok(way);
        }
        let reason = self.cannot.get(&format!("{} {}", scene.key(), era.name()));
        let reason = reason.or_else(|| self.cannot.get(scene.key())).or_else(|| self.cannot.get(era.name()));
        Err(reason.cloned().unwrap_or_else(|| "cannot".into()))
    }
}

/// The folder of the peers' files.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// All peers, by file name.
pub(crate) fn all() -> Result<Vec<Peer>> {
    let entries = fs::read_dir(folder())?.collect::<std::io::Result<Vec<_>>>()?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    paths
        .iter()
        .map(|path| read(path).map_err(|error| format!("{}: {error}", path.display()).into()))
        .collect()
}

fn read(path: &Path) -> Result<Peer> {
    let mut peer: Peer = toml::from_str(&fs::read_to_string(path)?)?;
    peer.key = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(peer)
}

/// What stands for `{name}` in a file's texts.
#[derive(Debug, Clone)]
pub(crate) struct Places(pub(crate) Vec<(&'static str, String)>);

impl Places {
    /// The text with all places filled in.
    pub(crate) fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_a_row_or_a_reason_in_every_scene() {
        let peers = all().unwrap();
        assert!(
            peers.iter().any(|peer| peer.server.is_some()) && peers.iter().any(|peer| peer.server.is_none())
        );
        for peer in peers {
            assert!(!peer.about.trim().is_empty(), "{} does not say how it is configured", peer.name);
            assert!(peer.version.contains('.'), "{} is not pinned", peer.name);
            if peer.server.is_some() {
                continue;
            }
            for (scene, era) in Scene::all() {
                if let Err(reason) = peer.way(scene, era) {
                    assert_ne!(
                        reason,
                        "cannot",
                        "{} does not say why it is not in {}",
                        peer.name,
                        scene.key()
                    );
                }
            }
        }
    }

    #[test]
    fn each_place_is_filled_and_other_braces_stay() {
        let places = Places(vec![("port", "80".into()), ("url", "u".into())]);
        assert_eq!(
            places.fill(r#"{"a":{"port":{port}},"b":"{url}{number}"}"#),
            r#"{"a":{"port":80},"b":"u{number}"}"#
        );
    }
}
