//! How permits are given out and come back: the four algorithms of `System.Threading.RateLimiting`.
//!
//! Nothing here runs by itself: each call is told the time, and what has come back by then is
//! worked out. A limiter that has given out nothing starts its window, segment or period with the
//! next request, so one that is forgotten when it is full and made anew behaves the same.

use std::time::Duration;

use ostler_config::schema::LimiterAlgorithm;

/// The permits of one partition.
#[derive(Debug)]
pub(super) enum Permits {
    FixedWindow {
        limit: u32,
        window: Duration,
        /// `<= limit`
        taken: u32,
        since: Duration,
    },
    SlidingWindow {
        limit: u32,
        segment: Duration,
        /// By segment, a ring; the sum is `limit - free`.
        taken: Box<[u32]>,
        /// The present segment, which began at `since`.
        at: usize,
        free: u32,
        since: Duration,
    },
    TokenBucket {
        limit: u32,
        per_period: u32,
        period: Duration,
        /// `<= limit`
        tokens: u32,
        since: Duration,
    },
    Concurrency {
        limit: u32,
        /// `<= limit`
        taken: u32,
    },
}

impl Permits {
    pub(super) fn new(algorithm: &LimiterAlgorithm) -> Self {
        let since = Duration::ZERO;
        match *algorithm {
            LimiterAlgorithm::FixedWindow {
                permit_limit,
                window,
            } => Self::FixedWindow {
                limit: permit_limit,
                window,
                taken: 0,
                since,
            },
            LimiterAlgorithm::SlidingWindow {
                permit_limit,
                window,
                segments_per_window,
            } => Self::SlidingWindow {
                limit: permit_limit,
                segment: window / segments_per_window.max(1),
                taken: vec![0; segments_per_window.max(1) as usize].into(),
                at: 0,
                free: permit_limit,
                since,
            },
            LimiterAlgorithm::TokenBucket {
                token_limit,
                tokens_per_period,
                replenishment_period,
            } => Self::TokenBucket {
                limit: token_limit,
                per_period: tokens_per_period,
                period: replenishment_period,
                tokens: token_limit,
                since,
            },
            LimiterAlgorithm::Concurrency { permit_limit } => Self::Concurrency {
                limit: permit_limit,
                taken: 0,
            },
        }
    }

    /// Takes back what has come back by now.
    pub(super) fn advance(&mut self, now: Duration) {
        match self {
            Self::FixedWindow {
                window,
                taken,
                since,
                ..
            } => {
                if periods(since, *window, now) > 0 {
                    *taken = 0;
                }
            }
            Self::SlidingWindow {
                segment,
                taken,
                at,
                free,
                since,
                ..
            } => {
                let gone = periods(since, *segment, now).min(taken.len() as u128);
                for _ in 0..gone {
                    *at = (*at + 1) % taken.len();
                    *free += std::mem::take(&mut taken[*at]);
                }
            }
            Self::TokenBucket {
                limit,
                per_period,
                period,
                tokens,
                since,
            } => {
                let come = periods(since, *period, now).saturating_mul(u128::from(*per_period));
                *tokens = u32::try_from(come.saturating_add(u128::from(*tokens)))
                    .unwrap_or(*limit)
                    .min(*limit);
            }
            Self::Concurrency { .. } => {}
        }
        if self.is_full() {
            self.restart(now);
        }
    }

    /// Takes a permit, if there is one.
    pub(super) fn take(&mut self) -> bool {
        match self {
            Self::FixedWindow { limit, taken, .. } | Self::Concurrency { limit, taken } => {
                let there = *taken < *limit;
                *taken += u32::from(there);
                there
            }
            Self::SlidingWindow {
                taken, at, free, ..
            } => {
                let there = *free > 0;
                *free -= u32::from(there);
                taken[*at] += u32::from(there);
                there
            }
            Self::TokenBucket { tokens, .. } => {
                let there = *tokens > 0;
                *tokens -= u32::from(there);
                there
            }
        }
    }

    /// Gives a permit back, where that is how permits come back.
    pub(super) fn give_back(&mut self) {
        if let Self::Concurrency { taken, .. } = self {
            *taken = taken.saturating_sub(1);
        }
    }

    /// Whether permits come back by being given back.
    pub(super) fn are_given_back(&self) -> bool {
        matches!(self, Self::Concurrency { .. })
    }

    /// How long until permits come back; `None` when time brings none.
    pub(super) fn replenished_in(&self, now: Duration) -> Option<Duration> {
        let at = match self {
            Self::FixedWindow { window, since, .. } => since.saturating_add(*window),
            Self::SlidingWindow {
                segment,
                taken,
                at,
                since,
                ..
            } => {
                let segments = taken.len();
                let ahead = (1..=segments).find(|ahead| taken[(at + ahead) % segments] > 0)?;
                let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
                since.saturating_add(segment.saturating_mul(ahead))
            }
            Self::TokenBucket { period, since, .. } => since.saturating_add(*period),
            Self::Concurrency { .. } => return None,
        };
        Some(at.saturating_sub(now))
    }

    /// Whether all permits are there: nothing is remembered of the past.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::FixedWindow { taken, .. } | Self::Concurrency { taken, .. } => *taken == 0,
            Self::SlidingWindow { limit, free, .. } => free == limit,
            Self::TokenBucket { limit, tokens, .. } => tokens == limit,
        }
    }

    fn restart(&mut self, now: Duration) {
        match self {
            Self::FixedWindow { since, .. }
            | Self::SlidingWindow { since, .. }
            | Self::TokenBucket { since, .. } => *since = now.max(*since),
            Self::Concurrency { .. } => {}
        }
    }
}

/// How many whole periods have gone; `since` becomes the beginning of the present one. A time that
/// another thread has read a little earlier counts as the beginning.
fn periods(since: &mut Duration, period: Duration, now: Duration) -> u128 {
    let elapsed = now.saturating_sub(*since).as_nanos();
    let period = period.as_nanos().max(1);
    let gone = elapsed / period;
    if gone > 0 {
        let into = u64::try_from(elapsed % period).unwrap_or(u64::MAX);
        *since = now.saturating_sub(Duration::from_nanos(into));
    }
    gone
}
