//! Leases of a channel: connections whose next requests the target reads itself.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use ostler_delegation::Stage;
use ostler_delegation::entry::{Completed, ExchangeKey};
use ostler_delegation::front::LeaseEpoch;
use ostler_shm::Journaled;

use super::Channel;
use crate::queues::handoff::{Event, Handoff};

/// The leases of one channel.
#[derive(Debug)]
pub(super) struct Leases {
    epoch: Arc<LeaseEpoch>,
    /// Connections of which an exchange has been told while their leases go on. They do not count as
    /// exchanges.
    going_on: Cell<usize>,
}

impl Leases {
    pub(super) fn new(epoch: LeaseEpoch) -> Self {
        Self {
            epoch: Arc::new(epoch),
            going_on: Cell::new(0),
        }
    }

    pub(super) fn epoch(&self) -> &Arc<LeaseEpoch> {
        &self.epoch
    }

    pub(super) fn are_there(&self) -> bool {
        self.going_on.get() > 0
    }
}

impl Channel {
    /// Whether the target may read requests by itself.
    pub(crate) fn speaks_leases(&self) -> bool {
        self.front.borrow().speaks_leases()
    }

    /// The number under which a lease would be granted now: to be asked before it is looked by what it
    /// would be granted.
    pub(crate) fn lease_epoch(&self) -> u64 {
        self.leases.epoch.current()
    }

    /// Exchanges and leases that are with the target.
    pub(crate) fn under_way(&self) -> usize {
        self.outstanding() + self.leases.going_on.get()
    }

    /// The target tells of an exchange under a lease.
    pub(super) fn take_told(&self, told: &Completed) {
        let handoff = self.handoffs.borrow().find(told.key);
        if let Some(handoff) = handoff
            && handoff.tell(told)
        {
            // From here on it counts where it is under way, in the target.
            self.settle_one();
            let going_on = &self.leases.going_on;
            going_on.set(going_on.get() + 1);
        }
    }

    /// The target is done with what a connection had handed over.
    pub(super) fn release(&self, handoff: &Handoff) {
        if handoff.is_lease_told() {
            let going_on = &self.leases.going_on;
            going_on.set(going_on.get().saturating_sub(1));
        } else {
            self.settle_one();
        }
    }

    /// Ends a connection's lease, and says how far the target was. *Resting*: the connection is back, and its
    /// slot is spent. *Reading*: it is to be ended once more. Else what the client sends next is the front's
    /// to read.
    pub(crate) fn end_lease(self: &Rc<Self>, key: ExchangeKey, handoff: &Rc<Handoff>) -> Stage {
        if self.dead.get() {
            // What its death means has been told, or is about to be.
            return Stage::Reading;
        }
        let stage = self.front.borrow_mut().end_lease(key);
        self.mark_dirty();
        match stage {
            Stage::Reading => return stage,
            Stage::Resting => {
                // All that was told before it rested.
                self.settle();
                let held = self.handoffs.borrow_mut().take(key.slot);
                if let Some(held) = held {
                    self.release(&held);
                }
                handoff.take_event();
            }
            _ => {}
        }
        handoff.lease_has_ended();
        stage
    }

    /// What a target that is dead had read of a connection under its lease.
    pub(crate) fn journaled(&self, key: ExchangeKey) -> Option<Journaled> {
        self.front.borrow().journaled(key)
    }

    /// Ends all leases: no request that comes from here on is answered under one.
    pub(crate) fn end_leases(&self) {
        self.leases.epoch.end_leases();
        for handoff in self.handoffs.borrow().iter() {
            handoff.lease_is_to_end();
        }
    }
}

impl Handoff {
    /// Has the connection's task end its lease, if it has one.
    pub(crate) fn lease_is_to_end(&self) {
        if self.is_leased() && !self.has_event() {
            self.happen(Event::LeaseIsOver);
        }
    }
}
