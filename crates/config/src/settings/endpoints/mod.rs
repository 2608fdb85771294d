//! Where to listen and how: `Urls`, `Kestrel:Endpoints`, `Kestrel:EndpointDefaults`,
//! `Kestrel:Certificates` (reference B20.3).

mod certificate;
mod ports;
mod protocols;
mod proxy_protocol;

pub use certificate::{CertificateConfig, Password};
pub use protocols::{ClientCertificateMode, HttpProtocols};
pub use proxy_protocol::TrustedNetworks;

use crate::cluster::ssl_protocols;
use crate::diagnostics::{Diagnostics, Severity};
use crate::keys;
use crate::reader::{Reader, note};
use crate::schema::SslProtocols;
use crate::tree::{ConfigurationTree, Section};

const DEFAULT: &str = "http://localhost:5000";

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointConfig {
    /// Where its URL stands: `Urls`, or `Kestrel:Endpoints:<name>:Url`.
    pub path: String,
    /// `Url`: begins with `http://` or `https://`.
    pub url: String,
    /// `Protocols`.
    pub protocols: HttpProtocols,
    /// What clients are told over TLS; none where the URL is `http://`.
    pub tls: Option<TlsConfig>,
    /// `Ostler:ProxyProtocol`: whose connections begin with a PROXY header.
    pub proxy_protocol: TrustedNetworks,
}

/// What an https endpoint tells its clients, by the name they ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// `Sni`, as written: a host, `*.suffix`, or `*`. Where there is any, a client that asks for
    /// another name is refused.
    pub hosts: Vec<(String, TlsHostConfig)>,
    /// For every client where `Sni` is empty.
    pub any: Option<TlsHostConfig>,
}

/// How TLS is spoken with a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsHostConfig {
    /// `Certificate`.
    pub certificate: CertificateConfig,
    /// `Protocols`: what ALPN offers.
    pub protocols: HttpProtocols,
    /// `SslProtocols`; [`SslProtocols::NONE`] is whatever is safe.
    pub ssl_protocols: SslProtocols,
    /// `ClientCertificateMode`.
    pub client_certificate_mode: ClientCertificateMode,
}

/// What an endpoint takes from `EndpointDefaults`, and a name of `Sni` from its endpoint.
#[derive(Debug, Clone, Default)]
struct Inherited {
    certificate: Option<CertificateConfig>,
    protocols: HttpProtocols,
    ssl_protocols: SslProtocols,
    client_certificate_mode: ClientCertificateMode,
}

/// Reads where to listen. The first of these that says anything:
///
/// 1. `Kestrel:Endpoints`;
/// 2. `Urls`, separated by `;`;
/// 3. `HTTP_PORTS` and `HTTPS_PORTS`, separated by `;`, on all addresses;
/// 4. `http://localhost:5000`.
///
/// The last two are usually variables of the environment, in any of ASP.NET's three spellings.
pub(super) fn read(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> Vec<EndpointConfig> {
    let mut endpoints = read_places(tree, diagnostics);
    let named = tree.section("Kestrel:Endpoints");
    let names: Vec<_> = named.children().map(|(name, _)| name).collect();
    let section = tree.section("Ostler:ProxyProtocol");
    let proxy_protocol = proxy_protocol::read(section, &names, diagnostics);
    for endpoint in &mut endpoints {
        let is_at = |name: &&&str| endpoint.path == named.child(name).child("Url").path();
        let name = names.iter().find(is_at).copied();
        endpoint.proxy_protocol = proxy_protocol.of(name);
    }
    endpoints
}

/// The same, and nobody there is believed yet.
fn read_places(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> Vec<EndpointConfig> {
    let certificates = tree.section("Kestrel:Certificates");
    let default = certificates.child("Default");
    let certificate = certificate::read(default, diagnostics);
    let mut reader = Reader::new(
        tree.section("Kestrel:EndpointDefaults"),
        &keys::ENDPOINT_DEFAULTS,
        diagnostics,
    );
    let defaults = inherited(&mut reader, Inherited::default());
    reader.finish();
    let defaults = Inherited {
        certificate,
        ..defaults
    };
    let endpoints = tree.section("Kestrel:Endpoints");
    let urls = said(tree, "Urls");
    let ports = ports::SCHEMES.map(|(key, _)| said(tree, key));
    if endpoints.has_children() {
        for other in urls.iter().chain(ports.iter().flatten()) {
            overridden(other, "Kestrel:Endpoints", diagnostics);
        }
        let all = endpoints.children();
        return all
            .filter_map(|(name, section)| read_endpoint(name, section, &defaults, diagnostics))
            .collect();
    }
    if let Some(urls) = urls {
        for other in ports.iter().flatten() {
            overridden(other, "Urls", diagnostics);
        }
        return read_urls(&urls, &defaults, diagnostics);
    }
    if ports.iter().any(Option::is_some) {
        let urls = ports::read(tree, diagnostics).into_iter();
        return urls
            .filter_map(|(at, url)| read_url(&at, url, &defaults, diagnostics))
            .collect();
    }
    vec![EndpointConfig {
        path: "Urls".to_owned(),
        url: DEFAULT.to_owned(),
        protocols: defaults.protocols,
        tls: None,
        proxy_protocol: TrustedNetworks::default(),
    }]
}

/// What stands under a key of the outermost level, unless it says nothing.
fn said<'t>(tree: &'t ConfigurationTree, key: &str) -> Option<Section<'t>> {
    let section = tree.section(key);
    let value = section.value()?;
    (!value.trim().is_empty()).then_some(section)
}

fn overridden(section: &Section<'_>, by: &str, diagnostics: &mut Diagnostics) {
    let message = format!("without effect, because {by} says where to listen");
    note(diagnostics, Severity::Warning, section, message, None);
}

fn read_urls(
    section: &Section<'_>,
    defaults: &Inherited,
    diagnostics: &mut Diagnostics,
) -> Vec<EndpointConfig> {
    let text = section.value().unwrap_or_default();
    let urls: Vec<_> = text
        .split(';')
        .map(str::trim)
        .filter(|url| !url.is_empty())
        .collect();
    if urls.is_empty() {
        let message = "there is nothing left to listen on".to_owned();
        refuse(section, message, diagnostics);
    }
    urls.into_iter()
        .filter_map(|url| read_url(section, url.to_owned(), defaults, diagnostics))
        .collect()
}

/// An endpoint that is a URL and nothing else.
fn read_url(
    section: &Section<'_>,
    url: String,
    defaults: &Inherited,
    diagnostics: &mut Diagnostics,
) -> Option<EndpointConfig> {
    let tls = match scheme(section, &url, diagnostics)? {
        false => None,
        true => Some(TlsConfig {
            hosts: Vec::new(),
            any: host(section, &url, defaults, diagnostics),
        }),
    };
    Some(EndpointConfig {
        path: section.path().to_owned(),
        url,
        protocols: defaults.protocols,
        tls,
        proxy_protocol: TrustedNetworks::default(),
    })
}

/// One of `Kestrel:Endpoints`; `None` when it has no URL that can be listened on.
fn read_endpoint(
    name: &str,
    section: Section<'_>,
    defaults: &Inherited,
    diagnostics: &mut Diagnostics,
) -> Option<EndpointConfig> {
    let mut reader = Reader::new(section.clone(), &keys::ENDPOINT, diagnostics);
    let url = reader.text("Url");
    let certificate = reader.child("Certificate");
    let sni = reader.entries("Sni");
    let mut own = inherited(&mut reader, defaults.clone());
    reader.finish();
    if let Some(certificate) = certificate::read(certificate.clone(), diagnostics) {
        own.certificate = Some(certificate);
    }
    let at = section.child("Url");
    let Some(url) = url.map(|url| url.trim().to_owned()) else {
        refuse(
            &at,
            format!("the endpoint {name:?} has no Url"),
            diagnostics,
        );
        return None;
    };
    let tls = match scheme(&at, &url, diagnostics)? {
        false => {
            // As Kestrel has it: whoever writes these believes that the endpoint is https.
            let https_only = [
                "Certificate",
                "Sni",
                "SslProtocols",
                "ClientCertificateMode",
            ];
            let written = https_only.map(|key| section.child(key));
            for written in written.iter().filter(|written| !written.is_empty()) {
                let message =
                    format!("without TLS, which {url:?} does not ask for, this is nothing");
                let remedy = Some("let the Url begin with https://, or remove it".to_owned());
                note(diagnostics, Severity::Error, written, message, remedy);
            }
            None
        }
        true if sni.is_empty() => Some(TlsConfig {
            hosts: Vec::new(),
            any: host(&at, &url, &own, diagnostics),
        }),
        true => Some(TlsConfig {
            hosts: sni
                .into_iter()
                .filter_map(|(name, section)| read_name(name, section, &url, &own, diagnostics))
                .collect(),
            any: None,
        }),
    };
    Some(EndpointConfig {
        path: at.path().to_owned(),
        url,
        protocols: own.protocols,
        tls,
        proxy_protocol: TrustedNetworks::default(),
    })
}

/// One of an endpoint's `Sni`.
fn read_name(
    name: &str,
    section: Section<'_>,
    url: &str,
    endpoint: &Inherited,
    diagnostics: &mut Diagnostics,
) -> Option<(String, TlsHostConfig)> {
    let suffix = name.strip_prefix("*.").unwrap_or(name);
    if name != "*" && (suffix.is_empty() || suffix.contains(['*', ' ', '/'])) {
        let message = format!("no client asks for the name {name:?}");
        let remedy = "write a host name, `*.` before one, or `*`".to_owned();
        note(
            diagnostics,
            Severity::Error,
            &section,
            message,
            Some(remedy),
        );
        return None;
    }
    let mut reader = Reader::new(section.clone(), &keys::SNI_NAME, diagnostics);
    let certificate = reader.child("Certificate");
    let mut own = inherited(&mut reader, endpoint.clone());
    reader.finish();
    if let Some(certificate) = certificate::read(certificate, diagnostics) {
        own.certificate = Some(certificate);
    }
    let host = host(&section, url, &own, diagnostics)?;
    Some((name.to_owned(), host))
}

/// The keys that `EndpointDefaults`, endpoints and names of `Sni` share.
fn inherited(reader: &mut Reader<'_, '_>, above: Inherited) -> Inherited {
    let ssl_protocols = ssl_protocols(reader).map_or(above.ssl_protocols, |written| {
        protocols::check_versions(reader, written);
        written
    });
    Inherited {
        protocols: protocols::read(reader).unwrap_or(above.protocols),
        client_certificate_mode: protocols::read_client_certificate_mode(reader)
            .unwrap_or(above.client_certificate_mode),
        ssl_protocols,
        certificate: above.certificate,
    }
}

/// How TLS is spoken; `None`, which is an error, without a certificate.
fn host(
    at: &Section<'_>,
    url: &str,
    options: &Inherited,
    diagnostics: &mut Diagnostics,
) -> Option<TlsHostConfig> {
    let Some(certificate) = options.certificate.clone() else {
        let message = format!("{url:?} has no certificate to show to clients");
        let mut remedy =
            "name one in Kestrel:Certificates:Default or in the endpoint's Certificate, \
                      as { \"Path\": \"cert.pem\", \"KeyPath\": \"key.pem\" }"
                .to_owned();
        if url.to_ascii_lowercase().contains("://localhost") {
            remedy.push_str(
                "; `dotnet dev-certs https -ep cert.pem --format PEM --no-password` writes ASP.NET's \
                 of development to cert.pem and cert.key",
            );
        }
        note(diagnostics, Severity::Error, at, message, Some(remedy));
        return None;
    };
    Some(TlsHostConfig {
        certificate,
        protocols: options.protocols,
        ssl_protocols: options.ssl_protocols,
        client_certificate_mode: options.client_certificate_mode,
    })
}

/// Whether a URL is https; `None`, which is an error, when it is neither that nor http.
fn scheme(at: &Section<'_>, url: &str, diagnostics: &mut Diagnostics) -> Option<bool> {
    let begins_with = |scheme: &str| {
        let beginning = url.get(..scheme.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(scheme))
    };
    if begins_with("http://") {
        return Some(false);
    }
    if begins_with("https://") {
        return Some(true);
    }
    let message = format!("{url:?} begins neither with http:// nor with https://");
    refuse(at, message, diagnostics);
    None
}

fn refuse(at: &Section<'_>, message: String, diagnostics: &mut Diagnostics) {
    let remedy = Some("set it to a URL such as http://*:8080".to_owned());
    note(diagnostics, Severity::Error, at, message, remedy);
}
