//! Header fields on their way out, in the form of either protocol.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Where the header fields of a request go.
pub(super) trait Fields {
    /// Adds one.
    fn add(&mut self, name: &HeaderName, value: &HeaderValue);
    /// Adds one whose value, visible ASCII, is not at hand as such.
    fn add_text(&mut self, name: &HeaderName, value: &str);
    /// Adds all of `fields`, which `lines` are the text of.
    fn add_prepared(&mut self, fields: &HeaderMap, lines: &[u8]);
}

/// Lines of HTTP/1.1 (RFC 9112 section 5).
impl Fields for Vec<u8> {
    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        line(self, name, value.as_bytes());
    }

    fn add_text(&mut self, name: &HeaderName, value: &str) {
        line(self, name, value.as_bytes());
    }

    fn add_prepared(&mut self, _: &HeaderMap, lines: &[u8]) {
        self.extend_from_slice(lines);
    }
}

fn line(into: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    into.extend_from_slice(name.as_str().as_bytes());
    into.extend_from_slice(b": ");
    into.extend_from_slice(value);
    into.extend_from_slice(b"\r\n");
}

/// What HTTP/2 says in another way, or leaves to the connection (RFC 9113 section 8.2.2). [`header::HOST`] is not among
/// them: it becomes the authority.
const OF_THE_CONNECTION: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// Fields of HTTP/2.
#[derive(Default)]
pub(super) struct Http2Fields {
    /// What `Host` says.
    pub(super) authority: Option<HeaderValue>,
    pub(super) fields: HeaderMap,
}

impl Fields for Http2Fields {
    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        if name == header::HOST {
            self.authority = Some(value.clone());
        } else if !OF_THE_CONNECTION.contains(&name.as_str()) {
            // A value that is marked as secret stays so: then it enters no compression table, here or there.
            self.fields.append(name, value.clone());
        }
    }

    fn add_text(&mut self, name: &HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.add(name, &value);
        }
    }

    fn add_prepared(&mut self, fields: &HeaderMap, _: &[u8]) {
        for (name, value) in fields {
            self.add(name, value);
        }
    }
}
