//! What sound configurations mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aqe_core::balancer::{BudgetConfig, ScoreWeights, Strategy};
use aqe_core::batching::Batching;
use aqe_core::cache::OnWrite;
use aqe_core::health::HealthConfig;
use aqe_core::pool::PoolConfig;
use aqe_gateway::settings::SessionScope;
use aqe_gateway::transport::http::{Compression, When};

use crate::config::endpoint::{Child, Endpoint, HttpServer};
use crate::config::registry::{Fuzzy, Index, Prefix, Start};
use crate::config::report::Report;
use crate::config::secret::Expanded;
use crate::config::upstream::{Era, Upstream};
use crate::config::{Environment, Request, Transport, Writing, load_toml};

use super::{notes, request, toml};

fn child(upstream: &Upstream) -> &Child {
    match &upstream.replicas[0].endpoint {
        Endpoint::Child(child) => child,
        Endpoint::Http(_) => panic!("a child was expected"),
    }
}

fn http(upstream: &Upstream) -> &HttpServer {
    match &upstream.replicas[0].endpoint {
        Endpoint::Http(http) => http,
        Endpoint::Child(_) => panic!("a URL was expected"),
    }
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let config = toml("").unwrap().config;
    let server = &config.server;
    assert_eq!(server.transport, Transport::Auto);
    assert_eq!(server.listen.to_string(), "127.0.0.1:8765");
    assert_eq!((server.max_body, server.max_line), (16 << 20, 16 << 20));
    assert_eq!(server.request_timeout, Duration::from_secs(60));
    assert_eq!((server.idle_timeout, server.page_size, server.worker_threads), (None, None, None));
    assert!(server.builtin && server.bearer_token.is_none());
    let registry = &config.registry;
    assert_eq!(
        (registry.index, registry.fuzzy, registry.prefix),
        (Index::Hash, Fuzzy::Resolve, Prefix::Auto)
    );
    assert_eq!((registry.cache_size, registry.separator.as_str(), registry.start), (1000, "__", Start::Lazy));
    assert!((registry.fuzzy_threshold - 0.8).abs() < f64::EPSILON);
    assert_eq!(config.store.path, Path::new("/home/ann/.local/share/aqe-v3/aqe.db"));
    assert!(config.upstreams.is_empty() && config.optimized);
    assert_eq!(config.qe.roots, [Path::new("/project")]);
    assert_eq!(config.qe.derived, Some((PathBuf::from("/home/ann/.cache/aqe-v3"), 128 << 20)));
    assert_eq!(toml("[qe]\nderived_max_bytes = 0").unwrap().config.qe.derived, None);
}

#[test]
fn the_defaults_of_pool_and_balancer_are_those_of_the_parts_that_use_them() {
    let config = toml("").unwrap().config;
    let pool = &config.pool;
    let theirs = PoolConfig::default();
    assert_eq!((pool.max_connections, pool.min_connections), (50, 5));
    assert_eq!(
        (pool.max_connections, pool.min_connections, pool.max_opening, pool.max_uses),
        (theirs.max_connections, theirs.min_connections, theirs.max_opening, theirs.max_uses)
    );
    assert_eq!(
        (pool.idle_timeout, pool.max_lifetime, pool.health_check_interval, pool.acquire_timeout),
        (theirs.idle_timeout, theirs.max_lifetime, theirs.health_check_interval, theirs.acquire_timeout)
    );
    let balancer = &config.balancer;
    let health = HealthConfig::default();
    assert_eq!(balancer.strategy, Strategy::default());
    let score = ScoreWeights {
        load: balancer.load_weight,
        response: balancer.response_weight,
        category: balancer.category_weight,
    };
    assert_eq!(score, ScoreWeights::default());
    let configured = HealthConfig {
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
        ..health.clone()
    };
    assert_eq!(configured, health);
    assert!(
        (f64::from(balancer.retry_budget_percent) / 100.0 - BudgetConfig::RETRIES.share).abs() < f64::EPSILON
    );
    assert_eq!(balancer.hedge_budget_percent, 0);
}

#[test]
fn every_key_of_a_full_file_arrives() {
    let config = toml(include_str!("full.toml")).unwrap().config;
    let server = &config.server;
    assert_eq!((server.transport, server.listen.to_string().as_str()), (Transport::Both, "0.0.0.0:9000"));
    assert_eq!(server.unix_socket.as_deref(), Some(Path::new("/project/run/mcp.sock")));
    assert_eq!(server.bearer_token.as_ref().unwrap().expose(), "0123456789abcdef");
    assert_eq!(server.allowed_hosts, ["mcp.example.org:9000", "[::1]"]);
    assert_eq!(server.allowed_origins, ["https://app.example.org"]);
    assert_eq!((server.max_connections, server.max_body, server.max_line), (7, 2048, 4096));
    assert_eq!((server.max_result, config.upstreams[1].max_result), (8192, 8192));
    assert_eq!((server.max_json_depth, server.max_sessions), (64, 9));
    let ms = Duration::from_millis;
    assert_eq!((server.header_timeout, server.body_timeout), (ms(1), ms(2)));
    assert_eq!(server.keep_alive_timeout, ms(3));
    assert_eq!((server.request_timeout, server.idle_timeout), (ms(2000), Some(ms(1000))));
    assert_eq!((server.drain_timeout, server.session_idle_timeout), (ms(0), ms(60_000)));
    assert_eq!((server.worker_threads, server.builtin, server.page_size), (Some(2), false, Some(50)));
    let registry = &config.registry;
    assert_eq!((registry.index, registry.fuzzy, registry.prefix), (Index::Trie, Fuzzy::Off, Prefix::Never));
    assert_eq!((registry.cache_size, registry.separator.as_str(), registry.start), (0, ".", Start::Eager));
    let pool = &config.pool;
    assert_eq!((pool.max_connections, pool.min_connections, pool.max_opening, pool.max_uses), (40, 2, 4, 10));
    assert_eq!((pool.idle_timeout, pool.max_lifetime), (ms(250), ms(60_000)));
    assert_eq!((pool.health_check_interval, pool.acquire_timeout), (ms(1500), ms(700)));
    let balancer = &config.balancer;
    assert_eq!((balancer.strategy, balancer.ejection), (Strategy::P2c, false));
    let numbers = [
        (balancer.load_weight, 1.0),
        (balancer.response_weight, 0.0),
        (balancer.category_weight, 0.5),
        (balancer.success_rate, 0.5),
        (balancer.slow_factor, 3.0),
        (balancer.panic_threshold, 0.25),
    ];
    assert!(numbers.iter().all(|(found, wanted)| (found - wanted).abs() < f64::EPSILON), "{numbers:?}");
    assert_eq!((balancer.failures_in_row, balancer.timeouts_in_row), (3, 2));
    assert_eq!((balancer.retry_budget_percent, balancer.hedge_budget_percent), (0, 7));
    assert_eq!((balancer.backoff_min, balancer.backoff_max), (ms(100), ms(2000)));
    assert_eq!((balancer.slow_start, balancer.health_check_interval), (ms(0), ms(500)));
    let (name, globs) = &registry.categories[0];
    assert_eq!((name.as_str(), globs[0].as_str(), registry.categories.len()), ("zebra", "z*", 2));
    let compression = Compression { when: When::Always, min_bytes: 99 };
    assert_eq!(config.writing, Writing { batching: None, compression });
    assert_eq!(config.store.path, Path::new("/home/ann/state.db"));
    assert_eq!(config.store.durability, aqe_store::Durability::Full);
    assert_eq!((config.store.max_file_bytes, config.store.secrets), (1 << 30, aqe_qe::Secrets::Mask));
    let quotas = aqe_store::Quotas {
        entries_per_namespace: 1_000,
        bytes_per_namespace: 10 << 20,
        namespaces_per_principal: 20,
        entries_per_principal: 10_000,
        bytes_per_principal: 100 << 20,
    };
    assert_eq!(config.store.quotas, quotas);
    assert_eq!(config.qe.roots, [Path::new("/project/code"), Path::new("/home/ann/more")]);
    assert_eq!(config.qe.derived.as_ref().map(|(_, max_bytes)| *max_bytes), Some(1 << 20));
    let cache = &config.cache;
    assert_eq!((cache.enabled, cache.max_entry, cache.l1_entries, cache.l2_entries), (false, 4096, 64, 100));
    assert_eq!((cache.l2_bytes, cache.l2_ttl), (2 << 20, ms(60_000)));
    let disk = cache.l3.as_ref().unwrap();
    assert_eq!((disk.path.as_path(), disk.max_bytes), (Path::new("/project/answers"), 4 << 20));

    let [files, web] = &config.upstreams[..] else { panic!("two upstreams") };
    assert_eq!((files.name.as_str(), files.place.to_string().as_str()), ("files", "aqe.toml:100:8"));
    assert_eq!((files.category.as_deref(), files.trusted, files.enabled), (Some("fs"), true, false));
    assert_eq!((files.era, files.connect_timeout, files.request_timeout), (Era::Legacy, ms(5), ms(6000)));
    assert_eq!((files.idle_timeout, files.max_line, files.max_result), (Some(ms(500)), 8192, 0));
    assert_eq!(files.tool_timeouts, BTreeMap::from([("crawl".to_owned(), ms(300_000))]));
    assert!(
        files.tools.admits("read_file") && !files.tools.admits("read_secret") && !files.tools.admits("x")
    );
    let rules = &files.cache;
    let fit: Vec<Option<Duration>> = ["zip_a", "abc", "b"]
        .iter()
        .map(|name| rules.tools.iter().find(|(glob, _)| glob.matches(name)).map(|(_, ttl)| *ttl))
        .collect();
    assert_eq!(fit, [Some(ms(5000)), Some(ms(0)), None]);
    assert_eq!((rules.annotated, rules.stale, rules.errors), (Some(ms(250)), ms(100), Some(ms(10))));
    assert_eq!((rules.shared, rules.hints, rules.on_write), (true, false, OnWrite::Declared));
    let command = child(files);
    assert_eq!(command.program, Path::new("/project/bin/server"));
    assert_eq!(
        command.args.iter().map(Expanded::value).collect::<Vec<_>>(),
        ["--root", "/home/ann/x", "${raw}"]
    );
    assert_eq!(command.cwd.as_deref(), Some(Path::new("/project/sub")));
    assert_eq!(command.env["KEY"].expose(), "0123456789abcdef");
    assert_eq!(command.inherit_env, ["SPACED", "EMPTY"]);

    assert_eq!((web.request_timeout, web.idle_timeout, web.max_line), (ms(2000), Some(ms(1000)), 4096));
    assert!(web.enabled && !web.trusted && web.tools.admits("anything"));
    assert_eq!((files.workers, files.min_connections, files.max_calls), (4, Some(3), Some(1)));
    assert_eq!((files.session_scope, files.strategy), (Some(SessionScope::PerClientSession), None));
    assert_eq!((web.max_connections, web.max_calls), (Some(6), Some(20)));
    assert_eq!((web.session_scope, web.strategy), (None, Some(Strategy::RoundRobin)));
    let names: Vec<&str> = web.replicas.iter().map(|replica| replica.name.as_str()).collect();
    assert_eq!(names, ["example.org/mcp", "spare", "server"]);
    let [_, spare, other] = &web.replicas[..] else { panic!("three replicas") };
    assert!((spare.weight - 0.5).abs() < f64::EPSILON);
    assert_eq!(spare.categories, ["fs", "net"]);
    let Endpoint::Http(at) = &spare.endpoint else { panic!("a URL") };
    assert_eq!((at.headers[0].0.as_str(), at.headers[0].1.expose()), ("x-key", "0123456789abcdef"));
    assert_eq!((at.ca_file.as_deref(), at.http2), (Some(Path::new("/home/ann/ca.pem")), false));
    let Endpoint::Child(at) = &other.endpoint else { panic!("a command") };
    assert_eq!((at.program.as_path(), at.args[0].value()), (Path::new("/project/bin/server"), "--quiet"));
    assert_eq!(at.cwd.as_deref(), Some(Path::new("/project/sub")));
    assert_eq!(at.env["KEY"].expose(), "0123456789abcdef");
    assert_eq!(at.inherit_env, ["SPACED", "EMPTY"]);

    let server = http(web);
    assert_eq!(server.url.value(), "https://example.org/mcp?key=fallback");
    assert_eq!(server.headers[0].0, "authorization");
    assert_eq!(server.headers[0].1.expose(), "Bearer 0123456789abcdef");
    assert_eq!((server.ca_file.as_deref(), server.http2), (Some(Path::new("/project/ca.pem")), false));
}

#[test]
fn a_child_gets_a_short_list_of_our_environment_and_its_own() {
    let text = "[server]\ninherit_env = [\"SPACED\"]\n[[upstream]]\nname = \"a\"\ncommand = \"x\"\n\
                env = { PATH = \"/opt\" }\n";
    let loaded = toml(text).unwrap();
    let variables = child(&loaded.config.upstreams[0]).environment(&request().env);
    let expected = [("HOME", "/home/ann"), ("PATH", "/opt"), ("SPACED", "a b")];
    assert_eq!(variables, expected.into_iter().map(|(k, v)| (k.into(), v.into())).collect());
}

#[test]
fn no_secret_shows_in_debug_output_or_in_a_report() {
    let loaded = toml(include_str!("full.toml")).unwrap();
    let report = Report::from(&loaded);
    let shown = [
        format!("{loaded:?}"),
        report.to_string(),
        serde_json::to_string(&report).unwrap(),
        format!("{:?}", request()),
    ];
    for text in shown {
        assert!(!text.contains("0123456789abcdef"), "{text}");
        assert!(!text.contains("fallback"), "{text}");
    }
}

#[test]
fn a_report_says_what_runs_and_from_where() {
    let text = "[[upstream]]\nname = \"files\"\ncommand = \"npx\"\nargs = [\"-y\", \"it's\", \"${TOKEN}\"]\n\
                env = { KEY = \"v\" }\n[[upstream]]\nname = \"web\"\nurl = \"https://example.org/?a=b&c\"\n\
                headers = { X-Key = \"v\" }\nenabled = false\n";
    let report = Report::from(&toml(text).unwrap()).to_string();
    let lines: Vec<&str> = report.lines().collect();
    assert!(lines[1].starts_with("  aqe.toml  (in memory; 201 bytes, sha256 "), "{}", lines[1]);
    let expected = [
        "upstreams:",
        r"  files  npx -y 'it'\''s' '${TOKEN}'  [aqe.toml:2:8]",
        "    with KEY=***",
        "  web  (off)  https://example.org/?a=***&***  [aqe.toml:7:8]",
        "    with x-key: ***",
        "the configuration is sound",
    ];
    assert_eq!(lines[2..], expected);
}

#[test]
fn flags_go_before_the_file_and_are_checked_like_it() {
    let mut request = request();
    request.flags.transport = Some("http".parse().unwrap());
    request.flags.listen = Some("192.0.2.1:80".parse().unwrap());
    let faults = load_toml("[server]\nlisten = \"127.0.0.1:1\"\n", &request).unwrap_err();
    assert!(
        faults.to_string().starts_with("--listen: listening on 192.0.2.1, beyond loopback, needs"),
        "{faults}"
    );
    request.flags.transport = Some(Transport::Stdio);
    let config = load_toml("[server]\ntransport = \"both\"\n", &request).unwrap().config;
    assert_eq!(config.server.transport, Transport::Stdio);
    assert_eq!(
        "htp".parse::<Transport>(),
        Err("must be \"auto\", \"stdio\", \"http\" or \"both\"".to_owned())
    );
}

#[test]
fn replicas_that_are_given_no_name_get_one_that_tells_them_apart() {
    let text = "[[upstream]]\nname = \"a\"\nreplicas = [{ command = \"bin/x\" }, { command = \"x\" }, \
                { name = \"x #2\", url = \"http://h:1/?k=v\" }, { url = \"http://h:1/?k=v\" }]\n";
    let faults = toml(text).unwrap_err().to_string();
    assert!(faults.contains("\"name\" must be 1 to 32 characters"), "{faults}");
    let upstream = &toml(&text.replace("name = \"x #2\", ", "")).unwrap().config.upstreams[0];
    let names: Vec<&str> = upstream.replicas.iter().map(|replica| replica.name.as_str()).collect();
    assert_eq!(names, ["x", "x #2", "h:1/", "h:1/ #2"]);
}

#[test]
fn the_size_of_the_pool_and_the_strategy_on_the_command_line_go_before_the_file() {
    let mut request = request();
    request.flags.pool_size = Some(3);
    request.flags.strategy = Some(Strategy::Weighted);
    request.flags.optimized = Some(false);
    let text = "[pool]\nmax_connections = 20\nmin_connections = 10\n[balancer]\nstrategy = \"p2c\"\n";
    let config = load_toml(text, &request).unwrap().config;
    assert_eq!((config.pool.max_connections, config.pool.min_connections), (3, 3));
    assert_eq!((config.balancer.strategy, config.optimized), (Strategy::Weighted, false));
}

#[test]
fn a_server_that_is_not_optimized_neither_batches_nor_compresses() {
    let text = "[transport]\nbatching_timeout_ms = 20\nbatching_max_bytes = 4096\ncompression = \"always\"\n";
    let batching = Batching { timeout: Duration::from_millis(20), max_bytes: 4_096 };
    for (optimized, expected) in [(true, (Some(batching), When::Always)), (false, (None, When::Never))] {
        let mut request = request();
        request.flags.optimized = Some(optimized);
        let writing = load_toml(text, &request).unwrap().config.writing;
        assert_eq!((writing.batching, writing.compression.when), expected);
    }
}

#[test]
fn what_is_lawful_but_doubtful_is_noted() {
    let text = "[server]\nlisten = \"0.0.0.0:1\"\nbearer_token = \"literal-literal-literal\"\nbuiltin = false\n\
                inherit_env = [\"NOT_SET\"]\n[[upstream]]\nname = \"a\"\nurl = \"http://example.org/mcp\"\n\
                headers = { Authorization = \"x\" }\nenabled = false\n";
    let expected = [
        "aqe.toml:3:16: note: the token is written in the file; \"${NAME}\" would keep it in the environment",
        "aqe.toml:5:1: note: \"inherit_env\": NOT_SET is not set",
        "aqe.toml:8:7: warning: the credentials in \"headers\" travel unencrypted; use https",
        "aqe.toml:2:1: warning: listening on 0.0.0.0 with no \"allowed_hosts\": requests to any other name than a \
         loopback one will be refused",
        "warning: nothing to serve: no upstream is enabled and the built-in tools are off",
    ];
    assert_eq!(notes(&toml(text).unwrap()), expected);
}

#[test]
fn all_that_a_user_has_is_not_a_project() {
    for folder in ["/", "/home/ann"] {
        let request = Request { folder: folder.into(), ..request() };
        assert!(load_toml("", &request).unwrap().config.qe.roots.is_empty(), "{folder}");
    }
}

#[test]
fn without_a_home_the_store_must_be_named() {
    let request = Request { env: Environment::default(), ..request() };
    let faults = load_toml("", &request).unwrap_err().to_string();
    assert!(
        faults.starts_with("aqe.toml: cannot tell where the user's data lives: set \"path\""),
        "{faults}"
    );
    assert!(load_toml("[store]\npath = \"/x\"\n", &request).is_ok());
    let faults = load_toml("[store]\npath = \"~/x\"\n", &request).unwrap_err().to_string();
    assert!(faults.contains("\"~\" needs the environment variable HOME"), "{faults}");
}

#[test]
fn a_socket_path_that_the_system_cannot_bind_is_a_fault() {
    let text = format!("[server]\nunix_socket = \"/{}\"\n", "s".repeat(120));
    assert!(toml(&text).unwrap_err().to_string().contains("\"unix_socket\" is 121 bytes long"));
}

#[test]
fn localhost_is_a_loopback_address() {
    let config = toml("[server]\nlisten = \"localhost:0\"\n").unwrap().config;
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:0");
}
