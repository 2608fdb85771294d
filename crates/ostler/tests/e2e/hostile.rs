//! Whoever says nonsense over control sockets and rings: everybody else is served as before.

use std::fs::File;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ostler_delegation::control::{ConnectionFacts, FrontMessage, TargetMessage};
use ostler_delegation::entry::{Completed, ExchangeKey, RequestEntry};
use ostler_delegation::front::{FrontChannel, Opening};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_delegation::{Disposition, QueueName, Stage};
use ostler_http1::{FieldRange, Framing, HeadIndex, HeadParts, RequestFacts, Version};
use ostler_shm::{ControlSocket, OwnRegion, RegionSpec, event_descriptor};

use crate::support::{
    Client, Front, Hello, HostileChannel, HostileQueue, Mischief, Process, RegionBytes, Sandbox,
    answered, delegating_by_path, delegating_to, eventually,
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

struct Stop<'a>(&'a HostileQueue);

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

fn region(spec: RegionSpec) -> std::sync::Arc<OwnRegion> {
    OwnRegion::create("hostile-unnamed", spec).unwrap()
}

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
            |_| {
                let mut client = neighbours.front.connect();
                client.send(GET);
                if disposition == Disposition::Detached {
                    // It holds the client's socket, and may.
                    client.socket().set_read_timeout(Some(WAIT)).unwrap();
                    let error = client.try_response().unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                } else {
                    ends_in_vain(client);
                }
            },
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

/// How much of a flood may be listened to while one other exchange is served: many turns' worth of
/// a listener that takes turns, and little for one that does not.
const FAIR: u64 = 2000;

/// Serves a few exchanges beside a flood of which `heard` messages have been taken so far.
fn others_get_their_turn(heard: &AtomicU64, mut serve: impl FnMut()) {
    const EXCHANGES: u64 = 50;
    let before = heard.load(Ordering::Relaxed);
    for _ in 0..EXCHANGES {
        serve();
    }
    let between = (heard.load(Ordering::Relaxed) - before) / EXCHANGES;
    assert!(
        between < FAIR,
        "{between} messages were listened to before each exchange"
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

/// A stranger to a target's queue, and a client who must notice nothing.
struct Intrusion {
    sandbox: Sandbox,
    target: Process,
    front: Front,
    client: Client,
}

impl Intrusion {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let target = sandbox.target("q", &[]);
        let front = sandbox.front(&delegating_to(&["q"]));
        let mut client = front.connect();
        assert_eq!(client.ask("GET", "/").pid(), target.pid());
        Self {
            sandbox,
            target,
            front,
            client,
        }
    }

    fn connect(&self) -> ControlSocket {
        let runtime = RuntimeFolder::new(self.sandbox.runtime());
        let folder = runtime.queue(&QueueName::new("q").unwrap());
        let instances = folder.instances();
        let mut connected = None;
        eventually("the target can be connected to", || {
            connected = folder.connect(&instances[0]).ok();
            connected.is_some()
        });
        connected.unwrap()
    }

    /// A channel as a right front has it.
    fn channel(&self) -> FrontChannel {
        let mut opening = Some(Opening::start(self.connect(), 64 * 1024).unwrap());
        let mut channel = None;
        eventually("the target welcomes the stranger", || {
            match opening.take().unwrap().try_finish().unwrap() {
                Ok(open) => channel = Some(open),
                Err(again) => opening = Some(again),
            }
            channel.is_some()
        });
        channel.unwrap()
    }

    fn nobody_notices(&mut self) {
        for _ in 0..3 {
            assert_eq!(self.client.ask("GET", "/").pid(), self.target.pid());
        }
        assert!(self.target.is_running());
    }

    /// Does it, and sees that it leaves nothing in the target.
    fn leaves_nothing(mut self, misdeed: impl FnOnce(&mut Self)) {
        let before = self.target.descriptors();
        misdeed(&mut self);
        self.nobody_notices();
        eventually("what the stranger had is given back", || {
            self.target.descriptors() <= before
        });
        assert_eq!(self.front.ask("GET", "/").pid(), self.target.pid());
    }
}

const SPEC: RegionSpec = RegionSpec {
    ring_capacity: 64 * 1024,
    slots: 64 * 1024,
};

fn hello() -> Vec<u8> {
    FrontMessage::HelloRings { pid: 1, spec: SPEC }.encode()
}

fn nowhere() -> ConnectionFacts {
    ConnectionFacts {
        client: None,
        local: None,
        accepted_ns: 0,
    }
}

/// Sends what the other end still takes; that it has hung up is an answer, too.
fn send(control: &ControlSocket, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let _ = control.send(message, descriptors);
}

#[test]
fn a_stranger_who_cannot_say_hello() {
    Intrusion::new().leaves_nothing(|intrusion| {
        let mut mischief = Mischief::new(3);
        for _ in 0..100 {
            let count = 1 + mischief.below(ostler_shm::MAX_MESSAGE);
            send(&intrusion.connect(), &mischief.bytes(count), &[]);
        }
        intrusion.nobody_notices();
        for end in 1..hello().len() {
            send(&intrusion.connect(), &hello()[..end], &[]);
        }
        intrusion.nobody_notices();
        for version in [0, 2, 99, 0xff] {
            let mut hello = hello();
            hello[2] = version;
            let control = intrusion.connect();
            send(&control, &hello, &[]);
            let mut answer = Vec::new();
            eventually("it is told why", || control.receive(&mut answer).is_ok());
            let answer = TargetMessage::decode(&answer);
            assert!(
                matches!(answer, Ok(TargetMessage::Refused { .. })),
                "{answer:?}"
            );
        }
        let others = [
            FrontMessage::Connection {
                slot: 0,
                generation: 1,
                facts: nowhere(),
            },
            FrontMessage::RelayConnection { facts: nowhere() },
            FrontMessage::Goodbye,
        ];
        for message in others {
            send(&intrusion.connect(), &message.encode(), &[]);
        }
    });
}

#[test]
fn a_stranger_whose_hello_carries_the_wrong_things() {
    Intrusion::new().leaves_nothing(|intrusion| {
        let right = region(SPEC);
        let small = region(RegionSpec { slots: 1, ..SPEC });
        let event = event_descriptor().unwrap();
        let zeros = File::open("/dev/zero").unwrap();
        let (right, small) = (right.descriptor(), small.descriptor());
        let (event, zeros) = (event.as_fd(), zeros.as_fd());
        let lists: [&[BorrowedFd<'_>]; 9] = [
            &[],
            &[right],
            &[right, event],
            &[right, event, event],
            &[event, event, event, event],
            &[zeros, event, event, event],
            &[small, event, event, event],
            &[event, right, event, event],
            &[zeros; ostler_shm::MAX_DESCRIPTORS],
        ];
        for descriptors in lists {
            let control = intrusion.connect();
            send(&control, &hello(), descriptors);
            // Turned away, whether or not with a word.
            let mut answer = Vec::new();
            eventually("it is turned away", || match control.receive(&mut answer) {
                Ok(_) => {
                    assert!(matches!(
                        TargetMessage::decode(&answer),
                        Ok(TargetMessage::Refused { .. })
                    ));
                    true
                }
                Err(error) => matches!(error, ostler_shm::ReceiveError::Closed),
            });
            intrusion.nobody_notices();
        }
    });
}

#[test]
fn a_stranger_who_misuses_a_channel() {
    Intrusion::new().leaves_nothing(|intrusion| {
        let (server, _client) = connected();
        let message = |slot| {
            FrontMessage::Connection {
                slot,
                generation: 1,
                facts: nowhere(),
            }
            .encode()
        };
        // Garbage, a connection without its socket, a slot there is not.
        let channel = intrusion.channel();
        send(channel.control(), &Mischief::new(4).bytes(300), &[]);
        let channel_without_socket = intrusion.channel();
        send(channel_without_socket.control(), &message(0), &[]);
        let channel_with_wrong_slot = intrusion.channel();
        send(
            channel_with_wrong_slot.control(),
            &message(u32::MAX),
            &[server.as_fd()],
        );
        intrusion.nobody_notices();
        // Requests whose index points anywhere.
        let mut mischief = Mischief::new(5);
        for _ in 0..100 {
            let mut channel = intrusion.channel();
            let slot = channel.open_connection(server.as_fd(), nowhere()).unwrap();
            let mut offset = || mischief.number() as u16;
            let fields: Vec<_> = (0..3)
                .map(|_| FieldRange {
                    name_start: offset(),
                    name_len: offset(),
                    value_start: offset(),
                    value_len: offset(),
                })
                .collect();
            let (method_len, target_start, target_len) = (offset(), offset(), offset());
            let version = Version::Http11;
            let entry = RequestEntry {
                head: HeadParts {
                    raw: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                    index: HeadIndex {
                        fields: &fields,
                        method_len,
                        target_start,
                        target_len,
                        version,
                    },
                },
                facts: RequestFacts {
                    is_head: false,
                    is_connect: false,
                    version,
                    keep_alive: true,
                },
                framing: Framing::Length(u64::MAX - 1),
                expects_continue: true,
                upgrade: true,
                head_received_ns: u64::MAX,
                queued_ns: u64::MAX,
                directives: b"\xff\xff\xff\xff",
                prefix: b"",
            };
            channel.delegate(slot, &entry).unwrap();
            channel.wake().unwrap();
        }
    });
}

#[test]
fn a_stranger_who_writes_over_its_whole_region() {
    Intrusion::new().leaves_nothing(|intrusion| {
        for seed in 0..20 {
            let mut mischief = Mischief::new(seed);
            let name = format!("stranger-{seed}");
            let own = OwnRegion::create(&name, SPEC).unwrap();
            let bytes = RegionBytes::of(&name);
            let wake = event_descriptor().unwrap();
            let control = intrusion.connect();
            let descriptors = [own.descriptor(), wake.as_fd(), wake.as_fd(), wake.as_fd()];
            control.send(&hello(), &descriptors).unwrap();
            let mut answer = Vec::new();
            eventually("it is welcomed", || control.receive(&mut answer).is_ok());
            assert!(matches!(
                TargetMessage::decode(&answer),
                Ok(TargetMessage::Welcome { .. })
            ));
            for _ in 0..100 {
                let (at, count) = (mischief.below(bytes.len()), 1 + mischief.below(4096));
                let count = count.min(bytes.len() - at);
                bytes.write(at, &mischief.bytes(count));
            }
            for field in (0..0x200).step_by(8) {
                bytes.write(field, &mischief.bytes(8));
                // Control messages make it look even when it sleeps.
                send(&control, &FrontMessage::Goodbye.encode(), &[]);
            }
            intrusion.nobody_notices();
        }
    });
}

#[test]
fn strangers_in_a_crowd() {
    Intrusion::new().leaves_nothing(|intrusion| {
        // Some are silent, some ask and do not listen, some babble.
        let mut mischief = Mischief::new(6);
        let mut crowd = Vec::new();
        for number in 0..500 {
            let control = intrusion.connect();
            match number % 3 {
                0 => {}
                1 => send(&control, &FrontMessage::Query.encode(), &[]),
                _ => send(&control, &mischief.bytes(20), &[]),
            }
            crowd.push(control);
        }
        intrusion.nobody_notices();
    });
}

#[test]
fn a_stranger_who_never_stops_talking() {
    Intrusion::new().leaves_nothing(|intrusion| {
        let channel = intrusion.channel();
        let (heard, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let message = FrontMessage::Goodbye.encode();
                while !stop.load(Ordering::Relaxed) {
                    let sent = channel.control().send(&message, &[]).is_ok();
                    heard.fetch_add(u64::from(sent), Ordering::Relaxed);
                }
            });
            let _stop = Raise(&stop);
            eventually("it talks", || heard.load(Ordering::Relaxed) > 100);
            others_get_their_turn(&heard, || intrusion.nobody_notices());
        });
    });
}

struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn connected() -> (std::net::TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, client)
}
