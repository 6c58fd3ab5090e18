//! From the configuration to what the gateway wants to know.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use aqe_core::envelope::Limits;
use aqe_core::inprocess::InProcess;
use aqe_core::pool::PoolConfig;
use aqe_core::registry::{
    FuzzyPolicy, FuzzyRule, Glob, IndexKind, NamingRule, PrefixPolicy, RegistryConfig, RegistryConfigError,
    Separator,
};
use aqe_core::revision::Era;
use aqe_gateway::admin::About;
use aqe_gateway::settings::{
    Balancing, Endpoint, ReplicaSettings, SessionSettings, Settings, Start, UpstreamSettings,
};
use aqe_gateway::transport::EdgeLimits;
use aqe_gateway::transport::http::EdgePolicy;
use aqe_gateway::upstream::{ChildSpec, HttpSpec};
use http::{HeaderName, HeaderValue};

use crate::config::{self, Config, Environment, endpoint, registry, upstream};

/// How long a client's first list waits for upstreams that were never seen before. Agents give a server some ten
/// seconds to answer `initialize`; a list that comes later is announced as changed.
const FIRST_LIST_WAIT: Duration = Duration::from_secs(5);

/// The name of the built-in tools as an upstream.
pub const BUILTIN: &str = "qe";

/// A value that the configuration took for sound and that a part of the program refuses.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Of `[registry]`.
    #[error("[registry]: {0}")]
    Registry(#[from] RegistryConfigError),
    /// Of an `[[upstream]]`; never holds a value, which may be secret.
    #[error("upstream \"{name}\": {what} cannot be used")]
    Upstream {
        /// Its name.
        name: String,
        /// The key, or the header.
        what: String,
    },
}

/// Everything that the gateway wants to know.
pub(super) fn gateway(
    config: &Config,
    builtin: Option<Arc<dyn InProcess>>,
    env: &Environment,
    about: About,
) -> Result<Settings, SettingsError> {
    let server = &config.server;
    let mut upstreams = Vec::new();
    upstreams.extend(builtin.map(|tools| built_in(tools, server)));
    for upstream in config.upstreams.iter().filter(|upstream| upstream.enabled) {
        upstreams.push(configured(upstream, env)?);
    }
    Ok(Settings {
        message: Limits {
            max_depth: u16::try_from(server.max_json_depth).unwrap_or(u16::MAX),
            ..Limits::default()
        },
        max_body_bytes: server.max_line,
        registry: registry(&config.registry)?,
        resolved_names: config.registry.cache_size,
        page_size: server.page_size.unwrap_or(usize::MAX),
        start: match config.registry.start {
            registry::Start::Lazy => Start::Lazy,
            registry::Start::Eager => Start::Eager,
        },
        first_list_wait: FIRST_LIST_WAIT,
        pool: PoolConfig::default(),
        balancing: Balancing::default(),
        upstreams,
        sessions: SessionSettings {
            max_sessions: server.max_sessions,
            idle_timeout: server.session_idle_timeout,
        },
        about,
    })
}

/// The bounds on connections.
pub(super) fn limits(server: &config::Server) -> EdgeLimits {
    EdgeLimits {
        max_connections: server.max_connections,
        max_body_bytes: server.max_body,
        header_timeout: server.header_timeout,
        body_timeout: server.body_timeout,
        drain_timeout: server.drain_timeout,
    }
}

/// Who may talk to us over HTTP.
pub(super) fn policy(server: &config::Server) -> EdgePolicy {
    let mut allowed_hosts = server.allowed_hosts.clone();
    let ip = server.listen.ip();
    if !ip.is_unspecified() {
        allowed_hosts.push(if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() });
    }
    EdgePolicy {
        allowed_hosts,
        allowed_origins: server.allowed_origins.clone(),
        bearer: server.bearer_token.as_ref().map(|token| token.expose().to_owned()),
    }
}

fn registry(registry: &config::Registry) -> Result<RegistryConfig, RegistryConfigError> {
    Ok(RegistryConfig {
        index: match registry.index {
            registry::Index::Hash => IndexKind::Hash,
            registry::Index::Trie => IndexKind::Trie,
        },
        naming: NamingRule {
            prefix: match registry.prefix {
                registry::Prefix::Auto => PrefixPolicy::Auto,
                registry::Prefix::Always => PrefixPolicy::Always,
                registry::Prefix::Never => PrefixPolicy::Never,
            },
            separator: Separator::new(&registry.separator)?,
        },
        fuzzy: match registry.fuzzy {
            registry::Fuzzy::Resolve => FuzzyPolicy::Resolve,
            registry::Fuzzy::Suggest => FuzzyPolicy::Suggest,
            registry::Fuzzy::Off => FuzzyPolicy::Off,
        },
        rule: FuzzyRule::with_threshold(registry.fuzzy_threshold)?,
        categories: registry
            .categories
            .iter()
            .map(|(category, names)| (category.as_str().into(), globs(names)))
            .collect(),
    })
}

fn globs(globs: &[config::glob::Glob]) -> Vec<Glob> {
    globs.iter().map(|glob| Glob::new(glob.as_str())).collect()
}

fn built_in(tools: Arc<dyn InProcess>, server: &config::Server) -> UpstreamSettings {
    UpstreamSettings {
        name: BUILTIN.into(),
        replicas: vec![ReplicaSettings::new(BUILTIN, Endpoint::InProcess(tools))],
        strategy: None,
        session_scope: None,
        category: None,
        trusted: true,
        allow: Vec::new(),
        deny: Vec::new(),
        era: None,
        connect_timeout: server.request_timeout,
        request_timeout: server.request_timeout,
        idle_timeout: server.idle_timeout.unwrap_or(server.request_timeout),
        tool_timeouts: Vec::new(),
        max_message_bytes: server.max_line,
    }
}

fn configured(upstream: &config::Upstream, env: &Environment) -> Result<UpstreamSettings, SettingsError> {
    let endpoint = match &upstream.endpoint {
        endpoint::Endpoint::Child(child) => Endpoint::Child(self::child(&upstream.name, child, env)),
        endpoint::Endpoint::Http(server) => Endpoint::Http(self::http(&upstream.name, server)?),
    };
    Ok(UpstreamSettings {
        name: upstream.name.clone(),
        replicas: vec![ReplicaSettings::new(upstream.name.as_str(), endpoint)],
        strategy: None,
        session_scope: None,
        category: upstream.category.clone(),
        trusted: upstream.trusted,
        allow: globs(&upstream.tools.allow),
        deny: globs(&upstream.tools.deny),
        era: match upstream.era {
            upstream::Era::Auto => None,
            upstream::Era::Legacy => Some(Era::Legacy),
            upstream::Era::Modern => Some(Era::Modern),
        },
        connect_timeout: upstream.connect_timeout,
        request_timeout: upstream.request_timeout,
        idle_timeout: upstream.idle_timeout.unwrap_or(upstream.request_timeout),
        tool_timeouts: upstream
            .tool_timeouts
            .iter()
            .map(|(tool, timeout)| (tool.clone(), *timeout))
            .collect(),
        max_message_bytes: upstream.max_line,
    })
}

fn child(upstream: &str, child: &endpoint::Child, env: &Environment) -> ChildSpec {
    ChildSpec {
        command: child.program.to_string_lossy().into_owned(),
        args: child.args.iter().map(|arg| arg.value().to_owned()).collect(),
        env: utf8(upstream, child.environment(env)),
        cwd: child.cwd.clone(),
    }
}

/// The variables that are text; another one is left out with a warning, since a program rarely needs it.
fn utf8(upstream: &str, variables: BTreeMap<OsString, OsString>) -> Vec<(String, String)> {
    let pairs = variables.into_iter().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let Ok(value) = value.into_string() else {
            tracing::warn!(upstream, variable = name, "a variable is not valid UTF-8 and is left out");
            return None;
        };
        Some((name, value))
    });
    pairs.collect()
}

fn http(upstream: &str, server: &endpoint::HttpServer) -> Result<HttpSpec, SettingsError> {
    let fault = |what: &str| SettingsError::Upstream { name: upstream.to_owned(), what: what.to_owned() };
    let headers = server.headers.iter().map(|(name, value)| {
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| fault(name))?;
        value.set_sensitive(true);
        Ok((HeaderName::from_bytes(name.as_bytes()).map_err(|_| fault(name))?, value))
    });
    Ok(HttpSpec {
        url: server.url.value().parse().map_err(|_| fault("\"url\""))?,
        headers: headers.collect::<Result<_, SettingsError>>()?,
        ca_file: None,
    })
}
