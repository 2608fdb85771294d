//! `Ostler:DestinationResolver`: what becomes of destinations whose address holds a name.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf::TimeSpan;
use crate::reader::Reader;
use crate::tree::Section;

/// Where DNS servers listen unless somebody says otherwise.
const DNS_PORT: u16 = 53;

/// How names of destinations become addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationResolverConfig {
    /// `Type`.
    pub kind: DestinationResolverKind,
    /// `RefreshPeriod`: after how long at the latest a name is looked up again; `None` is never.
    pub refresh_period: Option<Duration>,
    /// `AddressFamily`: which addresses count; `None` is both.
    pub address_family: Option<AddressFamily>,
    /// `NameServers`: who is asked; none is whom the system asks.
    pub name_servers: Vec<SocketAddr>,
}

/// Who knows the addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DestinationResolverKind {
    /// Nobody is asked beforehand: a name is looked up whenever a connection is opened.
    #[default]
    None,
    /// DNS: each address of a name is a destination of its own.
    Dns,
    /// The section `Services`, as Microsoft's service discovery reads it.
    ServiceDiscovery,
}

/// Addresses of one kind, by .NET's names for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFamily {
    /// `InterNetwork`: IPv4.
    InterNetwork,
    /// `InterNetworkV6`: IPv6.
    InterNetworkV6,
}

impl Default for DestinationResolverConfig {
    fn default() -> Self {
        Self {
            kind: DestinationResolverKind::None,
            refresh_period: Some(Duration::from_secs(5 * 60)),
            address_family: None,
            name_servers: Vec::new(),
        }
    }
}

/// The names of [`DestinationResolverKind`].
pub(crate) const KINDS: [&str; 3] = ["None", "Dns", "ServiceDiscovery"];

/// The names of [`AddressFamily`].
pub(crate) const FAMILIES: [&str; 2] = ["InterNetwork", "InterNetworkV6"];

/// Reads `Ostler:DestinationResolver`.
pub(crate) fn read(
    section: Section<'_>,
    diagnostics: &mut Diagnostics,
) -> DestinationResolverConfig {
    let mut reader = Reader::new(section, &keys::DESTINATION_RESOLVER, diagnostics);
    let kind = reader.name("Type", "destination resolver", &KINDS);
    let kind = match kind.map(|kind| kind.to_ascii_lowercase()).as_deref() {
        Some("dns") => DestinationResolverKind::Dns,
        Some("servicediscovery") => DestinationResolverKind::ServiceDiscovery,
        _ => DestinationResolverKind::None,
    };
    // As YARP: what is not positive is never.
    let refresh = reader.parsed(
        "RefreshPeriod",
        |text| Ok(TimeSpan::parse(text)?.positive()),
    );
    let family = reader.name("AddressFamily", "family of addresses", &FAMILIES);
    let family = family.map(|family| family.to_ascii_lowercase());
    let address_family = match family.as_deref() {
        Some("internetwork") => Some(AddressFamily::InterNetwork),
        Some("internetworkv6") => Some(AddressFamily::InterNetworkV6),
        _ => None,
    };
    let mut name_servers = Vec::new();
    for (at, text) in reader.list("NameServers") {
        match name_server(&text) {
            Some(server) => name_servers.push(server),
            None => {
                let message = format!("{text:?} is no address of a name server");
                let remedy = "write 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53".to_owned();
                reader.error(&at, message, Some(remedy));
            }
        }
    }
    reader.finish();
    DestinationResolverConfig {
        kind,
        refresh_period: refresh.unwrap_or(DestinationResolverConfig::default().refresh_period),
        address_family,
        name_servers,
    }
}

fn name_server(text: &str) -> Option<SocketAddr> {
    let whole = text.parse().ok().filter(|at: &SocketAddr| at.port() > 0);
    whole.or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, DNS_PORT)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConfigurationTree, Loaded, load};

    fn loaded(json: &str) -> Loaded {
        let mut tree = ConfigurationTree::new();
        let text = format!(r#"{{ "Ostler": {{ "DestinationResolver": {json} }} }}"#);
        tree.add_json("a.json", &text).unwrap();
        load(&tree)
    }

    fn read(json: &str) -> DestinationResolverConfig {
        let loaded = loaded(json);
        assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
        loaded.settings.ostler.destination_resolver
    }

    #[test]
    fn nobody_is_asked_by_default_and_dns_as_yarp_asks_it() {
        assert_eq!(read("{}"), DestinationResolverConfig::default());
        let dns = read(r#"{ "Type": "dns" }"#);
        assert_eq!(dns.kind, DestinationResolverKind::Dns);
        assert_eq!(dns.refresh_period, Some(Duration::from_secs(300)));
        assert_eq!(dns.address_family, None);
    }

    #[test]
    fn a_period_that_is_not_positive_is_never() {
        for (text, period) in [
            ("00:00:10", Some(Duration::from_secs(10))),
            ("00:00:00", None),
            ("-00:00:01", None),
        ] {
            let json = format!(r#"{{ "Type": "Dns", "RefreshPeriod": "{text}" }}"#);
            assert_eq!(read(&json).refresh_period, period, "{text}");
        }
    }

    #[test]
    fn families_and_servers_are_read_and_mistakes_said() {
        let config = read(
            r#"{ "AddressFamily": "internetworkv6", "NameServers": [ "127.0.0.1:5353", "::1" ] }"#,
        );
        assert_eq!(config.address_family, Some(AddressFamily::InterNetworkV6));
        let servers: Vec<_> = config
            .name_servers
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(servers, ["127.0.0.1:5353", "[::1]:53"]);
        for wrong in [
            r#"{ "Type": "Consul" }"#,
            r#"{ "AddressFamily": "IPX" }"#,
            r#"{ "NameServers": [ "dns.example" ] }"#,
            r#"{ "NameServers": [ "127.0.0.1:0" ] }"#,
            r#"{ "RefreshPeriod": "soon" }"#,
        ] {
            assert!(loaded(wrong).diagnostics.has_errors(), "{wrong}");
        }
    }
}
