//! The metrics for other programs: every point of [`aqe_core::monitor::metrics`] that is known at this moment, and the
//! answer to `GET /metrics`.
//!
//! # Layout
//! - `collect`: the process, its requests and tools.
//! - `connections`: replicas, the pool, children, the cache.

mod collect;
mod connections;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aqe_core::durable::WorkFigures;
use aqe_core::monitor::metrics::text::{Encoder, Format};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

pub(crate) use self::collect::{collect, work};
use crate::proxy::Gateway;
use crate::tasks;

/// How long the last text was: the next one is about as long.
static LAST_BYTES: AtomicUsize = AtomicUsize::new(0);

/// All metrics as text.
fn text(gateway: &Gateway, work: Option<&WorkFigures>, format: Format) -> String {
    // Some room to grow, so that it is not moved.
    let mut encoder = Encoder::new(format, LAST_BYTES.load(Ordering::Relaxed) * 9 / 8);
    collect(gateway, work, &mut encoder);
    let text = encoder.finish();
    LAST_BYTES.store(text.len(), Ordering::Relaxed);
    text
}

/// `GET /metrics`.
pub(crate) async fn answer(gateway: &Arc<Gateway>, headers: &HeaderMap) -> Response<Bytes> {
    let format = wanted(headers);
    let gateway = Arc::clone(gateway);
    let work = work(&gateway).await;
    // Hundreds of tools take some milliseconds.
    let Some(text) = tasks::aside(move || text(&gateway, work.as_ref(), format)).await else {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    };
    let mut response = Response::new(Bytes::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// The format that a client likes best (RFC 9110, 12.5.1): the old one, unless it asks for OpenMetrics 1.0 by name and
/// likes that no less.
fn wanted(headers: &HeaderMap) -> Format {
    let (mut openmetrics, mut old) = (None, None);
    for accepted in headers.get_all(header::ACCEPT) {
        for range in accepted.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut version) = (1.0, None);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = value.trim().parse().unwrap_or(0.0),
                    "version" => version = Some(value.trim().trim_matches('"')),
                    _ => {}
                }
            }
            let best = match (kind.as_str(), version) {
                ("application/openmetrics-text", Some("1.0.0") | None) => &mut openmetrics,
                ("text/plain", Some("0.0.4") | None) => &mut old,
                _ => continue,
            };
            *best = Some(best.unwrap_or(0.0_f64).max(quality));
        }
    }
    match openmetrics {
        Some(quality) if quality > 0.0 && quality >= old.unwrap_or(0.0) => Format::OpenMetrics,
        _ => Format::Prometheus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_the_format_that_it_likes_best() {
        let ask = |accept: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(header::ACCEPT, HeaderValue::from_static(value));
            }
            wanted(&headers)
        };
        for prometheus in [
            // 2.42, and 3.
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; Version=\"1.0.0\" ; charset=utf-8",
        ] {
            assert_eq!(ask(&[prometheus]), Format::OpenMetrics, "{prometheus}");
        }
        for other in [
            "*/*",
            "text/html,*/*;q=0.8",
            "text/plain",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.2,text/plain;version=0.0.4",
            "application/openmetrics-text;q=much",
        ] {
            assert_eq!(ask(&[other]), Format::Prometheus, "{other}");
        }
        assert_eq!(ask(&[]), Format::Prometheus);
        assert_eq!(ask(&["text/plain;q=0.5", "application/openmetrics-text"]), Format::OpenMetrics);
    }
}
