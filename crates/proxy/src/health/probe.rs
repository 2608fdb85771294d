//! One round of probes (reference A7.3).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::{HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri};
use ostler_config::schema::{ActiveHealthCheckConfig, DestinationConfig};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_delegation::url_prefix::PrefixHost;
use ostler_delegation::{DelegationRule, QueueError};
use ostler_http1::Framing;
use ostler_model::health::ProbingResult;
use ostler_model::transforms::path;
use ostler_model::{
    ClusterModel, ClusterState, DestinationHealth, DestinationModel, DestinationState, Snapshot,
};

use super::options::ActiveHealthOptions;
use super::through_queue::{self, QueueProbeError};
use crate::destinations::{Destinations, ForwardBody, RequestError, SendError, Sending};
use crate::error_chain::Chain;
use crate::shared::Shared;

const AGENT: &str = concat!(
    "Ostler/",
    env!("CARGO_PKG_VERSION"),
    " (Active Health Check Monitor)"
);

/// Sends probes.
#[derive(Debug)]
pub(super) struct Prober {
    shared: Arc<Shared>,
    options: ActiveHealthOptions,
    runtime: RuntimeFolder,
    destinations: Destinations,
    /// Instances of a queue take turns.
    turn: Cell<usize>,
}

/// A destination gave no response.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("Active:Path {0:?} does not begin with /")]
    Path(String),
    #[error("Active:Query {0:?} does not begin with ?")]
    Query(String),
    #[error("no request can be made")]
    Request(#[from] RequestError),
    #[error("no URL can be made")]
    Url(#[from] http::Error),
    #[error("no answer")]
    Send(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer in time")]
    TimedOut,
    #[error("no delegation rule can be made")]
    Rule(#[from] QueueError),
    #[error("the queue does not answer")]
    Queue(#[from] QueueProbeError),
}

impl From<SendError> for ProbeError {
    fn from(error: SendError) -> Self {
        Self::Send(error.source)
    }
}

impl Prober {
    pub(super) fn new(
        shared: Arc<Shared>,
        options: ActiveHealthOptions,
        runtime: RuntimeFolder,
    ) -> Self {
        Self {
            destinations: Destinations::new(Arc::clone(&shared.connection_limits)),
            shared,
            options,
            runtime,
            turn: Cell::new(0),
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn options(&self) -> &ActiveHealthOptions {
        &self.options
    }

    /// Closes connections that no probe has used for a while.
    pub(super) fn sweep(&self, snapshot: &Snapshot, now: Instant) {
        let exists = |id: &str| snapshot.clusters.find(id).is_some();
        self.destinations.sweep(now, exists);
    }

    /// Probes every destination of a cluster at once, waits for all, and has the policy judge.
    pub(super) async fn round(self: Rc<Self>, cluster: Arc<ClusterState>) {
        let model = cluster.model();
        let Some(policy) = &model.active_health else {
            return;
        };
        let destinations = Arc::clone(&cluster.destinations().all);
        tracing::debug!(
            cluster = cluster.id(),
            destinations = destinations.len(),
            "probing begins"
        );
        let probes: Vec<_> = destinations
            .iter()
            .map(|destination| {
                let (prober, cluster) = (Rc::clone(&self), Arc::clone(&cluster));
                let (model, destination) = (Arc::clone(&model), Arc::clone(destination));
                tokio::task::spawn_local(async move {
                    prober.probe(&cluster, &model, &destination).await
                })
            })
            .collect();
        let mut results = Vec::with_capacity(probes.len());
        for (probe, destination) in probes.into_iter().zip(destinations.iter()) {
            results.push(ProbingResult {
                destination: Arc::clone(destination),
                status: probe.await.unwrap_or_default(),
            });
        }
        for (destination, health) in
            cluster.set_active_health(policy.probing_completed(&cluster, &results))
        {
            let (cluster, destination) = (cluster.id(), destination.id());
            match health {
                DestinationHealth::Unhealthy => {
                    tracing::warn!(
                        cluster,
                        destination,
                        "probes fail: active health is unhealthy"
                    );
                }
                health => {
                    tracing::info!(cluster, destination, ?health, "active health has changed");
                }
            }
        }
    }

    /// The status a destination answers with, if it does in time.
    async fn probe(
        &self,
        cluster: &ClusterState,
        model: &ClusterModel,
        destination: &DestinationState,
    ) -> Option<u16> {
        let checks = &model.config.health_check.active;
        let timeout = checks.timeout.unwrap_or(self.options.default_timeout);
        let asked_of = destination.model();
        let asked = self.ask(cluster, checks, &asked_of);
        let asked = tokio::time::timeout(timeout, asked).await;
        let (cluster, destination) = (cluster.id(), destination.id());
        match asked.unwrap_or(Err(ProbeError::TimedOut)) {
            Ok(status) => {
                tracing::debug!(cluster, destination, status, "a probe is answered");
                Some(status)
            }
            Err(error) => {
                let error = Chain(&error);
                let address = &asked_of.config.address;
                tracing::warn!(cluster, destination, address, %error, "a probe fails");
                None
            }
        }
    }

    async fn ask(
        &self,
        cluster: &ClusterState,
        checks: &ActiveHealthCheckConfig,
        destination: &DestinationModel,
    ) -> Result<u16, ProbeError> {
        let config = &destination.config;
        let health = config.health.as_deref().filter(|health| !health.is_empty());
        if let (Some(queue), None) = (&destination.queue, health)
            // Without the step the destination is forwarded to, and probed likewise.
            && self.shared.pipeline().delegates()
        {
            let rule = DelegationRule::new(queue, &config.address)?;
            let target = target(rule.url_prefix().path(), checks)?;
            let request = request(target.into(), host_behind(&rule, config)?)?;
            let turn = self.turn.get();
            self.turn.set(turn.wrapping_add(1));
            return Ok(through_queue::ask(&self.runtime, &rule, turn, request).await?);
        }
        let base = DestinationConfig {
            address: health.unwrap_or(&config.address).to_owned(),
            host: config.host.clone(),
            ..DestinationConfig::default()
        };
        let to = self.destinations.endpoint(cluster, &base)?;
        // The base's own query is dropped (reference A7.3).
        let base = to.prefix.split('?').next().unwrap_or_default();
        let target = target(base, checks)?;
        let (mut parts, body) = request(target.into(), to.host.clone())?.into_parts();
        to.messages.prepare(&mut parts, Framing::None, false)?;
        let sending = Sending {
            upgrade: false,
            again: &|| Some(parts.clone()),
            interim: None,
        };
        let request = Request::from_parts(parts.clone(), body);
        // The body is not read; the connection is of use again only where there is none.
        let response = to.pool(false).send(request, sending).await;
        let response = response.map_err(SendError::from)?;
        Ok(response.status().as_u16())
    }
}

fn request(target: Uri, host: HeaderValue) -> Result<Request<ForwardBody>, ProbeError> {
    let request = Request::get(target)
        .header(HOST, host)
        .header(USER_AGENT, HeaderValue::from_static(AGENT));
    Ok(request.body(ForwardBody::empty())?)
}

/// The `Host` that requests of a rule may have: the prefix's own, where it is one name.
fn host_behind(
    rule: &DelegationRule,
    config: &DestinationConfig,
) -> Result<HeaderValue, ProbeError> {
    let prefix = rule.url_prefix();
    let port = match (prefix.is_https(), prefix.port()) {
        (false, 80) | (true, 443) => String::new(),
        (_, port) => format!(":{port}"),
    };
    let name = match (config.host.as_deref(), prefix.host()) {
        (Some(host), _) if !host.is_empty() => host.to_owned(),
        (_, PrefixHost::Explicit(name)) => format!("{name}{port}"),
        (_, PrefixHost::IpBound(std::net::IpAddr::V6(ip))) => format!("[{ip}]{port}"),
        (_, PrefixHost::IpBound(ip)) => format!("{ip}{port}"),
        (_, PrefixHost::Strong | PrefixHost::Weak) => format!("localhost{port}"),
    };
    Ok(HeaderValue::from_str(&name).map_err(http::Error::from)?)
}

/// `Active:Path` behind the base's path, joined by exactly one slash, then `Active:Query`.
fn target(base: &str, checks: &ActiveHealthCheckConfig) -> Result<PathAndQuery, ProbeError> {
    let path = checks.path.as_deref().unwrap_or_default();
    let query = checks.query.as_deref().unwrap_or_default();
    if !path.is_empty() && !path.starts_with('/') {
        return Err(ProbeError::Path(path.to_owned()));
    }
    if !query.is_empty() && !query.starts_with('?') {
        return Err(ProbeError::Query(query.to_owned()));
    }
    let mut target = match path {
        "" => base.to_owned(),
        _ => base.strip_suffix('/').unwrap_or(base).to_owned(),
    };
    escape_into(&mut target, path);
    if target.is_empty() {
        target.push('/');
    }
    if let Some(query) = query.strip_prefix('?') {
        target.push('?');
        target.push_str(&path::forwarded_query(query));
    }
    Ok(PathAndQuery::try_from(target).map_err(http::Error::from)?)
}

/// Escapes what may not stand in a path (RFC 3986 section 3.3), `?` and `#` among it. Escapes that
/// are there stay, as in ASP.NET's `PathString`.
fn escape_into(target: &mut String, path: &str) {
    let bytes = path.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let stays = match byte {
            b'%' => matches!(bytes.get(at + 1..at + 3), Some([high, low])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(byte),
        };
        match stays {
            true => target.push(char::from(*byte)),
            false => target.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(path: &str, query: &str) -> ActiveHealthCheckConfig {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ActiveHealthCheckConfig {
            path: some(path),
            query: some(query),
            ..ActiveHealthCheckConfig::default()
        }
    }

    /// The table of reference A7.3, and what else can be written. Bases are paths of destinations,
    /// which have lost a slash at their end, or of URL prefixes, which have not.
    #[test]
    fn paths_of_probes() {
        for (base, path, query, expected) in [
            ("", "", "", "/"),
            ("/", "", "", "/"),
            ("/api", "/health/", "", "/api/health/"),
            ("/api/", "/health/", "", "/api/health/"),
            ("/api", "", "?a", "/api?a"),
            ("", "/api/health/", "?key=value", "/api/health/?key=value"),
            (
                "/api",
                "/health?foo=bar",
                "?key=value",
                "/api/health%3Ffoo=bar?key=value",
            ),
            ("", "/a b/\u{e9}#%41%4", "", "/a%20b/%C3%A9%23%41%254"),
            (
                "",
                "/",
                "?a=b c#d%zz|^\u{e9}%41",
                "/?a=b%20c%23d%25zz%7C%5E%C3%A9%41",
            ),
        ] {
            let target = target(base, &checks(path, query)).unwrap();
            assert_eq!(target.as_str(), expected);
        }
    }

    #[test]
    fn what_begins_wrongly_fails_each_probe() {
        let failed = |path, query| target("", &checks(path, query)).unwrap_err().to_string();
        assert_eq!(
            failed("health", ""),
            "Active:Path \"health\" does not begin with /"
        );
        assert_eq!(
            failed("", "key"),
            "Active:Query \"key\" does not begin with ?"
        );
    }

    #[test]
    fn hosts_of_probes_through_queues() {
        for (prefix, host, expected) in [
            ("http://*:80/", None, "localhost"),
            ("http://+:8080/", Some(""), "localhost:8080"),
            ("http://app.example:81/x/", None, "app.example:81"),
            ("http://127.0.0.1:81/", None, "127.0.0.1:81"),
            ("http://*:80/", Some("inner"), "inner"),
        ] {
            let rule = DelegationRule::new("q", prefix).unwrap();
            let config = DestinationConfig {
                host: host.map(str::to_owned),
                ..DestinationConfig::default()
            };
            assert_eq!(host_behind(&rule, &config).unwrap(), expected);
        }
    }
}
