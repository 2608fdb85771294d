//! Strangers that say nonsense to a target: its fronts are served as before.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ostler_delegation::QueueName;
use ostler_delegation::control::{ConnectionFacts, FrontMessage, TargetMessage};
use ostler_delegation::entry::{ExchangeLimits, RequestEntry};
use ostler_delegation::front::{FrontChannel, Opening};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_http1::{FieldRange, Framing, HeadIndex, HeadParts, RequestFacts, Version};
use ostler_shm::{ControlSocket, OwnRegion, RegionSpec, event_descriptor};

use super::{others_get_their_turn, region, send};
use crate::support::{
    Client, Front, Mischief, Process, RegionBytes, Sandbox, delegating_to, eventually,
};

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
    let (minor, pid, spec) = (u8::MAX, 1, SPEC);
    FrontMessage::HelloRings { minor, pid, spec }.encode()
}

fn nowhere() -> ConnectionFacts {
    ConnectionFacts {
        client: None,
        local: None,
        accepted_ns: 0,
    }
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
        for version in [0, 1, 99, 0xff] {
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
                tls: None,
            },
            FrontMessage::RelayConnection {
                facts: nowhere(),
                tls: None,
            },
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
                tls: None,
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
        for at in 0..100 {
            let mut channel = intrusion.channel();
            let slot = channel
                .open_connection(server.as_fd(), nowhere(), None)
                .unwrap();
            let mut offset = || u32::from(mischief.number() as u16);
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
                limits: ExchangeLimits {
                    deadline_ns: 1,
                    body: 0,
                    timeout_status: offset() as u16,
                },
                forwarded: None,
                // Malformed ones end the channel.
                transforms: if at == 99 {
                    b"\x08\0\0\0\x01\x07\x01\0\x01\0 \n"
                } else {
                    b""
                },
                directives: b"\xff\xff\xff\xff",
                prefix: b"",
            };
            channel.delegate(slot, &entry, None).unwrap();
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
