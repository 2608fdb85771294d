//! Messages of the control socket: one packet each, rare.
//!
//! `docs/delegation-protocol.md` draws every one. All numbers are little-endian; strings are
//! preceded by their length in a u16.

use std::net::SocketAddr;

use ostler_shm::RegionSpec;

use crate::PROTOCOL_VERSION;
use crate::address;
use crate::error::WireError;
use crate::wire::{Put, Reader};

/// What the two ends of a client's connection are, and since when. Told once a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// The client's address.
    pub client: Option<SocketAddr>,
    /// The address it connected to.
    pub local: Option<SocketAddr>,
    /// When it was accepted: nanoseconds of `CLOCK_MONOTONIC`.
    pub accepted_ns: u64,
}

/// What a client's handshake said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// The version as on the wire: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3.
    pub version: u16,
    /// The host that the client asked for.
    pub server_name: Option<String>,
}

/// From front to target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrontMessage {
    /// Opens a channel over rings. Descriptors: the front's region, the eventfd that wakes the
    /// target, the eventfd that wakes the front, the eventfd that ends the front's pacing sleep.
    HelloRings {
        /// The highest minor version it speaks.
        minor: u8,
        /// The front's process id.
        pid: u32,
        /// What the target's region must be.
        spec: RegionSpec,
    },
    /// Opens a channel without shared memory, for relayed connections only.
    HelloRelay {
        /// The highest minor version it speaks.
        minor: u8,
        /// The front's process id.
        pid: u32,
    },
    /// A client's connection that requests will speak of. Descriptor: the client's socket.
    Connection {
        /// Where the target keeps it; replaces what had the slot.
        slot: u32,
        /// Tells this use of the slot from earlier ones.
        generation: u32,
        /// Its two ends.
        facts: ConnectionFacts,
        /// If the client speaks TLS. The kernel encrypts what is sent on the socket and decrypts
        /// what is received.
        tls: Option<TlsFacts>,
    },
    /// A connection over which the front speaks HTTP/1.1 for one client. Descriptor: the socket.
    RelayConnection {
        /// The client's connection, not this one's.
        facts: ConnectionFacts,
        /// If the client speaks TLS, which the front decrypts.
        tls: Option<TlsFacts>,
    },
    /// A connection over which the front speaks HTTP/1.1 for any of its clients, one exchange at a
    /// time. Each request says whose it is ([`RelayedClient`](crate::relayed_client::RelayedClient)).
    /// Only on a channel of [`SHARED_RELAY_MINOR`](crate::SHARED_RELAY_MINOR). Descriptor: the
    /// socket.
    SharedRelayConnection,
    /// The front will send no further request on this channel.
    Goodbye,
    /// Asks for an [`Info`](TargetMessage::Info) and ends.
    Query,
}

/// From target to front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetMessage {
    /// The channel is open. Descriptor, with rings: the target's region.
    Welcome {
        /// The channel's minor version, not above the front's.
        minor: u8,
        /// The target's process id.
        pid: u32,
        /// Most client connections it will hold on this channel.
        max_connections: u32,
        /// Its text for people.
        label: String,
        /// The URL prefixes it registered.
        url_prefixes: Vec<String>,
    },
    /// The channel is not opened.
    Refused {
        /// Why.
        reason: String,
    },
    /// The target takes no further request; what it has not begun comes back.
    Draining,
    /// The URL prefixes changed.
    Prefixes {
        /// All of them.
        url_prefixes: Vec<String>,
    },
    /// The answer to [`Query`](FrontMessage::Query): counts of this instance.
    Info {
        /// Requests sent to it that it has not taken.
        waiting: u64,
        /// Requests it has taken and not completed, and connections detached to it that last.
        active: u64,
        /// Requests it has completed.
        completed: u64,
        /// Fronts connected to it.
        fronts: u32,
    },
    /// Behind an [`Info`](Self::Info): what the instance reads by itself. One that never does says
    /// nothing.
    Leases {
        /// Connections whose next request it waits for.
        resting: u64,
        /// Requests it has read by itself, among those completed.
        completed: u64,
    },
}

impl FrontMessage {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        match self {
            Self::HelloRings { minor, pid, spec } => {
                out.put_u8(1);
                out.put_u8(*minor);
                out.put_u16(PROTOCOL_VERSION);
                out.put_u32(*pid);
                out.put_u64(spec.ring_capacity as u64);
                out.put_u64(spec.slots as u64);
            }
            Self::HelloRelay { minor, pid } => {
                out.put_u8(2);
                out.put_u8(*minor);
                out.put_u16(PROTOCOL_VERSION);
                out.put_u32(*pid);
            }
            Self::Connection {
                slot,
                generation,
                facts,
                tls,
            } => {
                out.put_u8(if tls.is_some() { 8 } else { 3 });
                out.put_u8(0);
                out.put_u16(0);
                out.put_u32(*slot);
                out.put_u32(*generation);
                put_facts(&mut out, facts);
                if let Some(tls) = tls {
                    put_tls(&mut out, tls);
                }
            }
            Self::RelayConnection { facts, tls: None } => {
                out.put_u8(4);
                put_facts(&mut out, facts);
            }
            Self::RelayConnection {
                facts,
                tls: Some(tls),
            } => {
                out.put_u8(7);
                put_facts(&mut out, facts);
                put_tls(&mut out, tls);
            }
            Self::Goodbye => out.put_u8(5),
            Self::Query => out.put_u8(6),
            Self::SharedRelayConnection => out.put_u8(9),
        }
        out
    }

    /// Reads a packet.
    ///
    /// # Errors
    ///
    /// When it is not what its first byte says, or speaks another protocol version.
    pub fn decode(packet: &[u8]) -> Result<Self, WireError> {
        const WHAT: &str = "a control message";
        let mut reader = Reader::new(packet, WHAT);
        let message = match reader.u8()? {
            1 => {
                let minor = read_version(&mut reader)?;
                let pid = reader.u32()?;
                let number =
                    |value: u64| usize::try_from(value).map_err(|_| WireError::Invalid(WHAT));
                let ring_capacity = number(reader.u64()?)?;
                let slots = number(reader.u64()?)?;
                Self::HelloRings {
                    minor,
                    pid,
                    spec: RegionSpec {
                        ring_capacity,
                        slots,
                    },
                }
            }
            2 => Self::HelloRelay {
                minor: read_version(&mut reader)?,
                pid: reader.u32()?,
            },
            kind @ (3 | 8) => {
                reader.bytes(3)?;
                Self::Connection {
                    slot: reader.u32()?,
                    generation: reader.u32()?,
                    facts: read_facts(&mut reader)?,
                    tls: match kind {
                        8 => Some(read_tls(&mut reader)?),
                        _ => None,
                    },
                }
            }
            4 => Self::RelayConnection {
                facts: read_facts(&mut reader)?,
                tls: None,
            },
            7 => Self::RelayConnection {
                facts: read_facts(&mut reader)?,
                tls: Some(read_tls(&mut reader)?),
            },
            5 => Self::Goodbye,
            6 => Self::Query,
            9 => Self::SharedRelayConnection,
            _ => return Err(WireError::Invalid("the kind of a control message")),
        };
        reader.end()?;
        Ok(message)
    }
}

impl TargetMessage {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        match self {
            Self::Welcome {
                minor,
                pid,
                max_connections,
                label,
                url_prefixes,
            } => {
                out.put_u8(1);
                out.put_u8(*minor);
                out.put_u16(PROTOCOL_VERSION);
                out.put_u32(*pid);
                out.put_u32(*max_connections);
                out.put_string(label);
                put_strings(&mut out, url_prefixes);
            }
            Self::Refused { reason } => {
                out.put_u8(2);
                out.put_string(reason);
            }
            Self::Draining => out.put_u8(3),
            Self::Prefixes { url_prefixes } => {
                out.put_u8(4);
                put_strings(&mut out, url_prefixes);
            }
            Self::Info {
                waiting,
                active,
                completed,
                fronts,
            } => {
                out.put_u8(5);
                out.put_u64(*waiting);
                out.put_u64(*active);
                out.put_u64(*completed);
                out.put_u32(*fronts);
            }
            Self::Leases { resting, completed } => {
                out.put_u8(6);
                out.put_u64(*resting);
                out.put_u64(*completed);
            }
        }
        out
    }

    /// Reads a packet.
    ///
    /// # Errors
    ///
    /// When it is not what its first byte says, or speaks another protocol version.
    pub fn decode(packet: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(packet, "a control message");
        let message = match reader.u8()? {
            1 => {
                let minor = read_version(&mut reader)?;
                Self::Welcome {
                    minor,
                    pid: reader.u32()?,
                    max_connections: reader.u32()?,
                    label: reader.string()?.to_owned(),
                    url_prefixes: read_strings(&mut reader)?,
                }
            }
            2 => Self::Refused {
                reason: reader.string()?.to_owned(),
            },
            3 => Self::Draining,
            4 => Self::Prefixes {
                url_prefixes: read_strings(&mut reader)?,
            },
            5 => Self::Info {
                waiting: reader.u64()?,
                active: reader.u64()?,
                completed: reader.u64()?,
                fronts: reader.u32()?,
            },
            6 => Self::Leases {
                resting: reader.u64()?,
                completed: reader.u64()?,
            },
            _ => return Err(WireError::Invalid("the kind of a control message")),
        };
        reader.end()?;
        Ok(message)
    }
}

/// The minor version, of a message of the right version.
fn read_version(reader: &mut Reader<'_>) -> Result<u8, WireError> {
    let minor = reader.u8()?;
    match reader.u16()? {
        PROTOCOL_VERSION => Ok(minor),
        theirs => Err(WireError::Version {
            theirs,
            ours: PROTOCOL_VERSION,
        }),
    }
}

pub(crate) fn put_facts(out: &mut Vec<u8>, facts: &ConnectionFacts) {
    out.put_u64(facts.accepted_ns);
    address::put(out, facts.client);
    address::put(out, facts.local);
}

pub(crate) fn read_facts(reader: &mut Reader<'_>) -> Result<ConnectionFacts, WireError> {
    let accepted_ns = reader.u64()?;
    Ok(ConnectionFacts {
        accepted_ns,
        client: address::read(reader)?,
        local: address::read(reader)?,
    })
}

pub(crate) fn put_tls(out: &mut Vec<u8>, tls: &TlsFacts) {
    out.put_u16(tls.version);
    out.put_string(tls.server_name.as_deref().unwrap_or_default());
}

pub(crate) fn read_tls(reader: &mut Reader<'_>) -> Result<TlsFacts, WireError> {
    Ok(TlsFacts {
        version: reader.u16()?,
        server_name: Some(reader.string()?)
            .filter(|name| !name.is_empty())
            .map(str::to_owned),
    })
}

fn put_strings(out: &mut Vec<u8>, strings: &[String]) {
    let count = u16::try_from(strings.len()).unwrap_or(u16::MAX);
    out.put_u16(count);
    for text in &strings[..usize::from(count)] {
        out.put_string(text);
    }
}

fn read_strings(reader: &mut Reader<'_>) -> Result<Vec<String>, WireError> {
    let count = reader.u16()?;
    (0..count)
        .map(|_| reader.string().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page;
    use proptest::prelude::*;

    fn facts() -> ConnectionFacts {
        let client = Some("192.0.2.7:4711".parse().unwrap());
        ConnectionFacts {
            client,
            local: Some("[::1]:80".parse().unwrap()),
            accepted_ns: 42,
        }
    }

    #[test]
    fn front_messages_round_trip() {
        for message in [
            FrontMessage::HelloRings {
                minor: 1,
                pid: 7,
                spec: RegionSpec {
                    ring_capacity: 4096,
                    slots: 9,
                },
            },
            FrontMessage::HelloRelay { minor: 2, pid: 7 },
            FrontMessage::Connection {
                slot: 3,
                generation: 4,
                facts: facts(),
                tls: None,
            },
            FrontMessage::Connection {
                slot: 3,
                generation: 4,
                facts: facts(),
                tls: Some(TlsFacts {
                    version: 0x0304,
                    server_name: Some("shop.example".into()),
                }),
            },
            FrontMessage::RelayConnection {
                facts: facts(),
                tls: None,
            },
            FrontMessage::RelayConnection {
                facts: facts(),
                tls: Some(TlsFacts {
                    version: 0x0304,
                    server_name: Some("shop.example".into()),
                }),
            },
            FrontMessage::RelayConnection {
                facts: facts(),
                tls: Some(TlsFacts {
                    version: 0x0303,
                    server_name: None,
                }),
            },
            FrontMessage::SharedRelayConnection,
            FrontMessage::Goodbye,
            FrontMessage::Query,
        ] {
            assert_eq!(FrontMessage::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn target_messages_round_trip() {
        let url_prefixes = vec!["http://*:80/".to_owned(), String::new()];
        for message in [
            TargetMessage::Welcome {
                minor: 1,
                pid: 1,
                max_connections: 2,
                label: "shop".into(),
                url_prefixes: url_prefixes.clone(),
            },
            TargetMessage::Refused {
                reason: "no".into(),
            },
            TargetMessage::Draining,
            TargetMessage::Prefixes { url_prefixes },
            TargetMessage::Info {
                waiting: 1,
                active: 2,
                completed: 3,
                fronts: 4,
            },
            TargetMessage::Leases {
                resting: 5,
                completed: 6,
            },
        ] {
            assert_eq!(TargetMessage::decode(&message.encode()), Ok(message));
        }
    }

    /// The bytes in `docs/delegation-protocol.md`, section 19.
    #[test]
    fn the_page_s_examples_are_what_is_written() {
        let hello = FrontMessage::HelloRings {
            minor: 3,
            pid: 4711,
            spec: RegionSpec {
                ring_capacity: 256 * 1024,
                slots: 65_536,
            },
        };
        page::shows("HelloRings", &hello.encode());
        let welcome = TargetMessage::Welcome {
            minor: 3,
            pid: 22610,
            max_connections: 1024,
            label: "shop".into(),
            url_prefixes: vec!["http://*:80/".into()],
        };
        page::shows("Welcome", &welcome.encode());
        let connection = FrontMessage::Connection {
            slot: 7,
            generation: 2,
            facts: facts(),
            tls: None,
        };
        page::shows("Connection", &connection.encode());
    }

    #[test]
    fn another_version_is_named() {
        let mut packet = FrontMessage::HelloRelay { minor: 0, pid: 7 }.encode();
        packet[2] = 99;
        let error = FrontMessage::decode(&packet).unwrap_err();
        assert_eq!(
            error,
            WireError::Version {
                theirs: 99,
                ours: PROTOCOL_VERSION
            }
        );
    }

    proptest! {
        #[test]
        fn garbage_never_panics(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = FrontMessage::decode(&packet);
            let _ = TargetMessage::decode(&packet);
        }
    }
}
