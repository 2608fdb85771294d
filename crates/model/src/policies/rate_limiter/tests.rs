//! Limiters in virtual time.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use ostler_config::schema::{
    LimiterAlgorithm, LimiterConfig, PartitionBy, QueueProcessingOrder, RateLimiterConfig,
    RouteConfig,
};

use super::partitions::MOST;
use super::*;
use crate::route::testing::Request;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn config(algorithm: LimiterAlgorithm) -> LimiterConfig {
    LimiterConfig {
        algorithm,
        queue_limit: 0,
        queue_processing_order: QueueProcessingOrder::OldestFirst,
        partition_by: PartitionBy::None,
    }
}

const FIXED: LimiterAlgorithm = LimiterAlgorithm::FixedWindow {
    permit_limit: 2,
    window: seconds(10),
};
const SLIDING: LimiterAlgorithm = LimiterAlgorithm::SlidingWindow {
    permit_limit: 3,
    window: seconds(30),
    segments_per_window: 3,
};
const BUCKET: LimiterAlgorithm = LimiterAlgorithm::TokenBucket {
    token_limit: 4,
    tokens_per_period: 2,
    replenishment_period: seconds(10),
};
const CONCURRENCY: LimiterAlgorithm = LimiterAlgorithm::Concurrency { permit_limit: 2 };

fn ask(limiter: &RateLimiter, now: Duration) -> Acquired {
    limiter.acquire(now, None, &Request::to("/"))
}

/// Asks once at each second; `None` is a permit, else the seconds after which to ask again.
#[track_caller]
fn check(algorithm: LimiterAlgorithm, asked: &[(u64, Option<u64>)]) {
    let limiter = RateLimiter::new(config(algorithm));
    for (step, (at, wanted)) in asked.iter().enumerate() {
        let acquired = ask(&limiter, seconds(*at));
        let retry = match acquired {
            Acquired::Permit(_) => None,
            Acquired::Rejected(rejected) => rejected.retry_after.map(|after| after.as_secs()),
            Acquired::Waiting(_) => panic!("nobody may wait"),
        };
        assert_eq!(retry, *wanted, "step {step} at {at}");
    }
}

#[test]
fn a_fixed_window_begins_with_its_first_request_and_ends_whole() {
    check(
        FIXED,
        &[
            (100, None),
            (105, None),
            (105, Some(5)),
            (109, Some(1)),
            (110, None),
            (119, None),
            (119, Some(1)),
            // Windows follow one another without a gap while they are used ...
            (120, None),
            // ... and after a pause one begins with the request.
            (155, None),
            (164, None),
            (164, Some(1)),
            (165, None),
        ],
    );
}

#[test]
fn a_sliding_window_slides_by_its_segments() {
    check(
        SLIDING,
        &[
            (100, None),
            (112, None),
            (119, None),
            (119, Some(11)),
            // The segment of 100 comes back at 130, not before.
            (129, Some(1)),
            (130, None),
            (130, Some(10)),
            // That of 110 at 140: two of them.
            (140, None),
            (141, None),
            (142, Some(18)),
            // All of it, after a long time.
            (1000, None),
            (1000, None),
            (1000, None),
            (1000, Some(30)),
        ],
    );
}

#[test]
fn a_token_bucket_is_filled_by_the_period_and_never_overflows() {
    check(
        BUCKET,
        &[
            (100, None),
            (100, None),
            (100, None),
            (100, None),
            (100, Some(10)),
            (109, Some(1)),
            (110, None),
            (111, None),
            (111, Some(9)),
            // Three periods bring six, and four fit.
            (141, None),
            (141, None),
            (141, None),
            (141, None),
            // It was full at 141, so the period begins there.
            (141, Some(10)),
            (151, None),
        ],
    );
}

#[test]
fn time_that_goes_backwards_a_little_brings_nothing_back() {
    for algorithm in [FIXED, SLIDING, BUCKET] {
        let limiter = RateLimiter::new(config(algorithm));
        let now = seconds(1000);
        while matches!(ask(&limiter, now), Acquired::Permit(_)) {}
        for earlier in [999, 900, 0] {
            let acquired = ask(&limiter, seconds(earlier));
            assert!(matches!(acquired, Acquired::Rejected(_)), "{algorithm:?}");
        }
    }
}

#[test]
fn concurrent_requests_are_counted_until_they_are_over() {
    let limiter = RateLimiter::new(config(CONCURRENCY));
    let first = ask(&limiter, seconds(0));
    let second = ask(&limiter, seconds(0));
    assert!(matches!(first, Acquired::Permit(_)));
    assert!(matches!(second, Acquired::Permit(_)));
    // Time brings nothing back, so it is not said when to come again.
    let Acquired::Rejected(rejected) = ask(&limiter, seconds(1_000_000)) else {
        panic!("a third permit");
    };
    assert_eq!(rejected.retry_after, None);
    drop(first);
    let third = ask(&limiter, seconds(0));
    assert!(matches!(third, Acquired::Permit(_)));
    assert!(matches!(ask(&limiter, seconds(0)), Acquired::Rejected(_)));
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One that waits, with its waker.
struct Waiter {
    waiting: Waiting,
    woken: Arc<Woken>,
}

impl Waiter {
    fn new(acquired: Acquired) -> Self {
        let Acquired::Waiting(waiting) = acquired else {
            panic!("{acquired:?}");
        };
        let mut waiter = Self {
            waiting,
            woken: Arc::default(),
        };
        assert!(waiter.poll(Duration::ZERO).is_pending());
        waiter
    }

    fn poll(&mut self, now: Duration) -> Poll<Result<Permit, Rejected>> {
        let waker = Waker::from(Arc::clone(&self.woken));
        self.waiting.poll(now, &waker)
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Relaxed) > 0
    }
}

fn queueing(algorithm: LimiterAlgorithm, order: QueueProcessingOrder) -> RateLimiter {
    RateLimiter::new(LimiterConfig {
        queue_limit: 2,
        queue_processing_order: order,
        ..config(algorithm)
    })
}

#[test]
fn the_oldest_comes_first_and_a_full_queue_turns_the_newcomer_away() {
    let limiter = queueing(CONCURRENCY, QueueProcessingOrder::OldestFirst);
    let now = Duration::ZERO;
    let held = [ask(&limiter, now), ask(&limiter, now)];
    let mut first = Waiter::new(ask(&limiter, now));
    let mut second = Waiter::new(ask(&limiter, now));
    assert!(matches!(ask(&limiter, now), Acquired::Rejected(_)));
    let [one, other] = held;
    drop(one);
    assert!(first.is_woken() && !second.is_woken());
    let Poll::Ready(Ok(permit)) = first.poll(now) else {
        panic!("no permit");
    };
    assert!(second.poll(now).is_pending());
    // One that was granted and goes away passes its permit on.
    drop(permit);
    assert!(second.is_woken());
    drop(second);
    assert!(matches!(ask(&limiter, now), Acquired::Permit(_)));
    drop(other);
}

#[test]
fn the_newest_comes_first_and_takes_the_place_of_the_oldest() {
    let limiter = queueing(CONCURRENCY, QueueProcessingOrder::NewestFirst);
    let now = Duration::ZERO;
    let held = [ask(&limiter, now), ask(&limiter, now)];
    let mut first = Waiter::new(ask(&limiter, now));
    let mut second = Waiter::new(ask(&limiter, now));
    let mut third = Waiter::new(ask(&limiter, now));
    assert!(first.is_woken());
    assert!(matches!(first.poll(now), Poll::Ready(Err(_))));
    drop(held);
    let (second, third) = (second.poll(now), third.poll(now));
    assert!(matches!(second, Poll::Ready(Ok(_))));
    assert!(matches!(third, Poll::Ready(Ok(_))));
}

#[test]
fn one_that_goes_away_leaves_the_queue() {
    let limiter = queueing(CONCURRENCY, QueueProcessingOrder::OldestFirst);
    let now = Duration::ZERO;
    let held = [ask(&limiter, now), ask(&limiter, now)];
    let first = Waiter::new(ask(&limiter, now));
    let second = Waiter::new(ask(&limiter, now));
    drop(first);
    let third = Waiter::new(ask(&limiter, now));
    assert!(matches!(ask(&limiter, now), Acquired::Rejected(_)));
    drop(held);
    assert!(second.is_woken() && third.is_woken());
}

#[test]
fn time_serves_those_who_wait() {
    for (algorithm, permits) in [(FIXED, 2), (SLIDING, 3), (BUCKET, 4)] {
        let limiter = queueing(algorithm, QueueProcessingOrder::OldestFirst);
        let now = seconds(100);
        for _ in 0..permits {
            assert!(matches!(ask(&limiter, now), Acquired::Permit(_)));
        }
        let mut first = Waiter::new(ask(&limiter, now));
        let mut second = Waiter::new(ask(&limiter, now));
        let wait = first.waiting.replenished_in(now).unwrap();
        assert!(first.poll(now + wait - seconds(1)).is_pending());
        // Whoever looks first serves all.
        assert!(matches!(second.poll(now + wait), Poll::Ready(Ok(_))));
        assert!(first.is_woken(), "{algorithm:?}");
        assert!(matches!(first.poll(now + wait), Poll::Ready(Ok(_))));
    }
}

#[test]
fn nobody_overtakes_those_who_wait() {
    let limiter = queueing(FIXED, QueueProcessingOrder::OldestFirst);
    let now = seconds(100);
    for _ in 0..2 {
        assert!(matches!(ask(&limiter, now), Acquired::Permit(_)));
    }
    let mut first = Waiter::new(ask(&limiter, now));
    let mut second = Waiter::new(ask(&limiter, now));
    // Two permits have come back, for two that wait.
    let third = ask(&limiter, seconds(110));
    assert!(matches!(third, Acquired::Waiting(_)));
    assert!(matches!(first.poll(seconds(110)), Poll::Ready(Ok(_))));
    assert!(matches!(second.poll(seconds(110)), Poll::Ready(Ok(_))));
}

fn partitioned(algorithm: LimiterAlgorithm, partition_by: PartitionBy) -> RateLimiter {
    RateLimiter::new(LimiterConfig {
        partition_by,
        ..config(algorithm)
    })
}

const ONE: LimiterAlgorithm = LimiterAlgorithm::FixedWindow {
    permit_limit: 1,
    window: seconds(10),
};

#[test]
fn partitions_are_counted_apart() {
    let plain = || Request::to("/");
    let key = |value: &str| plain().field("X-Key", value);
    // Each is asked once after the one before it: whether that leaves it a permit.
    for (partition_by, asked) in [
        (
            PartitionBy::ClientAddress,
            vec![
                ("1.2.3.4", plain(), true),
                ("1.2.3.5", plain(), true),
                ("1.2.3.4", key("other"), false),
                ("::ffff:1.2.3.4", plain(), false),
                ("2001:db8::1", plain(), true),
                // A client has the whole of its 64 bits.
                ("2001:db8::2", plain(), false),
                ("2001:db8:0:1::1", plain(), true),
            ],
        ),
        (
            PartitionBy::Host,
            vec![
                ("1.1.1.1", plain().at("a.com"), true),
                ("1.1.1.2", plain().at("A.com:80"), false),
                ("1.1.1.2", plain().at("a.com:81"), false),
                ("1.1.1.1", plain().at("b.com"), true),
                ("1.1.1.1", plain().at("[::1]"), true),
                ("1.1.1.1", plain().at("[::1]:80"), false),
            ],
        ),
        (
            PartitionBy::Header("x-key".to_owned()),
            vec![
                ("1.1.1.1", key("a"), true),
                ("1.1.1.1", key("A"), true),
                ("1.1.1.2", key("a"), false),
                // Those without the field are one.
                ("1.1.1.1", plain(), true),
                ("1.1.1.2", plain(), false),
                ("1.1.1.1", key("a").field("X-Key", "b"), true),
                ("1.1.1.1", key("ab"), true),
            ],
        ),
        (
            PartitionBy::None,
            vec![
                ("1.1.1.1", key("a"), true),
                ("1.1.1.2", key("b").at("b.com"), false),
            ],
        ),
    ] {
        let limiter = partitioned(ONE, partition_by.clone());
        for (at, (client, request, permitted)) in asked.into_iter().enumerate() {
            let client: IpAddr = client.parse().unwrap();
            let acquired = limiter.acquire(seconds(100), Some(client), &request);
            let got = matches!(acquired, Acquired::Permit(_));
            assert_eq!(got, permitted, "{partition_by:?} {at}");
        }
    }
}

fn ask_for(limiter: &RateLimiter, key: usize, now: Duration) -> Acquired {
    let request = Request::to("/").field("X-Key", key.to_string());
    limiter.acquire(now, None, &request)
}

fn kept(limiter: &RateLimiter) -> usize {
    match &limiter.partitions {
        Counted::Together(_) => 1,
        Counted::Apart(partitions) => partitions.len(),
    }
}

#[test]
fn however_many_keys_a_client_makes_up_memory_is_bounded_and_then_given_back() {
    let by_key = || PartitionBy::Header("X-Key".to_owned());
    let limiter = partitioned(ONE, by_key());
    let now = seconds(100);
    let mut rejected = 0;
    for key in 0..2 * MOST {
        rejected += usize::from(matches!(ask_for(&limiter, key, now), Acquired::Rejected(_)));
    }
    assert!(kept(&limiter) <= MOST);
    // Those for whom there was no room share what there is: they are limited, not let through.
    assert!(rejected > MOST / 2, "{rejected}");
    // One that has its place keeps it.
    assert!(matches!(ask_for(&limiter, 0, now), Acquired::Rejected(_)));
    // When all have had their time, sweeping begins with whoever comes.
    let later = seconds(200);
    for key in 0..1000 {
        assert!(matches!(ask_for(&limiter, key, later), Acquired::Permit(_)));
    }
    assert_eq!(kept(&limiter), 1000);
}

#[test]
fn a_partition_in_use_is_not_forgotten() {
    let by_key = PartitionBy::Header("X-Key".to_owned());
    let limiter = partitioned(LimiterAlgorithm::Concurrency { permit_limit: 1 }, by_key);
    let held = ask_for(&limiter, 7, seconds(0));
    assert!(matches!(held, Acquired::Permit(_)));
    for minute in 1..50 {
        drop(ask_for(&limiter, 7 + minute, seconds(60 * minute as u64)));
        let again = ask_for(&limiter, 7, seconds(60 * minute as u64));
        assert!(matches!(again, Acquired::Rejected(_)), "{minute}");
    }
    drop(held);
    let again = ask_for(&limiter, 7, seconds(10_000));
    assert!(matches!(again, Acquired::Permit(_)));
}

#[test]
fn threads_share_the_counts() {
    let limiter = Arc::new(RateLimiter::new(config(LimiterAlgorithm::FixedWindow {
        permit_limit: 1000,
        window: seconds(10),
    })));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            let permitted =
                move |_: &usize| matches!(ask(&limiter, seconds(100)), Acquired::Permit(_));
            std::thread::spawn(move || (0..500).filter(permitted).count())
        })
        .collect();
    let permitted: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(permitted, 1000);
}

#[test]
fn routes_get_the_global_limiter_and_the_one_they_name() {
    let settings = RateLimiterConfig {
        rejection_status_code: 429,
        global_limiter: Some(config(CONCURRENCY)),
        policies: vec![("Mine".to_owned(), config(FIXED))],
    };
    let limiters = RateLimiters::resolve(&settings, &RateLimiters::default());
    let of = |limiters: &RateLimiters, name: Option<&str>| {
        limiters.of_route(&RouteConfig {
            rate_limiter_policy: name.map(str::to_owned),
            ..Default::default()
        })
    };
    // Reference A11, R23 and R24.
    for (name, global, named) in [
        (None, true, false),
        (Some(""), true, false),
        (Some("deFault"), true, false),
        (Some("mine"), true, true),
        (Some("disAble"), false, false),
    ] {
        let found = of(&limiters, name);
        let has_global = found.as_ref().is_some_and(|found| found.global.is_some());
        let has_named = found.as_ref().is_some_and(|found| found.named.is_some());
        assert_eq!((has_global, has_named), (global, named), "{name:?}");
        assert!(found.is_none_or(|found| found.rejection_status == 429));
    }
    let none = RateLimiters::resolve(&RateLimiterConfig::default(), &limiters);
    assert!(of(&none, None).is_none());
    assert!(of(&none, Some("mine")).is_none());
}

#[test]
fn a_reload_keeps_the_counts_of_what_has_not_changed() {
    let mut settings = RateLimiterConfig {
        policies: vec![
            ("same".to_owned(), config(ONE)),
            ("changed".to_owned(), config(ONE)),
        ],
        ..Default::default()
    };
    let before = RateLimiters::resolve(&settings, &RateLimiters::default());
    settings.policies[1].1.queue_limit = 1;
    let after = RateLimiters::resolve(&settings, &before);
    let now = seconds(100);
    for name in ["same", "changed"] {
        assert!(matches!(
            ask(before.named(name).unwrap(), now),
            Acquired::Permit(_)
        ));
    }
    assert!(matches!(
        ask(after.named("same").unwrap(), now),
        Acquired::Rejected(_)
    ));
    assert!(matches!(
        ask(after.named("changed").unwrap(), now),
        Acquired::Permit(_)
    ));
}
