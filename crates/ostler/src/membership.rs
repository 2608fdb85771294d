//! This front among others that share its configuration: what it says of itself in etcd.

use std::sync::Arc;
use std::time::Duration;

use ostler_config::Settings;
use ostler_etcd::{FrontRecord, Registration};
use ostler_model::ProxyModel;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::etcd::{self, Etcd};

/// How often it is looked at whether clusters have destinations.
const LOOK: Duration = Duration::from_secs(2);
/// The metadata that names a request queue.
const QUEUE: &str = "HttpSysDelegationQueue";

/// A front's record, kept up to date as long as this lives.
#[derive(Debug)]
pub(crate) struct Membership {
    record: Arc<watch::Sender<FrontRecord>>,
    looking: JoinHandle<()>,
}

impl Membership {
    /// Registers a front that listens.
    pub(crate) fn begin(etcd: &Etcd, listening: Vec<String>, model: Arc<ProxyModel>) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let record = FrontRecord {
            id: format!("{}-{}", host.trim(), std::process::id()),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            started: etcd::seconds_since_1970(),
            listening,
            ..FrontRecord::default()
        };
        let (sender, receiver) = watch::channel(record);
        let registration = Registration::new(etcd.access().clone(), etcd.prefix().to_owned());
        tokio::spawn(registration.keep(receiver, usize::from(etcd::first_turn())));
        let record = Arc::new(sender);
        let looking = tokio::spawn(look(Arc::clone(&record), model));
        Self { record, looking }
    }

    /// Says what is in force, and what is not.
    pub(crate) fn say(
        &self,
        settings: &Settings,
        revision: i64,
        refused: Option<(i64, Vec<String>)>,
    ) {
        let clusters = settings.proxy.clusters.iter();
        let destinations = clusters.flat_map(|cluster| &cluster.destinations);
        let metadata = destinations.flat_map(|destination| &destination.metadata);
        let mut queues: Vec<_> = metadata
            .filter(|(key, _)| key.eq_ignore_ascii_case(QUEUE))
            .map(|(_, queue)| queue.clone())
            .collect();
        queues.sort();
        queues.dedup();
        self.record.send_modify(|record| {
            record.queues = queues;
            record.revision = revision;
            record.refused = refused;
        });
    }
}

impl Drop for Membership {
    /// With the last sender the record goes.
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// Sees which clusters have nobody to ask.
async fn look(record: Arc<watch::Sender<FrontRecord>>, model: Arc<ProxyModel>) {
    loop {
        let snapshot = model.snapshot();
        let without = snapshot.clusters.iter();
        let without = without.filter(|cluster| cluster.destinations().available.is_empty());
        let mut without: Vec<_> = without.map(|cluster| cluster.id().to_owned()).collect();
        // A record is no place for a thousand names.
        without.truncate(20);
        record.send_if_modified(|record| {
            let has_changed = record.without_destinations != without;
            record.without_destinations = without;
            has_changed
        });
        tokio::time::sleep(LOOK).await;
    }
}
