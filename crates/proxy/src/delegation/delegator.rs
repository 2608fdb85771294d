//! One exchange on its way to a target: choosing an instance, handing over or waiting in line, and
//! what becomes of it then.
//!
//! ```text
//!            .------- again --------.
//!            v                      |
//!   --> Choosing --> InFlight ------+--> over
//!         |   ^
//!         v   |  called
//!        Waiting --> over (too long, client gone)
//! ```

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use ostler_delegation::entry::{ExchangeLimits, RequestEntry};
use ostler_delegation::rule::RuleError;
use ostler_http1::{Framing, RequestFacts, RequestHead};

use super::grant::Asked;
use super::in_flight::InFlight;
use super::response_transforms::{NotDelegated, Responses};
use super::search::Search;
use super::stream_asked::StreamAsked;
use super::verdict::End;
use crate::account::Account;
use crate::answer::Unanswered;
use crate::client_side::ClientSide;
use crate::client_socket::{Interest, READ};
use crate::connection::Connection;
use crate::context::ExchangeContext;
use crate::deadline::Deadline;
use crate::error_chain::Chain;
use crate::exchange_state::Exchange;
use crate::limits::longest_head;
use crate::metrics::QueueEvent;
use crate::outcome::Mode;
use crate::queues::{
    Channel, Need, NotTaken, PlaceKey, Queue, RelayTarget, Rule, StreamHandle, Taker, Ticket,
};
use crate::reason::Reason;
use crate::rebalance;

/// How a delegated exchange ended, as far as the front is concerned.
#[derive(Debug)]
pub(crate) enum Delegated {
    /// Answered; the connection carries on.
    Keep,
    /// Answered, or cut short; the connection is over.
    Close,
    /// Its target died while it answered.
    CutShort,
    /// The connection belongs to the target.
    Detached,
    /// The client is gone. A target that has the request closes the account.
    ClientGone,
    /// No target answers: the front must.
    Unanswered(Unanswered),
    /// No target of this queue can begin it now, and another destination can.
    Elsewhere,
    /// The instance has it as a stream, whose bytes the front passes on.
    Stream(StreamHandle),
    /// The instance may not hold the client's socket: the exchange is relayed to it.
    Relay(Rc<RelayTarget>),
}

/// Why a request is not delegated that no entry has room for.
const LONG_HEAD: NotDelegated = NotDelegated {
    reason: Reason::LongHead,
    text: "the request's head is longer than an entry may hold",
};

/// How long an instance that opens its channel is waited for where another destination could answer.
const A_MOMENT: Duration = Duration::from_millis(200);

/// Delegates an exchange, whose target sees `head`.
pub(crate) async fn delegate(
    exchange: &mut Exchange<'_, '_>,
    head: &RequestHead,
    rule: &Rule,
    search: &mut Search,
) -> Delegated {
    let mut delegation = Delegation {
        client_side: exchange.client_side,
        head,
        rule,
        context: &exchange.context,
        account: &mut exchange.account,
        responses: Responses::of(exchange.context.route()),
        search,
    };
    let mut state = State::Choosing;
    loop {
        state = match state {
            State::Choosing => delegation.choose().await,
            // On the heap, so that exchanges that do not wait do not carry the room for it.
            State::Waiting => Box::pin(delegation.wait()).await,
            State::InFlight(channel, place) => delegation.until_it_ends(channel, place).await,
            State::Over(delegated) => {
                // Whoever waits behind it tries.
                delegation.search.ticket = None;
                return delegated;
            }
        };
    }
}

/// Where an exchange is.
enum State {
    Choosing,
    Waiting,
    InFlight(Rc<Channel>, PlaceKey),
    Over(Delegated),
}

impl State {
    fn unanswered(reason: Unanswered) -> Self {
        Self::Over(Delegated::Unanswered(reason))
    }
}

/// An exchange that is being delegated.
struct Delegation<'e, 'd, 'c> {
    client_side: &'e mut ClientSide<'d>,
    /// What the target sees.
    head: &'e RequestHead,
    rule: &'e Rule,
    context: &'e ExchangeContext<'c>,
    /// Open unless a target has the exchange.
    account: &'e mut Account,
    responses: Responses<'e>,
    search: &'e mut Search,
}

impl Delegation<'_, '_, '_> {
    fn queue(&self) -> &Queue {
        &self.rule.queue
    }

    /// Whether another destination could take the exchange now.
    fn can_go_elsewhere(&self) -> bool {
        rebalance::can_go_elsewhere(self.client_side.worker(), self.context)
    }

    /// Tries one instance after the other.
    async fn choose(&mut self) -> State {
        if self.search.ticket.is_none() && self.do_others_wait() {
            return self.line_up();
        }
        self.search.passed.begin_anew();
        loop {
            let channel = match self.rule.queue.taker(&self.rule.rule, &self.search.passed) {
                Ok(Taker::Channel(channel)) => channel,
                Ok(Taker::Relay(target)) => {
                    let reason = "the target's user is not trusted";
                    self.account.because(Reason::UntrustedUser);
                    tracing::debug!(instance = target.id(), reason, "an exchange is relayed");
                    return State::Over(Delegated::Relay(target));
                }
                Ok(Taker::Nobody) => return self.nobody(),
                Err(error) => return self.unusable(error),
            };
            let is_stuck =
                self.search.passed.was_last(channel.id()) && channel.instance().is_still();
            if is_stuck && self.can_go_elsewhere() {
                return State::Over(Delegated::Elsewhere);
            }
            let is_delegable = self.client_side.delegable().is_some();
            let why = self.why_not_delegated(&channel);
            let taken = match (is_delegable, why) {
                (true, None) => self.hand_over(&channel),
                (_, why) => {
                    let why = why.unwrap_or_else(|| self.not_delegable());
                    self.account.because(why.reason);
                    match channel.speaks_streams() && !self.is_too_long() {
                        true => self.stream_to(&channel, why.text),
                        // On the heap, as is waiting.
                        false => Box::pin(self.relay_to(&channel, why.text)).await,
                    }
                }
            };
            if let Some(state) = taken {
                return state;
            }
        }
    }

    /// Why this channel's instance is not given the client's socket, whatever that is.
    fn why_not_delegated(&self, channel: &Channel) -> Option<NotDelegated> {
        if self.is_too_long() {
            return Some(LONG_HEAD);
        }
        let is_forwarded = self.client_side.client_facts().forwarded().is_some();
        if is_forwarded && !channel.tells_forwarded_clients() {
            return Some(NotDelegated {
                reason: Reason::OldTarget,
                text: "the target's library does not know that a connection carries requests of many clients",
            });
        }
        self.responses.relayed_by(channel)
    }

    /// Why what comes over a connection that cannot be given away is not delegated.
    fn not_delegable(&self) -> NotDelegated {
        NotDelegated {
            reason: match self.client_side {
                ClientSide::Http1(_) => Reason::Tls,
                ClientSide::Http2(_) => Reason::Http2,
            },
            text: "the client's connection cannot be given away",
        }
    }

    /// Nobody takes it now.
    fn nobody(&mut self) -> State {
        if !self.queue().has_open(&self.rule.rule) {
            // One that is about to open its channel is worth a moment.
            let now = self.client_side.worker().now();
            let since = *self.search.alone_since.get_or_insert(now);
            let is_near = self.queue().is_opening() && now < since + A_MOMENT;
            if !is_near && self.can_go_elsewhere() {
                return State::Over(Delegated::Elsewhere);
            }
            self.queue().tell_unserved();
        }
        self.line_up()
    }

    /// The rule leads nowhere.
    fn unusable(&self, error: RuleError) -> State {
        if self.can_go_elsewhere() {
            return State::Over(Delegated::Elsewhere);
        }
        self.queue().tell_unusable(&error);
        State::unanswered(Unanswered::Rule(error))
    }

    /// Waits behind those who wait already, if the queue's limit allows.
    fn line_up(&mut self) -> State {
        if let Err(refused) = self.admit() {
            return State::Over(refused);
        }
        if self.search.ticket.is_none() {
            let need = self.need();
            self.search.ticket = Some(self.queue().lines().join(need));
        }
        State::Waiting
    }

    /// Lets the request into the queue unless the limit is reached. One that has been let in stays,
    /// wherever it is taken back from.
    fn admit(&mut self) -> Result<(), Delegated> {
        if self.search.is_admitted || !self.queue().is_full() {
            self.search.is_admitted = true;
            return Ok(());
        }
        if self.can_go_elsewhere() {
            return Err(Delegated::Elsewhere);
        }
        self.queue().tell_full();
        let full = Unanswered::QueueFull(self.queue().properties().verbosity);
        Err(Delegated::Unanswered(full))
    }

    fn do_others_wait(&mut self) -> bool {
        !self.queue().lines().is_empty() && {
            let need = self.need();
            self.queue().lines().has(&need)
        }
    }

    fn need(&mut self) -> Need {
        let is_relayed = matches!(self.responses, Responses::Relayed(_));
        Need {
            url_prefix: self.rule.rule.url_prefix().clone(),
            room: self.client_side.delegable().is_some() && !is_relayed && !self.is_too_long(),
        }
    }

    fn is_too_long(&self) -> bool {
        let limits = self.client_side.worker().limits();
        self.head.raw().len() > longest_head(&limits.http1)
    }

    /// Hands the request over to the instance. `None` when it has no room.
    fn hand_over(&mut self, channel: &Rc<Channel>) -> Option<State> {
        if let Err(refused) = self.admit() {
            return Some(State::Over(refused));
        }
        match self.put_into_ring(channel) {
            Ok(()) => {
                // Calls the next in line, if it was in one.
                self.search.ticket = None;
                let place = PlaceKey::of(channel);
                Some(State::InFlight(Rc::clone(channel), place))
            }
            Err(NotTaken::TooLarge) => Some(State::unanswered(Unanswered::TooLarge)),
            Err(NotTaken::Full | NotTaken::Dead) => {
                self.search.passed.full(channel.id());
                None
            }
        }
    }

    /// Puts the request into the instance's ring, and the client's socket before it where the
    /// instance does not have it yet.
    fn put_into_ring(&mut self, channel: &Rc<Channel>) -> Result<(), NotTaken> {
        let forwarded = self.client_side.client_facts().forwarded();
        let Some(connection) = self.client_side.delegable() else {
            // It was a moment ago, and who relays finds out.
            return Err(NotTaken::Dead);
        };
        let (head, context) = (self.head, self.context);
        let slot = connection.place_on(channel)?;
        let facts = RequestFacts::from(head);
        let asked = Asked {
            head,
            context,
            account: self.account,
            queue: &self.rule.queue,
            channel,
            is_unchanged: matches!(self.responses, Responses::Unchanged),
        };
        let granted = asked.lease(connection);
        let queued_ns = ostler_shm::monotonic_nanoseconds();
        self.account.sent_at(queued_ns);
        let entry = RequestEntry {
            head: head.parts(),
            facts: RequestFacts {
                keep_alive: facts.keep_alive && !connection.is_last(head),
                ..facts
            },
            framing: head.framing(),
            expects_continue: head.expects_continue(),
            upgrade: head.upgrade().is_some(),
            head_received_ns: self.account.head_received_ns(),
            queued_ns,
            limits: limits_of(context, head),
            forwarded,
            transforms: self.responses.encoded(),
            directives: context.directives(),
            prefix: prefix_of(connection, head),
        };
        let now = connection.worker.now();
        let handoff = &connection.handoff;
        channel.delegate(slot, &entry, handoff, self.account, granted, now)?;
        if let Some(deadline) = context.deadline() {
            connection.handoff.ends_by(deadline.at);
        }
        Ok(())
    }

    /// Puts the request into the instance's ring as a stream. `None` when it has no room.
    fn stream_to(&mut self, channel: &Rc<Channel>, reason: &str) -> Option<State> {
        if let Err(refused) = self.admit() {
            return Some(State::Over(refused));
        }
        let asked = StreamAsked {
            head: self.head,
            client: self.client_side.client_facts(),
            version: self.context.client_version(),
            head_received_ns: self.account.head_received_ns(),
        };
        match asked.open(channel, self.client_side.worker().now()) {
            Ok(stream) => {
                // Calls the next in line, if it was in one.
                self.search.ticket = None;
                self.responses
                    .tell(self.context.route(), Mode::Streamed, reason);
                Some(State::Over(Delegated::Stream(stream)))
            }
            Err(NotTaken::TooLarge) => Some(State::unanswered(Unanswered::TooLarge)),
            Err(NotTaken::Full | NotTaken::Dead) => {
                self.search.passed.full(channel.id());
                None
            }
        }
    }

    /// Has the exchange relayed to the instance. `None` when it takes no connection and another one
    /// may.
    async fn relay_to(&mut self, channel: &Rc<Channel>, reason: &str) -> Option<State> {
        let error = match self.rule.queue.relay_beside(channel).await {
            Ok(target) => {
                self.responses
                    .tell(self.context.route(), Mode::Relayed, reason);
                return Some(State::Over(Delegated::Relay(target)));
            }
            Err(error) => error,
        };
        self.search.passed.full(channel.id());
        tracing::warn!(queue = %self.queue().name(), instance = channel.id(), error = %Chain(&error), "cannot relay");
        let others = self.rule.queue.taker(&self.rule.rule, &self.search.passed);
        if error.is_busy() || !matches!(others, Ok(Taker::Nobody)) {
            return None;
        }
        Some(State::unanswered(Unanswered::TargetDied))
    }

    /// Waits in line until it is this request's turn to try.
    async fn wait(&mut self) -> State {
        let Some(ticket) = &self.search.ticket else {
            return State::Choosing;
        };
        let limit = self.rule.queue.properties().limit as usize;
        let over = self.context.deadline();
        let over = over.filter(|over| over.at < self.search.deadline);
        let until = over.map_or(self.search.deadline, |over| over.at);
        tokio::select! {
            biased;
            () = poll_fn(|cx| ticket.poll_called(cx)) => State::Choosing,
            () = departed(self.client_side, ticket, limit) => State::Over(Delegated::ClientGone),
            () = tokio::time::sleep_until(until.into()) => {
                let why = match over {
                    Some(Deadline { status, .. }) => Unanswered::TimedOut(status),
                    None => Unanswered::WaitedTooLong,
                };
                State::unanswered(why)
            }
        }
    }

    /// Waits for the end of an exchange that is with a target.
    async fn until_it_ends(&mut self, channel: Rc<Channel>, place: PlaceKey) -> State {
        let Some(connection) = self.client_side.delegable() else {
            return State::Over(Delegated::Close);
        };
        connection.watch.set_with_target(true);
        let Some(exchange) = InFlight::new(connection, self.head, Rc::clone(&channel)) else {
            return State::Over(Delegated::Close);
        };
        let end = exchange.end().await;
        let Some(connection) = self.client_side.delegable() else {
            return State::Over(Delegated::Close);
        };
        if let Some(exchanges) = connection.handoff.under_lease() {
            connection.handoff.lease_has_ended();
            connection.history.lease_is_over(exchanges);
        }
        connection.watch.set_has_more(false);
        connection.watch.set_with_target(false);
        // The slot of an exchange that the target has not itself ended carries no other. One that gives a
        // request back may not have received the socket.
        if !matches!(end, End::Keep) {
            connection.forget_place(place);
        }
        State::Over(match end {
            End::Keep => Delegated::Keep,
            End::Close => Delegated::Close,
            End::Detached => Delegated::Detached,
            End::Abandoned => Delegated::ClientGone,
            // A target that rests without having said how it has ended an exchange has told nothing of it.
            End::ReadOn => {
                drop(connection.handoff.take_account());
                Delegated::Keep
            }
            End::ClientGone => {
                self.account.take_back(connection.handoff.take_account());
                Delegated::ClientGone
            }
            // The target has ended it after all.
            _ if !self.account.take_back(connection.handoff.take_account()) => Delegated::Close,
            End::Again | End::Returned => {
                self.queue().counts().count(QueueEvent::Again);
                channel.catch_up();
                self.search.passed.taken_back(channel.id());
                return State::Choosing;
            }
            End::CutShort => Delegated::CutShort,
            End::WaitedTooLong => Delegated::Unanswered(Unanswered::WaitedTooLong),
            End::TargetDied => Delegated::Unanswered(Unanswered::TargetDied),
            End::TimedOut => match self.context.deadline() {
                Some(Deadline { status, .. }) => {
                    Delegated::Unanswered(Unanswered::TimedOut(status))
                }
                None => Delegated::Close,
            },
        })
    }
}

/// Completes when the client of a request that waits is gone. One that has only ended its stream may
/// be waiting for its answer: it goes on, but does not count against the queue's `limit`.
async fn departed(client_side: &mut ClientSide<'_>, ticket: &Ticket, limit: usize) {
    let ClientSide::Http1(connection) = client_side else {
        return client_side.broken().await;
    };
    if !connection.read_closed && connection.client.set_interest(Interest::Reads).is_err() {
        return;
    }
    loop {
        if connection.read_closed {
            return fallen_silent(connection, ticket, limit).await;
        }
        // No more than is read at a time anywhere else: what is read here travels in an entry whose
        // size counts on that.
        let room = READ.saturating_sub(connection.input.len());
        if room == 0 {
            break;
        }
        match connection.client.recv(&mut connection.input, room).await {
            Ok(0) => connection.read_closed = true,
            Ok(_) => {}
            Err(_) => return,
        }
    }
    // What it says next stays with it; that it breaks is told all the same.
    if connection.client.set_interest(Interest::Breaks).is_ok() {
        connection.client.broken().await;
    }
}

/// The client has ended its stream. A front that stops does not wait for it: it may be gone.
async fn fallen_silent(connection: &mut Connection, ticket: &Ticket, limit: usize) {
    /// How long it may take to notice that the front stops.
    const LOOK: Duration = Duration::from_secs(1);
    if !ticket.fall_silent(limit) || connection.client.set_interest(Interest::Breaks).is_err() {
        return;
    }
    let stops = async {
        while !connection.worker.is_draining() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = connection.client.broken() => {}
        () = connection.client.left() => {}
        () = stops => {}
    }
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
