//! Following one name: asked, waited for, asked again.

use std::sync::Arc;
use std::time::Duration;

use ostler_model::{FastRandom, RandomSource};
use tokio::sync::{Semaphore, mpsc};

use crate::lookup::{Found, Lookup, LookupError};
use crate::query::Query;

/// No name is asked for more often, however short its time to live.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after lookups that fail.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What was learned of a name.
pub(crate) struct Told {
    pub(crate) query: Query,
    pub(crate) found: Result<Found, LookupError>,
}

/// How names are followed, and to whom answers go.
#[derive(Clone)]
pub(crate) struct Follower {
    pub(crate) lookup: Arc<dyn Lookup>,
    /// After how long at the latest a name is asked for again; `None` is never.
    pub(crate) refresh_period: Option<Duration>,
    /// How many are asked for at once.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) told: mpsc::UnboundedSender<Told>,
}

impl Follower {
    /// Follows a name until nobody listens, or it needs not be asked for again.
    pub(crate) async fn follow(self, query: Query, mut random: FastRandom) {
        let mut failures = 0;
        loop {
            let found = {
                let Ok(_permit) = self.permits.acquire().await else {
                    return;
                };
                self.lookup.look_up(&query).await
            };
            let wait = match &found {
                Ok(found) => {
                    failures = 0;
                    self.until_refresh(found.time_to_live, &mut random)
                }
                Err(_) => {
                    failures += 1;
                    Some(self.after_failure(failures))
                }
            };
            let query = query.clone();
            if self.told.send(Told { query, found }).is_err() {
                return;
            }
            let Some(wait) = wait else {
                return;
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// When the answer's time to live is over, within the refresh period; up to a tenth earlier, so that
    /// names that were asked for together part.
    fn until_refresh(&self, time_to_live: Duration, random: &mut FastRandom) -> Option<Duration> {
        let period = self.refresh_period?;
        let wait = time_to_live.max(SHORTEST_WAIT).min(period);
        let tenths = u32::try_from(random.below(1024)).unwrap_or_default();
        Some(wait - wait / 10 * tenths / 1024)
    }

    /// A second, then twice as long each time.
    fn after_failure(&self, failures: u32) -> Duration {
        let pause = Duration::from_secs(1 << failures.saturating_sub(1).min(5));
        let longest = self.refresh_period.unwrap_or(LONGEST_PAUSE);
        pause.min(LONGEST_PAUSE).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::LookupFuture;

    struct Nobody;

    impl Lookup for Nobody {
        fn look_up<'a>(&'a self, _query: &'a Query) -> LookupFuture<'a> {
            Box::pin(async { Err("nobody answers".into()) })
        }
    }

    fn follower(refresh_period: Option<Duration>) -> Follower {
        Follower {
            lookup: Arc::new(Nobody),
            refresh_period,
            permits: Arc::new(Semaphore::new(1)),
            told: mpsc::unbounded_channel().0,
        }
    }

    #[test]
    fn a_name_is_asked_for_again_when_its_time_is_over_and_within_the_period() {
        let seconds = Duration::from_secs;
        let mut random = FastRandom::new(1);
        for (period, time_to_live, most) in [
            (seconds(300), seconds(30), seconds(30)),
            (seconds(300), seconds(86_400), seconds(300)),
            (seconds(300), seconds(0), seconds(1)),
            (
                Duration::from_millis(200),
                seconds(0),
                Duration::from_millis(200),
            ),
        ] {
            for _ in 0..100 {
                let wait = follower(Some(period)).until_refresh(time_to_live, &mut random);
                let wait = wait.unwrap();
                assert!(
                    wait <= most && wait >= most * 9 / 10,
                    "{wait:?} of {most:?}"
                );
            }
        }
        assert_eq!(follower(None).until_refresh(seconds(1), &mut random), None);
    }

    #[test]
    fn pauses_grow_up_to_half_a_minute_and_within_the_period() {
        let pauses = |period| {
            let follower = follower(period);
            let seconds = (1..9).map(move |failures| follower.after_failure(failures).as_secs());
            seconds.collect::<Vec<_>>()
        };
        assert_eq!(pauses(None), [1, 2, 4, 8, 16, 30, 30, 30]);
        let period = Some(Duration::from_secs(5));
        assert_eq!(pauses(period), [1, 2, 4, 5, 5, 5, 5, 5]);
    }
}
