//! Targets that say nonsense to a front: it and the other queues are none the worse.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ostler_delegation::control::TargetMessage;
use ostler_delegation::entry::{Completed, ExchangeKey};
use ostler_delegation::{Disposition, Stage};
use ostler_shm::RegionSpec;

use super::{others_get_their_turn, region, send};
use crate::support::{
    Client, Front, Hello, HostileChannel, HostileQueue, Mischief, Process, Sandbox, answered,
    delegating_by_path, eventually,
};

/// What a target answers a hello with.
type Answer = fn(&Hello<'_>);
/// What a target puts into its ring once it has taken a request.
type Entry = fn(&mut HostileChannel<'_>, ExchangeKey);
/// How far a target comes before it goes away.
type Moment = fn(&mut HostileChannel<'_>);

/// How long a request may wait for the hostile target: every one of them waits in vain.
const WAIT: Duration = Duration::from_millis(300);

/// A front with a queue of good repute and one that a test fills with mischief.
struct Neighbours {
    sandbox: Sandbox,
    good: Process,
    front: Front,
}

impl Neighbours {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let good = sandbox.target("good", &[]);
        let front = sandbox.front(&delegating_by_path(&["good", "bad"]));
        Self {
            sandbox,
            good,
            front,
        }
    }

    /// Runs `clients` while a hostile target does `misdeed` to each front that comes, and sees that
    /// the front and the other queue are none the worse.
    fn beside(&self, misdeed: impl FnMut(Hello<'_>) + Send, clients: impl FnOnce(&HostileQueue)) {
        let queue = HostileQueue::open(&self.sandbox.runtime(), "bad", WAIT);
        std::thread::scope(|scope| {
            scope.spawn(|| queue.receive_fronts(misdeed));
            // A failed assertion must not leave the other thread running.
            let _stop = Stop(&queue);
            clients(&queue);
            self.good_is_served();
        });
        drop(queue);
        assert_eq!(
            self.front.ask("GET", "/bad/").status,
            503,
            "its queue is gone with it"
        );
        self.good_is_served();
    }

    fn good_is_served(&self) {
        assert_eq!(self.front.ask("GET", "/good/").pid(), self.good.pid());
        assert!(self.front.process.is_running());
    }
}

pub(super) struct Stop<'a>(pub(super) &'a HostileQueue);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A request to the hostile queue ends as one may: with 503, or with the connection.
fn asks_in_vain(front: &Front, request: &str) {
    let mut client = front.connect();
    client.send(request);
    ends_in_vain(client);
}

fn ends_in_vain(mut client: Client) {
    match client.try_response() {
        Ok(response) => assert_eq!(response.status, 503),
        Err(error) => {
            let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
            assert!(
                closed.contains(&error.kind()),
                "neither answered nor closed: {error}"
            );
        }
    }
}

const GET: &str = "GET /bad/ HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &str = "POST /bad/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";

#[test]
fn a_target_that_opens_no_channel() {
    let answers: [(&str, Answer); 11] = [
        ("silence", |hello| hello.keep_silent()),
        ("an end", |_| {}),
        ("one byte", |hello| send(&hello.control, &[1], &[])),
        ("garbage", |hello| {
            send(&hello.control, &Mischief::new(1).bytes(5000), &[]);
        }),
        ("a refusal", |hello| {
            let refused = TargetMessage::Refused {
                reason: "\r\n\u{1b}[31m".repeat(1000),
            };
            send(&hello.control, &refused.encode(), &[]);
        }),
        ("another message", |hello| {
            send(&hello.control, &TargetMessage::Draining.encode(), &[]);
        }),
        ("another version", |hello| {
            let mut welcome = Hello::welcome().encode();
            welcome[2] = 99;
            send(&hello.control, &welcome, &[region(hello.spec).descriptor()]);
        }),
        ("half a welcome", |hello| {
            let welcome = Hello::welcome().encode();
            send(
                &hello.control,
                &welcome[..welcome.len() / 2],
                &[region(hello.spec).descriptor()],
            );
        }),
        ("no descriptor", |hello| {
            send(&hello.control, &Hello::welcome().encode(), &[]);
        }),
        ("no region", |hello| {
            let zeros = File::open("/dev/zero").unwrap();
            send(&hello.control, &Hello::welcome().encode(), &[zeros.as_fd()]);
        }),
        ("a region with too few slots", |hello| {
            let small = region(RegionSpec {
                slots: 1,
                ..hello.spec
            });
            send(
                &hello.control,
                &Hello::welcome().encode(),
                &[small.descriptor()],
            );
        }),
    ];
    let neighbours = Neighbours::new();
    for (answer, misdeed) in answers {
        println!("{answer}");
        neighbours.beside(
            |hello| misdeed(&hello),
            |queue| {
                asks_in_vain(&neighbours.front, GET);
                eventually("the front has said hello", || queue.hellos() > 0);
            },
        );
    }
}

#[test]
fn a_target_that_always_declines_is_asked_with_pauses() {
    /// A pause of a tenth of a second would leave room for four.
    const MOST: u32 = 10;
    let neighbours = Neighbours::new();
    neighbours.beside(
        |hello| {
            let refused = TargetMessage::Refused {
                reason: "no".into(),
            };
            send(&hello.control, &refused.encode(), &[]);
        },
        |queue| {
            asks_in_vain(&neighbours.front, GET);
            let hellos = queue.hellos();
            assert!(
                (1..=MOST).contains(&hellos),
                "{hellos} hellos while one request waited"
            );
        },
    );
}

#[test]
fn a_target_that_writes_nonsense_into_its_ring() {
    let misdeeds: [(&str, Entry); 9] = [
        ("garbage", |channel, _| {
            channel.push(&Mischief::new(2).bytes(300));
        }),
        ("an empty entry", |channel, _| channel.push(&[])),
        ("half a completion", |channel, key| {
            let mut entry = Vec::new();
            answered(key).encode(&mut entry);
            channel.push(&entry[..entry.len() / 2]);
        }),
        ("a completion of nothing", |channel, key| {
            let slot = key.slot + 1;
            channel.complete(&answered(ExchangeKey { slot, ..key }));
        }),
        ("a slot out of range", |channel, key| {
            channel.complete(&answered(ExchangeKey {
                slot: u32::MAX,
                ..key
            }));
        }),
        ("an exchange to come", |channel, key| {
            let exchange = key.exchange + 1;
            channel.complete(&answered(ExchangeKey { exchange, ..key }));
        }),
        ("another generation", |channel, key| {
            let generation = key.generation + 1;
            channel.complete(&answered(ExchangeKey { generation, ..key }));
        }),
        ("no disposition there is", |channel, key| {
            let mut entry = Vec::new();
            answered(key).encode(&mut entry);
            entry[1] = 77;
            channel.push(&entry);
        }),
        ("more leftover than may be", |channel, key| {
            let leftover = vec![b'x'; Completed::MAX_LEFTOVER + 1];
            channel.complete(&Completed {
                leftover,
                ..answered(key)
            });
        }),
    ];
    let neighbours = Neighbours::new();
    for (entry, misdeed) in misdeeds {
        println!("{entry}");
        neighbours.beside(
            |hello| {
                let mut channel = hello.accept();
                if let Some(key) = channel.take_request() {
                    channel.says(key, Stage::Received { body_read: false });
                    misdeed(&mut channel, key);
                    channel.stay();
                }
            },
            |_| asks_in_vain(&neighbours.front, POST),
        );
    }
}

#[test]
fn a_target_that_completes_what_it_did_not_answer() {
    let neighbours = Neighbours::new();
    for disposition in [
        Disposition::Close,
        Disposition::Detached,
        Disposition::Returned,
    ] {
        neighbours.beside(
            |hello| {
                let mut channel = hello.accept();
                while let Some(key) = channel.take_request() {
                    channel.complete(&Completed {
                        disposition,
                        ..answered(key)
                    });
                    // A second time is once too often.
                    channel.complete(&Completed {
                        disposition,
                        ..answered(key)
                    });
                }
            },
            // One that is detached is the target's, which has it until the front lets go of both. What
            // the target has not taken in time is answered 503, whatever it would have become.
            |_| asks_in_vain(&neighbours.front, GET),
        );
    }
}

#[test]
fn a_target_that_never_answers() {
    let neighbours = Neighbours::new();
    // What it does not take is taken from it.
    neighbours.beside(
        |hello| hello.accept().stay(),
        |_| {
            let clients: Vec<_> = (0..20).map(|_| neighbours.front.connect()).collect();
            for mut client in clients {
                client.send(GET);
                ends_in_vain(client);
            }
        },
    );
    // What it has taken, the client gives up; nothing of it stays behind.
    let before = neighbours.front.process.descriptors();
    neighbours.beside(
        |hello| {
            let mut channel = hello.accept();
            while let Some(key) = channel.take_request() {
                channel.says(key, Stage::Received { body_read: false });
            }
        },
        |_| {
            let mut clients: Vec<_> = (0..20).map(|_| neighbours.front.connect()).collect();
            for client in &mut clients {
                client.send(GET);
            }
            neighbours.good_is_served();
        },
    );
    eventually("nothing is left of it", || {
        neighbours.front.process.descriptors() <= before
    });
}

#[test]
fn a_target_that_goes_at_odd_moments() {
    const RECEIVED: Stage = Stage::Received { body_read: false };
    let neighbours = Neighbours::new();
    let moments: [(&str, Moment); 5] = [
        ("welcomed", |_| {}),
        ("asked", |channel| {
            channel.await_request();
        }),
        ("received", |channel| {
            if let Some(key) = channel.take_request() {
                channel.says(key, RECEIVED);
            }
        }),
        ("having read", |channel| {
            if let Some(key) = channel.take_request() {
                channel.says(key, Stage::Received { body_read: true });
            }
        }),
        ("responding", |channel| {
            if let Some(key) = channel.take_request() {
                channel.says(key, Stage::Responding);
            }
        }),
    ];
    for (moment, misdeed) in moments {
        println!("{moment}");
        neighbours.beside(
            |hello| misdeed(&mut hello.accept()),
            |_| {
                asks_in_vain(&neighbours.front, GET);
                asks_in_vain(&neighbours.front, POST);
            },
        );
    }
}

#[test]
fn a_target_that_talks_nonsense_on_its_control_socket() {
    let neighbours = Neighbours::new();
    for seed in 0..20 {
        neighbours.beside(
            |hello| {
                let mut mischief = Mischief::new(seed);
                let mut channel = hello.accept();
                if !channel.await_request() {
                    return;
                }
                // Of odd ones among them some are messages.
                for _ in 0..50 {
                    let count = 1 + mischief.below(40);
                    let mut message = mischief.bytes(count);
                    message[0] %= 7;
                    send(&channel.control, &message, &[]);
                }
                channel.stay();
            },
            |_| asks_in_vain(&neighbours.front, GET),
        );
    }
}

#[test]
fn a_target_that_never_stops_talking() {
    let neighbours = Neighbours::new();
    let heard = AtomicU64::new(0);
    neighbours.beside(
        |hello| {
            let mut channel = hello.accept();
            if !channel.await_request() {
                return;
            }
            // Short ones: the sender must be the faster one.
            let message = TargetMessage::Info {
                waiting: 0,
                active: 0,
                completed: 0,
                fronts: 1,
            }
            .encode();
            // A pause would let the front come to the end of it.
            while !channel.is_over() {
                heard.fetch_add(
                    u64::from(channel.control.send(&message, &[]).is_ok()),
                    Ordering::Relaxed,
                );
            }
        },
        |_| {
            let mut bad = neighbours.front.connect();
            bad.send(GET);
            eventually("it talks", || heard.load(Ordering::Relaxed) > 100);
            others_get_their_turn(&heard, || neighbours.good_is_served());
            ends_in_vain(bad);
        },
    );
}

#[test]
fn a_target_that_writes_over_its_whole_region() {
    let neighbours = Neighbours::new();
    for seed in 0..20 {
        neighbours.beside(
            |hello| {
                let mut mischief = Mischief::new(seed);
                let mut channel = hello.accept();
                if let Some(key) = channel.take_request() {
                    let stages = [
                        Stage::Queued,
                        Stage::Received { body_read: false },
                        Stage::Responding,
                    ];
                    channel.says(key, stages[mischief.below(stages.len())]);
                    for _ in 0..200 {
                        let (at, count) = (
                            mischief.below(channel.bytes.len()),
                            1 + mischief.below(4096),
                        );
                        let count = count.min(channel.bytes.len() - at);
                        channel.bytes.write(at, &mischief.bytes(count));
                    }
                    // The fields at the start are where it hurts most, one after the other.
                    for field in (0..0x200).step_by(8) {
                        channel.bytes.write(field, &mischief.bytes(8));
                        channel.wake();
                    }
                    let everything = mischief.bytes(channel.bytes.len());
                    channel.bytes.write(0, &everything);
                    channel.wake();
                }
            },
            |_| {
                asks_in_vain(&neighbours.front, GET);
                asks_in_vain(&neighbours.front, POST);
            },
        );
    }
}
