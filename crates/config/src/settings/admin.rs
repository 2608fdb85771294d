//! `Ostler:Admin`: where the operator asks and is told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::reader::Reader;
use crate::tree::Section;

/// `Ostler:Admin`, where it has a `Url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// `Url`: where to listen.
    pub address: AdminAddress,
}

/// Where only this host's own processes reach: the endpoint asks nobody who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    /// A loopback address.
    Loopback(SocketAddr),
    /// A socket of the file system.
    Unix(PathBuf),
}

/// Reads `Ostler:Admin`; `None` where there is to be no such endpoint.
pub(super) fn read(section: Section<'_>, diagnostics: &mut Diagnostics) -> Option<AdminConfig> {
    let mut reader = Reader::new(section, &keys::ADMIN, diagnostics);
    let address = reader.parsed("Url", |text| match text.trim() {
        "" => Ok(None),
        url => parse(url).map(Some),
    });
    reader.finish();
    let address = address.flatten()?;
    Some(AdminConfig { address })
}

fn parse(url: &str) -> Result<AdminAddress, String> {
    let Some(rest) = strip_scheme(url) else {
        return Err(format!("{url:?} does not start with http://"));
    };
    if let Some(path) = rest.strip_prefix("unix:") {
        if !path.starts_with('/') {
            return Err(format!("the path of {url:?} does not begin with /"));
        }
        return Ok(AdminAddress::Unix(path.into()));
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let address = match authority.rsplit_once(':') {
        Some((host, port)) if host.eq_ignore_ascii_case("localhost") => {
            let port = port.parse().ok();
            port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        }
        _ => authority.parse().ok(),
    };
    match address {
        Some(address) if is_loopback(address.ip()) => Ok(AdminAddress::Loopback(address)),
        Some(_) => Err(format!(
            "{url:?} is neither a loopback address nor a socket of the file system, and whoever reaches this \
             endpoint may ask it"
        )),
        None => Err(format!(
            "{url:?} is not of the form http://127.0.0.1:9090 or http://unix:/path"
        )),
    }
}

fn strip_scheme(url: &str) -> Option<&str> {
    const SCHEME: &str = "http://";
    let (scheme, rest) = url.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(rest)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_and_sockets_of_the_file_system_will_do() {
        let loopback = |text: &str| Ok(AdminAddress::Loopback(text.parse().unwrap()));
        for (url, address) in [
            ("http://127.0.0.1:9090", loopback("127.0.0.1:9090")),
            ("HTTP://127.1.2.3:0/", loopback("127.1.2.3:0")),
            ("http://[::1]:9090", loopback("[::1]:9090")),
            ("http://LocalHost:9090", loopback("127.0.0.1:9090")),
            (
                "http://unix:/run/a.sock",
                Ok(AdminAddress::Unix("/run/a.sock".into())),
            ),
        ] {
            assert_eq!(parse(url), address, "{url}");
        }
    }

    #[test]
    fn nothing_else_will() {
        for (url, words) in [
            ("http://0.0.0.0:9090", "neither a loopback address nor"),
            ("http://192.0.2.1:9090", "neither a loopback address nor"),
            ("http://[::]:9090", "neither a loopback address nor"),
            ("http://*:9090", "is not of the form"),
            ("http://example.com:9090", "is not of the form"),
            ("http://127.0.0.1", "is not of the form"),
            ("http://127.0.0.1:9090/admin", "is not of the form"),
            ("https://127.0.0.1:9090", "does not start with http://"),
            ("127.0.0.1:9090", "does not start with http://"),
            ("http://unix:a.sock", "does not begin with /"),
        ] {
            let error = parse(url).unwrap_err();
            assert!(error.contains(words), "{url}: {error}");
        }
    }
}
