//! What a cluster's `HttpClient` and `HttpRequest` say, and the pools that follow from it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ostler_config::schema::{
    ClusterConfig, ConnectionLifetime, DestinationConfig, HttpClientConfig, HttpRequestConfig,
    HttpVersion, HttpVersionPolicy,
};

use super::connect::Connector;
use super::connection_key::ConnectionKey;
use super::connection_limit::ConnectionLimits;
use super::destination::Destination;
use super::messages::Messages;
use super::pool::{Pool, PoolOptions};
use super::protocols::Protocols;
use super::request_error::RequestError;
use super::tls::{self, TlsConfigs};
use super::web_proxy::{Via, WebProxy};
use crate::metrics::Ready;

/// One cluster's pools on one thread.
#[derive(Debug)]
pub(super) struct ClusterPools {
    cluster_id: String,
    max_connections: Option<u32>,
    lifetime: Option<ConnectionLifetime>,
    limits: Arc<ConnectionLimits>,
    http_client: HttpClientConfig,
    http_request: HttpRequestConfig,
    /// Made when the first https destination needs it: reading the system's roots takes a while.
    tls: OnceCell<Result<Rc<TlsConfigs>, tls::TlsError>>,
    /// Pools of upgrades are kept apart.
    pools: RefCell<HashMap<(ConnectionKey, bool), Rc<Pool>>>,
    now: Rc<Cell<Instant>>,
}

impl ClusterPools {
    pub(super) fn new(
        config: &ClusterConfig,
        limits: Arc<ConnectionLimits>,
        now: Rc<Cell<Instant>>,
    ) -> Self {
        Self {
            cluster_id: config.cluster_id.clone(),
            max_connections: config.max_connections_per_server,
            lifetime: config.ostler.pooled_connection_lifetime,
            limits,
            http_client: config.http_client.clone(),
            http_request: config.http_request.clone(),
            tls: OnceCell::new(),
            pools: RefCell::default(),
            now,
        }
    }

    /// Whether new pools would be as these.
    pub(super) fn is_made_of(&self, config: &ClusterConfig) -> bool {
        self.http_client == config.http_client
            && self.http_request == config.http_request
            && self.max_connections == config.max_connections_per_server
            && self.lifetime == config.ostler.pooled_connection_lifetime
    }

    /// Where requests for a destination go.
    pub(super) fn destination(
        &self,
        config: &DestinationConfig,
    ) -> Result<Destination, RequestError> {
        let web_proxy = self.http_client.web_proxy.as_ref();
        let web_proxy = web_proxy.map(WebProxy::new).transpose()?.map(Rc::new);
        let messages = Messages::new(&self.http_client, &self.http_request);
        Destination::new(config, messages, |endpoint| {
            let via = |upgrade| web_proxy.as_ref()?.via(&endpoint, upgrade);
            // An HTTP proxy is asked for upgrades in another way.
            let upgrades = match (via(false), via(true)) {
                (Some(Via::Forwarding(_)), tunnel) => {
                    Some(self.pool((endpoint.clone(), true), tunnel)?)
                }
                _ => None,
            };
            let via = via(false);
            Ok((self.pool((endpoint, false), via)?, upgrades))
        })
    }

    fn pool(&self, key: (ConnectionKey, bool), via: Option<Via>) -> Result<Rc<Pool>, RequestError> {
        if let Some(pool) = self.pools.borrow().get(&key) {
            return Ok(Rc::clone(pool));
        }
        let (endpoint, _) = &key;
        let protocols = self.protocols(endpoint.is_https)?;
        if protocols == Protocols::Http2 && matches!(via, Some(Via::Forwarding(_))) {
            return Err(RequestError::Http2ThroughProxy);
        }
        let is_proxy_https = via.as_ref().is_some_and(Via::is_https);
        let tls = match endpoint.is_https || is_proxy_https {
            false => None,
            true => {
                let made = self.tls.get_or_init(|| TlsConfigs::new(&self.http_client));
                Some(made.as_ref().map(Rc::clone).map_err(Clone::clone)?)
            }
        };
        let connector = Connector::new(endpoint.clone(), protocols, tls, via);
        let limit = self
            .max_connections
            .map(|most| self.limits.of(&self.cluster_id, endpoint, most));
        let options = PoolOptions {
            several_http2: self
                .http_client
                .enable_multiple_http2_connections
                .unwrap_or(true),
            lifetime: lifetime(self.lifetime, endpoint),
            limit,
        };
        let pool = Pool::new(connector, options, Rc::clone(&self.now));
        self.pools.borrow_mut().insert(key, Rc::clone(&pool));
        Ok(pool)
    }

    /// Which protocols a connection may speak (reference B9).
    fn protocols(&self, is_https: bool) -> Result<Protocols, RequestError> {
        protocols(
            is_https,
            self.http_request.version.unwrap_or(HttpVersion::Http2),
            self.http_request.version_policy.unwrap_or_default(),
        )
    }

    /// The connections that are ready for requests.
    pub(super) fn ready(&self) -> Vec<Ready> {
        let pools = self.pools.borrow();
        let ready = pools.iter().map(|((endpoint, _), pool)| {
            let (http1, http2) = pool.ready();
            Ready {
                is_https: endpoint.is_https,
                host: endpoint.host.clone(),
                port: endpoint.port,
                http1,
                http2,
            }
        });
        ready.collect()
    }

    /// Closes connections that nobody has used for a while; false when there is nothing left.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        let mut pools = self.pools.borrow_mut();
        pools.retain(|_, pool| {
            let is_empty = pool.sweep(now);
            // A destination that has been asked since the last reload holds its pool.
            !is_empty || Rc::strong_count(pool) > 1
        });
        !pools.is_empty()
    }
}

/// How long connections to an endpoint are used. A name that moves is followed within that time; an
/// address cannot move.
fn lifetime(configured: Option<ConnectionLifetime>, endpoint: &ConnectionKey) -> Option<Duration> {
    const OF_NAMES: Duration = Duration::from_secs(120);
    match configured {
        Some(ConnectionLifetime::After(lifetime)) => Some(lifetime),
        Some(ConnectionLifetime::Infinite) => None,
        None => endpoint.has_name().then_some(OF_NAMES),
    }
}

fn protocols(
    is_https: bool,
    version: HttpVersion,
    policy: HttpVersionPolicy,
) -> Result<Protocols, RequestError> {
    use HttpVersionPolicy::{RequestVersionExact, RequestVersionOrHigher, RequestVersionOrLower};
    Ok(match (is_https, version, policy) {
        (_, HttpVersion::Http3, RequestVersionOrHigher | RequestVersionExact) => {
            return Err(RequestError::Http3);
        }
        (false, HttpVersion::Http2 | HttpVersion::Http3, RequestVersionOrLower) => Protocols::Http1,
        (false, HttpVersion::Http2, _) => Protocols::Http2,
        (true, HttpVersion::Http2 | HttpVersion::Http3, RequestVersionOrLower)
        | (true, HttpVersion::Http10 | HttpVersion::Http11, RequestVersionOrHigher) => {
            Protocols::Either
        }
        (true, HttpVersion::Http2, _) => Protocols::Http2,
        (_, HttpVersion::Http10 | HttpVersion::Http11, _) => Protocols::Http1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use HttpVersion::{Http2, Http3, Http11};
    use HttpVersionPolicy::{
        RequestVersionExact as Exact, RequestVersionOrHigher as OrHigher,
        RequestVersionOrLower as OrLower,
    };

    #[test]
    fn names_are_looked_up_again_and_addresses_are_not() {
        let endpoint = |host: &str| ConnectionKey {
            is_https: false,
            socket: None,
            host: host.to_owned(),
            port: 80,
            server_name: String::new(),
        };
        for host in ["127.0.0.1", "::1"] {
            assert_eq!(lifetime(None, &endpoint(host)), None);
        }
        let name = endpoint("app.example");
        assert_eq!(lifetime(None, &name), Some(Duration::from_secs(120)));
        assert_eq!(lifetime(Some(ConnectionLifetime::Infinite), &name), None);
        let brief = Duration::from_secs(1);
        let after = Some(ConnectionLifetime::After(brief));
        assert_eq!(lifetime(after, &endpoint("::1")), Some(brief));
    }

    #[test]
    fn the_version_table_of_reference_b_9() {
        let table = [
            (false, Http11, OrLower, Some(Protocols::Http1)),
            (false, Http11, OrHigher, Some(Protocols::Http1)),
            (false, Http11, Exact, Some(Protocols::Http1)),
            (false, Http2, OrLower, Some(Protocols::Http1)),
            (false, Http2, OrHigher, Some(Protocols::Http2)),
            (false, Http2, Exact, Some(Protocols::Http2)),
            (false, Http3, OrLower, Some(Protocols::Http1)),
            (false, Http3, OrHigher, None),
            (false, Http3, Exact, None),
            (true, Http11, OrLower, Some(Protocols::Http1)),
            (true, Http11, OrHigher, Some(Protocols::Either)),
            (true, Http11, Exact, Some(Protocols::Http1)),
            (true, Http2, OrLower, Some(Protocols::Either)),
            (true, Http2, OrHigher, Some(Protocols::Http2)),
            (true, Http2, Exact, Some(Protocols::Http2)),
            (true, Http3, OrLower, Some(Protocols::Either)),
            (true, Http3, Exact, None),
        ];
        for (is_https, version, policy, expected) in table {
            let found = protocols(is_https, version, policy).ok();
            assert_eq!(found, expected, "{is_https} {version:?} {policy:?}");
        }
    }
}
