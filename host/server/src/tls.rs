//! The certificate, where one is given.

use std::path::Path;
use std::sync::Arc;

use atlas_model::notice;
use atlas_service::{Failure, Kind};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// TLS 1.2 and 1.3 with this chain and key, both PEM files.
pub(super) fn config(chain: &Path, key: &Path) -> Result<Arc<rustls::ServerConfig>, Failure> {
    let unusable = |file: &Path, reason: String| {
        let notice = notice!("error-certificate", file = file.display(), reason = reason);
        Failure::new("op-serve", notice, Kind::Configuration)
    };
    let certificates = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| unusable(chain, error.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, private));
    let mut config = config.map_err(|error| unusable(chain, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
