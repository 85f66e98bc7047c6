//! A private authority and its certificate for `discord.com`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// The host that clients ask for.
const HOST: &str = "discord.com";

/// An authority whose certificate is in a file; the file is deleted when it is dropped.
pub(super) struct Authority {
    file: PathBuf,
    _dir: TempDir,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Authority {
    pub(super) fn create() -> io::Result<Self> {
        let (authority, certificate, key) = issue().map_err(io::Error::other)?;
        let dir = tempfile::Builder::new().prefix("dce-authority-").tempdir()?;
        let file = dir.path().join("ca.pem");
        fs::write(&file, authority)?;
        Ok(Self { file, _dir: dir, certificate, key })
    }

    /// The authority's certificate.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let key = PrivateKeyDer::Pkcs8(self.key.clone().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(vec![self.certificate.clone()], key)
            })
            .map_err(io::Error::other)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// The authority as PEM, the host's certificate, and its key in PKCS #8.
fn issue() -> Result<(String, CertificateDer<'static>, Vec<u8>), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "Authority of a fake Discord");
    let authority_key = KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![HOST.to_owned()])?.signed_by(&key, &issuer)?;
    Ok((authority, certificate.der().clone(), key.serialize_der()))
}
