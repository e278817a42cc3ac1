//! The client: checks where each hop goes, sends it, follows redirects, reads the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use reqwest::Client;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use super::address::{AddressClass, classify, is_metadata_name};
use super::allow::HostAllowList;
use super::connect::{CONNECT_DEADLINE, ConnectDeadlineLayer};
use super::error::{EgressError, Refusal, ResponsePart};
use super::redirect;
use super::request::{Bounds, Hop, OutgoingRequest, Response};
use super::resolver::{CheckedResolver, Reach};
use super::{HEADER_BYTES_MAX, HEADERS_MAX};

/// Headers that the HTTP/1 parser accepts; more than [`HEADERS_MAX`], so that an answer with a few
/// too many is told as what it is and not as a broken connection.
const PARSED_HEADERS_MAX: usize = 4 * HEADERS_MAX;
/// Buffer to begin with for a body; a server's word on its length is not worth more.
const BODY_BUFFER_BYTES: usize = 64 * 1024;

/// Bounds and identity of all outgoing requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressConfig {
    /// The `User-Agent` of requests that do not bring their own.
    pub user_agent: String,
    /// Longest time for resolving, connecting and TLS together, where the request allows more.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Short: a server that closes it while a request is on
    /// its way leaves that request's outcome unknown.
    pub pool_idle_timeout: Duration,
    /// Most unused connections kept per host.
    pub pool_idle_per_host_max: usize,
    /// Largest request body, in bytes.
    pub request_bytes_max: usize,
    /// Largest `response_bytes_max` that a request may ask for.
    pub response_bytes_max: usize,
    /// Most name lookups at a time; each takes a thread until the name servers answer.
    pub lookups_max: usize,
    /// Certificate authorities to trust besides the public ones, in PEM: a company's own.
    pub extra_roots_pem: Vec<u8>,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            user_agent: concat!("chatflow/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            pool_idle_timeout: Duration::from_secs(20),
            pool_idle_per_host_max: 128,
            request_bytes_max: 8 * 1024 * 1024,
            response_bytes_max: 16 * 1024 * 1024,
            lookups_max: 64,
            extra_roots_pem: Vec::new(),
        }
    }
}

/// The configuration does not make a client.
#[derive(Debug, thiserror::Error)]
pub enum EgressSetupError {
    /// `extra_roots_pem` is not a list of certificates.
    #[error("the extra root certificates are not valid PEM certificates; check the file")]
    ExtraRoots,
    /// No TLS, which cannot happen with the versions built in.
    #[error("TLS could not be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The client did not accept its settings.
    #[error("the HTTP client could not be set up; check that the user agent is plain text: {0}")]
    Client(#[from] reqwest::Error),
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct OpenResponse {
    /// The HTTP status, 200 to 999.
    pub status: u16,
    /// As those of a [`Response`].
    pub headers: Vec<(String, String)>,
    final_url: Url,
    bytes_max: usize,
    response: reqwest::Response,
}

impl OpenResponse {
    /// The next part of the body, none at its end; waits no longer than `longest`.
    pub async fn part(&mut self, longest: Duration) -> Result<Option<Bytes>, EgressError> {
        let part = tokio::time::timeout(longest, self.response.chunk()).await;
        part.map_err(|_| EgressError::Timeout { sent: true })?.map_err(|_| EgressError::Interrupted)
    }

    /// The whole answer, where it turned out to be an ordinary one.
    pub async fn whole(self, longest: Duration) -> Result<Response, EgressError> {
        tokio::time::timeout(longest, read(self.response, self.final_url, self.bytes_max))
            .await
            .unwrap_or(Err(EgressError::Timeout { sent: true }))
    }
}

/// The only HTTP client of the system. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Egress {
    /// For every host that a request does not allow by name. Its connections lead to public
    /// addresses only.
    public: Client,
    /// For hosts that a request does allow by name. Connections are pooled by host and port, and a
    /// request gets here only if its own list names that host and port; so no request ever uses a
    /// connection that it could not have opened.
    named: Client,
    connect_timeout: Duration,
    bounds: Bounds,
}

impl Egress {
    /// Builds the clients. Needs no network.
    pub fn new(config: &EgressConfig) -> Result<Self, EgressSetupError> {
        let tls = tls(&config.extra_roots_pem)?;
        let lookups = Arc::new(Semaphore::new(config.lookups_max.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self {
            public: client(config, &tls, &lookups, Reach::Public)?,
            named: client(config, &tls, &lookups, Reach::Named)?,
            connect_timeout: config.connect_timeout,
            bounds: Bounds {
                request_bytes_max: config.request_bytes_max,
                response_bytes_max: config.response_bytes_max,
            },
        })
    }

    /// Sends one request, follows redirects as far as it allows, and returns the complete answer,
    /// whatever its status. Dropping the future abandons the request.
    pub async fn send(&self, request: OutgoingRequest) -> Result<Response, EgressError> {
        let hop = request.first_hop(self.bounds)?;
        let deadline = Instant::now() + request.timeout;
        // Connecting has an earlier deadline of its own, so that whoever is late here may have been
        // given the request.
        timeout_at(deadline, self.follow(hop, &request, deadline))
            .await
            .unwrap_or(Err(EgressError::Timeout { sent: true }))
    }

    /// Sends one request and returns its answer as soon as its head is there; the body is read
    /// part by part, for as long as both sides like. The request's timeout is for the head.
    /// Redirects are not followed.
    pub async fn open(&self, request: OutgoingRequest) -> Result<OpenResponse, EgressError> {
        let hop = request.first_hop(self.bounds)?;
        let deadline = Instant::now() + request.timeout;
        let exchange = self.exchange(&hop, &request.allow_internal, deadline);
        let response = timeout_at(deadline, exchange)
            .await
            .unwrap_or(Err(EgressError::Timeout { sent: true }))?;
        let headers = read_headers(response.headers())?;
        Ok(OpenResponse {
            status: response.status().as_u16(),
            headers,
            final_url: hop.url,
            bytes_max: request.response_bytes_max,
            response,
        })
    }

    async fn follow(
        &self,
        mut hop: Hop,
        request: &OutgoingRequest,
        deadline: Instant,
    ) -> Result<Response, EgressError> {
        for followed in 0..=request.follow_redirects {
            let response = match self.exchange(&hop, &request.allow_internal, deadline).await {
                Err(error) if followed > 0 => return Err(error.after_redirect()),
                other => other?,
            };
            let status = response.status();
            let target = match request.follow_redirects {
                0 => None,
                _ => redirect::target(&hop.url, status, response.headers())?,
            };
            let Some(target) = target else {
                return read(response, hop.url, request.response_bytes_max).await;
            };
            hop = redirect::rewrite(hop, status, target);
        }
        Err(EgressError::TooManyRedirects { limit: request.follow_redirects })
    }

    /// Sends one hop and waits for the head of its answer.
    async fn exchange(
        &self,
        hop: &Hop,
        allow_internal: &HostAllowList,
        deadline: Instant,
    ) -> Result<reqwest::Response, EgressError> {
        let (reach, host) = reach_of(&hop.url, allow_internal)?;
        let client = match reach {
            Reach::Public => &self.public,
            Reach::Named => &self.named,
        };
        let mut outgoing =
            client.request(hop.method.clone(), hop.url.clone()).headers(hop.headers.clone());
        if let Some(body) = &hop.body {
            outgoing = outgoing.body(body.clone());
        }
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        let connect_by = now + self.connect_timeout.min(left / 10 * 9);
        let answer = CONNECT_DEADLINE.scope(connect_by, outgoing.send()).await;
        match &answer {
            Ok(response) => {
                let status = response.status().as_u16();
                tracing::debug!(method = %hop.method, host, status, "outgoing request answered");
            }
            Err(error) => {
                // The error's own text may contain the URL; its meaning does not.
                let error = EgressError::from_transport(error, &host);
                tracing::debug!(method = %hop.method, host, %error, "outgoing request failed");
            }
        }
        answer.map_err(|error| EgressError::from_transport(&error, &host))
    }
}

/// Decides whether a URL may be called, and by which client; also returns its host. Called for each
/// hop before anything else, since a pooled connection asks no resolver, nor does an address.
fn reach_of(url: &Url, allow_internal: &HostAllowList) -> Result<(Reach, String), EgressError> {
    let refused = |reason| Err(EgressError::Refused { reason });
    if !matches!(url.scheme(), "http" | "https") {
        return refused(Refusal::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused(Refusal::Userinfo);
    }
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        let reason = "write the URL as https://host/path".to_owned();
        return Err(EgressError::InvalidRequest { reason });
    };
    let name = host.to_string();
    if allow_internal.names(&host.to_owned(), port) {
        return Ok((Reach::Named, name));
    }
    let class = match host {
        Host::Ipv4(address) => classify(address.into()),
        Host::Ipv6(address) => classify(address.into()),
        Host::Domain(domain) if is_metadata_name(domain) => {
            return refused(Refusal::MetadataName { host: name });
        }
        // The address is checked where it is resolved.
        Host::Domain(_) => AddressClass::Public,
    };
    if class == AddressClass::Public {
        Ok((Reach::Public, name))
    } else {
        refused(Refusal::InternalAddress { host: name, class })
    }
}

/// Trusts the public authorities as Mozilla lists them, built in, and the extra ones.
fn tls(extra_roots_pem: &[u8]) -> Result<ClientConfig, EgressSetupError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in CertificateDer::pem_slice_iter(extra_roots_pem) {
        let certificate = certificate.map_err(|_| EgressSetupError::ExtraRoots)?;
        roots.add(certificate).map_err(|_| EgressSetupError::ExtraRoots)?;
    }
    if !extra_roots_pem.is_empty() && roots.len() == webpki_roots::TLS_SERVER_ROOTS.len() {
        return Err(EgressSetupError::ExtraRoots);
    }
    // The provider is named here so that nothing depends on a process-wide default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

fn client(
    config: &EgressConfig,
    tls: &ClientConfig,
    lookups: &Arc<Semaphore>,
    reach: Reach,
) -> Result<Client, EgressSetupError> {
    let header_bytes_max = u32::try_from(HEADER_BYTES_MAX).unwrap_or(u32::MAX);
    let client = Client::builder()
        .user_agent(&config.user_agent)
        .tls_backend_preconfigured(tls.clone())
        .dns_resolver(Arc::new(CheckedResolver { reach, lookups: Arc::clone(lookups) }))
        .connector_layer(ConnectDeadlineLayer { fallback: config.connect_timeout })
        // A proxy would resolve names itself, unchecked.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .pool_idle_timeout(config.pool_idle_timeout)
        .pool_max_idle_per_host(config.pool_idle_per_host_max)
        .http1_max_headers(PARSED_HEADERS_MAX)
        .http2_max_header_list_size(header_bytes_max)
        .build()?;
    Ok(client)
}

/// Reads an answer to its end, or to the first sign that it is too large.
async fn read(
    mut response: reqwest::Response,
    final_url: Url,
    bytes_max: usize,
) -> Result<Response, EgressError> {
    let headers = read_headers(response.headers())?;
    let too_large = EgressError::TooLarge { part: ResponsePart::Body, limit: bytes_max };
    let announced = response.content_length().unwrap_or(0);
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return Err(too_large);
    }
    let mut body = BytesMut::with_capacity(announced.min(BODY_BUFFER_BYTES));
    while let Some(chunk) = response.chunk().await.map_err(|_| EgressError::Interrupted)? {
        // Never negative: the buffer stays within the limit.
        if chunk.len() > bytes_max.saturating_sub(body.len()) {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response {
        status: response.status().as_u16(),
        headers,
        body: Bytes::from(body),
        final_url: final_url.into(),
    })
}

fn read_headers(headers: &HeaderMap) -> Result<Vec<(String, String)>, EgressError> {
    if headers.len() > HEADERS_MAX {
        let part = ResponsePart::HeaderCount;
        return Err(EgressError::TooLarge { part, limit: HEADERS_MAX });
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > HEADER_BYTES_MAX {
        let part = ResponsePart::HeaderBytes;
        return Err(EgressError::TooLarge { part, limit: HEADER_BYTES_MAX });
    }
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Ok(headers.iter().map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(url: &str, allowed: &[&str]) -> Result<Reach, EgressError> {
        let allowed = HostAllowList::parse(allowed).expect("entries parse");
        reach_of(&Url::parse(url).expect("a URL"), &allowed).map(|(reach, _)| reach)
    }

    fn internal(url: &str) -> AddressClass {
        match reach(url, &[]) {
            Err(EgressError::Refused { reason: Refusal::InternalAddress { class, .. } }) => class,
            other => panic!("{url} is not refused as internal: {other:?}"),
        }
    }

    #[test]
    fn every_spelling_of_an_internal_address_is_refused() {
        for url in [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://１２７.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http:\\\\127.0.0.1\\",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:0:1:2:3:4:80ff:fffe]/",
        ] {
            assert_eq!(internal(url), AddressClass::Loopback, "{url}");
        }
        assert_eq!(internal("http://0/"), AddressClass::Unspecified);
        assert_eq!(internal("https://169.254.169.254/"), AddressClass::Metadata);
        assert_eq!(internal("https://[fd00:ec2::254]/"), AddressClass::Metadata);
    }

    #[test]
    fn metadata_names_are_refused_unresolved() {
        for host in ["metadata.google.internal", "METADATA.google.internal.", "metadata"] {
            assert!(matches!(
                reach(&format!("http://{host}/"), &[]),
                Err(EgressError::Refused { reason: Refusal::MetadataName { .. } })
            ));
        }
    }

    #[test]
    fn schemes_and_passwords_are_refused_even_for_allowed_hosts() {
        let refused = |reason| Err(EgressError::Refused { reason });
        let allowed = ["127.0.0.1"];
        assert_eq!(reach("ftp://127.0.0.1/", &allowed), refused(Refusal::Scheme));
        assert_eq!(reach("file:///etc/passwd", &allowed), refused(Refusal::Scheme));
        assert_eq!(reach("http://u@127.0.0.1/", &allowed), refused(Refusal::Userinfo));
        assert_eq!(reach("http://:p@127.0.0.1/", &allowed), refused(Refusal::Userinfo));
    }

    #[test]
    fn allowed_hosts_have_their_own_client() {
        assert_eq!(reach("https://a.example/", &[]), Ok(Reach::Public));
        assert_eq!(reach("https://93.184.215.14/", &[]), Ok(Reach::Public));
        assert_eq!(reach("https://a.example/", &["a.example"]), Ok(Reach::Named));
        assert_eq!(reach("https://a.example/", &["a.example:443"]), Ok(Reach::Named));
        assert_eq!(reach("https://a.example/", &["a.example:80"]), Ok(Reach::Public));
        assert_eq!(reach("http://127.0.0.1:8080/", &["127.0.0.1:8080"]), Ok(Reach::Named));
    }

    #[test]
    fn extra_roots_must_be_certificates() {
        for pem in ["x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let config = EgressConfig { extra_roots_pem: pem.into(), ..EgressConfig::default() };
            assert!(matches!(Egress::new(&config), Err(EgressSetupError::ExtraRoots)));
        }
    }
}
