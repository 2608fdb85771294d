//! Health policies of one's own: a program that is its own proxy, destinations and client.
//!
//! YARP's passive policy takes any status for a success. Here one is added that does not: three
//! answers of 5xx in a row, and a destination rests for a second. A second policy judges probes, a
//! third says what is available when nobody is healthy.
//!
//! ```text
//! cargo run -p ostler-proxy --example custom_health
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ostler_config::schema::{
    ClusterConfig, DestinationConfig, MatchConfig, ProxyConfig, RouteConfig,
};
use ostler_model::cluster::EnabledHealthChecks;
use ostler_model::health::{PassiveVerdict, ProbingResult, ProxiedExchange};
use ostler_model::{
    ActiveHealthCheckPolicy, AvailableDestinationsPolicy, ClusterState, DestinationHealth,
    DestinationState, PassiveHealthCheckPolicy, PolicyRegistry, ProxyModel,
};
use ostler_proxy::{Endpoint, Front, FrontOptions, ListenUrl, Pipeline};

/// Unhealthy for a second after three answers of 5xx, or failures, in a row.
#[derive(Default)]
struct ServerErrors(Mutex<HashMap<String, u32>>);

impl PassiveHealthCheckPolicy for ServerErrors {
    fn name(&self) -> &str {
        "ServerErrors"
    }

    fn request_proxied(
        &self,
        cluster: &ClusterState,
        destination: &Arc<DestinationState>,
        exchange: ProxiedExchange,
        _now: Instant,
    ) -> Option<PassiveVerdict> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts
            .entry(format!("{}/{}", cluster.id(), destination.id()))
            .or_default();
        *count = match exchange.failed || exchange.status >= 500 {
            true => *count + 1,
            false => 0,
        };
        let health = match *count {
            0..3 => DestinationHealth::Healthy,
            _ => DestinationHealth::Unhealthy,
        };
        let reactivate_after = Duration::from_secs(1);
        Some(PassiveVerdict {
            health,
            reactivate_after,
        })
    }
}

/// Unhealthy as soon as a probe is answered 503, healthy by anything else.
struct SaysSo;

impl ActiveHealthCheckPolicy for SaysSo {
    fn name(&self) -> &str {
        "SaysSo"
    }

    fn probing_completed(
        &self,
        _cluster: &ClusterState,
        results: &[ProbingResult],
    ) -> Vec<(Arc<DestinationState>, DestinationHealth)> {
        let judge = |result: &ProbingResult| match result.status {
            None | Some(503) => DestinationHealth::Unhealthy,
            Some(_) => DestinationHealth::Healthy,
        };
        let results = results.iter();
        results
            .map(|result| (Arc::clone(&result.destination), judge(result)))
            .collect()
    }
}

/// The healthy ones, or the first alone.
struct HealthyOrFirst;

impl AvailableDestinationsPolicy for HealthyOrFirst {
    fn name(&self) -> &str {
        "HealthyOrFirst"
    }

    fn select(
        &self,
        _cluster: &ClusterConfig,
        all: &Arc<[Arc<DestinationState>]>,
        checks: EnabledHealthChecks,
    ) -> Arc<[Arc<DestinationState>]> {
        let healthy: Vec<_> = all
            .iter()
            .filter(|destination| checks.allow(destination))
            .map(Arc::clone)
            .collect();
        match healthy.is_empty() {
            false => healthy.into(),
            true => all.iter().take(1).map(Arc::clone).collect(),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut registry = PolicyRegistry::default();
    registry.add_passive_health(ServerErrors::default())?;
    registry.add_active_health(SaysSo)?;
    registry.add_available_destinations(HealthyOrFirst)?;

    let (first, second) = (Destination::start()?, Destination::start()?);
    let model = Arc::new(ProxyModel::with_policies(registry));
    model.apply(&configuration(&[("first", &first), ("second", &second)]))?;
    let options = FrontOptions {
        endpoints: vec![Endpoint::clear(ListenUrl::parse("http://127.0.0.1:0")?)],
        threads: 1,
        ..FrontOptions::default()
    };
    let front = Front::start(Arc::clone(&model), Pipeline::yarp_default(), &options)?;
    let address = front.addresses().into_iter().next();
    let address = address.ok_or("nothing is listened on")?;
    let snapshot = model.snapshot();
    let cluster = snapshot.clusters.find("app").ok_or("no cluster")?;
    show("at first", cluster);

    second.answers.store(500, Ordering::SeqCst);
    let mut statuses = Vec::new();
    while available(cluster).len() == 2 {
        statuses.push(ask(address)?);
    }
    println!("answers while the second fails: {statuses:?}");
    show("the passive policy has seen three of them", cluster);

    second.answers.store(200, Ordering::SeqCst);
    wait_until(|| available(cluster).len() == 2);
    show("it has rested", cluster);

    first.probes.store(503, Ordering::SeqCst);
    wait_until(|| available(cluster) == ["second"]);
    show("the first says by its probe that it has enough", cluster);
    second.probes.store(503, Ordering::SeqCst);
    wait_until(|| available(cluster) == ["first"]);
    show("both say so: the policy leaves the first", cluster);
    println!("and it answers {}", ask(address)?);

    // States can be set without any policy; then the cluster is to be told.
    let destinations = cluster.destinations();
    for destination in destinations.all.iter() {
        destination.set_active_health(DestinationHealth::Unknown);
    }
    cluster.refresh_available();
    show("set by hand, until the next probe", cluster);

    front.drain();
    front.stop();
    front.join();
    Ok(())
}

fn configuration(destinations: &[(&str, &Destination)]) -> ProxyConfig {
    let destinations = destinations.iter().map(|(id, destination)| {
        let address = format!("http://{}/", destination.address);
        DestinationConfig {
            destination_id: (*id).to_owned(),
            address,
            ..DestinationConfig::default()
        }
    });
    let mut cluster = ClusterConfig {
        cluster_id: "app".to_owned(),
        destinations: destinations.collect(),
        load_balancing_policy: Some("RoundRobin".to_owned()),
        ..ClusterConfig::default()
    };
    let checks = &mut cluster.health_check;
    checks.available_destinations_policy = Some("HealthyOrFirst".to_owned());
    checks.passive.enabled = true;
    checks.passive.policy = Some("ServerErrors".to_owned());
    checks.active.enabled = true;
    checks.active.policy = Some("SaysSo".to_owned());
    checks.active.interval = Some(Duration::from_millis(100));
    checks.active.path = Some("/probe".to_owned());
    ProxyConfig {
        routes: vec![RouteConfig {
            route_id: "all".to_owned(),
            cluster_id: Some("app".to_owned()),
            matches: MatchConfig {
                path: Some("/{**rest}".to_owned()),
                ..MatchConfig::default()
            },
            ..RouteConfig::default()
        }]
        .into(),
        clusters: vec![cluster].into(),
        ..ProxyConfig::default()
    }
}

fn available(cluster: &ClusterState) -> Vec<String> {
    let destinations = cluster.destinations();
    let available = destinations.available.iter();
    available.map(|state| state.id().to_owned()).collect()
}

fn show(when: &str, cluster: &ClusterState) {
    println!("{when}: available are {}", available(cluster).join(" and "));
}

fn wait_until(holds: impl Fn() -> bool) {
    while !holds() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A destination whose answers are told to it.
struct Destination {
    address: SocketAddr,
    answers: Arc<AtomicU16>,
    probes: Arc<AtomicU16>,
}

impl Destination {
    fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let destination = Self {
            address: listener.local_addr()?,
            answers: Arc::new(AtomicU16::new(200)),
            probes: Arc::new(AtomicU16::new(200)),
        };
        let answers = Arc::clone(&destination.answers);
        let probes = Arc::clone(&destination.probes);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // One that breaks off is nothing to this program.
                let _ = answer(stream, &answers, &probes);
            }
        });
        Ok(destination)
    }
}

fn answer(stream: TcpStream, answers: &AtomicU16, probes: &AtomicU16) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = match line.starts_with("GET /probe ") {
        true => probes.load(Ordering::SeqCst),
        false => answers.load(Ordering::SeqCst),
    };
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
    let head = format!("HTTP/1.1 {status} -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    reader.get_mut().write_all(head.as_bytes())
}

/// The status of one request.
fn ask(front: SocketAddr) -> Result<u16, Box<dyn Error>> {
    let mut stream = TcpStream::connect(front)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: example\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let status = response.split(' ').nth(1).ok_or("no status line")?;
    Ok(status.parse()?)
}
