//! `HttpClient:WebProxy`: the proxy between the front and the destinations of a cluster.
//!
//! Requests to http destinations go to an HTTP proxy in absolute form; everything else goes through
//! a tunnel, by CONNECT or by SOCKS (reference B7.4 and B16.2).

use std::future::{Ready, ready};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::uri::{Authority, Scheme};
use http::{Request, Uri};
use hyper_util::client::legacy::connect::proxy::{SocksV4, SocksV5};
use hyper_util::rt::TokioIo;
use ostler_config::schema::WebProxyConfig;
use percent_encoding::percent_decode_str;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::connection_key::{ConnectionKey, without_brackets};
use super::forward_body::ForwardBody;
use super::http1::{Http1, Stream};
use super::protocols::Protocols;
use super::request_error::RequestError;
use super::send_error::SendError;
use super::tls::TlsConfigs;

/// A proxy, taken apart.
#[derive(Debug)]
pub(super) struct WebProxy {
    kind: Kind,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    credentials: Option<Credentials>,
    bypass_on_local: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    /// The same over TLS.
    Https,
    /// Names are resolved here.
    Socks4,
    /// Names are resolved there.
    Socks4a,
    /// Names are resolved there.
    Socks5,
}

/// What the userinfo of the proxy's address says.
struct Credentials {
    user: String,
    password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// How the requests of one endpoint pass a proxy.
#[derive(Debug, Clone)]
pub(super) enum Via {
    /// The proxy is asked, by absolute form.
    Forwarding(Rc<WebProxy>),
    /// The destination is asked, through a tunnel.
    Tunnel(Rc<WebProxy>),
}

/// A proxy did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
enum WebProxyError {
    #[error("the proxy answers CONNECT with {0}")]
    Refused(http::StatusCode),
    #[error("the proxy cannot be reached through SOCKS 4: {0:?} has no IPv4 address")]
    NoIpv4(String),
}

impl WebProxy {
    /// Takes an address apart that the configuration's reader has accepted.
    pub(super) fn new(config: &WebProxyConfig) -> Result<Self, RequestError> {
        let wrong = || RequestError::WebProxy;
        let uri: Uri = config.address.parse().map_err(|_| wrong())?;
        let (kind, default_port) = match uri.scheme_str().map(str::to_ascii_lowercase).as_deref() {
            Some("http") => (Kind::Http, 80),
            Some("https") => (Kind::Https, 443),
            Some("socks4") => (Kind::Socks4, 1080),
            Some("socks4a") => (Kind::Socks4a, 1080),
            Some("socks5") => (Kind::Socks5, 1080),
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        let userinfo = authority.as_str().rsplit_once('@').map(|(info, _)| info);
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        Ok(Self {
            kind,
            host: without_brackets(authority.host()).to_owned(),
            port: authority.port_u16().unwrap_or(default_port),
            credentials: userinfo.map(|info| {
                let (user, password) = info.split_once(':').unwrap_or((info, ""));
                Credentials {
                    user: decoded(user),
                    password: decoded(password),
                }
            }),
            bypass_on_local: config.bypass_on_local.unwrap_or_default(),
        })
    }

    /// How requests to an endpoint pass this proxy; `None` where they do not. Upgrades never pass an
    /// HTTP proxy as requests: what an upgraded connection carries is nothing to it.
    pub(super) fn via(self: &Rc<Self>, endpoint: &ConnectionKey, upgrade: bool) -> Option<Via> {
        // What is on this host already is nobody else's to reach.
        if endpoint.socket.is_some() || (self.bypass_on_local && is_local(&endpoint.host)) {
            return None;
        }
        let proxy = Rc::clone(self);
        Some(match self.kind {
            Kind::Http | Kind::Https if !endpoint.is_https && !upgrade => Via::Forwarding(proxy),
            _ => Via::Tunnel(proxy),
        })
    }

    /// A connection to the proxy.
    async fn connect(&self, tls: Option<&TlsConfigs>) -> Result<Box<dyn Stream>, SendError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(SendError::of)?;
        stream.set_nodelay(true).map_err(SendError::of)?;
        let Some(tls) = tls.filter(|_| self.kind == Kind::Https) else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(self.host.clone()).map_err(SendError::of)?;
        let stream = TlsConnector::from(tls.of(Protocols::Http1))
            .connect(name, stream)
            .await
            .map_err(SendError::of)?;
        Ok(Box::new(stream))
    }

    /// A connection through the proxy to an endpoint.
    async fn tunnel(
        &self,
        endpoint: &ConnectionKey,
        tls: Option<&TlsConfigs>,
    ) -> Result<Box<dyn Stream>, SendError> {
        let stream = self.connect(tls).await?;
        match self.kind {
            Kind::Http | Kind::Https => self.tunnel_by_connect(stream, endpoint).await,
            Kind::Socks4 | Kind::Socks4a => {
                let host = match self.kind {
                    Kind::Socks4 => ipv4_of(endpoint).await?,
                    _ => endpoint.host.clone(),
                };
                let to = uri_of(&host, endpoint.port)?;
                let mut socks = SocksV4::new(Uri::default(), Connected::new(stream));
                let stream = socks.call(to).await.map_err(SendError::of)?;
                Ok(Box::new(stream.into_inner()))
            }
            Kind::Socks5 => {
                let to = uri_of(&endpoint.host, endpoint.port)?;
                let mut socks = SocksV5::new(Uri::default(), Connected::new(stream));
                if let Some(Credentials { user, password }) = &self.credentials {
                    socks = socks.with_auth(user.clone(), password.clone());
                }
                let stream = socks.call(to).await.map_err(SendError::of)?;
                Ok(Box::new(stream.into_inner()))
            }
        }
    }

    /// RFC 9110 section 9.3.6.
    async fn tunnel_by_connect(
        &self,
        stream: Box<dyn Stream>,
        endpoint: &ConnectionKey,
    ) -> Result<Box<dyn Stream>, SendError> {
        let mut connection = Http1::new(stream);
        let host = bracketed(&endpoint.host);
        let authority = format!("{host}:{}", endpoint.port);
        let mut request = Request::connect(authority.as_str()).header(HOST, authority.as_str());
        if let Some(value) = self.proxy_authorization() {
            request = request.header(PROXY_AUTHORIZATION, value);
        }
        let request = request.body(ForwardBody::empty()).map_err(SendError::of)?;
        let answered = connection.send(request, None).await;
        let response = answered.map_err(|failed| SendError::of(failed.error))?;
        let status = response.status();
        match connection.into_tunnel(response.into_body()) {
            Some(tunnel) => Ok(Box::new(tunnel)),
            None => Err(SendError::of(WebProxyError::Refused(status))),
        }
    }

    /// RFC 7617.
    fn proxy_authorization(&self) -> Option<HeaderValue> {
        let Credentials { user, password } = self.credentials.as_ref()?;
        let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
        let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Via {
    /// Whether the connection to the proxy itself needs TLS.
    pub(super) fn is_https(&self) -> bool {
        let (Self::Forwarding(proxy) | Self::Tunnel(proxy)) = self;
        proxy.kind == Kind::Https
    }

    /// A connection on which requests for an endpoint can be sent.
    pub(super) async fn connect(
        &self,
        endpoint: &ConnectionKey,
        tls: Option<&TlsConfigs>,
    ) -> Result<Box<dyn Stream>, SendError> {
        match self {
            Self::Forwarding(proxy) => proxy.connect(tls).await,
            Self::Tunnel(proxy) => proxy.tunnel(endpoint, tls).await,
        }
    }

    /// Puts a request for the proxy itself into absolute form (RFC 9112 section 3.2.2). False where
    /// it is for the destination.
    pub(super) fn in_proxy_form<B>(
        &self,
        request: &mut Request<B>,
        endpoint: &ConnectionKey,
    ) -> Result<bool, SendError> {
        let Self::Forwarding(proxy) = self else {
            return Ok(false);
        };
        let host = bracketed(&endpoint.host);
        let authority = match endpoint.port {
            80 => host,
            port => format!("{host}:{port}"),
        };
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(Authority::try_from(authority).map_err(SendError::of)?);
        *request.uri_mut() = Uri::from_parts(parts).map_err(SendError::of)?;
        if let Some(value) = proxy.proxy_authorization() {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        Ok(true)
    }
}

/// A connection that is open already, for whoever wants to open one.
struct Connected(Option<TokioIo<Box<dyn Stream>>>);

impl Connected {
    fn new(stream: Box<dyn Stream>) -> Self {
        Self(Some(TokioIo::new(stream)))
    }
}

impl Service<Uri> for Connected {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _to: Uri) -> Self::Future {
        let stream = self.0.take();
        ready(stream.ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

/// Loopback addresses and names without a dot (reference B16.2).
fn is_local(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => !host.trim_end_matches('.').contains('.'),
    }
}

async fn ipv4_of(endpoint: &ConnectionKey) -> Result<String, SendError> {
    let found = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port));
    let address = found
        .await
        .map_err(SendError::of)?
        .find(std::net::SocketAddr::is_ipv4);
    match address {
        Some(address) => Ok(address.ip().to_string()),
        None => Err(SendError::of(WebProxyError::NoIpv4(endpoint.host.clone()))),
    }
}

fn uri_of(host: &str, port: u16) -> Result<Uri, SendError> {
    let uri = format!("http://{}:{port}/", bracketed(host));
    uri.parse()
        .map_err(|error: http::uri::InvalidUri| SendError::of(error))
}

fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(address: &str, bypass_on_local: bool) -> Rc<WebProxy> {
        let config = WebProxyConfig {
            address: address.to_owned(),
            bypass_on_local: Some(bypass_on_local),
            use_default_credentials: None,
        };
        Rc::new(WebProxy::new(&config).unwrap())
    }

    fn endpoint(is_https: bool, host: &str) -> ConnectionKey {
        ConnectionKey {
            socket: None,
            is_https,
            host: host.to_owned(),
            port: 8080,
            server_name: String::new(),
        }
    }

    #[test]
    fn addresses_are_taken_apart() {
        for (address, kind, host, port, user) in [
            ("http://proxy", Kind::Http, "proxy", 80, None),
            ("HTTPS://proxy/", Kind::Https, "proxy", 443, None),
            (
                "http://u:p@proxy:3128/",
                Kind::Http,
                "proxy",
                3128,
                Some(("u", "p")),
            ),
            (
                "socks5://a%40b:%3a@[::1]",
                Kind::Socks5,
                "::1",
                1080,
                Some(("a@b", ":")),
            ),
            ("http://u@proxy", Kind::Http, "proxy", 80, Some(("u", ""))),
            ("socks4://10.0.0.1:9", Kind::Socks4, "10.0.0.1", 9, None),
            ("socks4a://proxy", Kind::Socks4a, "proxy", 1080, None),
        ] {
            let proxy = proxy(address, false);
            assert_eq!(
                (proxy.kind, proxy.host.as_str(), proxy.port),
                (kind, host, port)
            );
            let found = proxy.credentials.as_ref();
            let found = found.map(|found| (found.user.as_str(), found.password.as_str()));
            assert_eq!(found, user, "{address}");
        }
    }

    /// Reference B16.2.
    #[test]
    fn local_names_are_bypassed_when_that_is_asked_for() {
        for (host, is_local) in [
            ("localhost", true),
            ("app", true),
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("app.example", false),
            ("10.0.0.1", false),
            ("fe80::1", false),
        ] {
            let endpoint = endpoint(false, host);
            let via = proxy("http://proxy", true).via(&endpoint, false);
            assert_eq!(via.is_none(), is_local, "{host}");
            assert!(proxy("http://proxy", false).via(&endpoint, false).is_some());
        }
    }

    /// Reference B7.4: absolute form for http, CONNECT for https; and tunnels for upgrades.
    #[test]
    fn requests_pass_in_absolute_form_or_through_a_tunnel() {
        for (address, is_https, upgrade, is_tunnel) in [
            ("http://proxy", false, false, false),
            ("http://proxy", false, true, true),
            ("http://proxy", true, false, true),
            ("https://proxy", false, false, false),
            ("socks5://proxy", false, false, true),
            ("socks4://proxy", true, false, true),
        ] {
            let via = proxy(address, false).via(&endpoint(is_https, "a.example"), upgrade);
            assert_eq!(matches!(via, Some(Via::Tunnel(_))), is_tunnel, "{address}");
        }
        let endpoint = endpoint(false, "::1");
        let via = proxy("http://u:p@proxy", false)
            .via(&endpoint, false)
            .unwrap();
        let mut request = Request::get("/x?y").body(()).unwrap();
        assert!(via.in_proxy_form(&mut request, &endpoint).unwrap());
        assert_eq!(*request.uri(), "http://[::1]:8080/x?y");
        assert_eq!(request.headers()[PROXY_AUTHORIZATION], "Basic dTpw");
    }
}
