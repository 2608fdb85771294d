//! Relayed connections to instances that are otherwise delegated to, for exchanges whose responses
//! must pass through the front.

use std::rc::Rc;

use ostler_delegation::ChannelError;

use super::{Channel, Queue, WELCOME_TIMEOUT};
use crate::delegation::relay::RelayTarget;

impl Queue {
    /// The channel's instance as one that is relayed to; opened when first asked for.
    pub(in crate::delegation) async fn relay_beside(
        self: &Rc<Self>,
        channel: &Channel,
    ) -> Result<Rc<RelayTarget>, ChannelError> {
        if let Some(there) = self.beside(channel.id()) {
            return Ok(there);
        }
        let id = channel.id().to_owned();
        let control = self.folder.connect(&id)?;
        let load = self.load_of(&id);
        let target = RelayTarget::hello(id, control, load)?;
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
        tokio::task::spawn_local(Rc::clone(&target).drive(move || {
            if let Some(queue) = queue.upgrade() {
                queue.beside.borrow_mut().retain(|one| !one.is_dead());
            }
        }));
        Ok(target)
    }

    fn beside(&self, id: &str) -> Option<Rc<RelayTarget>> {
        let beside = self.beside.borrow();
        let found = beside.iter().find(|one| one.id() == id && one.is_open());
        found.map(Rc::clone)
    }
}
