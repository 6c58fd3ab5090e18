//! From the configuration to what the gateway wants to know.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use aqe_core::balancer::{BudgetConfig, ScoreWeights};
use aqe_core::cache::{Disk, MemoryConfig, UpstreamRules};
use aqe_core::envelope::Limits;
use aqe_core::health::HealthConfig;
use aqe_core::inprocess::InProcess;
use aqe_core::pool::PoolConfig;
use aqe_core::registry::{
    FuzzyPolicy, FuzzyRule, Glob, IndexKind, NamingRule, PrefixPolicy, RegistryConfig, RegistryConfigError,
    Separator,
};
use aqe_core::revision::Era;
use aqe_gateway::admin::About;
use aqe_gateway::alerts::settings::Kept;
use aqe_gateway::settings::{
    Balancing, CacheSettings, Control, Endpoint, Reloadable, ReplicaSettings, SessionSettings, Settings,
    Start, UpstreamSettings,
};
use aqe_gateway::telemetry::Telemetry;
use aqe_gateway::transport::EdgeLimits;
use aqe_gateway::transport::http::EdgePolicy;
use aqe_gateway::upstream::{ChildSpec, HttpSpec};
use http::{HeaderName, HeaderValue};
use tokio::sync::mpsc;

use super::alerts;
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
    /// Of a `[[monitoring.webhook]]`; never holds a value, which may be secret.
    #[error("webhook \"{name}\": {what} cannot be used")]
    Webhook {
        /// Its name.
        name: String,
        /// The key, or the header.
        what: String,
    },
}

/// What holds until the gateway ends.
pub(super) fn gateway(
    config: &Config,
    about: About,
    control: mpsc::Sender<Control>,
    disk: Option<Arc<dyn Disk>>,
    alerts_kept: Kept,
    telemetry: Arc<Telemetry>,
) -> Settings {
    let server = &config.server;
    Settings {
        message: Limits {
            max_depth: u16::try_from(server.max_json_depth).unwrap_or(u16::MAX),
            ..Limits::default()
        },
        max_body_bytes: server.max_line,
        resolved_names: config.registry.cache_size,
        page_size: server.page_size.unwrap_or(usize::MAX),
        start: match config.registry.start {
            registry::Start::Lazy => Start::Lazy,
            registry::Start::Eager => Start::Eager,
        },
        first_list_wait: FIRST_LIST_WAIT,
        sessions: SessionSettings {
            max_sessions: server.max_sessions,
            idle_timeout: server.session_idle_timeout,
        },
        sole_principal: server.bearer_token.is_none(),
        optimized: config.optimized,
        batching: config.writing.batching,
        drain_timeout: server.drain_timeout,
        monitoring: config.monitoring.enabled,
        max_tool_series: config.monitoring.max_tool_series,
        telemetry,
        about,
        control,
        cache: is_cached(config).then(|| CacheSettings { memory: memory(&config.cache), disk }),
        dashboard_interval: config.monitoring.dashboard_interval,
        alerts_kept,
    }
}

/// Whether answers are kept.
pub(super) fn is_cached(config: &Config) -> bool {
    config.cache.enabled && config.optimized
}

fn memory(cache: &config::Cache) -> MemoryConfig {
    MemoryConfig {
        hot_entries: cache.l1_entries,
        max_entries: cache.l2_entries,
        max_bytes: cache.l2_bytes,
        max_stay: cache.l2_ttl,
        max_entry_bytes: cache.max_entry,
    }
}

/// What can be changed while it runs.
pub(super) fn reloadable(
    config: &Config,
    builtin: Option<Arc<dyn InProcess>>,
    env: &Environment,
) -> Result<Reloadable, SettingsError> {
    let mut upstreams = Vec::new();
    upstreams.extend(builtin.map(|tools| built_in(tools, &config.server)));
    for upstream in config.upstreams.iter().filter(|upstream| upstream.enabled) {
        upstreams.push(configured(upstream, &config.pool, env)?);
    }
    Ok(Reloadable {
        registry: registry(&config.registry)?,
        pool: pool(&config.pool),
        balancing: balancing(&config.balancer),
        upstreams,
        alerts: alerts::settings(config, env)?,
    })
}

fn pool(pool: &config::Pool) -> PoolConfig {
    PoolConfig {
        max_connections: pool.max_connections,
        min_connections: pool.min_connections,
        max_opening: pool.max_opening,
        acquire_timeout: pool.acquire_timeout,
        idle_timeout: pool.idle_timeout,
        max_uses: pool.max_uses,
        max_lifetime: pool.max_lifetime,
        health_check_interval: pool.health_check_interval,
        ..PoolConfig::default()
    }
}

fn balancing(balancer: &config::Balancer) -> Balancing {
    let retries = match balancer.retry_budget_percent {
        0 => BudgetConfig::OFF,
        percent => BudgetConfig { share: f64::from(percent) / 100.0, ..BudgetConfig::RETRIES },
    };
    Balancing {
        strategy: balancer.strategy,
        score: ScoreWeights {
            load: balancer.load_weight,
            response: balancer.response_weight,
            category: balancer.category_weight,
        },
        health: HealthConfig {
            ejection: balancer.ejection,
            failures_in_row: balancer.failures_in_row,
            timeouts_in_row: balancer.timeouts_in_row,
            success_rate: balancer.success_rate,
            slow_factor: balancer.slow_factor,
            backoff_min: balancer.backoff_min,
            backoff_max: balancer.backoff_max,
            slow_start: balancer.slow_start,
            panic_threshold: balancer.panic_threshold,
            probe_interval: Some(balancer.health_check_interval),
            ..HealthConfig::default()
        },
        retries,
        hedges: BudgetConfig { share: f64::from(balancer.hedge_budget_percent) / 100.0, ..BudgetConfig::OFF },
    }
}

/// The bounds on connections.
pub(super) fn limits(server: &config::Server) -> EdgeLimits {
    EdgeLimits {
        max_connections: server.max_connections,
        max_body_bytes: server.max_body,
        header_timeout: server.header_timeout,
        keep_alive_timeout: server.keep_alive_timeout,
        body_timeout: server.body_timeout,
        drain_timeout: server.drain_timeout,
    }
}

/// Who may talk to us over HTTP.
pub(super) fn policy(config: &Config) -> EdgePolicy {
    let server = &config.server;
    let mut allowed_hosts = server.allowed_hosts.clone();
    for address in [Some(server.listen), config.monitoring.listen].into_iter().flatten() {
        let ip = address.ip();
        if !ip.is_unspecified() {
            allowed_hosts.push(if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() });
        }
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
        max_result_bytes: server.max_result,
        cache: UpstreamRules::off(),
    }
}

fn configured(
    upstream: &config::Upstream,
    pool: &config::Pool,
    env: &Environment,
) -> Result<UpstreamSettings, SettingsError> {
    let replicas = upstream.replicas.iter().map(|replica| self::replica(upstream, replica, pool, env));
    Ok(UpstreamSettings {
        name: upstream.name.clone(),
        replicas: replicas.collect::<Result<_, SettingsError>>()?,
        strategy: upstream.strategy,
        session_scope: upstream.session_scope,
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
        max_result_bytes: upstream.max_result,
        cache: upstream.cache.clone(),
    })
}

fn replica(
    upstream: &config::Upstream,
    replica: &config::Replica,
    pool: &config::Pool,
    env: &Environment,
) -> Result<ReplicaSettings, SettingsError> {
    let (endpoint, max_connections, min_connections) = match &replica.endpoint {
        endpoint::Endpoint::Child(child) => {
            // Several workers start when there is work for them; the pool's minimum would start them all.
            let least = (upstream.workers > 1).then(|| pool.min_connections.min(1));
            let child = self::child(&upstream.name, child, env);
            (Endpoint::Child(child), Some(upstream.workers), upstream.min_connections.or(least))
        }
        endpoint::Endpoint::Http(server) => {
            let fault = |what| SettingsError::Upstream { name: upstream.name.clone(), what };
            let server = self::http(server).map_err(fault)?;
            (Endpoint::Http(server), upstream.max_connections, upstream.min_connections)
        }
    };
    // Most stdio servers have one thread: a second one helps as soon as the first has something to do.
    let spread = matches!(endpoint, Endpoint::Child(_)) && upstream.workers > 1;
    let defaults = ReplicaSettings::new(replica.name.as_str(), endpoint);
    Ok(ReplicaSettings {
        max_connections: max_connections.unwrap_or(defaults.max_connections),
        min_connections,
        max_calls: upstream.max_calls.unwrap_or(defaults.max_calls),
        grow_at: spread.then_some(1),
        weight: replica.weight,
        categories: replica.categories.iter().map(|category| category.as_str().into()).collect(),
        ..defaults
    })
}

pub(super) fn child(upstream: &str, child: &endpoint::Child, env: &Environment) -> ChildSpec {
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

/// A server behind a URL; the error names the key or header that cannot be used.
pub(super) fn http(server: &endpoint::HttpServer) -> Result<HttpSpec, String> {
    let headers = server.headers.iter().map(|(name, value)| {
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| name.clone())?;
        value.set_sensitive(true);
        Ok((HeaderName::from_bytes(name.as_bytes()).map_err(|_| name.clone())?, value))
    });
    Ok(HttpSpec {
        url: server.url.value().parse().map_err(|_| "\"url\"")?,
        headers: headers.collect::<Result<_, String>>()?,
        ca_file: server.ca_file.clone(),
        http2: server.http2,
    })
}
