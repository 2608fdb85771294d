//! One delegated exchange: finding a target, handing over, and the failure table of the design.
//!
//! | event | in Queued | in Received | in Responding |
//! |---|---|---|---|
//! | target dies | another instance, or wait, or 503 | the same if nothing was read and the method is idempotent, else 503 | close |
//! | client gone | withdraw | tell the target, which cancels its handler | the same |
//! | queue full, draining | next instance, else the queue-limit answer | | |
//! | body too slow | | the target answers 408; two seconds later: close | the target closes; the same |
//! | route's timeout over | withdraw, 504 | the target answers 504; two seconds later: close | the target closes; the same |

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::StatusCode;
use ostler_delegation::entry::{ExchangeLimits, RequestEntry};
use ostler_delegation::handover::{OnTargetDeath, on_target_death};
use ostler_delegation::rule::RuleError;
use ostler_delegation::{Disposition, Verbosity503};
use ostler_http1::{Framing, Limits, RequestFacts, RequestHead};

use super::channel::{Channel, NotTaken, Place};
use super::handoff::{Event, Record};
use super::queue::{Queue, Taker};
use super::relay::RelayTarget;
use super::responses::Responses;
use super::rules::Rule;
use crate::admission::Deadline;
use crate::client::{Interest, READ};
use crate::connection::Connection;
use crate::context::ExchangeContext;
use crate::downstream::Downstream;
use crate::outcome::ForwarderError;
use crate::respond::Chain;

/// How a delegated exchange ended, as far as the front is concerned.
#[derive(Debug)]
pub(crate) enum Delegated {
    /// Answered; the connection carries on.
    Keep,
    /// Answered, or cut short; the connection is over.
    Close,
    /// Its target died while it answered.
    CutShort(Record),
    /// The connection belongs to the target.
    Detached,
    /// The client is gone.
    ClientGone,
    /// Nobody answers: the front must.
    Unanswered(Unanswered, Record),
    /// The instance may not hold the client's socket: the exchange is relayed to it.
    Relay(Rc<RelayTarget>, Record),
}

/// Why the front answers a request that was to be delegated.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The rule leads nowhere.
    Rule(RuleError),
    /// The queue's limit is reached.
    QueueFull(Verbosity503),
    /// Nobody took it in time.
    WaitedTooLong,
    /// The route's timeout is over, and no target had begun (reference 11.4).
    TimedOut(StatusCode),
    /// Its target died with it.
    TargetDied,
    /// No entry can hold it.
    TooLarge,
}

impl Unanswered {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::TimedOut(status) => *status,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// YARP's error for it.
    pub(crate) fn error(&self) -> ForwarderError {
        match self {
            Self::TargetDied => ForwarderError::Request,
            Self::TimedOut(_) => ForwarderError::RequestTimedOut,
            Self::TooLarge => ForwarderError::RequestCreation,
            _ => ForwarderError::NoAvailableDestinations,
        }
    }

    /// http.sys' reason phrase for its error log, where it has one.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Rule(error) => error.to_string(),
            Self::QueueFull(_) => "QueueFull".to_owned(),
            Self::WaitedTooLong => "Timer_AppPool".to_owned(),
            Self::TimedOut(_) => "the route's timeout is over".to_owned(),
            Self::TargetDied => "Connection_Abandoned_By_AppPool".to_owned(),
            Self::TooLarge => "the request does not fit into a queue entry".to_owned(),
        }
    }
}

/// How long a client may have ended its stream before its request counts as abandoned: one that
/// only says that it sends nothing more is answered, one that went away is noticed.
const SILENCE: Duration = Duration::from_secs(1);

/// The longest head that travels in an entry; a request with a longer one is relayed. Rings have room
/// for such entries, and few requests use it.
pub(crate) fn longest_head(limits: &Limits) -> usize {
    limits.field_lines.min(RequestEntry::LONGEST_HEAD)
}

/// Why what comes over a connection that cannot be given away is relayed.
const NOT_DELEGABLE: &str = "the client's connection cannot be given away";
/// And why a request is that no entry has room for.
const LONG_HEAD: &str = "the request's head is longer than an entry may hold";

/// Delegates a request.
pub(crate) async fn delegate(
    downstream: &mut Downstream<'_>,
    head: &RequestHead,
    rule: &Rule,
    context: &ExchangeContext<'_>,
    mut record: Record,
) -> Delegated {
    let queue = &rule.queue;
    let responses = Responses::of(context.route());
    let deadline = downstream.worker().now() + queue.properties().wait_timeout();
    let mut besides: Option<String> = None;
    loop {
        let taker = match queue.taker(&rule.rule, besides.as_deref()) {
            Ok(taker) => taker,
            Err(error) => return Delegated::Unanswered(Unanswered::Rule(error), record),
        };
        let channel = match taker {
            Taker::Relay(target) => {
                let reason = "the target's user is not trusted";
                tracing::debug!(instance = target.id(), reason, "an exchange is relayed");
                return Delegated::Relay(target, record);
            }
            Taker::Channel(channel) => channel,
            Taker::Nobody => {
                if queue.is_full() {
                    return full(queue, record);
                }
                let over = context.deadline().filter(|over| over.at < deadline);
                let until = over.map_or(deadline, |over| over.at);
                match wait(downstream, queue, until).await {
                    Waited::Changed => {}
                    Waited::TooLong => {
                        if let Some(Deadline { status, .. }) = over {
                            return Delegated::Unanswered(Unanswered::TimedOut(status), record);
                        }
                        return Delegated::Unanswered(Unanswered::WaitedTooLong, record);
                    }
                    Waited::ClientGone => return Delegated::ClientGone,
                }
                besides = None;
                continue;
            }
        };
        let longest = longest_head(&downstream.worker().limits().http1);
        let relayed = match head.raw().len() > longest {
            true => Some(LONG_HEAD),
            false => responses.relayed_by(&channel),
        };
        let connection = match (downstream.delegable(), relayed) {
            (Some(connection), None) => connection,
            // On the heap, so that exchanges that are delegated do not carry the room for it.
            (_, reason) => match Box::pin(queue.relay_beside(&channel)).await {
                Ok(target) => {
                    responses.tell(context.route(), reason.unwrap_or(NOT_DELEGABLE));
                    return Delegated::Relay(target, record);
                }
                Err(error) if besides.is_none() => {
                    tracing::warn!(instance = channel.id(), error = %Chain(&error), "cannot relay");
                    besides = Some(channel.id().to_owned());
                    continue;
                }
                Err(_) => return Delegated::Unanswered(Unanswered::TargetDied, record),
            },
        };
        if queue.is_full() {
            return full(queue, record);
        }
        let transforms = responses.encoded();
        let taken = hand_over(connection, head, &channel, context, transforms, record);
        let place = match taken {
            Ok(place) => place,
            Err((NotTaken::TooLarge, back)) => {
                return Delegated::Unanswered(Unanswered::TooLarge, back);
            }
            Err((NotTaken::Full | NotTaken::Dead, back)) => {
                record = back;
                // One that has no room is passed over once; when no other is there, its time comes.
                besides = match besides {
                    None => Some(channel.id().to_owned()),
                    Some(_) => return full(queue, record),
                };
                continue;
            }
        };
        let after = watch(connection, head, &channel, context.deadline()).await;
        connection.watch.set_has_more(false);
        match after {
            After::Over(delegated) => {
                if matches!(delegated, Delegated::Close | Delegated::Detached) {
                    connection.forget_place(place);
                }
                return delegated;
            }
            After::Again { without_place } => {
                if without_place {
                    connection.forget_place(place);
                }
                let Some(back) = connection.handoff.take_record() else {
                    return Delegated::Close;
                };
                record = back;
                // A draining instance is not asked again; a stalled one is passed over.
                besides = (!channel.is_dead()).then(|| channel.id().to_owned());
            }
            After::CutShort => {
                connection.forget_place(place);
                return match connection.handoff.take_record() {
                    Some(back) => Delegated::CutShort(back),
                    None => Delegated::Close,
                };
            }
            After::Unanswered(reason) => {
                // The slot of a withdrawn exchange, or of a dead target, carries no other.
                connection.forget_place(place);
                let Some(back) = connection.handoff.take_record() else {
                    return Delegated::Close;
                };
                return Delegated::Unanswered(reason, back);
            }
        }
    }
}

fn full(queue: &Queue, record: Record) -> Delegated {
    let verbosity = queue.properties().verbosity;
    Delegated::Unanswered(Unanswered::QueueFull(verbosity), record)
}

enum Waited {
    Changed,
    TooLong,
    ClientGone,
}

/// Waits in the queue for an instance.
async fn wait(
    downstream: &mut Downstream<'_>,
    queue: &Rc<Queue>,
    deadline: std::time::Instant,
) -> Waited {
    let waiting = queue.wait();
    tokio::select! {
        biased;
        () = waiting.changed() => Waited::Changed,
        () = downstream.broken() => Waited::ClientGone,
        () = tokio::time::sleep_until(deadline.into()) => Waited::TooLong,
    }
}

/// Puts the request into the instance's ring, and the client's socket before it where the instance
/// does not have it yet.
fn hand_over(
    connection: &mut Connection,
    head: &RequestHead,
    channel: &Rc<Channel>,
    context: &ExchangeContext<'_>,
    transforms: &[u8],
    record: Record,
) -> Result<PlaceKey, (NotTaken, Record)> {
    let slot = match connection.place_on(channel) {
        Ok(slot) => slot,
        Err(not_taken) => return Err((not_taken, record)),
    };
    let facts = RequestFacts::from(head);
    let entry = RequestEntry {
        head: head.parts(),
        facts: RequestFacts {
            keep_alive: facts.keep_alive && !connection.is_last(head),
            ..facts
        },
        framing: head.framing(),
        expects_continue: head.expects_continue(),
        upgrade: head.upgrade().is_some(),
        head_received_ns: record.head_received_ns,
        queued_ns: ostler_shm::monotonic_nanoseconds(),
        limits: limits_of(context, head),
        transforms,
        directives: context.directives(),
        prefix: prefix_of(connection, head),
    };
    let now = connection.worker.now();
    channel.delegate(slot, &entry, &connection.handoff, record, now)?;
    if let Some(deadline) = context.deadline() {
        connection.handoff.ends_by(deadline.at);
    }
    Ok(PlaceKey {
        channel: Rc::as_ptr(channel) as usize,
    })
}

/// What the target is to bound the exchange by. A body whose length is known has been measured.
fn limits_of(context: &ExchangeContext<'_>, head: &RequestHead) -> ExchangeLimits {
    let mut limits = ExchangeLimits::NONE;
    if let Some(deadline) = context.deadline() {
        limits.deadline_ns = deadline.at_ns;
        limits.timeout_status = deadline.status.as_u16();
    }
    if let (Framing::Chunked, Some(limit)) = (head.framing(), context.body_limit()) {
        limits.body = limit;
    }
    limits
}

/// What travels with the head of what arrived behind it: the start of the body, or of what the
/// client says once the protocol is switched.
fn prefix_of<'c>(connection: &'c Connection, head: &RequestHead) -> &'c [u8] {
    if head.upgrade().is_some() || head.is_connect() {
        return &connection.input;
    }
    connection.body_prefix(head.framing())
}

/// Tells a connection's places apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlaceKey {
    pub(crate) channel: usize,
}

enum After {
    Over(Delegated),
    Again { without_place: bool },
    CutShort,
    Unanswered(Unanswered),
}

/// Waits for the exchange's end, and keeps an eye on the client meanwhile.
async fn watch(
    connection: &mut Connection,
    head: &RequestHead,
    channel: &Rc<Channel>,
    deadline: Option<Deadline>,
) -> After {
    let handoff = Rc::clone(&connection.handoff);
    let Some(key) = handoff.key() else {
        return After::Over(Delegated::Close);
    };
    // The target reads from the socket if the body is not here whole, and after an upgrade.
    let prefix = connection.body_prefix(head.framing()).len() as u64;
    let reads_ahead = match head.framing() {
        Framing::None => head.upgrade().is_none() && !head.is_connect(),
        Framing::Length(length) => prefix >= length,
        Framing::Chunked => false,
    };
    let watching = Cell::new(reads_ahead && !connection.read_closed);
    connection.watch.set_has_more(connection.has_more(head));
    let registered = if watching.get() {
        connection.client.set_interest(Interest::Reads)
    } else {
        leave_reading_to_the_target(connection, channel)
    };
    if handoff.is_wanted() || (watching.get() && connection.input.len() as u64 > prefix) {
        // Somebody waits for what the exchange holds, or the next request is here already, so that
        // its arrival will not tell of this one's end.
        want_completion(connection, channel);
    }
    if registered.is_err() {
        // Nothing tells of the client any more; the target's own calls on the socket will.
        watching.set(false);
    }
    loop {
        let seen = if watching.get() {
            let client = &connection.client;
            poll_fn(|cx| {
                if let Poll::Ready(()) = client.poll_readable(cx).map(drop) {
                    // Usually the next request, whose coming says that this one is answered.
                    channel.settle();
                    return Poll::Ready(match handoff.take_event() {
                        Some(event) => Seen::Event(event),
                        None => Seen::Readable,
                    });
                }
                handoff.poll_event(cx).map(Seen::Event)
            })
            .await
        } else {
            let client = &connection.client;
            tokio::select! {
                biased;
                event = poll_fn(|cx| handoff.poll_event(cx)) => Seen::Event(event),
                () = client.broken() => Seen::Broken,
            }
        };
        match seen {
            Seen::Event(Event::Completed(completed)) => {
                return match completed.disposition {
                    Disposition::Keep => {
                        connection.consume_prefix(head.framing(), completed.leftover);
                        After::Over(Delegated::Keep)
                    }
                    Disposition::Close => After::Over(Delegated::Close),
                    Disposition::Detached => After::Over(Delegated::Detached),
                    Disposition::Returned => After::Again {
                        without_place: false,
                    },
                };
            }
            Seen::Event(Event::TargetDied(stage)) => {
                return match on_target_death(stage, head.method()) {
                    OnTargetDeath::Reassign => After::Again {
                        without_place: true,
                    },
                    OnTargetDeath::Unavailable => After::Unanswered(Unanswered::TargetDied),
                    OnTargetDeath::Close => After::CutShort,
                };
            }
            Seen::Event(Event::WaitedTooLong) => {
                if channel.withdraw(key) {
                    return After::Unanswered(Unanswered::WaitedTooLong);
                }
            }
            Seen::Event(Event::Stalled) => {
                if channel.withdraw(key) {
                    return After::Again {
                        without_place: true,
                    };
                }
            }
            Seen::Event(Event::TimedOut) => {
                if channel.withdraw(key)
                    && let Some(Deadline { status, .. }) = deadline
                {
                    return After::Unanswered(Unanswered::TimedOut(status));
                }
            }
            Seen::Event(Event::BodyTooSlow) => {
                // The target finds the end of the stream, and why: it answers 408, or closes.
                channel.body_too_slow(key);
                if let Some(socket) = connection.client.plain_fd() {
                    let _ = ostler_shm::shutdown_read(socket);
                }
                handoff.ends_by(connection.worker.now());
            }
            // A target that does not end it by itself is cut off: the connection is shut down.
            Seen::Event(Event::ClientGone | Event::Overdue) | Seen::Broken => {
                if !channel.withdraw(key) {
                    channel.client_gone(key);
                }
                return After::Over(Delegated::ClientGone);
            }
            Seen::Readable => match read_ahead(connection, channel) {
                Ahead::More => {}
                Ahead::Enough => watching.set(false),
                Ahead::Broken => {
                    if !channel.withdraw(key) {
                        channel.client_gone(key);
                    }
                    return After::Over(Delegated::ClientGone);
                }
            },
        }
    }
}

enum Seen {
    Event(Event),
    Readable,
    Broken,
}

enum Ahead {
    More,
    Enough,
    Broken,
}

/// Takes in what the client sends before its answer: the next request, or its end of stream. No
/// more than is read at a time anywhere else: what is read here travels in an entry whose size
/// counts on that.
fn read_ahead(connection: &mut Connection, channel: &Rc<Channel>) -> Ahead {
    let room = READ.saturating_sub(connection.input.len());
    if room == 0 {
        return match leave_reading_to_the_target(connection, channel) {
            Ok(()) => Ahead::Enough,
            Err(_) => Ahead::Broken,
        };
    }
    let received = connection.client.recv_now(&mut connection.input, room);
    match received {
        Ok(0) => {
            connection.read_closed = true;
            connection
                .handoff
                .client_fell_silent(connection.worker.now(), SILENCE);
        }
        Ok(_) => {
            connection.watch.set_has_more(true);
            want_completion(connection, channel);
            return Ahead::More;
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            connection.client.clear_readable();
            return Ahead::More;
        }
        Err(_) => return Ahead::Broken,
    }
    match leave_reading_to_the_target(connection, channel) {
        Ok(()) => Ahead::Enough,
        Err(_) => Ahead::Broken,
    }
}

/// From here the client's bytes wake nobody here, so the completion must.
fn leave_reading_to_the_target(
    connection: &mut Connection,
    channel: &Rc<Channel>,
) -> std::io::Result<()> {
    connection.client.set_interest(Interest::Breaks)?;
    want_completion(connection, channel);
    Ok(())
}

/// Has this task woken by the exchange's end, whatever it is.
fn want_completion(connection: &Connection, channel: &Rc<Channel>) {
    connection.handoff.want_completion();
    channel.ask_for_wake();
    // It may have been there before the target was asked to tell.
    channel.settle();
}

/// Places of a connection, by channel.
pub(crate) fn place_key(place: &Place) -> PlaceKey {
    PlaceKey {
        channel: Rc::as_ptr(&place.channel) as usize,
    }
}
