//! What a front has measured, for exporters: exchanges, connections, queues, destinations.

use std::sync::Arc;

use ostler_model::{DestinationHealth, DestinationState};

use crate::metrics::{Attributes, Description, Family, QueueEvent, Value, catalog};
use crate::queues::QueueSeen;
use crate::shared::Shared;

/// A front's metrics, to be read from any thread and also once the front is being joined.
#[derive(Debug, Clone)]
pub struct FrontMetrics(pub(crate) Arc<Shared>);

impl FrontMetrics {
    /// Every metric of a front, described.
    pub fn descriptions() -> &'static [&'static Description] {
        catalog::ALL
    }

    /// What has been measured up to now. Nothing where nothing is measured.
    pub fn families(&self) -> Vec<Family> {
        let Some(metrics) = &self.0.metrics else {
            return Vec::new();
        };
        let mut families = metrics.families();
        families.extend(metrics.totals());
        families.extend(self.connections());
        families.extend(self.queues());
        families.extend(self.destinations());
        families
    }

    fn connections(&self) -> [Family; 2] {
        let (open, upgraded) = self.0.connections.counts();
        let single =
            |description, count: usize| Family::single(description, Value::Number(count as f64));
        [
            single(&catalog::CONNECTIONS, open),
            single(&catalog::UPGRADED, upgraded),
        ]
    }

    fn queues(&self) -> Vec<Family> {
        let queues = self.0.queues.seen();
        let gauge = |description, value: fn(&QueueSeen) -> usize| {
            let points = queues.iter().map(|seen| {
                let name = vec![("ostler.queue", seen.name.clone().into())];
                (name, Value::Number(value(seen) as f64))
            });
            Family::new(description, points)
        };
        let events = queues.iter().flat_map(|seen| {
            QueueEvent::ALL.into_iter().map(|(event, word)| {
                let attributes = vec![
                    ("ostler.queue", seen.name.clone().into()),
                    ("ostler.event", word.into()),
                ];
                (attributes, Value::Count(seen.counts.read(event)))
            })
        });
        vec![
            gauge(&catalog::QUEUE_DEPTH, |seen| seen.depth),
            gauge(&catalog::QUEUE_OUTSTANDING, |seen| seen.outstanding),
            gauge(&catalog::QUEUE_INSTANCES, |seen| seen.instances),
            Family::new(&catalog::QUEUE_REQUESTS, events),
        ]
    }

    fn destinations(&self) -> Vec<Family> {
        let snapshot = self.0.model.snapshot();
        let (mut health, mut available, mut requests) = (Vec::new(), Vec::new(), Vec::new());
        for cluster in snapshot.clusters.iter() {
            let destinations = cluster.destinations();
            for destination in destinations.all.iter() {
                let names = || -> Attributes {
                    vec![
                        ("ostler.cluster", cluster.id().to_owned().into()),
                        ("ostler.destination", destination.id().to_owned().into()),
                    ]
                };
                health.extend(opinions(destination).map(|(check, is_healthy)| {
                    let mut names = names();
                    names.push(("ostler.check", check.into()));
                    (names, is(is_healthy))
                }));
                let mut those = destinations.available.iter();
                let is_available = those.any(|one| Arc::ptr_eq(one, destination));
                available.push((names(), is(is_available)));
                let count = destination.concurrent_requests();
                requests.push((names(), Value::Number(count as f64)));
            }
        }
        vec![
            Family::new(&catalog::HEALTH, health),
            Family::new(&catalog::AVAILABLE, available),
            Family::new(&catalog::DESTINATION_REQUESTS, requests),
        ]
    }
}

fn is(so: bool) -> Value {
    Value::Number(if so { 1.0 } else { 0.0 })
}

/// What is known, by whom.
fn opinions(destination: &DestinationState) -> impl Iterator<Item = (&'static str, bool)> {
    let opinions = [
        ("active", destination.active_health()),
        ("passive", destination.passive_health()),
    ];
    opinions
        .into_iter()
        .filter_map(|(check, health)| match health {
            DestinationHealth::Unknown => None,
            health => Some((check, health == DestinationHealth::Healthy)),
        })
}
