//! `RateLimiter` as it is written.

use std::time::Duration;

/// `RateLimiter`: the policies that routes name (ASP.NET's `RateLimiterOptions`).
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimiterConfig {
    /// `RejectionStatusCode`: 503 by default.
    pub rejection_status_code: u16,
    /// `GlobalLimiter`: stands before every route but those that say `Disable`.
    pub global_limiter: Option<LimiterConfig>,
    /// `Policies`, by name.
    pub policies: Vec<(String, LimiterConfig)>,
}

impl Default for RateLimiterConfig {
    fn default() -> Self {
        Self {
            rejection_status_code: 503,
            global_limiter: None,
            policies: Vec::new(),
        }
    }
}

/// One limiter, or as many alike as `PartitionBy` tells apart.
#[derive(Debug, Clone, PartialEq)]
pub struct LimiterConfig {
    /// `Type`, and the keys that belong to it.
    pub algorithm: LimiterAlgorithm,
    /// `QueueLimit`: how many requests may wait; none by default.
    pub queue_limit: u32,
    /// `QueueProcessingOrder`.
    pub queue_processing_order: QueueProcessingOrder,
    /// `PartitionBy`.
    pub partition_by: PartitionBy,
}

/// How permits are given out and come back (`System.Threading.RateLimiting`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimiterAlgorithm {
    /// `FixedWindow`: so many a window.
    FixedWindow {
        /// `PermitLimit`, at least 1.
        permit_limit: u32,
        /// `Window`, not zero.
        window: Duration,
    },
    /// `SlidingWindow`: so many in any window that begins with a segment.
    SlidingWindow {
        /// `PermitLimit`, at least 1.
        permit_limit: u32,
        /// `Window`, not zero.
        window: Duration,
        /// `SegmentsPerWindow`, at least 1.
        segments_per_window: u32,
    },
    /// `TokenBucket`: a token each, and some come back every period.
    TokenBucket {
        /// `TokenLimit`, at least 1.
        token_limit: u32,
        /// `TokensPerPeriod`, at least 1.
        tokens_per_period: u32,
        /// `ReplenishmentPeriod`, not zero.
        replenishment_period: Duration,
    },
    /// `Concurrency`: so many at a time.
    Concurrency {
        /// `PermitLimit`, at least 1.
        permit_limit: u32,
    },
}

/// Which of the waiting requests comes next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueueProcessingOrder {
    /// The one that has waited longest; when the queue is full, the newcomer is rejected.
    #[default]
    OldestFirst,
    /// The one that came last; when the queue is full, the one that has waited longest is rejected.
    NewestFirst,
}

/// What tells requests apart that are counted apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PartitionBy {
    /// Nothing: all are counted together.
    #[default]
    None,
    /// The client's IP address; of IPv6 the first 64 bits, since a client has all that follow.
    ClientAddress,
    /// The host that the request is for, without case.
    Host,
    /// The value of a field of this name.
    Header(String),
}

impl RateLimiterConfig {
    /// The names of the policies, for routes to be checked against.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|(name, _)| name.as_str())
    }
}
