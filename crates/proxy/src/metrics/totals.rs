//! Families of what threads have counted beside exchanges.

use super::connections::{ConnectionEnd, Refusal};
use super::family::{Attributes, Family, Sums, Value};
use super::histogram::Durations;
use super::thread::Ready;
use super::{Metrics, catalog};
use std::sync::PoisonError;

impl Metrics {
    /// Connections of clients, and to destinations.
    pub(crate) fn totals(&self) -> Vec<Family> {
        let threads = self.threads();
        let lasted = ConnectionEnd::ALL.into_iter().filter_map(|(end, error)| {
            let mut durations = Durations::default();
            for cells in &threads {
                durations.merge(&cells.connections.read_lasted(end));
            }
            let error = error.map(|error| ("error.type", error.into()));
            let value = Value::Durations(Box::new(durations.clone()));
            (durations.count() > 0).then(|| (error.into_iter().collect(), value))
        });
        let refused = Refusal::ALL.into_iter().map(|(refusal, limit)| {
            let counts = threads
                .iter()
                .map(|cells| cells.connections.read_refused(refusal));
            (
                vec![("ostler.limit", limit.into())],
                Value::Count(counts.sum()),
            )
        });
        let elsewhere = threads.iter().map(|cells| cells.elsewhere()).sum();
        let mut pools = Sums::default();
        for cells in &threads {
            let ready = cells.ready.lock().unwrap_or_else(PoisonError::into_inner);
            for one in &*ready {
                for (version, count) in [("1.1", one.http1), ("2", one.http2)] {
                    pools.add(server(one, version), Value::Number(count as f64));
                }
            }
        }
        vec![
            Family::new(&catalog::CONNECTION_DURATION, lasted.collect::<Vec<_>>()),
            Family::new(&catalog::REJECTED_CONNECTIONS, refused),
            Family::single(&catalog::ELSEWHERE, Value::Count(elsewhere)),
            pools.family(&catalog::POOLS),
        ]
    }
}

fn server(ready: &Ready, version: &'static str) -> Attributes {
    vec![
        ("url.scheme", super::asked::scheme(ready.is_https).into()),
        ("server.address", ready.host.clone().into()),
        ("server.port", ready.port.to_string().into()),
        ("network.protocol.version", version.into()),
    ]
}
