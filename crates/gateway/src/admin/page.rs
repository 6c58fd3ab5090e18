//! The dashboard's files, part of the program: a page, a style, and scripts as plain modules. Nothing builds them, and
//! they ask nobody but this server.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::OnceLock;

use bytes::Bytes;

/// One file.
#[derive(Debug)]
pub struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
    tag: OnceLock<String>,
}

impl Asset {
    const fn new(path: &'static str, kind: &'static str, text: &'static str) -> Self {
        Self { path, kind, text, tag: OnceLock::new() }
    }

    /// The file at a path; there are no others, and no path is looked up in a file system.
    pub fn find(path: &str) -> Option<&'static Self> {
        ASSETS.iter().find(|asset| asset.path == path)
    }

    /// Its media type.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Its content.
    pub fn body(&self) -> Bytes {
        Bytes::from_static(self.text.as_bytes())
    }

    /// A tag, in quotes, that is another one for another content (RFC 9110 section 8.8.3).
    pub fn tag(&self) -> &str {
        self.tag.get_or_init(|| {
            let mut hash = DefaultHasher::new();
            self.text.hash(&mut hash);
            format!("\"{:016x}\"", hash.finish())
        })
    }
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! asset {
    ($name:literal, $kind:expr) => {
        Asset::new(concat!("/assets/", $name), $kind, include_str!(concat!("page/", $name)))
    };
}

static ASSETS: [Asset; 30] = [
    Asset::new("/", HTML, include_str!("page/index.html")),
    asset!("icon.svg", SVG),
    asset!("style.css", CSS),
    asset!("panels.css", CSS),
    asset!("api.js", SCRIPT),
    asset!("chart.js", SCRIPT),
    asset!("dialog.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("feed.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("main.js", SCRIPT),
    asset!("output.js", SCRIPT),
    asset!("points.js", SCRIPT),
    asset!("table.js", SCRIPT),
    asset!("theme.js", SCRIPT),
    asset!("panels/alerts.js", SCRIPT),
    asset!("panels/cache.js", SCRIPT),
    asset!("panels/calls.js", SCRIPT),
    asset!("panels/categories.js", SCRIPT),
    asset!("panels/errors.js", SCRIPT),
    asset!("panels/fleets.js", SCRIPT),
    asset!("panels/foot.js", SCRIPT),
    asset!("panels/health.js", SCRIPT),
    asset!("panels/lookups.js", SCRIPT),
    asset!("panels/pool.js", SCRIPT),
    asset!("panels/process.js", SCRIPT),
    asset!("panels/replicas.js", SCRIPT),
    asset!("panels/tiles.js", SCRIPT),
    asset!("panels/tools.js", SCRIPT),
    asset!("panels/traffic.js", SCRIPT),
];
