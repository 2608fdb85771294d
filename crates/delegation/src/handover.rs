//! The states of a handed-over exchange, and what each event means in them.
//!
//! ```text
//! Queued ----> Received ----> Responding ----> Completed (keep | close | detached)
//!   |             |
//!   +-------------+--> Completed (returned): the target had not begun, the front tries again
//! ```
//!
//! The front writes the request; from then on the target alone moves the state, in a byte of its
//! own region, *before* it does what the state says. When the target dies, that byte is what the
//! front knows.
//!
//! Under a lease it goes round, until the connection is handed back:
//!
//! ```text
//! Responding ----> Resting ----> Reading ----> Received ----> Responding
//!                     |             |
//!                     +-------------+--> Completed (keep, not begun): the front reads on
//! ```

/// How far the target has come with an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// In the ring; the target has not taken it out.
    Queued,
    /// Taken out; nothing has been written to the client.
    Received {
        /// Whether body bytes may have been read from the client's socket.
        body_read: bool,
    },
    /// Response bytes may have been written.
    Responding,
    /// Under a lease: a request has been answered, and nothing of a next one has been read.
    Resting,
    /// Under a lease: bytes of a next request may have been read. What there is stands in the journal.
    Reading,
}

const RECEIVED: u8 = 1;
const BODY_READ: u8 = 1 << 1;
const RESPONDING: u8 = 1 << 2;
/// Without *received*, these say where a lease is.
const RESTING: u8 = BODY_READ;
const READING: u8 = RESPONDING;
/// Beside any stage but *queued*: the target waits for bytes of the body.
const BODY_AWAITED: u8 = 1 << 3;

impl Stage {
    /// The byte the target stores: the stage, and the exchange's number in the upper half, so that
    /// what an earlier exchange left behind is not taken for this one's.
    pub fn to_byte(self, exchange: u32) -> u8 {
        let stage = match self {
            Self::Queued => 0,
            Self::Received { body_read: false } => RECEIVED,
            Self::Received { body_read: true } => RECEIVED | BODY_READ,
            Self::Responding => RECEIVED | RESPONDING,
            Self::Resting => RESTING,
            Self::Reading => READING,
        };
        tag(exchange) | stage
    }

    /// Reads the byte the target stored, for this exchange.
    pub fn from_byte(byte: u8, exchange: u32) -> Self {
        if !is_taken(byte, exchange) {
            match byte {
                _ if byte == Self::Resting.to_byte(exchange) => Self::Resting,
                _ if byte == Self::Reading.to_byte(exchange) => Self::Reading,
                _ => Self::Queued,
            }
        } else if byte & RESPONDING != 0 {
            Self::Responding
        } else {
            Self::Received {
                body_read: byte & BODY_READ != 0,
            }
        }
    }
}

/// The byte the front stores in its own region to take an exchange back.
pub(crate) fn withdrawn_byte(exchange: u32) -> u8 {
    tag(exchange) | 1
}

/// The byte the front stores in its own region before it ends the stream of a client that sends its
/// body too slowly.
pub(crate) fn too_slow_byte(exchange: u32) -> u8 {
    tag(exchange) | 1 << 1
}

/// The byte the front stores in its own region to end a connection's lease.
pub(crate) fn lease_ended_byte(exchange: u32) -> u8 {
    tag(exchange) | 1 << 2
}

/// Whether the front's byte says anything of this exchange: then no lease of it stands.
pub(crate) fn is_spoken_of(byte: u8, exchange: u32) -> bool {
    byte & 0xf0 == tag(exchange)
}

/// What the target's byte becomes when it begins or ends to wait for the body; `None` when the byte
/// is another exchange's.
pub(crate) fn with_body_awaited(byte: u8, exchange: u32, awaited: bool) -> Option<u8> {
    is_taken(byte, exchange).then_some(if awaited {
        byte | BODY_AWAITED
    } else {
        byte & !BODY_AWAITED
    })
}

/// What the target's byte becomes when it begins to respond, or to read the body, and may be doing
/// the other already.
pub(crate) fn with_stage(byte: u8, exchange: u32, stage: Stage) -> Option<u8> {
    is_taken(byte, exchange).then_some(byte | stage.to_byte(exchange))
}

/// Whether the target says that it waits for bytes of this exchange's body.
pub(crate) fn is_body_awaited(byte: u8, exchange: u32) -> bool {
    is_taken(byte, exchange) && byte & BODY_AWAITED != 0
}

fn is_taken(byte: u8, exchange: u32) -> bool {
    byte & 0xf0 == tag(exchange) && byte & RECEIVED != 0
}

/// Eight values that follow each other, also where the number wraps around; never 0, which is the
/// byte of a fresh region.
fn tag(exchange: u32) -> u8 {
    ((exchange % 8) as u8 | 8) << 4
}

/// What becomes of the connection after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Disposition {
    /// The front reads the next request from it.
    Keep = 0,
    /// The target has sent the last byte and shut down its direction; the front closes.
    Close = 1,
    /// The connection belongs to the target alone (after an upgrade).
    Detached = 2,
    /// The target had not begun: no byte read or written. The front may give it to another.
    Returned = 3,
}

impl Disposition {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Keep, Self::Close, Self::Detached, Self::Returned]
            .into_iter()
            .find(|d| *d as u8 == byte)
    }
}

/// How an exchange ended, as the target saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Ending {
    /// The response was sent whole.
    Answered = 0,
    /// The client went away.
    ClientGone = 1,
    /// The handler panicked or its body failed.
    HandlerFailed = 2,
    /// The request's body was malformed.
    BadBody = 3,
    /// The exchange was returned untouched.
    NotBegun = 4,
    /// The client took too long to send or to take bytes.
    TimedOut = 5,
}

impl Ending {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Answered,
            Self::ClientGone,
            Self::HandlerFailed,
            Self::BadBody,
            Self::NotBegun,
            Self::TimedOut,
        ]
        .into_iter()
        .find(|ending| *ending as u8 == byte)
    }
}

/// What to do with an exchange whose target died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTargetDeath {
    /// Give it to another instance, or let it wait for one.
    Reassign,
    /// Answer 503: another target could do it twice, or lacks body bytes.
    Unavailable,
    /// Close the connection: the client has part of a response.
    Close,
    /// Read the next request of the connection, of which the journal may have the start.
    ReadOn,
}

/// The failure table's row "target dies" (design section 6).
pub fn on_target_death(stage: Stage, method: &str) -> OnTargetDeath {
    match stage {
        Stage::Queued => OnTargetDeath::Reassign,
        Stage::Received { body_read: false } if is_idempotent(method) => OnTargetDeath::Reassign,
        Stage::Received { .. } => OnTargetDeath::Unavailable,
        Stage::Responding => OnTargetDeath::Close,
        Stage::Resting | Stage::Reading => OnTargetDeath::ReadOn,
    }
}

/// Safe or idempotent by definition (RFC 9110 sections 9.2.1 and 9.2.2).
pub fn is_idempotent(method: &str) -> bool {
    matches!(
        method,
        "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: [Stage; 6] = [
        Stage::Queued,
        Stage::Received { body_read: false },
        Stage::Received { body_read: true },
        Stage::Responding,
        Stage::Resting,
        Stage::Reading,
    ];

    #[test]
    fn stages_round_trip_for_their_exchange_only() {
        for stage in STAGES {
            for exchange in [1, 2, 7, 8, 15, u32::MAX] {
                let byte = stage.to_byte(exchange);
                assert_eq!(Stage::from_byte(byte, exchange), stage);
                assert_eq!(
                    Stage::from_byte(byte, exchange.wrapping_add(1)),
                    Stage::Queued
                );
            }
            assert_eq!(Stage::from_byte(0, 1), Stage::Queued);
        }
    }

    #[test]
    fn waiting_for_the_body_stands_beside_the_stage() {
        for stage in &STAGES[1..4] {
            let byte = stage.to_byte(3);
            assert!(!is_body_awaited(byte, 3));
            let waits = with_body_awaited(byte, 3, true).unwrap();
            assert!(is_body_awaited(waits, 3) && !is_body_awaited(waits, 4));
            assert_eq!(Stage::from_byte(waits, 3), *stage);
            assert_eq!(with_body_awaited(waits, 3, false), Some(byte));
            // Another exchange's byte is left alone.
            assert_eq!(with_body_awaited(byte, 4, true), None);
            let responding = with_stage(waits, 3, Stage::Responding).unwrap();
            assert_eq!(Stage::from_byte(responding, 3), Stage::Responding);
            assert!(is_body_awaited(responding, 3));
            // Reading the body while responding does not take the response back.
            let reading = with_stage(responding, 3, Stage::Received { body_read: true });
            assert_eq!(
                reading.map(|byte| Stage::from_byte(byte, 3)),
                Some(Stage::Responding)
            );
        }
        assert_eq!(with_body_awaited(Stage::Queued.to_byte(3), 3, true), None);
    }

    #[test]
    fn what_the_front_says_of_an_exchange_is_one_thing() {
        for exchange in [1, 7, 8, u32::MAX] {
            let said = [withdrawn_byte, too_slow_byte, lease_ended_byte].map(|byte| byte(exchange));
            assert!(said[0] != said[1] && said[1] != said[2] && said[0] != said[2]);
            for byte in said {
                assert!(is_spoken_of(byte, exchange));
                assert!(!is_spoken_of(byte, exchange.wrapping_add(1)));
            }
            assert!(!is_spoken_of(0, exchange));
            assert_ne!(
                too_slow_byte(exchange),
                too_slow_byte(exchange.wrapping_add(1))
            );
        }
    }

    #[test]
    fn a_dead_target_is_handled_as_the_table_says() {
        use OnTargetDeath::{Close, ReadOn, Reassign, Unavailable};
        let rows = [
            ("GET", [Reassign, Reassign, Unavailable, Close]),
            ("PUT", [Reassign, Reassign, Unavailable, Close]),
            ("POST", [Reassign, Unavailable, Unavailable, Close]),
            ("PATCH", [Reassign, Unavailable, Unavailable, Close]),
        ];
        for (method, outcomes) in rows {
            let found = STAGES.map(|stage| on_target_death(stage, method));
            assert_eq!(found[..4], outcomes, "{method}");
            assert_eq!(found[4..], [ReadOn, ReadOn], "{method}");
        }
    }

    #[test]
    fn every_stage_byte_is_read_as_something() {
        for byte in 0..=u8::MAX {
            let _ = Stage::from_byte(byte, 3);
            let _ = (Disposition::from_byte(byte), Ending::from_byte(byte));
        }
    }
}
