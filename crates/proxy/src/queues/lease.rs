//! What the front keeps of a lease: by what it was granted, and what is told of its exchanges.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use ostler_delegation::Stage;
use ostler_delegation::entry::Completed;
use ostler_model::{ClusterState, DestinationSnapshot};

use crate::account::LeasedAccounts;

/// After so many looks, one a tick, a connection on which nothing has happened goes back to the front, which
/// keeps idle ones.
const IDLE: u32 = 10;
/// And after so many one whose target is at one request: while it is, the front watches the client, as it
/// does of any other exchange.
const LONG: u32 = 3;

/// A lease that a connection's target has been granted.
#[derive(Debug)]
pub(crate) struct Lease {
    /// What is told of its exchanges.
    pub(crate) accounts: LeasedAccounts,
    /// It stands for as long as this is the channel's.
    pub(crate) epoch: u64,
    pub(crate) cluster: Arc<ClusterState>,
    /// The cluster's destinations when it was granted.
    pub(crate) destinations: Arc<DestinationSnapshot>,
    pub(crate) socket: Rc<OwnedFd>,
    /// Exchanges told of, the one that it was granted with included.
    pub(crate) told: u32,
    /// The front has ended it, and reads what the client sends.
    pub(crate) has_ended: bool,
    pub(crate) seen: Seen,
}

/// What was found when it was looked at last.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    told: u32,
    /// Looks since.
    quiet: u32,
}

impl Lease {
    /// Tells of an exchange behind the one that it was granted with.
    pub(super) fn tell(&self, told: &Completed) {
        self.accounts.tell(told);
    }

    /// Looks whether it is to end, when its target is that far: once a tick.
    pub(super) fn is_to_end(&mut self, stage: Stage, epoch: u64) -> bool {
        if self.has_ended {
            // The target is to hand it back, and does not.
            return stage == Stage::Resting;
        }
        if self.seen.told != self.told {
            self.seen = Seen {
                told: self.told,
                quiet: 0,
            };
        } else {
            self.seen.quiet += 1;
        }
        let quiet = self.seen.quiet;
        let is_outdated =
            self.epoch != epoch || !Arc::ptr_eq(&self.cluster.destinations(), &self.destinations);
        is_outdated
            || match stage {
                // Its target does not read what is there, and somebody else may.
                Stage::Resting => quiet >= IDLE || (quiet > 0 && self.is_unread()),
                Stage::Queued | Stage::Reading | Stage::Received { .. } | Stage::Responding => {
                    quiet >= LONG
                }
            }
    }

    fn is_unread(&self) -> bool {
        ostler_shm::unread_bytes(self.socket.as_fd()).is_ok_and(|unread| unread > 0)
    }
}
