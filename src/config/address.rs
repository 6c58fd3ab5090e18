//! Addresses, hosts and origins as a configuration writes them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::uri::Authority;

use super::env::clip;

/// The port that `listen` means when nothing else is said.
pub const DEFAULT_PORT: u16 = 8765;

/// Reads an address to listen on: `127.0.0.1:8765`, `[::1]:0` or `localhost:8765`.
///
/// Names other than `localhost` are refused: they would have to be looked up, and what a name means may
/// change behind the user's back.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Some(port) = text.strip_prefix("localhost:").and_then(|p| p.parse().ok()) {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let shown = clip(text);
    Err(match (text.parse::<IpAddr>(), text.trim_start_matches(':').parse::<u16>()) {
        (Ok(IpAddr::V6(_)), _) => format!("\"{shown}\" lacks a port: write \"[{shown}]:{DEFAULT_PORT}\""),
        (Ok(_), _) => format!("\"{shown}\" lacks a port: write \"{shown}:{DEFAULT_PORT}\""),
        (_, Ok(port)) => format!("\"{shown}\" lacks an address: write \"127.0.0.1:{port}\""),
        _ => format!("\"{shown}\" is not an address and port such as \"127.0.0.1:{DEFAULT_PORT}\""),
    })
}

/// Whether a host is this machine, by its name alone.
pub(super) fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Checks a `Host` value and gives it in lower case. The error completes a sentence that begins with the
/// value.
pub(super) fn check_host(host: &str) -> Result<String, String> {
    let example = "must be a host, or host:port, such as \"mcp.example.org\"";
    if host.contains('*') {
        return Err("must be one host; patterns are not supported".to_owned());
    }
    match host.parse::<Authority>() {
        Ok(authority) if !host.contains('@') && port_is_sound(&authority) && !authority.host().is_empty() => {
            Ok(host.to_lowercase())
        }
        _ => Err(example.to_owned()),
    }
}

/// Whether what stands after the host is nothing or a port.
pub(super) fn port_is_sound(authority: &Authority) -> bool {
    match authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, rest)| rest) {
        rest if rest == authority.host() => true,
        rest => {
            rest.strip_prefix(authority.host()).is_some_and(|p| p.len() > 1) && authority.port_u16().is_some()
        }
    }
}

/// Checks an `Origin` value (RFC 6454: scheme, host and port, no path) and gives it in lower case.
pub(super) fn check_origin(origin: &str) -> Result<String, String> {
    let example = "must be an origin such as \"https://app.example.org\", without a path";
    let Some((scheme, host)) = origin.split_once("://") else { return Err(example.to_owned()) };
    let scheme_is_sound = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    match check_host(host) {
        Ok(_) if scheme_is_sound => Ok(origin.to_lowercase()),
        _ => Err(example.to_owned()),
    }
}
