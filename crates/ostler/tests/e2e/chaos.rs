//! Chaos: whatever is killed, stopped, restarted or configured anew, no request fails that nobody
//! had begun, and each response is whole, in order, and its own request's.
//!
//! `OSTLER_CHAOS_SECONDS` makes the story longer, and `OSTLER_CHAOS_SEED` another one.

mod client;
mod request;
mod stage;
mod verdict;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use self::client::Load;
use self::stage::{Stage, Trick};
use self::verdict::Verdict;
use crate::support::Mischief;

/// How many clients ask at a time.
const CLIENTS: u64 = 8;

#[test]
fn whatever_dies_no_request_fails_that_nobody_had_begun() {
    let seed = variable("OSTLER_CHAOS_SEED").unwrap_or(1);
    let seconds = variable("OSTLER_CHAOS_SECONDS").unwrap_or(4);
    let mut stage = Stage::new();
    let (port, stop) = (stage.port(), AtomicBool::new(false));
    let loads: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let mut load = Load::new(port, client, seed);
                let stop = &stop;
                scope.spawn(move || {
                    load.run(stop);
                    load
                })
            })
            .collect();
        // However it ends, the clients end too.
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            act(&mut stage, seed, Duration::from_secs(seconds));
        }));
        stop.store(true, Ordering::Relaxed);
        let loads = clients.into_iter().map(|client| client.join().unwrap());
        let loads = loads.collect();
        acted.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        loads
    });
    let mut verdict = Verdict::new(seed, stage.disturbances());
    for load in &loads {
        verdict.hear(load);
    }
    verdict.pronounce(&stage.said());
    stage.end();
}

/// Every trick once, in an order of the seed's; and again, until the time is up.
fn act(stage: &mut Stage, seed: u64, time: Duration) {
    let mut mischief = Mischief::new(seed);
    let begun = Instant::now();
    let mut deck = Trick::ALL.to_vec();
    loop {
        for at in (1..deck.len()).rev() {
            deck.swap(at, mischief.below(at + 1));
        }
        for (count, trick) in deck.iter().enumerate() {
            if begun.elapsed() > time && (count == 0 || begun.elapsed() > time * 2) {
                return;
            }
            stage.play(*trick, &mut mischief);
            std::thread::sleep(Duration::from_millis(50 + mischief.number() % 100));
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}
