//! Puts the files and the command line together: defaults, then our file, then the agents' files, which
//! only add upstreams, then flags.

use super::alerts::Alerts;
use super::balancer::Balancer;
use super::cache::Cache;
use super::env::{Dialect, clip};
use super::file::{File, SourceKind};
use super::fleet::Fleet;
use super::keys::{Group, SectionKeys, Tables};
use super::monitoring::Monitoring;
use super::place::Sink;
use super::pool::Pool;
use super::qe::Qe;
use super::registry::Registry;
use super::section::{Context, Section};
use super::server::Server;
use super::store::Store;
use super::transport::Writing;

use super::tree::{Node, Value, from_json, from_toml};
use super::upstream::{self, Upstream};
use super::validate::{Listens, listen_flag, validate};
use super::{
    Config, Faults, Loaded, Request, balancer, cache, fleet, mcp_json, monitoring, pool, qe, registry,
    server, store, transport,
};

static SERVER: Group = Group { name: "server", meaning: "What clients meet." };
static REGISTRY: Group = Group { name: "registry", meaning: "How tools are named and found." };
static POOL: Group = Group { name: "pool", meaning: "The connections to all upstreams." };
static BALANCER: Group = Group { name: "balancer", meaning: "How calls are spread over replicas." };
static TRANSPORT: Group = Group { name: "transport", meaning: "How replies are written." };
static CACHE: Group = Group { name: "cache", meaning: "Answers that are given again." };
static MONITORING: Group = Group { name: "monitoring", meaning: "Who sees what the gateway does." };
static QE: Group = Group { name: "qe", meaning: "The built-in quality tools." };
static FLEET: Group = Group { name: "fleet", meaning: "Agents that run tasks." };
static STORE: Group = Group { name: "store", meaning: "Durable state." };
static UPSTREAM: Tables = Tables { name: "upstream", meaning: "The servers behind the gateway." };

/// The top of the file. A new section is one more line here, one in `read_toml`, one in
/// [`super::reference::SECTIONS`].
static ROOT: SectionKeys = SectionKeys {
    path: "",
    repeated: false,
    meaning: "The sections.",
    keys: &[
        &SERVER,
        &REGISTRY,
        &POOL,
        &BALANCER,
        &TRANSPORT,
        &CACHE,
        &MONITORING,
        &QE,
        &FLEET,
        &STORE,
        &UPSTREAM,
    ],
};

/// Reads the files in their order.
pub(super) fn merge(files: &[File], request: &Request, sink: Sink) -> Result<Loaded, Faults> {
    let (own, foreign): (Vec<&File>, Vec<&File>) =
        files.iter().partition(|f| f.source.kind == SourceKind::Toml);
    let (mut config, mut listens) = read_toml(own.first().copied(), request, &sink);
    if request.flags.listen.is_some() {
        listens.server = Some(listen_flag());
    }
    for file in foreign {
        add_json(&mut config, file, request, &sink);
    }
    validate(&config, listens, &sink);
    let sources = files.iter().map(|f| f.source.clone()).collect();
    let (faults, unreported, notes) = sink.finish();
    if faults.is_empty() {
        Ok(Loaded { config, sources, notes })
    } else {
        Err(Faults { faults, unreported, sources, notes })
    }
}

/// Reads our own file, or the defaults where there is none; says where the listening addresses stand.
fn read_toml(file: Option<&File>, request: &Request, sink: &Sink) -> (Config, Listens) {
    let unnamed = "the defaults".into();
    let (source, text) = file.map_or((&unnamed, ""), |f| (&f.source.name, f.text.as_str()));
    let folder = file.and_then(|f| f.source.path.parent()).unwrap_or(&request.folder);
    let cx = Context { source, text, folder, env: &request.env, dialect: Dialect::Toml, sink };
    let (mut root, syntax) = from_toml(text);
    if !syntax.is_empty() {
        for (at, message) in syntax {
            let at = at.unwrap_or(0..0);
            let is_duplicate = message == "duplicate key";
            let key = text.get(at.clone()).filter(|_| is_duplicate).map(|k| format!(" \"{}\"", clip(k)));
            cx.fault(&at, message + &key.unwrap_or_default());
        }
        // What a parser makes of a broken file would only raise more faults, and false ones.
        root = Node { value: Value::Table(Vec::new()), at: 0..0 };
    }
    let root = Section::open(cx, &ROOT, Some(&root));
    let server_section = root.group(&SERVER, &server::KEYS);
    let mut server = Server::read(&server_section);
    request.flags.apply(&mut server);
    let registry = Registry::read(&root.group(&REGISTRY, &registry::KEYS));
    let pool = Pool::read(&root.group(&POOL, &pool::KEYS), request.flags.pool_size);
    let balancer = Balancer::read(&root.group(&BALANCER, &balancer::KEYS), request.flags.strategy);
    let optimized = request.flags.optimized.unwrap_or(true);
    let writing = Writing::read(&root.group(&TRANSPORT, &transport::KEYS), optimized);
    let cache = Cache::read(&root.group(&CACHE, &cache::KEYS));
    let monitoring_section = root.group(&MONITORING, &monitoring::KEYS);
    let monitoring = Monitoring::read(&monitoring_section);
    let alerts = Alerts::read(&monitoring_section);
    let qe = Qe::read(&root.group(&QE, &qe::KEYS), &request.folder);
    let fleet = Fleet::read(&root.group(&FLEET, &fleet::KEYS));
    let store = Store::read(&root.group(&STORE, &store::KEYS));
    let upstreams = root.tables(&UPSTREAM).into_iter().filter_map(|node| {
        let section = Section::open(cx, &upstream::KEYS, Some(node));
        Upstream::read(&section, &server)
    });
    let upstreams = upstreams.collect();
    let listens = Listens {
        server: server_section.key_at("listen").map(|at| cx.place(&at)),
        monitoring: Monitoring::listen_at(&monitoring_section),
    };
    (
        Config {
            server,
            registry,
            pool,
            balancer,
            writing,
            cache,
            monitoring,
            alerts,
            qe,
            fleet,
            store,
            upstreams,
            optimized,
        },
        listens,
    )
}

/// Adds the servers of an agent's file; a name that our file has stays ours.
fn add_json(config: &mut Config, file: &File, request: &Request, sink: &Sink) {
    let folder = mcp_json::base_folder(&file.source.path);
    let cx = Context {
        source: &file.source.name,
        text: &file.text,
        folder: &folder,
        env: &request.env,
        dialect: Dialect::Foreign(&folder),
        sink,
    };
    let root = match from_json(&file.text) {
        Ok(root) => root,
        Err((at, message)) => return cx.fault(&at.unwrap_or(0..0), message),
    };
    let mut names = mcp_json::Names::default();
    for upstream in &config.upstreams {
        names.add(&upstream.name);
    }
    let added = mcp_json::read(cx, &root, &config.server, &config.registry.separator, &mut names);
    config.upstreams.extend(added);
}
