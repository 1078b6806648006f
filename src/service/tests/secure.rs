//! TLS: certificates of the service and of clients.

use super::*;
use crate::service::tls::{self, Certificate, TlsError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::PathBuf;
use std::sync::Arc;

/// An authority, and the files of what it vouches for.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { folder, issuer: Issuer::new(parameters, key) }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn certificate(&self, name: &str, key: &KeyPair) -> Certificate {
        let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = parameters.signed_by(key, &self.issuer).unwrap();
        let files = ["pem", "key"].map(|end| self.folder.path().join(format!("{name}.{end}")));
        std::fs::write(&files[0], certificate.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        let [chain, key] = files;
        Certificate { chain, key }
    }

    fn fresh(&self, name: &str) -> Certificate {
        self.certificate(name, &KeyPair::generate().unwrap())
    }
}

fn start(config: rustls::ServerConfig) -> Running {
    Running::in_folder(TempDir::new().unwrap(), options(), Some(config))
}

fn client(
    running: &Running,
    authority: &Authority,
    certificate: Option<&Certificate>,
    token: Option<usize>,
) -> Connection {
    let url = format!("https://localhost:{}", running.address.port());
    let token = token.map(|which| running.tokens[which].clone());
    let tls = Some(Arc::new(tls::client(&authority.ca(), certificate).unwrap()));
    Connection::new(Endpoint { url, token, tls }).unwrap()
}

#[test]
fn tokens_travel_over_tls() {
    let authority = Authority::new();
    let running = start(tls::server(&authority.fresh("localhost"), None, true).unwrap());
    let mut good = client(&running, &authority, None, Some(0));
    let job = good.submit(&model(), b"ok 1").unwrap();
    assert_eq!(inference(&mut good, job.id).output, b"1 ko");
    refused(client(&running, &authority, None, None).submit(&model(), b"ok"), 401, "credentials");
    // a service that another authority vouches for is not spoken to
    let mut deceived = client(&running, &Authority::new(), None, Some(0));
    let error = deceived.submit(&model(), b"ok 2").unwrap_err();
    assert!(matches!(error, ConnectionError::Network(_)), "{error}");
    // neither is one that speaks no TLS, nor does this one speak without
    let answer = running.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!answer.contains("200"), "{answer}");
    assert_eq!(good.submit(&model(), b"ok 1").unwrap().id, job.id);
}

#[test]
fn clients_are_known_by_the_keys_of_their_certificates() {
    let (services, clients) = (Authority::new(), Authority::new());
    let own = services.fresh("localhost");
    let running = start(tls::server(&own, Some(&clients.ca()), false).unwrap());
    let key = KeyPair::generate().unwrap();
    let first = clients.certificate("camera", &key);
    let mut one = client(&running, &services, Some(&first), None);
    let job = one.submit(&model(), b"ok 1").unwrap();
    assert_eq!(inference(&mut one, job.id).output, b"1 ko");
    // another key is another client; a renewed certificate of the same key is the same
    let mut two = client(&running, &services, Some(&clients.fresh("other")), None);
    refused(two.submit(&model(), b"ok 1"), 409, "submitted before");
    refused(two.job(job.id), 404, "no such job");
    let renewed = clients.certificate("renewed", &key);
    let mut again = client(&running, &services, Some(&renewed), None);
    assert_eq!(again.submit(&model(), b"ok 1").unwrap().id, job.id);
    // no certificate, and one that nobody here vouches for
    let elsewhere = Authority::new();
    let stranger = elsewhere.fresh("camera");
    for certificate in [None, Some(&stranger)] {
        let mut stranger = client(&running, &services, certificate, Some(0));
        let error = stranger.submit(&model(), b"ok 2").unwrap_err();
        assert!(matches!(error, ConnectionError::Network(_)), "{error}");
    }
}

#[test]
fn a_certificate_or_a_token_where_either_will_do() {
    let authority = Authority::new();
    let own = authority.fresh("localhost");
    let running = start(tls::server(&own, Some(&authority.ca()), true).unwrap());
    let certificate = authority.fresh("camera");
    let mut one = client(&running, &authority, Some(&certificate), None);
    let mut two = client(&running, &authority, None, Some(1));
    let (first, second) =
        (one.submit(&model(), b"ok 1").unwrap(), two.submit(&model(), b"ok 2").unwrap());
    inference(&mut one, first.id);
    inference(&mut two, second.id);
    refused(client(&running, &authority, None, None).submit(&model(), b"ok"), 401, "credentials");
}

#[test]
fn files_that_are_no_certificates_are_refused() {
    let authority = Authority::new();
    let own = authority.fresh("localhost");
    let wrong = |chain: &PathBuf, key: &PathBuf| {
        let certificate = Certificate { chain: chain.clone(), key: key.clone() };
        tls::server(&certificate, None, true).unwrap_err()
    };
    let none = authority.folder.path().join("none");
    assert!(matches!(wrong(&none, &own.key), TlsError::File { what: "certificate", .. }));
    assert!(matches!(wrong(&own.key, &own.key), TlsError::File { what: "certificate", .. }));
    assert!(matches!(wrong(&own.chain, &own.chain), TlsError::File { what: "private key", .. }));
    let other = authority.fresh("other");
    assert!(matches!(wrong(&own.chain, &other.key), TlsError::Rustls(_)));
}

#[test]
fn https_needs_a_root_and_an_address() {
    let connect = |url: &str| {
        let endpoint = Endpoint { url: url.to_owned(), token: None, tls: None };
        Connection::new(endpoint).unwrap_err()
    };
    for url in ["https://localhost", "ftp://localhost", "localhost:80", "http://x/path", "http://"]
    {
        let error = connect(url);
        assert!(matches!(error, ConnectionError::Url { .. }), "{url}: {error}");
    }
}
