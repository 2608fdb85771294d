//! `Protocols`, `SslProtocols` and `ClientCertificateMode` of endpoints.

use crate::nearest::suggestion;
use crate::reader::Reader;
use crate::schema::SslProtocols;
use crate::tree::key::same;

/// `Protocols`: which versions of HTTP an endpoint speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HttpProtocols {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; in clear text by prior knowledge.
    Http2,
    /// What ALPN agrees on; in clear text HTTP/1.1.
    #[default]
    Http1AndHttp2,
}

impl HttpProtocols {
    /// Whether HTTP/1.1 is among them.
    pub fn has_http1(self) -> bool {
        self != Self::Http2
    }

    /// Whether HTTP/2 is among them.
    pub fn has_http2(self) -> bool {
        self != Self::Http1
    }
}

/// `ClientCertificateMode`: whether clients show certificates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientCertificateMode {
    /// They are not asked for one.
    #[default]
    NoCertificate,
    /// They are asked and need not have one; one that is not valid ends the handshake.
    AllowCertificate,
    /// Whoever has no valid one is refused.
    RequireCertificate,
}

/// Reads `Protocols`.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Option<HttpProtocols> {
    const NAMES: [&str; 3] = ["Http1AndHttp2", "Http1", "Http2"];
    let name = reader.text("Protocols")?;
    let at = reader.section.child("Protocols");
    let is = |known: &str| same(&name, known);
    if is("Http1") {
        return Some(HttpProtocols::Http1);
    }
    if is("Http2") {
        return Some(HttpProtocols::Http2);
    }
    if is("Http1AndHttp2AndHttp3") {
        let message = "HTTP/3 is not spoken: clients use HTTP/2 or HTTP/1.1";
        reader.warn(&at, message, Some("write Http1AndHttp2".to_owned()));
    } else if is("Http3") {
        let message = "HTTP/3 is not spoken";
        reader.error(&at, message, Some("write Http1AndHttp2".to_owned()));
    } else if !is("Http1AndHttp2") {
        let message = format!("there is no choice of protocols {name:?}");
        reader.error(&at, message, Some(suggestion(&name, &NAMES)));
    }
    Some(HttpProtocols::Http1AndHttp2)
}

/// Reads `ClientCertificateMode`.
pub(super) fn read_client_certificate_mode(
    reader: &mut Reader<'_, '_>,
) -> Option<ClientCertificateMode> {
    const MODES: [(&str, ClientCertificateMode); 3] = [
        ("NoCertificate", ClientCertificateMode::NoCertificate),
        ("AllowCertificate", ClientCertificateMode::AllowCertificate),
        (
            "RequireCertificate",
            ClientCertificateMode::RequireCertificate,
        ),
    ];
    let name = reader.text("ClientCertificateMode")?;
    let found = MODES.iter().find(|(known, _)| same(known, &name));
    if let Some((_, mode)) = found {
        return Some(*mode);
    }
    let at = reader.section.child("ClientCertificateMode");
    if same(&name, "DelayCertificate") {
        // TLS 1.3 has no renegotiation and HTTP/2 forbids it; no step of the pipeline asks for one.
        let message = "a certificate cannot be asked for later than in the handshake";
        let remedy = "write AllowCertificate, and look at the certificate where it matters";
        reader.error(&at, message, Some(remedy.to_owned()));
    } else {
        let names = MODES.map(|(name, _)| name);
        let message = format!("there is no client certificate mode {name:?}");
        reader.error(&at, message, Some(suggestion(&name, &names)));
    }
    None
}

/// What of `SslProtocols` can be spoken.
pub(super) fn check_versions(reader: &mut Reader<'_, '_>, written: SslProtocols) {
    let spoken = SslProtocols(SslProtocols::TLS12.0 | SslProtocols::TLS13.0);
    let at = reader.section.child("SslProtocols");
    if written != SslProtocols::NONE && written.0 & spoken.0 == 0 {
        let message = "only TLS 1.2 and TLS 1.3 are spoken";
        reader.error(
            &at,
            message,
            Some("write [ \"Tls12\", \"Tls13\" ]".to_owned()),
        );
    } else if written.0 & !spoken.0 != 0 {
        let message = "of these only TLS 1.2 and TLS 1.3 are spoken";
        reader.warn(&at, message, None);
    }
}
