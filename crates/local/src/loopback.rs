//! HTTP to the services of this machine.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// A client of services on loopback: it ignores proxies, and it trusts no certificate because there is none.
///
/// `reqwest::Client::new()` panics in this workspace: the client of Discord's API compiles TLS into reqwest, which leaves
/// the choice of the cryptography to each client.
#[expect(clippy::disallowed_methods, reason = "this is the place that chooses the cryptography")]
pub fn loopback_client() -> reqwest::ClientBuilder {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    let client = reqwest::Client::builder().no_proxy();
    match tls {
        Ok(tls) => client.tls_backend_preconfigured(tls),
        // ring knows the default versions; if not, building the client reports it.
        Err(error) => client.tls_backend_preconfigured(error),
    }
}
