//! Following a configuration: read, watched from there on, read again when the watch ends.

use std::time::Duration;

use tokio::sync::watch;

use crate::client::{Access, Client};
use crate::documents::{CONFIG, Documents};
use crate::error::EtcdError;

/// The first pause after a failure; then twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// What is known of the configuration in etcd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Followed {
    /// What it says, as it was heard last.
    pub documents: Documents,
}

/// Follows what stands under a prefix, for as long as somebody listens. What was there last stays when
/// etcd is away, or has nothing any more.
///
/// Each time that something breaks off, all is read again and compared: nothing is lost, whatever was
/// compacted, restored or missed meanwhile.
pub async fn follow(access: Access, prefix: String, known: watch::Sender<Followed>, seed: usize) {
    let mut turn = seed;
    let mut failures = 0;
    let mut is_away = false;
    loop {
        let mut following = Following {
            access: &access,
            prefix: &prefix,
            known: &known,
            is_away: &mut is_away,
            failures: &mut failures,
        };
        let error = match following.until_it_fails(turn).await {
            Ok(()) => return,
            Err(error) => error,
        };
        if known.is_closed() {
            return;
        }
        match error {
            // It is there, and only wants to be asked from another revision on.
            EtcdError::Compacted { .. } => {
                tracing::info!(%error, "etcd has compacted what was to be told: all is read again");
            }
            error if is_away => tracing::debug!(%error, "etcd is still away"),
            error => {
                is_away = true;
                tracing::warn!(%error, "etcd is away: the configuration in force stays");
            }
        }
        turn += 1;
        failures += 1;
        let pause = FIRST_PAUSE * (1 << (failures - 1).min(5));
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
    }
}

struct Following<'a> {
    access: &'a Access,
    prefix: &'a str,
    known: &'a watch::Sender<Followed>,
    is_away: &'a mut bool,
    failures: &'a mut u32,
}

impl Following<'_> {
    /// Completes without an error when nobody listens any more.
    async fn until_it_fails(&mut self, turn: usize) -> Result<(), EtcdError> {
        let place = format!("{}{CONFIG}", self.prefix);
        let client = Client::connect(self.access, turn).await?;
        let range = client.range(&place, false).await?;
        let mut documents = Documents::of(&range, &place);
        let revision = range.revision;
        let mut watch = client.watch(&place, revision + 1).await?;
        *self.failures = 0;
        if std::mem::take(self.is_away) {
            let endpoint = client.endpoint();
            tracing::info!(
                endpoint,
                revision,
                "etcd is there again: the configuration is followed"
            );
        }
        self.tell(&documents);
        loop {
            let events = tokio::select! {
                events = watch.next() => events?,
                () = self.known.closed() => return Ok(()),
            };
            documents.apply(&events, &place);
            if !events.is_empty() {
                self.tell(&documents);
            }
        }
    }

    fn tell(&self, documents: &Documents) {
        self.known.send_if_modified(|known| {
            let before = known.documents.revision();
            if *documents == known.documents {
                return false;
            }
            if documents.is_empty() {
                tracing::error!(
                    prefix = self.prefix,
                    "there is no configuration in etcd any more: the one in force stays"
                );
                return false;
            }
            if documents.revision() < before {
                let revision = documents.revision();
                tracing::warn!(
                    revision,
                    before,
                    "etcd has gone back to an older configuration, which is followed"
                );
            }
            known.documents.clone_from(documents);
            true
        });
    }
}
