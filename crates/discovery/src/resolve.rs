//! A configuration with names, and one with what they lead to in their place (reference A9.1).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use ostler_config::schema::{ClusterConfig, DestinationConfig, ProxyConfig};

use crate::address::Address;
use crate::query::{Endpoint, Query, service_in};

/// The step of a pipeline that takes some addresses for URL prefixes.
const DELEGATION: &str = "HttpSysDelegation";
/// The metadata that has a destination delegated to.
const QUEUE: &str = "HttpSysDelegationQueue";

/// Everything that has to be asked.
pub(crate) fn queries(proxy: &ProxyConfig) -> HashSet<Query> {
    let delegates = delegates(proxy);
    let clusters = proxy.clusters.iter();
    let destinations = clusters.flat_map(|cluster| &cluster.destinations);
    let queries = destinations.filter_map(|config| match Meant::by(config, delegates) {
        Meant::Name { query, .. } => Some(query),
        Meant::Itself | Meant::Address(_) => None,
    });
    queries.collect()
}

/// The configuration with one destination for each endpoint of a name. One of whose name nothing is
/// known yet is left out.
pub(crate) fn resolve<'a>(
    proxy: &ProxyConfig,
    answer: impl Fn(&Query) -> Option<&'a BTreeSet<Endpoint>>,
) -> ProxyConfig {
    let delegates = delegates(proxy);
    let is_meant =
        |config: &DestinationConfig| !matches!(Meant::by(config, delegates), Meant::Itself);
    let resolved = proxy.clusters.iter().map(|cluster| {
        let mut cluster = Arc::clone(cluster);
        // One that stays is the very same, and costs nothing from here on.
        if cluster.destinations.iter().any(is_meant) {
            resolve_cluster(Arc::make_mut(&mut cluster), delegates, &answer);
        }
        cluster
    });
    ProxyConfig {
        clusters: resolved.collect(),
        ..proxy.clone()
    }
}

fn resolve_cluster<'a>(
    cluster: &mut ClusterConfig,
    delegates: bool,
    answer: &impl Fn(&Query) -> Option<&'a BTreeSet<Endpoint>>,
) {
    let mut destinations = Vec::with_capacity(cluster.destinations.len());
    for config in std::mem::take(&mut cluster.destinations) {
        match Meant::by(&config, delegates) {
            Meant::Itself => destinations.push(config),
            Meant::Address(address) => {
                if let Some(ip) = address.ip() {
                    let endpoint = Endpoint { ip, port: None };
                    destinations.push(at(&config, &address, &endpoint));
                }
            }
            Meant::Name { address, query } => {
                let endpoints = answer(&query).into_iter().flatten();
                destinations.extend(endpoints.map(|endpoint| at(&config, &address, endpoint)));
            }
        }
    }
    cluster.destinations = destinations;
}

/// What a destination's address means.
enum Meant<'a> {
    /// What nobody looks up: a request queue, a socket in the file system.
    Itself,
    /// An address as it stands, which is treated like the one address of a name.
    Address(Address<'a>),
    Name {
        address: Address<'a>,
        query: Query,
    },
}

impl<'a> Meant<'a> {
    fn by(config: &'a DestinationConfig, delegates: bool) -> Self {
        let mut metadata = config.metadata.keys();
        if delegates && metadata.any(|key| key.eq_ignore_ascii_case(QUEUE)) {
            return Self::Itself;
        }
        match Address::parse(&config.address) {
            None => Self::Itself,
            Some(address) if address.ip().is_some() => Self::Address(address),
            Some(address) => Self::Name {
                query: Query::of_host(&address.host()),
                address,
            },
        }
    }
}

fn delegates(proxy: &ProxyConfig) -> bool {
    let mut steps = proxy.pipeline.iter().flatten();
    steps.any(|step| step.eq_ignore_ascii_case(DELEGATION))
}

/// The destination at one endpoint.
fn at(config: &DestinationConfig, address: &Address<'_>, endpoint: &Endpoint) -> DestinationConfig {
    let Endpoint { ip, port } = *endpoint;
    let health = config.health.as_deref().map(|health| {
        // Its own name is not looked up, and a port of its own stays.
        let parsed = Address::parse(health);
        parsed.map_or_else(
            || health.to_owned(),
            |health| health.at(ip, port.filter(|_| health.port.is_none())),
        )
    });
    // The port of a service is the answer's, and differs from one destination to the next.
    let name = || match service_in(&address.host()) {
        Some(name) => name.to_owned(),
        None => address.authority(),
    };
    let host = config.host.clone().filter(|host| !host.is_empty());
    DestinationConfig {
        destination_id: format!("{}[{endpoint}]", config.destination_id),
        address: address.at(ip, port),
        health,
        host: Some(host.unwrap_or_else(name)),
        metadata: config.metadata.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(address: &str) -> DestinationConfig {
        DestinationConfig {
            destination_id: "d1".to_owned(),
            address: address.to_owned(),
            ..DestinationConfig::default()
        }
    }

    fn proxy(destination: DestinationConfig) -> ProxyConfig {
        ProxyConfig {
            clusters: vec![ClusterConfig {
                cluster_id: "c".to_owned(),
                destinations: vec![destination],
                ..ClusterConfig::default()
            }]
            .into(),
            ..ProxyConfig::default()
        }
    }

    fn endpoints(texts: &[(&str, Option<u16>)]) -> BTreeSet<Endpoint> {
        let endpoint = |(ip, port): &(&str, _)| Endpoint {
            ip: ip.parse().unwrap(),
            port: *port,
        };
        texts.iter().map(endpoint).collect()
    }

    /// Id, `Address` and `Host` of each destination.
    fn resolved(
        destination: DestinationConfig,
        answer: &BTreeSet<Endpoint>,
    ) -> Vec<(String, String, Option<String>)> {
        let resolved = resolve(&proxy(destination), |_| Some(answer));
        let destinations = resolved.clusters[0].destinations.iter().cloned();
        destinations
            .map(|one| (one.destination_id, one.address, one.host))
            .collect()
    }

    fn row(id: &str, address: &str, host: &str) -> (String, String, Option<String>) {
        (id.to_owned(), address.to_owned(), Some(host.to_owned()))
    }

    #[test]
    fn each_address_of_a_name_is_a_destination_that_keeps_the_name_as_host() {
        let answer = endpoints(&[("::1", None), ("127.0.0.2", None), ("127.0.0.1", None)]);
        assert_eq!(
            resolved(destination("https://a.test:8443/x"), &answer),
            [
                row("d1[127.0.0.1]", "https://127.0.0.1:8443/x", "a.test:8443"),
                row("d1[127.0.0.2]", "https://127.0.0.2:8443/x", "a.test:8443"),
                row("d1[::1]", "https://[::1]:8443/x", "a.test:8443"),
            ]
        );
    }

    #[test]
    fn a_services_ports_are_the_answers_and_its_host_the_name_alone() {
        let answer = endpoints(&[("127.0.0.1", Some(8081)), ("::1", Some(8082))]);
        assert_eq!(
            resolved(destination("http://_http._tcp.a.test/"), &answer),
            [
                row("d1[127.0.0.1:8081]", "http://127.0.0.1:8081/", "a.test"),
                row("d1[[::1]:8082]", "http://[::1]:8082/", "a.test"),
            ]
        );
    }

    #[test]
    fn a_host_that_is_set_stays_and_health_gets_the_address() {
        let config = DestinationConfig {
            host: Some("shop.test".to_owned()),
            health: Some("http://health.test:9/live".to_owned()),
            ..destination("http://a.test/")
        };
        let answer = endpoints(&[("127.0.0.1", None)]);
        let resolved = resolve(&proxy(config), |_| Some(&answer));
        let found = &resolved.clusters[0].destinations[0];
        assert_eq!(found.host.as_deref(), Some("shop.test"));
        assert_eq!(found.health.as_deref(), Some("http://127.0.0.1:9/live"));
    }

    #[test]
    fn an_address_needs_no_answer_and_is_treated_alike() {
        let answer = BTreeSet::new();
        let proxy = proxy(destination("http://127.0.0.1:81/"));
        assert!(queries(&proxy).is_empty());
        let resolved = resolve(&proxy, |_| Some(&answer));
        let found = &resolved.clusters[0].destinations[0];
        assert_eq!(found.destination_id, "d1[127.0.0.1]");
        assert_eq!(found.host.as_deref(), Some("127.0.0.1:81"));
    }

    #[test]
    fn queues_and_sockets_are_left_alone() {
        let mut queue = destination("http://shop.test:80/");
        queue.metadata.insert(QUEUE.to_owned(), "shop".to_owned());
        let mut delegating = proxy(queue.clone());
        delegating.pipeline = Some(vec!["httpsysdelegation".to_owned()]);
        assert!(queries(&delegating).is_empty());
        assert_eq!(resolve(&delegating, |_| None).clusters, delegating.clusters);
        // Without the step it is forwarded to.
        assert_eq!(queries(&proxy(queue)).len(), 1);
        let socket = proxy(destination("http://unix:/run/a.sock"));
        assert_eq!(resolve(&socket, |_| None).clusters, socket.clusters);
    }

    #[test]
    fn a_name_of_which_nothing_is_known_has_no_destinations() {
        let resolved = resolve(&proxy(destination("http://a.test/")), |_| None);
        assert!(resolved.clusters[0].destinations.is_empty());
    }
}
