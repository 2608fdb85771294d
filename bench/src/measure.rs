//! Measurements: rounds of load over all servers in turn, and what a request cost in each.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

use crate::cpu::Usage;
use crate::load::{Clients, Latency, Load};
use crate::protocol::Protocol;
use crate::servers::{Role, Server, ServerKind};
use crate::trace::{Calls, Counts, Tracer};

/// How long after a load its connections may still cost something to close.
const SETTLE: Duration = Duration::from_millis(100);

/// What is asked for: one row of servers in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scenario {
    pub(crate) protocol: Protocol,
    pub(crate) size: u64,
    pub(crate) clients: Clients,
}

impl Scenario {
    pub(crate) fn load(self, seconds: u32) -> Load {
        let Self {
            protocol,
            size,
            clients,
        } = self;
        Load {
            protocol,
            size,
            clients,
            seconds,
        }
    }
}

/// What one load on one server gave.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Zero without a front.
    pub(crate) front: PerRequest,
    pub(crate) app: PerRequest,
    pub(crate) requests_per_second: f64,
    pub(crate) latency: Latency,
    pub(crate) errors: u64,
}

/// What a request costs in one process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PerRequest {
    /// User and system time, in microseconds.
    pub(crate) cpu: f64,
    /// How often a thread stopped to wait: each is a sleep, and a wake-up later.
    pub(crate) waits: f64,
}

impl Sample {
    /// Of all processes, in microseconds.
    pub(crate) fn cpu(&self) -> f64 {
        self.front.cpu + self.app.cpu
    }
}

/// All rounds of each scenario on each server.
#[derive(Debug, Default)]
pub(crate) struct Samples(BTreeMap<Scenario, BTreeMap<ServerKind, Vec<Sample>>>);

impl Samples {
    /// Loads every server once in each round, so that what disturbs the machine disturbs all.
    pub(crate) fn take(
        &mut self,
        scenario: Scenario,
        servers: &[Server],
        rounds: u32,
        seconds: u32,
    ) -> anyhow::Result<()> {
        let load = scenario.load(seconds);
        for _ in 0..rounds {
            for server in servers {
                let sample = sample(server, &load)
                    .with_context(|| format!("{}, {scenario:?}", server.kind.name()))?;
                let of_scenario = self.0.entry(scenario).or_default();
                of_scenario.entry(server.kind).or_default().push(sample);
            }
        }
        Ok(())
    }

    /// In order of protocol, size, then clients.
    pub(crate) fn scenarios(&self) -> impl Iterator<Item = Scenario> {
        self.0.keys().copied()
    }

    /// In order of the servers.
    pub(crate) fn of(&self, scenario: Scenario) -> impl Iterator<Item = (ServerKind, &[Sample])> {
        let of_scenario = self.0.get(&scenario).into_iter().flatten();
        of_scenario.map(|(kind, samples)| (*kind, samples.as_slice()))
    }

    /// The CPU time per request of `kind` as a multiple of `base`'s: the median over the rounds,
    /// each compared with the base's load of the same round.
    pub(crate) fn cpu_ratio(
        &self,
        scenario: Scenario,
        kind: ServerKind,
        base: ServerKind,
    ) -> Option<f64> {
        let of_scenario = self.0.get(&scenario)?;
        let pairs = of_scenario.get(&kind)?.iter().zip(of_scenario.get(&base)?);
        median(pairs.map(|(sample, base)| sample.cpu() / base.cpu()))
    }
}

fn sample(server: &Server, load: &Load) -> anyhow::Result<Sample> {
    let before = server.usage()?;
    let result = load.run(server.address)?;
    thread::sleep(SETTLE);
    let after = server.usage()?;
    let mut sample = Sample {
        requests_per_second: result.requests_per_second,
        latency: result.latency,
        errors: result.errors,
        ..Sample::default()
    };
    for ((role, before), (_, after)) in before.into_iter().zip(after) {
        let cost = per_request(after - before, result.requests);
        match role {
            Role::Front => sample.front = cost,
            Role::App => sample.app = cost,
        }
    }
    Ok(sample)
}

fn per_request(usage: Usage, requests: u64) -> PerRequest {
    let requests = requests as f64;
    PerRequest {
        cpu: usage.cpu.as_secs_f64() * 1e6 / requests,
        waits: usage.voluntary_switches as f64 / requests,
    }
}

/// The middle value, or the mean of the two in the middle; `None` without values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (lower, upper) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some(f64::midpoint(*values.get(lower)?, *values.get(upper)?))
}

/// The system calls of one process under one load.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) kind: ServerKind,
    pub(crate) role: Role,
    requests: u64,
    counts: Counts,
}

impl Trace {
    /// Traces all processes of `server` under one load.
    pub(crate) fn take(server: &Server, load: &Load, folder: &Path) -> anyhow::Result<Vec<Self>> {
        let tracers: Vec<_> = server
            .pids()?
            .into_iter()
            .map(|(role, pids)| Ok((role, Tracer::attach(&pids, folder)?)))
            .collect::<anyhow::Result<_>>()?;
        let requests = load.run(server.address)?.requests;
        let traces = tracers.into_iter().map(|(role, tracer)| {
            Ok(Self {
                kind: server.kind,
                role,
                requests,
                counts: tracer.finish()?,
            })
        });
        traces.collect()
    }

    #[cfg(test)]
    pub(crate) fn new(kind: ServerKind, role: Role, requests: u64, counts: Counts) -> Self {
        Self {
            kind,
            role,
            requests,
            counts,
        }
    }

    /// Names of the system calls made.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.counts.keys().map(String::as_str)
    }

    /// Calls of `name` per request, and those among them that failed.
    pub(crate) fn per_request(&self, name: &str) -> (f64, f64) {
        let Calls { calls, errors } = self.counts.get(name).copied().unwrap_or_default();
        let requests = self.requests as f64;
        (calls as f64 / requests, errors as f64 / requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value_or_between_the_two_in_the_middle() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0]), Some(3.0));
        assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 9.0, 1.0, 2.0]), Some(3.0));
    }

    #[test]
    fn ratios_compare_loads_of_the_same_round() {
        let scenario = Scenario {
            protocol: Protocol::Http1,
            size: 13,
            clients: Clients::new(64),
        };
        let round = |cpu| Sample {
            app: PerRequest { cpu, waits: 0.0 },
            ..Sample::default()
        };
        let mut samples = Samples::default();
        let of_scenario = samples.0.entry(scenario).or_default();
        // The machine became four times slower between the rounds.
        of_scenario.insert(
            ServerKind::Direct,
            vec![round(1.0), round(4.0), round(16.0)],
        );
        of_scenario.insert(
            ServerKind::Delegated,
            vec![round(2.0), round(12.0), round(16.0)],
        );
        let ratio = samples.cpu_ratio(scenario, ServerKind::Delegated, ServerKind::Direct);
        assert_eq!(ratio, Some(2.0));
        let ratio = samples.cpu_ratio(scenario, ServerKind::Nginx, ServerKind::Direct);
        assert_eq!(ratio, None);
    }

    #[test]
    fn costs_are_divided_by_the_requests() {
        let usage = Usage {
            cpu: Duration::from_millis(3),
            voluntary_switches: 50,
        };
        let cost = per_request(usage, 100);
        assert_eq!((cost.cpu, cost.waits), (30.0, 0.5));
    }
}
