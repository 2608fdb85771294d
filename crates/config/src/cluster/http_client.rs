//! `HttpClient` of a cluster: reading, and the rules C12 and C13.

use super::{header_encoding, web_proxy};
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf::{self, Members};
use crate::reader::Reader;
use crate::schema::{HttpClientConfig, SslProtocols};
use crate::tree::Section;

const SSL_PROTOCOLS: &Members<()> = &[
    ("None", SslProtocols::NONE.0, ()),
    ("Ssl2", SslProtocols::SSL2.0, ()),
    ("Ssl3", SslProtocols::SSL3.0, ()),
    ("Tls", SslProtocols::TLS.0, ()),
    ("Tls11", SslProtocols::TLS11.0, ()),
    ("Tls12", SslProtocols::TLS12.0, ()),
    ("Tls13", SslProtocols::TLS13.0, ()),
    ("Default", SslProtocols::DEFAULT.0, ()),
];

/// Reads `HttpClient`, and with it `MaxConnectionsPerServer`.
pub(super) fn read(
    section: Section<'_>,
    diagnostics: &mut Diagnostics,
) -> (HttpClientConfig, Option<u32>) {
    let mut reader = Reader::new(section, &keys::HTTP_CLIENT, diagnostics);
    let web_proxy = reader.child("WebProxy");
    let config = HttpClientConfig {
        ssl_protocols: ssl_protocols(&mut reader),
        dangerous_accept_any_server_certificate: reader
            .parsed("DangerousAcceptAnyServerCertificate", leaf::boolean),
        enable_multiple_http2_connections: reader
            .parsed("EnableMultipleHttp2Connections", leaf::boolean),
        request_header_encoding: header_encoding::read(&mut reader, "RequestHeaderEncoding"), // C13
        response_header_encoding: header_encoding::read(&mut reader, "ResponseHeaderEncoding"), // C13
        web_proxy: web_proxy::read(web_proxy, reader.diagnostics),
    };
    let connections = reader.parsed("MaxConnectionsPerServer", |text| {
        match u32::try_from(leaf::int32(text)?) {
            Ok(connections) if connections > 0 => Ok(connections),
            _ => Err(format!("{text:?} is not positive")), // C12
        }
    });
    reader.finish();
    (config, connections)
}

/// Reads `SslProtocols`.
pub(crate) fn ssl_protocols(reader: &mut Reader<'_, '_>) -> Option<SslProtocols> {
    let mut all = None;
    for (at, text) in reader.list("SslProtocols") {
        match leaf::flags(&text, SSL_PROTOCOLS) {
            Ok(flags) => all = Some(SslProtocols(all.unwrap_or(SslProtocols::NONE).0 | flags)),
            Err(message) => reader.error(&at, message, Some("correct or remove it".to_owned())),
        }
    }
    all
}
