//! An exchange that is with a target: what the front keeps of it until it is over.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ostler_delegation::Stage;
use ostler_delegation::entry::{Completed, ExchangeKey};

use super::lease::Lease;
use crate::account::Account;
use crate::deadline::GRACE;

/// One a connection, used again for each of its exchanges: it outlives the connection when the
/// client goes away before the target has let go.
#[derive(Debug, Default)]
pub(crate) struct Handoff {
    key: Cell<Option<ExchangeKey>>,
    /// The account of the exchange; what is told of it when it is over.
    account: RefCell<Option<Account>>,
    event: RefCell<Option<Event>>,
    waker: RefCell<Option<Waker>>,
    /// A completion that keeps the connection is to wake the connection's task: normally the
    /// client's next bytes do.
    wanted: Cell<bool>,
    /// When the request was put into the ring, by the worker's coarse clock.
    queued_at: Cell<Option<Instant>>,
    /// When it is to be looked whether a client that has ended its stream is still there.
    gone_at: Cell<Option<Instant>>,
    /// When the route's timeout is over.
    over_at: Cell<Option<Instant>>,
    /// The target waits for bytes of the body, when that was looked at last.
    awaits_body: Cell<bool>,
    /// Completed, and nobody woken.
    rests: Cell<bool>,
    /// The target has been granted to read the connection's next requests.
    lease: RefCell<Option<Box<Lease>>>,
}

/// What happens to an exchange while it is with a target.
#[derive(Debug)]
pub(crate) enum Event {
    Completed(Completed),
    TargetDied(Stage),
    /// It has waited in the queue for as long as it may.
    WaitedTooLong,
    /// Its target takes nothing, and another instance could.
    Stalled,
    /// The route's timeout is over and no target has it.
    TimedOut,
    /// The route's timeout has been over for a while, and the target still has it.
    Overdue,
    /// The client ended its stream and the response has not begun: it may have left.
    ClientSilent,
    /// The target waits for a body that comes too slowly.
    BodyTooSlow,
    /// The connection's lease is to end.
    LeaseIsOver,
}

impl Handoff {
    pub(crate) fn begin(
        &self,
        key: ExchangeKey,
        account: Account,
        lease: Option<Box<Lease>>,
        now: Instant,
    ) {
        self.key.set(Some(key));
        self.wanted.set(account.is_awaited());
        self.account.replace(Some(account));
        self.event.replace(None);
        self.queued_at.set(Some(now));
        self.gone_at.set(None);
        self.over_at.set(None);
        self.awaits_body.set(false);
        self.lease.replace(lease);
    }

    /// Whether the target may read what the client sends next.
    pub(crate) fn is_leased(&self) -> bool {
        let lease = self.lease.borrow();
        lease.as_ref().is_some_and(|lease| !lease.has_ended)
    }

    /// Exchanges of the connection that have been told of under its lease: the first is the one that it
    /// was granted with.
    pub(crate) fn told(&self) -> u32 {
        self.lease.borrow().as_ref().map_or(0, |lease| lease.told)
    }

    /// Whether the lease has begun, be it over by now.
    pub(crate) fn is_lease_told(&self) -> bool {
        self.told() > 0
    }

    /// Exchanges that the target has read by itself; `None` where it was not let.
    pub(crate) fn under_lease(&self) -> Option<u32> {
        let lease = self.lease.borrow();
        lease.as_ref().map(|lease| lease.told.saturating_sub(1))
    }

    /// The target tells of an exchange. True for the first.
    pub(crate) fn tell(&self, told: &Completed) -> bool {
        let mut lease = self.lease.borrow_mut();
        let Some(lease) = lease.as_mut() else {
            return false;
        };
        lease.told = lease.told.saturating_add(1);
        if lease.told == 1 {
            self.close(told);
        } else {
            lease.tell(told);
        }
        lease.told == 1
    }

    /// From here on what the client sends is the front's to read.
    pub(crate) fn lease_has_ended(&self) {
        if let Some(lease) = self.lease.borrow_mut().as_mut() {
            lease.has_ended = true;
        }
    }

    /// A request that had been read under the lease ends otherwise than by its target's word: its account.
    pub(crate) fn put_account_of(&self, head: &[u8]) {
        let lease = self.lease.borrow();
        if let Some(lease) = lease.as_ref() {
            let now = ostler_shm::monotonic_nanoseconds();
            self.account.replace(Some(lease.accounts.begin(head, now)));
        }
    }

    /// The exchange has begun and must be over by then, if not earlier.
    pub(crate) fn ends_by(&self, deadline: Instant) {
        let earlier = self.over_at.get().filter(|over| *over < deadline);
        self.over_at.set(Some(earlier.unwrap_or(deadline)));
    }

    pub(crate) fn key(&self) -> Option<ExchangeKey> {
        self.key.get()
    }

    /// Takes the account back, of an exchange that the target has not ended.
    pub(crate) fn take_account(&self) -> Option<Account> {
        self.account.take()
    }

    /// Wakes the connection's task by whatever ends the exchange.
    pub(crate) fn want_completion(&self) {
        self.wanted.set(true);
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.get()
    }

    /// Notes whether the target waits for bytes of the body.
    pub(crate) fn set_awaits_body(&self, awaits: bool) {
        self.awaits_body.set(awaits);
    }

    pub(crate) fn awaits_body(&self) -> bool {
        self.awaits_body.get()
    }

    /// The body comes too slowly, unless the exchange has just ended.
    pub(crate) fn body_is_too_slow(&self) {
        self.awaits_body.set(false);
        if self.event.borrow().is_none() {
            self.happen(Event::BodyTooSlow);
        }
    }

    /// The client has ended its stream: it may have gone away.
    pub(crate) fn client_fell_silent(&self, now: Instant, grace: Duration) {
        self.gone_at.set(Some(now + grace));
    }

    /// Whether something has happened that nobody has taken in.
    pub(crate) fn has_event(&self) -> bool {
        self.event.borrow().is_some()
    }

    /// The event, if it has happened.
    pub(crate) fn take_event(&self) -> Option<Event> {
        self.event.take()
    }

    /// Ready with the event that ends or interrupts the exchange.
    pub(crate) fn poll_event(&self, cx: &Context<'_>) -> Poll<Event> {
        if let Some(event) = self.take_event() {
            return Poll::Ready(event);
        }
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Ends or interrupts the exchange.
    pub(crate) fn happen(&self, event: Event) {
        use ostler_delegation::Disposition;
        let quiet = match &event {
            Event::Completed(completed) => {
                if completed.disposition != Disposition::Returned {
                    self.close(completed);
                }
                completed.disposition == Disposition::Keep && !self.wanted.get()
            }
            _ => false,
        };
        self.awaits_body.set(false);
        self.event.replace(Some(event));
        self.rests.set(quiet);
        if !quiet && let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Wakes a connection that nobody woke when its exchange was completed, so that it waits for
    /// its next request as an idle connection does.
    pub(crate) fn rouse(&self) {
        if self.rests.take()
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    /// Looks whether time has interrupted the exchange.
    /// `epoch` is that of the leases that stand.
    pub(crate) fn check(&self, now: Instant, stage: Stage, wait_timeout: Duration, epoch: u64) {
        if self.has_event() {
            return;
        }
        let waited = self
            .queued_at
            .get()
            .map(|queued| now.saturating_duration_since(queued));
        if let Some(over) = self.over_at.get()
            && now >= over
        {
            if stage == Stage::Queued {
                return self.happen(Event::TimedOut);
            } else if now >= over + GRACE {
                return self.happen(Event::Overdue);
            }
        }
        if stage == Stage::Queued && waited.is_some_and(|waited| waited >= wait_timeout) {
            self.happen(Event::WaitedTooLong);
        } else if stage != Stage::Responding && self.gone_at.get().is_some_and(|gone| now >= gone) {
            self.gone_at.set(None);
            self.happen(Event::ClientSilent);
        } else if self
            .lease
            .borrow_mut()
            .as_mut()
            .is_some_and(|lease| lease.is_to_end(stage, epoch))
        {
            self.happen(Event::LeaseIsOver);
        }
    }

    /// The exchange is over, told by its target.
    fn close(&self, completed: &Completed) {
        if let Some(mut account) = self.account.take() {
            account.close_completed(completed);
        }
    }
}

/// Handoffs by slot.
#[derive(Debug, Default)]
pub(crate) struct Handoffs(Vec<Option<Rc<Handoff>>>);

impl Handoffs {
    pub(crate) fn insert(&mut self, slot: u32, handoff: Rc<Handoff>) {
        let at = slot as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        self.0[at] = Some(handoff);
    }

    pub(crate) fn take(&mut self, slot: u32) -> Option<Rc<Handoff>> {
        self.0.get_mut(slot as usize)?.take()
    }

    /// The handoff of this exchange.
    pub(crate) fn find(&self, key: ExchangeKey) -> Option<Rc<Handoff>> {
        let handoff = self.0.get(key.slot as usize)?.as_ref()?;
        (handoff.key() == Some(key)).then(|| Rc::clone(handoff))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rc<Handoff>> {
        self.0.iter().flatten()
    }

    pub(crate) fn take_all(&mut self) -> Vec<Rc<Handoff>> {
        self.0.iter_mut().filter_map(Option::take).collect()
    }
}
