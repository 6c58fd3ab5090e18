//! How we trust servers that we call: one set of TLS settings for upstreams and for everything else.

#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// The public root certificates.
pub(crate) fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// The public roots and those of a PEM text.
///
/// # Errors
/// What is wrong with the text, if no certificate can be read from it.
pub(crate) fn roots_with(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = public_roots();
    let public = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.len() == public { Err("no certificate found".into()) } else { Ok(roots) }
}

/// A client that trusts `roots` and has no certificate of its own.
///
/// # Errors
/// If the TLS library refuses its own defaults.
pub(crate) fn client(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
