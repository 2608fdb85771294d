//! What a destination's `Address` and `Host` come down to.

use std::path::PathBuf;
use std::rc::Rc;

use http::{HeaderValue, Uri};
use ostler_config::host_name;
use ostler_config::schema::DestinationConfig;
use ostler_config::socket_address;
use ostler_model::transforms::path;

use super::connection_key::{ConnectionKey, without_brackets};
use super::messages::Messages;
use super::pool::Pool;
use super::request_error::RequestError;

/// A destination that requests are forwarded to.
#[derive(Debug)]
pub(crate) struct Destination {
    /// The path of `Address`, and its query; they precede the request's path, as in YARP, which puts
    /// texts together (reference B6.2).
    pub(crate) prefix: String,
    /// The outgoing `Host`.
    pub(crate) host: HeaderValue,
    pool: Rc<Pool>,
    /// For upgrades, where these need connections of their own.
    upgrades: Option<Rc<Pool>>,
    pub(crate) messages: Messages,
}

impl Destination {
    pub(super) fn new(
        config: &DestinationConfig,
        messages: Messages,
        pools: impl FnOnce(ConnectionKey) -> Result<(Rc<Pool>, Option<Rc<Pool>>), RequestError>,
    ) -> Result<Self, RequestError> {
        let address = || RequestError::Address(config.address.clone());
        let (socket, base) = match socket_address::split(&config.address) {
            Some((socket, base)) => (Some(PathBuf::from(socket)), canonical(&base)),
            None => (None, canonical(&config.address)),
        };
        let base: Uri = base.parse().map_err(|_| address())?;
        let is_https = match base.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(address()),
        };
        let authority = base.authority().ok_or_else(address)?;
        let default_port = if is_https { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(default_port);
        // Userinfo is not for the wire, and the scheme's own port is not named (reference B6.1).
        let host = match port == default_port {
            true => authority.host().to_ascii_lowercase(),
            false => format!("{}:{port}", authority.host().to_ascii_lowercase()),
        };
        let host = config
            .host
            .clone()
            .filter(|host| !host.is_empty())
            .unwrap_or(host);
        let key = ConnectionKey {
            is_https,
            socket,
            host: without_brackets(authority.host()).to_owned(),
            port,
            server_name: match is_https {
                true => without_brackets(without_port(&host)).to_owned(),
                false => String::new(),
            },
        };
        let (pool, upgrades) = pools(key)?;
        Ok(Self {
            prefix: base
                .path_and_query()
                .map_or("/", http::uri::PathAndQuery::as_str)
                .to_owned(),
            host: HeaderValue::from_str(&host).map_err(http::Error::from)?,
            pool,
            upgrades,
            messages,
        })
    }

    /// The connections for a request, which may ask for an upgrade.
    pub(crate) fn pool(&self, upgrade: bool) -> &Rc<Pool> {
        match &self.upgrades {
            Some(upgrades) if upgrade => upgrades,
            _ => &self.pool,
        }
    }
}

/// The address with nothing in it but what a URI may have: the host in ASCII, the rest escaped.
fn canonical(address: &str) -> String {
    let start = address.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = address.split_at(start);
    let end = rest.find(['/', '?', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = host_name::to_ascii(authority);
    format!("{scheme}{authority}{}", path::of_address(path))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
            if is_port { name } else { host }
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_off_a_host() {
        for (host, name) in [
            ("a.com", "a.com"),
            ("a.com:8443", "a.com"),
            ("[::1]:8443", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }

    #[test]
    fn an_address_is_written_as_a_uri() {
        for (address, uri) in [
            ("http://h", "http://h"),
            ("http://h:81/a b/", "http://h:81/a%20b/"),
            (
                "http://h/%7Ex/%c3%bc/%2f%3b;[1]",
                "http://h/~x/%C3%BC/%2f%3b;[1]",
            ),
            (
                "http://h/ü/a|b^?q=a b&c=%41%zz",
                "http://h/%C3%BC/a%7Cb%5E?q=a%20b&c=A%25zz",
            ),
            ("http://h/a/../b\\c/./d", "http://h/b/c/d"),
            ("http://Bücher.test/", "http://xn--bcher-kva.test/"),
            ("http://[::1]:80/", "http://[::1]:80/"),
        ] {
            assert_eq!(canonical(address), uri);
        }
    }
}
