//! The rules that no single key can keep: those between keys, and between files.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use aqe_core::monitor::alerts::Scope;

use super::Config;
use super::place::{Place, Severity, Sink};
use super::server::Transport;
use crate::app::BUILTIN;

/// Where the listening addresses were given, if anywhere.
#[derive(Debug, Default)]
pub(super) struct Listens {
    /// That of MCP over HTTP.
    pub(super) server: Option<Place>,
    /// That of the dashboard.
    pub(super) monitoring: Option<Place>,
}

/// Checks a configuration as a whole.
pub(super) fn validate(config: &Config, listens: Listens, sink: &Sink) {
    // The default address is a loopback one: any other was given somewhere.
    if let Some(place) = listens.server.filter(|_| config.server.transport != Transport::Stdio) {
        check_listener(config, config.server.listen.ip(), place, sink);
    }
    if let Some((place, address)) = listens.monitoring.zip(config.monitoring.listen) {
        if config.monitoring.dashboard {
            check_listener(config, address.ip(), place, sink);
        } else {
            let message = "\"listen\" has no effect: \"dashboard\" is false".to_owned();
            sink.note(Severity::Warning, Some(place), message);
        }
    }
    check_names(config, sink);
    check_alerts(config, sink);
    if !config.server.builtin && config.upstreams.iter().all(|u| !u.enabled) {
        let message = "nothing to serve: no upstream is enabled and the built-in tools are off";
        sink.note(Severity::Warning, None, message.to_owned());
    }
}

/// Beyond loopback, whoever can reach the port can run every tool, or see and cancel every call: it takes a token.
fn check_listener(config: &Config, ip: IpAddr, place: Place, sink: &Sink) {
    let server = &config.server;
    if ip.is_loopback() {
        return;
    }
    if server.bearer_token.is_none() {
        let message = format!(
            "listening on {ip}, beyond loopback, needs authentication: set \"bearer_token\" in [server], or \
             listen on 127.0.0.1"
        );
        sink.fault(place.clone(), message);
    }
    if ip.is_unspecified() && server.allowed_hosts.is_empty() {
        let message = format!(
            "listening on {ip} with no \"allowed_hosts\": requests to any other name than a loopback one \
             will be refused"
        );
        sink.note(Severity::Warning, Some(place), message);
    }
}

fn check_names(config: &Config, sink: &Sink) {
    let separator = &config.registry.separator;
    let mut seen: HashMap<String, (&str, &Place)> = HashMap::new();
    for upstream in &config.upstreams {
        if upstream.name.contains(separator.as_str()) {
            let message = format!(
                "the name \"{}\" holds the separator \"{separator}\", which stands between names",
                upstream.name
            );
            sink.fault(upstream.place.clone(), message);
        }
        let key = upstream.name.to_ascii_lowercase();
        if let Some((name, place)) = seen.get(&key) {
            let how = if *name == upstream.name { "" } else { ", but for case" };
            let message = format!("the upstream \"{}\" is already defined at {place}{how}", upstream.name);
            sink.fault(upstream.place.clone(), message);
        } else {
            seen.insert(key, (&upstream.name, &upstream.place));
        }
    }
}

/// A rule about what is not configured never fires: its writer meant something else.
fn check_alerts(config: &Config, sink: &Sink) {
    for rule in &config.alerts.rules {
        let (of, replica) = match &rule.scope {
            Scope::Upstream(name) => (name, None),
            Scope::Replica { upstream, replica } => (upstream, Some(replica)),
            Scope::All | Scope::Tool(_) | Scope::Category(_) => continue,
        };
        let known = config.upstreams.iter().find(|upstream| *upstream.name == **of);
        let message = match (known, replica) {
            (None, _) if **of == *BUILTIN && config.server.builtin => continue,
            (None, _) => {
                format!("the alert \"{}\" will never fire: no upstream is called \"{of}\"", rule.name)
            }
            (Some(known), Some(own)) if known.replicas.iter().all(|replica| *replica.name != **own) => {
                let names: Vec<&str> = known.replicas.iter().map(|replica| replica.name.as_str()).collect();
                format!(
                    "the alert \"{}\" will never fire: no replica of \"{of}\" is called \"{own}\"; there are: {}",
                    rule.name,
                    names.join(", ")
                )
            }
            (Some(_), _) => continue,
        };
        let place = config.alerts.places.iter().find(|(name, _)| **name == *rule.name);
        sink.note(Severity::Warning, place.map(|(_, place)| place.clone()), message);
    }
}

/// Where the listening address was given on the command line.
pub(super) fn listen_flag() -> Place {
    Place::whole(Arc::from("--listen"))
}
