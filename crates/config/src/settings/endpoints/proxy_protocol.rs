//! `Ostler:ProxyProtocol`: at which endpoints, and from whom, a connection begins with a PROXY header
//! that says who the client is.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::nearest::suggestion;
use crate::reader::Reader;
use crate::tree::Section;
use crate::tree::key::same;

/// Who is believed. Nobody by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedNetworks {
    networks: Vec<IpNet>,
    /// Whoever connects to a socket in the file system.
    unix: bool,
}

impl TrustedNetworks {
    /// Whether the other end of a connection is one of them; it has no address where the connection
    /// came through a socket in the file system.
    pub fn contain(&self, peer: Option<IpAddr>) -> bool {
        match peer.map(|ip| ip.to_canonical()) {
            None => self.unix,
            Some(ip) => self.networks.iter().any(|network| network.contains(&ip)),
        }
    }

    /// Whoever connects.
    pub(in crate::settings) fn everybody() -> Self {
        let networks = ["0.0.0.0/0", "::/0"];
        Self {
            networks: networks.iter().filter_map(|all| all.parse().ok()).collect(),
            unix: true,
        }
    }

    pub(in crate::settings) fn add(&mut self, text: &str) -> Result<(), String> {
        if text.eq_ignore_ascii_case("unix") {
            self.unix = true;
            return Ok(());
        }
        let one = text.parse::<IpAddr>().map(IpNet::from);
        let network = one.or_else(|_| text.parse::<IpNet>());
        let network = network.map_err(|_| {
            format!(
                "{text:?} is neither an address, nor a network such as 10.0.0.0/8, nor \"unix\""
            )
        })?;
        self.networks.push(network.trunc());
        Ok(())
    }
}

/// The section, read.
#[derive(Debug, Default)]
pub(super) struct ProxyProtocol {
    trusted: TrustedNetworks,
    /// Names of endpoints; absent is all of them.
    endpoints: Option<Vec<String>>,
}

impl ProxyProtocol {
    /// Who is believed at an endpoint; those of `Urls` have no name.
    pub(super) fn of(&self, endpoint: Option<&str>) -> TrustedNetworks {
        let is_meant = self.endpoints.as_ref().is_none_or(|names| {
            endpoint.is_some_and(|name| names.iter().any(|known| same(known, name)))
        });
        match is_meant {
            true => self.trusted.clone(),
            false => TrustedNetworks::default(),
        }
    }
}

/// Reads the section, which may name these endpoints.
pub(super) fn read(
    section: Section<'_>,
    known: &[&str],
    diagnostics: &mut Diagnostics,
) -> ProxyProtocol {
    let mut reader = Reader::new(section, &keys::PROXY_PROTOCOL, diagnostics);
    let mut trusted = TrustedNetworks::default();
    let networks = reader.list("TrustedNetworks");
    for (at, text) in &networks {
        if let Err(message) = trusted.add(text.trim()) {
            reader.error(at, message, Some("correct it, or remove it".to_owned()));
        }
    }
    let section = reader.section.clone();
    if networks.is_empty() && section.has_children() {
        let message = "nobody is trusted, so no PROXY header would be read";
        let remedy = "list the addresses of what stands before the front, as [ \"10.0.0.0/8\" ]";
        let at = section.child("TrustedNetworks");
        reader.error(&at, message, Some(remedy.to_owned()));
    }
    let names = reader.list("Endpoints");
    for (at, name) in &names {
        if !known.iter().any(|known| same(known, name)) {
            let message = format!("there is no endpoint {name:?} in Kestrel:Endpoints");
            let remedy = match known {
                [] => "remove Endpoints: all of Urls are meant then".to_owned(),
                known => suggestion(name, known),
            };
            reader.error(at, message, Some(remedy));
        }
    }
    reader.finish();
    let names: Vec<_> = names.into_iter().map(|(_, name)| name).collect();
    ProxyProtocol {
        trusted,
        endpoints: (!names.is_empty()).then_some(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> TrustedNetworks {
        let mut networks = TrustedNetworks::default();
        for text in texts {
            networks.add(text).unwrap();
        }
        networks
    }

    #[test]
    fn a_peer_is_in_a_network_or_it_is_not() {
        let trusted = networks(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]);
        let contain = |peer: &str| trusted.contain(Some(peer.parse().unwrap()));
        for peer in ["10.255.0.1", "::ffff:10.0.0.1", "192.0.2.7", "2001:db8::1"] {
            assert!(contain(peer), "{peer}");
        }
        for peer in ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::1"] {
            assert!(!contain(peer), "{peer}");
        }
        assert!(!trusted.contain(None));
        assert!(networks(&["unix"]).contain(None));
        assert!(!TrustedNetworks::default().contain(None));
    }

    #[test]
    fn says_what_is_no_network() {
        let mut networks = TrustedNetworks::default();
        for text in ["", "10.0.0.0/33", "localhost", "10.0.0"] {
            assert!(networks.add(text).unwrap_err().contains("10.0.0.0/8"));
        }
    }
}
