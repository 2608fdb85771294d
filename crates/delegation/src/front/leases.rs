//! Leases of a channel, the front's end: what ends them, and what a target that died had read under one.

use std::sync::Arc;

use ostler_shm::{Journaled, OwnRegion, full_fence};

use super::{FrontChannel, SlotState};
use crate::LEASES_MINOR;
use crate::entry::{self, Completed, ExchangeKey};
use crate::error::ChannelError;
use crate::handover::{Stage, lease_ended_byte};

/// Which leases of a channel stand, for any thread to end them.
#[derive(Debug, Clone)]
pub struct LeaseEpoch(Arc<OwnRegion>);

impl LeaseEpoch {
    /// The number under which a lease is granted now. To be asked before it is looked whether what the
    /// lease is granted by is still in force.
    pub fn current(&self) -> u64 {
        self.0.lease_epoch()
    }

    /// Ends all leases granted so far: whatever their targets read from here on comes back unanswered. What
    /// they have begun they finish.
    pub fn end_leases(&self) {
        self.0.end_leases();
    }
}

impl FrontChannel {
    /// Whether the target reads on by itself where it may.
    pub fn speaks_leases(&self) -> bool {
        self.welcome.minor >= LEASES_MINOR && self.journal.is_some()
    }

    /// Which leases stand.
    pub fn lease_epoch(&self) -> LeaseEpoch {
        LeaseEpoch(Arc::clone(&self.own))
    }

    /// Whether the slot's exchange has been given a lease.
    pub(super) fn is_leased(&self, key: ExchangeKey) -> bool {
        let slot = self.slots.get(key.slot as usize);
        slot.is_some_and(|slot| slot.has_lease && slot.exchange == key.exchange)
    }

    /// Ends a connection's lease, and says how far the target is.
    ///
    /// *Resting*: the connection is back for certain, its slot is spent, and the target touches it no more.
    /// *Reading*: what it reads it hands back or answers; either is told. Else it answers what it has begun,
    /// and reads nothing behind that: what the client sends next is the front's to read.
    pub fn end_lease(&mut self, key: ExchangeKey) -> Stage {
        let at = key.slot as usize;
        self.own.set_slot(at, lease_ended_byte(key.exchange));
        // Pairs with the fence in `TargetShared::begin_reading`: of the two sides, each storing its byte
        // and then reading the other's, at least one sees both.
        full_fence();
        let stage = self.stage(key);
        let is_under_way = self.slots.get(at).is_some_and(|slot| {
            (slot.generation, slot.exchange, slot.state)
                == (key.generation, key.exchange, SlotState::InFlight)
        });
        if stage == Stage::Resting && is_under_way {
            self.abandon(key);
            self.defer(entry::closed(key.slot, key.generation));
        }
        stage
    }

    /// What a target that is dead has read under a connection's lease, and may not have begun.
    pub fn journaled(&self, key: ExchangeKey) -> Option<Journaled> {
        let journal = self.journal.as_ref()?;
        journal.find([key.slot, key.generation, key.exchange])
    }

    /// Checks what the target tells of an exchange under a lease.
    pub(super) fn check_told(&self, told: &Completed) -> Result<(), ChannelError> {
        let key = told.key;
        let slot = self.slots.get(key.slot as usize);
        let is_known = slot.is_some_and(|slot| {
            (slot.generation, slot.exchange) == (key.generation, key.exchange)
                && slot.has_lease
                && matches!(slot.state, SlotState::InFlight | SlotState::Abandoned)
        });
        is_known.then_some(()).ok_or(ChannelError::UnknownExchange {
            slot: key.slot,
            exchange: key.exchange,
        })
    }
}
