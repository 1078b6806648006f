//! TLS through `rustls`, with `ring`: certificates from PEM files.

use super::auth::Identity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Why certificates or keys were refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file that cannot be read, or holds nothing of the kind.
    #[error("{path:?} holds no {what} in PEM: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificates that cannot be used.
    #[error("the certificates cannot be used: {0}")]
    Rustls(#[from] rustls::Error),
    /// Certificates of clients that cannot be used.
    #[error("the certificates of clients cannot be used: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// A certificate, with those that vouch for it, and its private key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The file of certificates, its own first.
    pub chain: PathBuf,
    /// The file of the private key.
    pub key: PathBuf,
}

type Chain = Vec<CertificateDer<'static>>;

impl Certificate {
    fn read(&self) -> Result<(Chain, PrivateKeyDer<'static>), TlsError> {
        let key = PrivateKeyDer::from_pem_file(&self.key);
        Ok((certificates(&self.chain)?, key.map_err(file(&self.key, "private key"))?))
    }
}

fn file(
    path: &Path,
    what: &'static str,
) -> impl Fn(rustls::pki_types::pem::Error) -> TlsError + use<> {
    let path = path.to_owned();
    move |source| TlsError::File { path: path.clone(), what, source }
}

fn certificates(path: &Path) -> Result<Chain, TlsError> {
    let error = file(path, "certificate");
    let all = CertificateDer::pem_file_iter(path).map_err(&error)?;
    let all = all.collect::<Result<Chain, _>>().map_err(&error)?;
    match all.is_empty() {
        true => Err(error(rustls::pki_types::pem::Error::NoItemsFound)),
        false => Ok(all),
    }
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What the service answers TLS with. Clients are asked for certificates of `client_roots` where
/// there are some, and must have one unless they may have a token instead.
///
/// # Errors
/// [`TlsError`].
pub fn server(
    certificate: &Certificate,
    client_roots: Option<&Path>,
    tokens_too: bool,
) -> Result<ServerConfig, TlsError> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match client_roots {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path)?), provider());
            let verifier = if tokens_too { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let (chain, key) = certificate.read()?;
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// How a client speaks TLS: it trusts `server_roots` alone, not those of the system.
///
/// # Errors
/// [`TlsError`].
pub fn client(
    server_roots: &Path,
    certificate: Option<&Certificate>,
) -> Result<ClientConfig, TlsError> {
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots(server_roots)?);
    Ok(match certificate {
        None => builder.with_no_client_auth(),
        Some(certificate) => {
            let (chain, key) = certificate.read()?;
            builder.with_client_auth_cert(chain, key)?
        }
    })
}

/// Who a client is by the certificate that was verified.
pub(super) fn identity(connection: &rustls::ServerConnection) -> Option<Identity> {
    let certificate = connection.peer_certificates()?.first()?;
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(Identity::of_public_key(&parsed.subject_public_key_info()))
}
