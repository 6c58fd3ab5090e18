//! Upstreams whose certificate is trusted.

pub(super) use crate::tls::testing::Tls;
use crate::upstream::HttpSpec;

impl Tls {
    /// An upstream at `url` whose certificate is trusted.
    pub(super) fn spec(&self, url: &str) -> HttpSpec {
        HttpSpec { ca_file: Some(self.ca_file().into()), ..super::support::spec(url) }
    }
}
