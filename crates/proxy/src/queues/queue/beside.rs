//! Relayed connections to instances that are otherwise delegated to, for exchanges whose responses
//! must pass through the front.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use ostler_delegation::{ChannelError, DelegationRule};

use super::joining::WELCOME_TIMEOUT;
use super::{Channel, Passed, Queue, Taker};
use crate::queues::relay::RelayTarget;

impl Queue {
    /// The channel's instance as one that is relayed to; opened when first asked for.
    pub(crate) async fn relay_beside(
        self: &Rc<Self>,
        channel: &Channel,
    ) -> Result<Rc<RelayTarget>, ChannelError> {
        if let Some(there) = self.beside(channel.id()) {
            return Ok(there);
        }
        let id = channel.id().to_owned();
        let control = self.folder.connect(&id)?;
        let instance = self.shared.instance(&id);
        let target = RelayTarget::hello(id, control, instance, Arc::clone(self.counts()))?;
        match tokio::time::timeout(WELCOME_TIMEOUT, target.welcomed()).await {
            Ok(welcomed) => welcomed?,
            Err(elapsed) => return Err(std::io::Error::from(elapsed).into()),
        }
        // Another exchange may have been quicker.
        if let Some(there) = self.beside(channel.id()) {
            return Ok(there);
        }
        tracing::info!(
            queue = %self.name,
            instance = channel.id(),
            transforms_responses = channel.transforms_responses(),
            "a target is also relayed to"
        );
        self.beside.borrow_mut().push(Rc::clone(&target));
        let queue = Rc::downgrade(self);
        target.run(move || {
            if let Some(queue) = queue.upgrade() {
                queue.beside.borrow_mut().retain(|one| !one.is_dead());
            }
        });
        Ok(target)
    }

    /// Another instance for a request that was relayed to `failed` in vain, if one is there now.
    pub(crate) async fn relayed_instead(
        self: &Rc<Self>,
        rule: &DelegationRule,
        failed: &str,
    ) -> Option<Rc<RelayTarget>> {
        let mut passed = Passed::default();
        passed.full(failed);
        match self.taker(rule, &passed).ok()? {
            Taker::Relay(target) => Some(target),
            Taker::Channel(channel) => self.relay_beside(&channel).await.ok(),
            Taker::Nobody => None,
        }
    }

    /// Closes relayed connections that nobody has used for a while.
    pub(crate) fn sweep(&self, now: Instant) {
        for relays in [&self.relays, &self.beside] {
            for relay in relays.borrow().iter() {
                relay.sweep(now);
            }
        }
    }

    fn beside(&self, id: &str) -> Option<Rc<RelayTarget>> {
        let beside = self.beside.borrow();
        let found = beside.iter().find(|one| one.id() == id && one.is_open());
        found.map(Rc::clone)
    }
}
