//! Rate limiters: how many requests may go on, now (reference A11.3; `System.Threading.RateLimiting`).
//!
//! Time is an argument, measured from any moment, the same for all calls. Counts are shared by all
//! threads, and outlive reloads as long as the limiter is written the same.

mod partition;
mod partitions;
mod permits;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ostler_config::schema::{
    LimiterAlgorithm, LimiterConfig, PartitionBy, RateLimiterConfig, RouteConfig,
};

use crate::equality;
use crate::ordinal;
use crate::route::RequestView;
use partition::Partition;
use partitions::Partitions;

pub use partition::{Acquired, Permit, Rejected, Waiting};

/// A limiter with its partitions.
#[derive(Debug)]
pub struct RateLimiter {
    config: LimiterConfig,
    partitions: Counted,
}

#[derive(Debug)]
enum Counted {
    Together(Arc<Partition>),
    Apart(Box<Partitions>),
}

impl RateLimiter {
    /// Makes a limiter of what is written.
    pub fn new(config: LimiterConfig) -> Self {
        let partitions = match config.partition_by {
            PartitionBy::None => Counted::Together(Partition::new(&config)),
            _ => Counted::Apart(Box::new(Partitions::new())),
        };
        Self { config, partitions }
    }

    /// Whether permits are given back when exchanges end, so that an end must be known to count.
    pub fn counts_exchanges_under_way(&self) -> bool {
        matches!(self.config.algorithm, LimiterAlgorithm::Concurrency { .. })
    }

    /// Asks for a permit for a request.
    pub fn acquire<R: RequestView + ?Sized>(
        &self,
        now: Duration,
        client: Option<IpAddr>,
        request: &R,
    ) -> Acquired {
        let partitions = match &self.partitions {
            Counted::Together(partition) => return partition.acquire(now),
            Counted::Apart(partitions) => partitions,
        };
        let key = partitions.key(|hasher| match &self.config.partition_by {
            PartitionBy::None => {}
            PartitionBy::ClientAddress => match client {
                Some(IpAddr::V4(address)) => hasher.write(&address.octets()),
                Some(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                    Some(address) => hasher.write(&address.octets()),
                    None => hasher.write(&address.octets()[..8]),
                },
                None => {}
            },
            PartitionBy::Host => {
                for byte in host(request.authority()).bytes() {
                    hasher.write_u8(byte.to_ascii_lowercase());
                }
            }
            PartitionBy::Header(name) => request.for_each_field_value(name, &mut |value| {
                hasher.write(value);
                // No byte of a value, so that two lines are not one.
                hasher.write_u8(0);
            }),
        });
        partitions.find(key, &self.config, now).acquire(now)
    }
}

/// An authority without its port.
fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// The limiters that stand before a route.
#[derive(Debug, Clone)]
pub struct RouteLimiters {
    /// Asked first.
    pub global: Option<Arc<RateLimiter>>,
    /// Asked then.
    pub named: Option<Arc<RateLimiter>>,
    /// The status of a rejected request's response.
    pub rejection_status: u16,
}

impl RouteLimiters {
    /// Whether both are the very same.
    pub(super) fn are(&self, other: &Self) -> bool {
        let same = |left: &Option<Arc<_>>, right| equality::same(left, right, Arc::ptr_eq);
        same(&self.global, &other.global)
            && same(&self.named, &other.named)
            && self.rejection_status == other.rejection_status
    }
}

/// Every limiter of a configuration, by name.
#[derive(Debug, Default)]
pub(super) struct RateLimiters {
    global: Option<Arc<RateLimiter>>,
    named: Vec<(String, Arc<RateLimiter>)>,
    rejection_status: u16,
}

impl RateLimiters {
    pub(super) fn resolve(config: &RateLimiterConfig, before: &Self) -> Self {
        let limiter = |config: &LimiterConfig, before: Option<&Arc<RateLimiter>>| match before {
            Some(before) if before.config == *config => Arc::clone(before),
            _ => Arc::new(RateLimiter::new(config.clone())),
        };
        let named = config.policies.iter();
        Self {
            global: config
                .global_limiter
                .as_ref()
                .map(|config| limiter(config, before.global.as_ref())),
            named: named
                .map(|(name, config)| (name.clone(), limiter(config, before.named(name))))
                .collect(),
            rejection_status: config.rejection_status_code,
        }
    }

    fn named(&self, name: &str) -> Option<&Arc<RateLimiter>> {
        let mut named = self.named.iter();
        let found = named.find(|(have, _)| ordinal::eq(have, name));
        found.map(|(_, limiter)| limiter)
    }

    /// What a route names: `Disable` is nothing, not even the global limiter; `Default` is as absent
    /// (reference A11).
    pub(super) fn of_route(&self, route: &RouteConfig) -> Option<RouteLimiters> {
        let name = route.rate_limiter_policy.as_deref().unwrap_or_default();
        if ordinal::eq(name, "Disable") {
            return None;
        }
        let limiters = RouteLimiters {
            global: self.global.clone(),
            named: self.named(name).cloned(),
            rejection_status: self.rejection_status,
        };
        (limiters.global.is_some() || limiters.named.is_some()).then_some(limiters)
    }
}
