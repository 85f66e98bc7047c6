//! TLS to Discord: rustls with Mozilla's certificate authorities, and those of the file named by `SSL_CERT_FILE`.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::settings::SettingsError;

/// The file adds authorities, such as that of a company's proxy; Mozilla's stay trusted.
pub(crate) fn config(certificates: Option<&Path>) -> Result<ClientConfig, SettingsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = certificates {
        add_file(&mut roots, path)
            .map_err(|cause| SettingsError::CertificateFile { path: path.to_owned(), cause })?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError::Tls(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let before = roots.len();
    for certificate in certificates {
        // A system's bundle may hold an old certificate that rustls refuses; the others remain useful.
        let _ = roots.add(certificate.map_err(|error| error.to_string())?);
    }
    if roots.len() == before { Err("it has no usable certificate".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_reported_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "no certificate").unwrap();
        let error = config(Some(file.path())).unwrap_err().to_string();
        assert!(error.contains(&file.path().display().to_string()), "{error}");
        assert!(config(Some(Path::new("/does/not/exist"))).is_err());
        assert!(config(None).is_ok());
    }
}
