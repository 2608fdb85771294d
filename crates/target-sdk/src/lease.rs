//! A connection under a lease: its next requests are read here, until one comes that the lease does not name,
//! the front wants the connection back, or nothing stands in the way of either.
//!
//! One task goes through all of it. Others end it while it rests, and never while a request is under way.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use ostler_delegation::entry::{Completed, ExchangeKey};
use ostler_delegation::lease::Lease;
use ostler_delegation::target::Told;
use ostler_delegation::{Disposition, Ending};
use ostler_shm::{JOURNAL_CELL, JournalCell};

use crate::exchange::ChannelContext;
use crate::lease_state::{Doing, LeaseState};
use crate::response::SharedClient;

/// What the task of a lease shares with its exchanges, and with those who end it.
#[derive(Debug)]
pub(crate) struct Leased {
    context: Arc<ChannelContext>,
    client: SharedClient,
    key: ExchangeKey,
    lease: Lease,
    state: Arc<LeaseState>,
}

/// A request that has been read under a lease.
#[derive(Debug)]
pub(crate) struct Journaled {
    #[expect(
        dead_code,
        reason = "held until the front has been told of the request"
    )]
    cell: JournalCell,
    /// Its head, where the front wants to be told it.
    head: Option<Bytes>,
}

impl Leased {
    pub(crate) fn new(
        context: &Arc<ChannelContext>,
        client: &SharedClient,
        key: ExchangeKey,
        lease: Lease,
    ) -> Arc<Self> {
        Arc::new(Self {
            context: Arc::clone(context),
            client: Arc::clone(client),
            key,
            lease,
            state: Arc::default(),
        })
    }

    pub(crate) fn context(&self) -> &Arc<ChannelContext> {
        &self.context
    }

    pub(crate) fn client(&self) -> &SharedClient {
        &self.client
    }

    pub(crate) fn key(&self) -> ExchangeKey {
        self.key
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(crate) fn state(&self) -> &Arc<LeaseState> {
        &self.state
    }

    /// Whether the connection's next request may be read here.
    fn may_go_on(&self) -> bool {
        !self.context.is_ending() && self.context.shared.lease_stands(self.key, self.lease.epoch)
    }

    /// An exchange on the connection is over: tells of it, and takes the next one if it may. False where the
    /// exchange was the first one and the lease does not begin: then it is completed as any other.
    pub(crate) fn exchange_is_over(
        &self,
        journaled: Option<Journaled>,
        completed: &Completed,
    ) -> bool {
        let keeps = completed.disposition == Disposition::Keep
            && completed.ending == Ending::Answered
            && completed.leftover.is_empty();
        let goes_on = keeps && self.may_go_on();
        if journaled.is_none() && !goes_on {
            self.state.set(Doing::Over);
            return false;
        }
        let head = journaled.as_ref().and_then(|it| it.head.as_deref());
        let head = head.unwrap_or_default();
        let is_first = journaled.is_none();
        self.context.shared.tell(Told { completed, head }, is_first);
        // From here on it has been told of, and the journal need not keep it.
        drop(journaled);
        if !goes_on {
            self.over(completed.disposition, Vec::new());
            return true;
        }
        self.rest();
        true
    }

    /// From here on the next request is waited for, unless the lease does not stand any more: who ends leases
    /// may have looked before this one rested.
    fn rest(&self) {
        self.context.shared.rest(self.key);
        self.state.set(Doing::Resting);
        if !self.may_go_on() {
            self.state.end_if_resting();
        }
    }

    /// Tells the front what becomes of the connection.
    fn over(&self, disposition: Disposition, leftover: Vec<u8>) {
        self.state.set(Doing::Over);
        self.client.end_exchange();
        // Before the completion, behind which the slot's number may come back.
        self.context.end(self.key, disposition);
        self.context.shared.complete(&Completed {
            key: self.key,
            disposition,
            ending: Ending::NotBegun,
            status: 0,
            bytes_sent: 0,
            body_received: 0,
            received_ns: 0,
            first_byte_ns: 0,
            completed_ns: ostler_shm::monotonic_nanoseconds(),
            leftover,
        });
    }

    /// Waits for the connection's next bytes, and receives them into the journal if they may be: at least one.
    /// `None` where the connection is to be handed back.
    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        rests: &mut bool,
        number: u32,
    ) -> Poll<Option<JournalCell>> {
        let shared = &self.context.shared;
        loop {
            if self.state.has_ended() {
                return Poll::Ready(None);
            }
            let Ok(arrivals) = self.client.arrivals() else {
                return Poll::Ready(None);
            };
            let Ok(mut guard) = ready!(arrivals.poll_read_ready(cx)) else {
                return Poll::Ready(None);
            };
            if !self.state.goes(Doing::Resting, Doing::Busy) {
                return Poll::Ready(None);
            }
            *rests = false;
            if !shared.begin_reading(self.key, self.lease.epoch) || self.context.is_ending() {
                return Poll::Ready(None);
            }
            let Some(mut cell) = shared.journal_cell(self.key, number) else {
                return Poll::Ready(None);
            };
            match guard.try_io(|_| cell.receive(self.client.as_fd())) {
                Ok(Ok(received @ 1..)) => {
                    // Less than there is room for means that there is no more: the kernel says when there
                    // is.
                    if received < JOURNAL_CELL {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Some(cell));
                }
                // The end of the stream and errors are the front's to see for itself.
                Ok(_) => return Poll::Ready(None),
                Err(_would_block) => {
                    drop(cell);
                    *rests = true;
                    self.rest();
                }
            }
        }
    }
}

/// The task's hold on a lease: dropped before the front was told what becomes of the connection, it hands that
/// back.
#[derive(Debug)]
pub(crate) struct Holder {
    leased: Arc<Leased>,
    /// The front sees the connection resting.
    rests: bool,
}

impl Holder {
    pub(crate) fn new(leased: Arc<Leased>) -> Self {
        Self {
            leased,
            rests: false,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.leased.state.is_over()
    }

    /// Hands the connection back, with what has been received of it.
    pub(crate) fn hand_back(&mut self, leftover: Vec<u8>) {
        if std::mem::take(&mut self.rests) {
            self.leased.context.shared.rests_no_more();
        }
        self.leased.over(Disposition::Keep, leftover);
    }
}

impl Holder {
    pub(crate) fn leased(&self) -> &Arc<Leased> {
        &self.leased
    }

    /// Waits for the `number`th request. `None` where nothing is to be looked at here, and the connection is
    /// to be handed back.
    pub(crate) async fn receive(&mut self, number: u32) -> Option<JournalCell> {
        self.rests = true;
        let (leased, rests) = (&self.leased, &mut self.rests);
        poll_fn(|cx| leased.poll_receive(cx, rests, number)).await
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if !self.is_over() {
            self.hand_back(Vec::new());
        }
    }
}

impl Journaled {
    pub(crate) fn new(cell: JournalCell, head: Option<Bytes>) -> Self {
        Self { cell, head }
    }
}
