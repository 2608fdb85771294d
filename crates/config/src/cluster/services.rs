//! `Services`: where services are, as Microsoft's service discovery reads it, and the addresses of
//! destinations that name one: `http://catalog/`, `https+http://_endpoint.catalog/`.
//!
//! A destination that names a service becomes one for each endpoint that the section lists. As service
//! discovery 10.11.0 did when it was run, `Host` is then the endpoint, unless the destination sets one.

use std::collections::HashMap;

use super::address;
use crate::diagnostics::{Diagnostics, Severity};
use crate::leaf;
use crate::reader::note;
use crate::schema::DestinationConfig;
use crate::tree::Section;
use crate::tree::key::fold;

/// The endpoint that comes before all schemes.
const DEFAULT_ENDPOINT: &str = "default";

/// What the section says.
#[derive(Debug, Default)]
pub(crate) struct Services {
    /// The path of the section.
    path: String,
    /// Addresses by endpoint, by service; both without case.
    by_name: HashMap<String, HashMap<String, Vec<String>>>,
}

/// What becomes of a destination.
pub(super) enum Resolved {
    /// It names no service, and is as it was but for what only service discovery understands.
    AsItIs(DestinationConfig),
    /// One destination for each endpoint.
    Endpoints(Vec<DestinationConfig>),
}

/// What a destination's address asks for.
struct Asked<'a> {
    schemes: Vec<&'a str>,
    /// `_endpoint.` before the service's name.
    endpoint: Option<&'a str>,
    service: &'a str,
    port: Option<&'a str>,
    /// Path and query.
    rest: &'a str,
}

impl Services {
    /// Reads the section.
    pub(crate) fn read(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Self {
        let mut services = Self {
            path: section.path().to_owned(),
            by_name: HashMap::new(),
        };
        for (name, service) in section.children() {
            let mut endpoints = HashMap::new();
            for (endpoint, section) in service.children() {
                endpoints.insert(fold(endpoint), read_addresses(&section, diagnostics));
            }
            services.by_name.insert(fold(name), endpoints);
        }
        services
    }

    /// What becomes of a destination, and what is to be said of that.
    pub(super) fn resolve(
        &self,
        config: &DestinationConfig,
        mut warn: impl FnMut(String, &str),
    ) -> Resolved {
        let Some(asked) = Asked::of(&config.address) else {
            return Resolved::AsItIs(config.clone());
        };
        let endpoints = self.endpoints(&asked);
        if endpoints.is_empty() {
            if asked.is_of_discovery_alone() || self.by_name.contains_key(&fold(asked.service)) {
                let message = format!(
                    "no endpoint under {}:{} is meant by {:?}, so {:?} is looked up as it stands",
                    self.path, asked.service, config.address, asked.service
                );
                warn(
                    message,
                    "list one under the scheme's name, or the endpoint's",
                );
            }
            let mut config = config.clone();
            if asked.is_of_discovery_alone() {
                config.address = asked.plain();
            }
            return Resolved::AsItIs(config);
        }
        let mut resolved = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            if !endpoint.contains("://") && asked.says_either_scheme() {
                let message = format!(
                    "the endpoint {endpoint:?} of the service {:?} names no scheme: it is spoken to by {}, and \
                     by nothing else when that fails",
                    asked.service, asked.schemes[0]
                );
                warn(message, "write http:// or https:// before the endpoint");
            }
            resolved.push(asked.at(config, endpoint));
        }
        Resolved::Endpoints(resolved)
    }

    /// The endpoints that are meant.
    fn endpoints(&self, asked: &Asked<'_>) -> Vec<&str> {
        let Some(service) = self.by_name.get(&fold(asked.service)) else {
            return Vec::new();
        };
        let named = match asked.endpoint {
            Some(endpoint) => service.get(&fold(endpoint)),
            None => std::iter::once(&DEFAULT_ENDPOINT)
                .chain(&asked.schemes)
                .find_map(|name| service.get(&fold(name))),
        };
        let named = named.map(Vec::as_slice).unwrap_or_default();
        // Of addresses with a scheme those of the first one that is asked for and there.
        let rank = |address: &str| {
            let (scheme, _) = address.split_once("://")?;
            let mut schemes = asked.schemes.iter();
            Some(schemes.position(|asked| asked.eq_ignore_ascii_case(scheme)))
        };
        let first = named.iter().filter_map(|address| rank(address).flatten());
        let first = first.min();
        let is_meant = |address: &&String| match rank(address) {
            None => true,
            Some(rank) => rank.is_some() && rank == first,
        };
        named.iter().filter(is_meant).map(String::as_str).collect()
    }
}

/// The addresses of an endpoint: one, or several by number.
fn read_addresses(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Vec<String> {
    let mut addresses = Vec::new();
    let mut take = |at: &Section<'_>| {
        let text = at.value().unwrap_or_default().trim();
        let whole = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        match address::check_url(&whole) {
            Ok(()) => addresses.push(text.to_owned()),
            Err(reason) => {
                let message = format!("{text:?} is no endpoint of a service: {reason}");
                let remedy = "write it as host:port or http://host:port".to_owned();
                note(diagnostics, Severity::Error, at, message, Some(remedy));
            }
        }
    };
    if section.value().is_some_and(|text| !text.trim().is_empty()) {
        take(section);
        return addresses;
    }
    let mut wrong = Vec::new();
    for (number, item) in section.children() {
        match leaf::int32(number) {
            Ok(_) => take(&item),
            Err(_) => wrong.push(item),
        }
    }
    for item in wrong {
        let message = "endpoints of a service are numbered";
        let remedy = "write them as an array".to_owned();
        note(diagnostics, Severity::Error, &item, message, Some(remedy));
    }
    addresses
}

impl<'a> Asked<'a> {
    fn of(address: &'a str) -> Option<Self> {
        let (schemes, rest) = address.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let named = host.strip_prefix('_').and_then(|host| host.split_once('.'));
        let (endpoint, service) = match named {
            Some((endpoint, service)) if !endpoint.is_empty() => (Some(endpoint), service),
            _ => (None, host),
        };
        Some(Self {
            schemes: schemes.split('+').collect(),
            endpoint,
            service,
            port,
            rest,
        })
    }

    fn says_either_scheme(&self) -> bool {
        self.schemes.len() > 1
    }

    /// Whether nobody else would understand it.
    fn is_of_discovery_alone(&self) -> bool {
        self.says_either_scheme() || self.endpoint.is_some()
    }

    /// The address for those who know no services.
    fn plain(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}{}", self.schemes[0], self.service, self.rest)
    }

    /// The destination at one endpoint.
    fn at(&self, config: &DestinationConfig, endpoint: &str) -> DestinationConfig {
        let (scheme, authority) = endpoint
            .split_once("://")
            .unwrap_or((self.schemes[0], endpoint));
        let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
        let authority = &authority[..end];
        let health = config.health.as_deref().map(|health| {
            // Its own host is not looked up, as in YARP.
            match health.split_once("://") {
                Some((scheme, rest)) => {
                    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                    format!("{scheme}://{authority}{}", &rest[end..])
                }
                None => health.to_owned(),
            }
        });
        DestinationConfig {
            destination_id: format!("{}[{endpoint}]", config.destination_id),
            address: format!("{scheme}://{authority}{}", self.rest),
            health,
            ..config.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{ConfigurationTree, Loaded, load};

    /// What a cluster's destination comes to: the id, `Address` and `Host` of each.
    fn load_with(address: &str, services: &str, more: &str) -> Loaded {
        let mut tree = ConfigurationTree::new();
        let text = format!(
            r#"{{ "Ostler": {{ "DestinationResolver": {{ "Type": "ServiceDiscovery" }} }},
                "Services": {services},
                "ReverseProxy": {{ "Clusters": {{ "c": {{ "Destinations": {{
                    "d": {{ "Address": "{address}" {more} }} }} }} }} }} }}"#
        );
        tree.add_json("a.json", &text).unwrap();
        load(&tree)
    }

    fn resolved(address: &str, services: &str) -> (Vec<(String, String)>, Vec<String>) {
        let loaded = load_with(address, services, "");
        assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
        let destinations = loaded.settings.proxy.clusters[0].destinations.iter();
        let destinations = destinations
            .inspect(|destination| assert_eq!(destination.host, None))
            .map(|one| (one.destination_id.clone(), one.address.clone()))
            .collect();
        let warnings = loaded.diagnostics.warnings();
        (destinations, warnings.map(ToString::to_string).collect())
    }

    fn addresses(address: &str, services: &str) -> Vec<String> {
        let (destinations, _) = resolved(address, services);
        destinations
            .into_iter()
            .map(|(_, address)| address)
            .collect()
    }

    const CATALOG: &str = r#"{ "Catalog": {
        "http": [ "10.0.0.1:80", "10.0.0.2:8080" ],
        "https": [ "https://a.test" ],
        "admin": "http://10.0.0.9:9000",
        "mixed": [ "http://10.0.0.3", "https://10.0.0.4", "ftp://x", "10.0.0.5:1" ] } }"#;

    #[test]
    fn one_destination_becomes_one_for_each_endpoint() {
        let services = CATALOG.replace(", \"ftp://x\"", "");
        let (destinations, warnings) = resolved("http://catalog/base", &services);
        let of = |id: &str, address: &str| (id.to_owned(), address.to_owned());
        assert_eq!(
            destinations,
            [
                of("d[10.0.0.1:80]", "http://10.0.0.1:80/base"),
                of("d[10.0.0.2:8080]", "http://10.0.0.2:8080/base"),
            ]
        );
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn schemes_and_endpoints_choose() {
        let services = CATALOG.replace(", \"ftp://x\"", "");
        for (address, wanted) in [
            (
                "http://catalog:8080/",
                &["http://10.0.0.1:80/", "http://10.0.0.2:8080/"][..],
            ),
            (
                "http://_http.catalog/",
                &["http://10.0.0.1:80/", "http://10.0.0.2:8080/"],
            ),
            ("https+http://catalog/", &["https://a.test/"]),
            ("http://_admin.catalog", &["http://10.0.0.9:9000"]),
            (
                "https+http://_mixed.catalog",
                &["https://10.0.0.4", "https://10.0.0.5:1"],
            ),
            (
                "http+https://_mixed.catalog",
                &["http://10.0.0.3", "http://10.0.0.5:1"],
            ),
            // Nothing is meant: as it stands.
            ("https://_admin.catalog/", &["https://catalog/"]),
            ("http://other/", &["http://other/"]),
            ("https+http://other:81/x", &["https://other:81/x"]),
        ] {
            assert_eq!(addresses(address, &services), wanted, "{address}");
        }
    }

    #[test]
    fn the_default_endpoint_comes_before_schemes() {
        let services = r#"{ "s": { "http": "1.1.1.1:1", "default": "2.2.2.2:2" } }"#;
        assert_eq!(addresses("http://s/", services), ["http://2.2.2.2:2/"]);
    }

    #[test]
    fn an_endpoint_without_a_scheme_is_warned_of_where_either_would_do() {
        let services = r#"{ "s": { "https": [ "1.1.1.1:1" ] } }"#;
        let (destinations, warnings) = resolved("https+http://s/", services);
        assert_eq!(destinations[0].1, "https://1.1.1.1:1/");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("names no scheme"), "{warnings:?}");
    }

    #[test]
    fn host_and_health_follow_their_rules() {
        let services = r#"{ "s": { "http": [ "1.1.1.1:1" ] } }"#;
        let more = r#", "Host": "shop.test", "Health": "https://health.test:9/live""#;
        let loaded = load_with("http://s/", services, more);
        let destination = &loaded.settings.proxy.clusters[0].destinations[0];
        assert_eq!(destination.host.as_deref(), Some("shop.test"));
        assert_eq!(
            destination.health.as_deref(),
            Some("https://1.1.1.1:1/live")
        );
    }

    #[test]
    fn wrong_endpoints_are_errors_where_they_stand() {
        for (services, path) in [
            (r#"{ "s": { "http": [ "a b" ] } }"#, "Services:s:http:0"),
            (
                r#"{ "s": { "http": { "x": "1.1.1.1:1" } } }"#,
                "Services:s:http:x",
            ),
            (r#"{ "s": { "http": [ "ftp://x" ] } }"#, "Services:s:http:0"),
        ] {
            let loaded = load_with("http://s/", services, "");
            let errors: Vec<_> = loaded.diagnostics.errors().collect();
            assert_eq!(errors[0].path, path, "{errors:?}");
        }
    }

    #[test]
    fn a_section_that_nobody_reads_is_said() {
        let mut tree = ConfigurationTree::new();
        let text = r#"{ "Services": { "s": { "http": [ "a:1" ] } } }"#;
        tree.add_json("a.json", text).unwrap();
        let loaded = load(&tree);
        let warnings: Vec<_> = loaded.diagnostics.warnings().collect();
        assert!(
            warnings[0]
                .remedy
                .as_ref()
                .unwrap()
                .contains("ServiceDiscovery")
        );
    }
}
