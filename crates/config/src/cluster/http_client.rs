//! `HttpClient` of a cluster: reading, and the rules C12 and C13.

use crate::diagnostics::Diagnostics;
use crate::leaf::{self, Members};
use crate::nearest::nearest;
use crate::reader::Reader;
use crate::schema::{HttpClientConfig, SslProtocols, WebProxyConfig};
use crate::tree::Section;
use crate::tree::key::same;

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

/// What .NET knows without further providers, UTF-7 left out, which it refuses.
const ENCODINGS: [&str; 36] = [
    "utf-8",
    "unicode-1-1-utf-8",
    "unicode-2-0-utf-8",
    "x-unicode-1-1-utf-8",
    "x-unicode-2-0-utf-8",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "unicode",
    "unicodeFFFE",
    "ucs-2",
    "iso-10646-ucs-2",
    "utf-32",
    "utf-32le",
    "utf-32be",
    "us-ascii",
    "ascii",
    "us",
    "ansi_x3.4-1968",
    "ansi_x3.4-1986",
    "cp367",
    "csASCII",
    "IBM367",
    "iso-ir-6",
    "ISO646-US",
    "ISO_646.irv:1991",
    "iso-8859-1",
    "iso8859-1",
    "iso_8859-1",
    "iso_8859-1:1987",
    "latin1",
    "l1",
    "iso-ir-100",
    "cp819",
    "ibm819",
    "csISOLatin1",
];

/// Reads `HttpClient`, and with it `MaxConnectionsPerServer`.
pub(super) fn read(
    section: Section<'_>,
    diagnostics: &mut Diagnostics,
) -> (HttpClientConfig, Option<u32>) {
    let mut reader = Reader::new(section, diagnostics);
    let web_proxy = reader.child("WebProxy");
    let config = HttpClientConfig {
        ssl_protocols: ssl_protocols(&mut reader),
        dangerous_accept_any_server_certificate: reader
            .parsed("DangerousAcceptAnyServerCertificate", leaf::boolean),
        enable_multiple_http2_connections: reader
            .parsed("EnableMultipleHttp2Connections", leaf::boolean),
        request_header_encoding: encoding(&mut reader, "RequestHeaderEncoding"), // C13
        response_header_encoding: encoding(&mut reader, "ResponseHeaderEncoding"), // C13
        web_proxy: read_web_proxy(web_proxy, reader.diagnostics),
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

/// There are too many names to list them all.
fn encoding(reader: &mut Reader<'_, '_>, key: &'static str) -> Option<String> {
    let name = reader.text(key)?;
    if !ENCODINGS.iter().any(|known| same(known, &name)) {
        let at = reader.section.child(key);
        let remedy = match nearest(&name, &ENCODINGS) {
            Some(near) => format!("did you mean {near}?"),
            None => "known are utf-8, us-ascii, iso-8859-1, utf-16 and utf-32".to_owned(),
        };
        reader.error(&at, format!("there is no encoding {name:?}"), Some(remedy));
    }
    Some(name)
}

/// `WebProxy`, which counts only when it has an `Address`.
fn read_web_proxy(section: Section<'_>, diagnostics: &mut Diagnostics) -> Option<WebProxyConfig> {
    let mut reader = Reader::new(section, diagnostics);
    let address = reader.parsed("Address", |text| match text {
        "" => Ok(String::new()),
        text => leaf::absolute_uri(text),
    });
    let bypass_on_local = reader.parsed("BypassOnLocal", leaf::boolean);
    let use_default_credentials = reader.parsed("UseDefaultCredentials", leaf::boolean);
    reader.finish();
    Some(WebProxyConfig {
        address: address.filter(|address| !address.is_empty())?,
        bypass_on_local,
        use_default_credentials,
    })
}
