//! The partitions of a limiter: found by what requests are told apart by, forgotten when idle.
//!
//! Clients choose the keys, so what is kept of them is bounded: a key is kept as its hash, idle
//! partitions are swept out, and beyond 65,536 of them newcomers share one.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ostler_config::schema::LimiterConfig;

use super::partition::Partition;

const SHARDS: usize = 16;

/// Most partitions of a limiter that are told apart.
#[cfg(test)]
pub(super) const MOST: usize = SHARDS * MOST_A_SHARD;

const MOST_A_SHARD: usize = 4096;

/// How often a shard is swept while it has room, and while it has none.
const SWEEP: Duration = Duration::from_secs(10);
const SWEEP_FULL: Duration = Duration::from_secs(1);

/// Who a request is counted with: a hash with a secret, long enough that two never meet and nobody
/// can make them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(u64, u64);

#[derive(Debug)]
pub(super) struct Partitions {
    secrets: [RandomState; 2],
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    /// `len() <= MOST_A_SHARD`
    by_key: HashMap<Key, Arc<Partition>>,
    /// Shared by those for whom there was no room.
    rest: Option<Arc<Partition>>,
    swept: Duration,
}

impl Partitions {
    pub(super) fn new() -> Self {
        Self {
            secrets: [RandomState::new(), RandomState::new()],
            shards: Default::default(),
        }
    }

    /// The key of what `write` writes.
    pub(super) fn key(&self, write: impl Fn(&mut dyn Hasher)) -> Key {
        let [left, right] = &self.secrets;
        let hash = |secret: &RandomState| {
            let mut hasher = secret.build_hasher();
            write(&mut hasher);
            hasher.finish()
        };
        Key(hash(left), hash(right))
    }

    /// The partition of a key.
    pub(super) fn find(&self, key: Key, config: &LimiterConfig, now: Duration) -> Arc<Partition> {
        let shard = &self.shards[key.0 as usize % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = shard.by_key.len() >= MOST_A_SHARD;
        let interval = if is_full { SWEEP_FULL } else { SWEEP };
        if now.saturating_sub(shard.swept) >= interval {
            shard.swept = now;
            shard.sweep(now);
        }
        if let Some(partition) = shard.by_key.get(&key) {
            return Arc::clone(partition);
        }
        let partition = || Partition::new(config);
        if shard.by_key.len() >= MOST_A_SHARD {
            return Arc::clone(shard.rest.get_or_insert_with(partition));
        }
        let partition = partition();
        shard.by_key.insert(key, Arc::clone(&partition));
        partition
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| shard.lock().unwrap().by_key.len()).sum()
    }
}

impl Shard {
    /// Forgets those that are idle. Somebody who holds one found it under the same lock.
    fn sweep(&mut self, now: Duration) {
        let is_idle = |partition: &Arc<Partition>| {
            Arc::strong_count(partition) == 1 && partition.is_idle(now)
        };
        self.by_key.retain(|_, partition| !is_idle(partition));
        if self.by_key.len() * 4 < self.by_key.capacity() {
            self.by_key.shrink_to_fit();
        }
        self.rest.take_if(|rest| is_idle(rest));
    }
}
