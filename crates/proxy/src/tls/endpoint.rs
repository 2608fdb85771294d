//! What an https endpoint says to whom: a host's certificate, versions and protocols, found by the
//! name that the client asks for (reference B20.3).

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ostler_config::schema::SslProtocols;
use ostler_config::{ClientCertificateMode, HttpProtocols, host_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use super::certificate::Certificate;
use crate::destinations::system_roots;
use crate::trust::{ClientVerifier, TrustStore};

/// How TLS is spoken on an endpoint.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// By name: a host, `*.suffix`, or `*`. Where there is any, a client that asks for another name
    /// is refused.
    pub hosts: Vec<(String, TlsHostOptions)>,
    /// For every client where there are none by name.
    pub any: Option<TlsHostOptions>,
    /// Who vouches for clients; `None` is what the system trusts.
    pub client_certificate_authorities: Option<Vec<CertificateDer<'static>>>,
}

/// How TLS is spoken with clients that ask for a name.
#[derive(Debug, Clone)]
pub struct TlsHostOptions {
    /// What they are shown.
    pub certificate: Certificate,
    /// What ALPN offers them.
    pub protocols: HttpProtocols,
    /// Versions of TLS; [`SslProtocols::NONE`] is 1.2 and 1.3.
    pub ssl_protocols: SslProtocols,
    /// Whether they show certificates of their own.
    pub client_certificates: ClientCertificateMode,
}

/// TLS cannot be spoken as it is asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsSetupError {
    /// No version is left.
    #[error("only TLS 1.2 and TLS 1.3 are spoken")]
    NoVersion,
    /// Nobody can vouch for a client.
    #[error("the system trusts nobody who could vouch for a client")]
    NoRoots(#[source] Box<dyn Error + Send + Sync>),
    /// A certificate cannot vouch for a client.
    #[error("of those who vouch for clients, a certificate cannot be used")]
    Authority(#[source] rustls::Error),
    /// What rustls says.
    #[error("TLS cannot be set up")]
    Setup(#[source] Box<dyn Error + Send + Sync>),
}

/// An endpoint's side of TLS. What it says can be replaced while it is listened on: connections keep
/// what they were told.
#[derive(Debug)]
pub struct TlsEndpoint(ArcSwap<Hosts>);

impl TlsEndpoint {
    /// Sets up TLS.
    ///
    /// # Errors
    ///
    /// When it cannot be spoken as it is asked for.
    pub fn new(options: &TlsOptions) -> Result<Self, TlsSetupError> {
        Ok(Self(ArcSwap::from_pointee(Hosts::new(options)?)))
    }

    /// Says something else to whoever connects from now on.
    ///
    /// # Errors
    ///
    /// As [`TlsEndpoint::new`]; nothing changes then.
    pub fn replace(&self, options: &TlsOptions) -> Result<(), TlsSetupError> {
        self.0.store(Arc::new(Hosts::new(options)?));
        Ok(())
    }

    /// What a client is told that asks for this name, or for none.
    pub(crate) fn host(&self, name: Option<&str>) -> Option<Host> {
        self.0.load().find(name).cloned()
    }
}

/// What a client is told.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) protocols: HttpProtocols,
}

#[derive(Debug)]
struct Hosts {
    exact: HashMap<String, Host>,
    /// By what stands behind the `*`, which begins with a dot.
    suffixes: HashMap<String, Host>,
    any: Option<Host>,
}

impl Hosts {
    fn new(options: &TlsOptions) -> Result<Self, TlsSetupError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let given = &options.client_certificate_authorities;
        // Read at most once, and only if somebody asks for client certificates.
        let mut authorities = None;
        let mut made = |host: &TlsHostOptions| {
            if host.client_certificates != ClientCertificateMode::NoCertificate
                && authorities.is_none()
            {
                authorities = Some(roots(given.as_deref())?);
            }
            // The names of all that a system trusts are many and say nothing to a client.
            let hints = given.is_some();
            let config = config(&provider, host, authorities.as_ref(), hints)?;
            let config = Arc::new(config);
            let protocols = host.protocols;
            Ok(Host { config, protocols })
        };
        let mut hosts = Self {
            exact: HashMap::new(),
            suffixes: HashMap::new(),
            any: options.any.as_ref().map(&mut made).transpose()?,
        };
        for (name, options) in &options.hosts {
            let host = made(options)?;
            let name = host_name::canonical(name).into_owned();
            match name.strip_prefix('*') {
                None => _ = hosts.exact.insert(name, host),
                Some("") => hosts.any = Some(host),
                Some(suffix) => _ = hosts.suffixes.insert(suffix.to_owned(), host),
            }
        }
        Ok(hosts)
    }

    /// The exact name, then the longest suffix, then `*`.
    fn find(&self, name: Option<&str>) -> Option<&Host> {
        let Some(name) = name else {
            return self.any.as_ref();
        };
        let name = host_name::canonical(name.trim_end_matches('.'));
        if let Some(host) = self.exact.get(&*name) {
            return Some(host);
        }
        if !self.suffixes.is_empty() {
            let dots = name.match_indices('.').map(|(at, _)| &name[at..]);
            // From the first dot on: the longest comes first.
            let mut suffixes = dots.filter_map(|suffix| self.suffixes.get(suffix));
            if let Some(host) = suffixes.next() {
                return Some(host);
            }
        }
        self.any.as_ref()
    }
}

fn setup(error: impl Into<Box<dyn Error + Send + Sync>>) -> TlsSetupError {
    TlsSetupError::Setup(error.into())
}

fn roots(given: Option<&[CertificateDer<'static>]>) -> Result<Arc<TrustStore>, TlsSetupError> {
    let Some(given) = given else {
        // As .NET does unless code says otherwise.
        let roots = system_roots().map_err(|error| TlsSetupError::NoRoots(error.into()))?;
        return Ok(Arc::new(roots));
    };
    let mut readable = RootCertStore::empty();
    for certificate in given {
        readable
            .add(certificate.clone())
            .map_err(TlsSetupError::Authority)?;
    }
    Ok(Arc::new(TrustStore::new(given.to_vec())))
}

fn config(
    provider: &Arc<CryptoProvider>,
    host: &TlsHostOptions,
    authorities: Option<&Arc<TrustStore>>,
    hints: bool,
) -> Result<ServerConfig, TlsSetupError> {
    let mut versions = Vec::new();
    let allowed = host.ssl_protocols;
    for (bit, version) in [(SslProtocols::TLS13, &TLS13), (SslProtocols::TLS12, &TLS12)] {
        if allowed == SslProtocols::NONE || allowed.contains(bit) {
            versions.push(version);
        }
    }
    if versions.is_empty() {
        return Err(TlsSetupError::NoVersion);
    }
    let verifier: Arc<dyn ClientCertVerifier> = match (host.client_certificates, authorities) {
        (ClientCertificateMode::NoCertificate, _) | (_, None) => Arc::new(NoClientAuth),
        (mode, Some(authorities)) => {
            let (roots, own) = (authorities.roots(), Arc::clone(provider));
            let mut builder = WebPkiClientVerifier::builder_with_provider(roots, own);
            if !hints {
                builder = builder.clear_root_hint_subjects();
            }
            if mode == ClientCertificateMode::AllowCertificate {
                builder = builder.allow_unauthenticated();
            }
            let webpki = builder.build().map_err(setup)?;
            Arc::new(ClientVerifier::new(
                webpki,
                Arc::clone(authorities),
                provider,
            ))
        }
    };
    let resolver = SingleCertAndKey::from(host.certificate.certified_key());
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&versions)
        .map_err(setup)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(resolver));
    // For sessions that move into the kernel; their keys go nowhere else.
    config.enable_secret_extraction = true;
    // Tickets hold the session, encrypted with a key of this configuration alone: what was agreed
    // with one host, a client's certificate say, resumes no session with another.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(setup)?;
    if host.protocols.has_http2() {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    if host.protocols.has_http1() {
        config.alpn_protocols.push(b"http/1.1".to_vec());
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(
        protocols: HttpProtocols,
        client_certificates: ClientCertificateMode,
    ) -> TlsHostOptions {
        let (certificate, key) = (
            include_bytes!("fixtures/chain.pem"),
            include_bytes!("fixtures/server.key"),
        );
        TlsHostOptions {
            certificate: Certificate::read(certificate, Some(key), None).unwrap(),
            protocols,
            ssl_protocols: SslProtocols::NONE,
            client_certificates,
        }
    }

    #[test]
    fn a_name_is_found_exactly_then_by_the_longest_suffix_then_by_the_star() {
        // Reference B20.3. Which one is found shows in its protocols.
        let host = |protocols| options(protocols, ClientCertificateMode::NoCertificate);
        let (one, two, both) = (
            HttpProtocols::Http1,
            HttpProtocols::Http2,
            HttpProtocols::Http1AndHttp2,
        );
        let mut tls = TlsOptions {
            hosts: vec![
                ("A.example".into(), host(one)),
                ("*.example".into(), host(two)),
                ("*.a.example".into(), host(both)),
                ("B\u{fc}cher.test".into(), host(one)),
                ("*.xn--bcher-kva.test".into(), host(two)),
            ],
            ..TlsOptions::default()
        };
        let found = |hosts: &Hosts, name| hosts.find(name).map(|host| host.protocols);
        let hosts = Hosts::new(&tls).unwrap();
        for (name, expected) in [
            (Some("a.example"), Some(one)),
            (Some("A.EXAMPLE"), Some(one)),
            (Some("a.example."), Some(one)),
            (Some("b.example"), Some(two)),
            (Some("c.b.example"), Some(two)),
            (Some("b.a.example"), Some(both)),
            (Some("xn--bcher-kva.test"), Some(one)),
            (Some("a.XN--BCHER-KVA.test"), Some(two)),
            (Some("example"), None),
            (Some("aexample"), None),
            (Some("a.example.org"), None),
            (Some(""), None),
            (None, None),
        ] {
            assert_eq!(found(&hosts, name), expected, "{name:?}");
        }
        tls.hosts.push(("*".into(), host(both)));
        let hosts = Hosts::new(&tls).unwrap();
        assert_eq!(found(&hosts, Some("a.example.org")), Some(both));
        assert_eq!(found(&hosts, Some("b.example")), Some(two));
        assert_eq!(found(&hosts, None), Some(both));
    }

    #[test]
    fn what_cannot_be_set_up_changes_nothing() {
        let mut tls = TlsOptions {
            any: Some(options(
                HttpProtocols::Http1,
                ClientCertificateMode::RequireCertificate,
            )),
            client_certificate_authorities: Some(vec![vec![1, 2, 3].into()]),
            ..TlsOptions::default()
        };
        let error = TlsEndpoint::new(&tls).unwrap_err();
        assert!(matches!(error, TlsSetupError::Authority(_)), "{error:?}");
        // Nobody asks for client certificates, so nobody needs to vouch for them.
        let any = options(HttpProtocols::Http1, ClientCertificateMode::NoCertificate);
        tls.any = Some(any.clone());
        let endpoint = TlsEndpoint::new(&tls).unwrap();
        tls.any = Some(TlsHostOptions {
            ssl_protocols: SslProtocols::TLS11,
            protocols: HttpProtocols::Http2,
            ..any
        });
        let error = endpoint.replace(&tls).unwrap_err();
        assert!(matches!(error, TlsSetupError::NoVersion), "{error:?}");
        let host = endpoint.host(None).unwrap();
        assert_eq!(host.protocols, HttpProtocols::Http1);
        assert_eq!(host.config.alpn_protocols, [b"http/1.1".to_vec()]);
    }
}
