//! HTTPS against a server whose authority is made up for the test.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::super::{ConnectProblem, Egress, EgressConfig, EgressError, OutgoingRequest, Refusal};
use super::get;
use super::servers::Server;

struct TlsServer {
    /// `localhost:PORT`; the certificate is for `localhost`.
    host: String,
    /// The authority that signed the certificate.
    authority_pem: Vec<u8>,
}

impl TlsServer {
    /// Serves one connection in a thread of its own: reads a request, sends `bytes`, closes.
    fn start(bytes: String) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().expect("a key");
        let authority =
            CertifiedIssuer::self_signed(authority, authority_key).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(["localhost".to_owned()])
            .expect("a name")
            .signed_by(&key, &authority)
            .expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a private key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate with its key");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound address").port();
        std::thread::spawn(move || {
            let (socket, _) = listener.accept()?;
            let session = ServerConnection::new(Arc::new(config)).expect("a session");
            let mut stream = StreamOwned::new(session, socket);
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte)?;
                head.extend_from_slice(&byte);
            }
            stream.write_all(bytes.as_bytes())?;
            stream.conn.send_close_notify();
            stream.flush()
        });
        Self { host: format!("localhost:{port}"), authority_pem: authority.pem().into_bytes() }
    }

    fn request(&self) -> OutgoingRequest {
        OutgoingRequest {
            follow_redirects: 1,
            ..get(format!("https://{}/", self.host), &[&self.host])
        }
    }
}

fn trusting(extra_roots_pem: Vec<u8>) -> Egress {
    let config = EgressConfig { extra_roots_pem, ..EgressConfig::default() };
    Egress::new(&config).expect("the configuration works")
}

fn handshake_failed(host: &str) -> EgressError {
    EgressError::Connect { host: host.to_owned(), problem: ConnectProblem::Tls }
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test]
async fn a_trusted_certificate_is_accepted() {
    let server = TlsServer::start(HELLO.to_owned());
    let egress = trusting(server.authority_pem.clone());
    let answer = egress.send(server.request()).await.expect("an answer");
    assert_eq!(&answer.body[..], b"hello");
}

#[tokio::test]
async fn an_unknown_authority_is_refused_before_anything_is_sent() {
    let server = TlsServer::start(HELLO.to_owned());
    let answer = trusting(vec![]).send(server.request()).await;
    assert_eq!(answer, Err(handshake_failed("localhost")));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let server = TlsServer::start(HELLO.to_owned());
    let egress = trusting(server.authority_pem.clone());
    let host = server.host.replace("localhost", "127.0.0.1");
    let answer = egress.send(get(format!("https://{host}/"), &[&host])).await;
    assert_eq!(answer, Err(handshake_failed("127.0.0.1")));
}

#[tokio::test]
async fn a_port_without_tls_is_refused() {
    let server = Server::hello().await;
    let url = format!("https://{}/", server.host());
    let answer = trusting(vec![]).send(get(url, &[&server.host()])).await;
    assert_eq!(answer, Err(handshake_failed("127.0.0.1")));
    assert_eq!(server.hits(), 0);
}

#[tokio::test]
async fn https_never_becomes_http() {
    let plain = Server::hello().await;
    let redirect =
        format!("HTTP/1.1 307 Go\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", plain.url());
    let server = TlsServer::start(redirect);
    let request = OutgoingRequest {
        allow_internal: super::HostAllowList::parse([&server.host, &plain.host()]).expect("hosts"),
        ..server.request()
    };
    let answer = trusting(server.authority_pem.clone()).send(request).await;
    assert_eq!(answer, Err(EgressError::Refused { reason: Refusal::Downgrade }));
    assert_eq!(plain.hits(), 0);
}
