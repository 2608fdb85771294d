//! Instances of a queue: finding them, opening channels to them, losing them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ostler_delegation::ChannelError;
use ostler_delegation::front::{FrontChannel, Opening};
use ostler_readiness::readable;
use ostler_shm::ControlSocket;
use tokio::io::unix::AsyncFd;

use super::Queue;
use crate::error_chain::Chain;
use crate::queues::channel::Channel;
use crate::queues::instance::Presence;
use crate::queues::relay::RelayTarget;

/// When an instance that did not open a channel is asked again: at every turn would be a spin.
const RETRY: Duration = Duration::from_secs(1);
/// How long an instance may take to welcome a front.
pub(super) const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);

impl Queue {
    /// Connects to instances that are not known yet.
    pub(super) fn scan(self: &Rc<Self>) {
        let mut trouble = None;
        match self.folder.properties() {
            Ok(Some(properties)) => {
                self.shared.see(Some(&properties));
                self.properties.replace(properties);
            }
            Ok(None) => return,
            Err(error) => trouble = Some(Chain(&error).to_string()),
        }
        let instances = self.folder.instances();
        self.refused
            .borrow_mut()
            .retain(|id, _| instances.contains(id));
        let refused = self.refused.borrow().values().next().cloned();
        trouble = trouble.or_else(|| refused.clone());
        self.denied.replace(refused);
        for id in instances {
            if self.known.borrow().contains(&id) || self.failed.borrow().contains_key(&id) {
                continue;
            }
            match self.connect(&id) {
                Ok(()) => {
                    self.known.borrow_mut().insert(id);
                }
                Err(error) if is_dead(&error) => {}
                Err(error) => {
                    let reason = format!("instance {id}: {}", Chain(&error));
                    if is_denied(&error) {
                        self.denied.replace(Some(reason.clone()));
                    }
                    trouble.get_or_insert(reason);
                }
            }
        }
        self.shared.tell_trouble(&self.name, trouble);
    }

    fn connect(self: &Rc<Self>, id: &str) -> Result<(), ChannelError> {
        let control = self.folder.connect(id)?;
        let peer = control.peer_credentials()?;
        let queue = Rc::downgrade(self);
        let id = id.to_owned();
        if self.registry.trust.includes(peer.uid) {
            let opening = Opening::start(control, self.registry.ring_capacity)?;
            tokio::task::spawn_local(async move {
                let result = tokio::time::timeout(WELCOME_TIMEOUT, welcomed(opening)).await;
                let Some(queue) = queue.upgrade() else { return };
                match result {
                    Ok(Ok(front)) => queue.add_channel(&id, front),
                    Ok(Err(error)) => queue.forget(&id, &error),
                    Err(elapsed) => queue.forget(&id, &elapsed),
                }
            });
        } else {
            let relay = RelayTarget::hello(
                id.clone(),
                control,
                self.shared.instance(&id),
                Arc::clone(self.counts()),
            )?;
            tokio::task::spawn_local(async move {
                let result = tokio::time::timeout(WELCOME_TIMEOUT, relay.welcomed()).await;
                let Some(queue) = queue.upgrade() else { return };
                match result {
                    Ok(Ok(())) => queue.add_relay(relay, peer.uid),
                    Ok(Err(error)) => queue.forget(&id, &error),
                    Err(elapsed) => queue.forget(&id, &elapsed),
                }
            });
        }
        Ok(())
    }

    fn add_channel(self: &Rc<Self>, id: &str, front: FrontChannel) {
        let instance = self.shared.instance(id);
        let is_news = instance.is_news(Presence::Joined);
        let channel = Channel::new(id.to_owned(), front, instance, self);
        if is_news {
            tracing::info!(queue = %self.name, instance = id, pid = channel.pid(), "a target joins, delegated to");
        }
        self.channels.borrow_mut().push(Rc::clone(&channel));
        let queue = Rc::downgrade(self);
        tokio::task::spawn_local(channel.drive(move || {
            if let Some(queue) = queue.upgrade() {
                queue.update();
            }
        }));
        self.joined(id);
    }

    fn add_relay(self: &Rc<Self>, relay: Rc<RelayTarget>, uid: u32) {
        if relay.instance().is_news(Presence::Joined) {
            tracing::info!(queue = %self.name, instance = relay.id(), uid, "a target of an untrusted user joins, relayed to");
        }
        let id = relay.id().to_owned();
        self.relays.borrow_mut().push(Rc::clone(&relay));
        let queue = Rc::downgrade(self);
        relay.run(move || {
            if let Some(queue) = queue.upgrade() {
                queue.update();
            }
        });
        self.joined(&id);
    }

    fn joined(&self, id: &str) {
        self.refused.borrow_mut().remove(id);
        self.unsteady.set(false);
        self.shared.tell_served(&self.name);
        self.note_siblings();
        self.call();
    }

    /// An instance's state has changed.
    fn update(&self) {
        let mut known = self.known.borrow_mut();
        let mut left = false;
        self.channels.borrow_mut().retain(|channel| {
            let stays = !channel.is_dead();
            if !stays {
                known.remove(channel.id());
                left = true;
            }
            stays
        });
        self.relays.borrow_mut().retain(|relay| {
            let stays = !relay.is_dead();
            if !stays {
                known.remove(relay.id());
                left = true;
                if relay.instance().is_news(Presence::Gone) {
                    tracing::info!(queue = %self.name, instance = relay.id(), "a target has left");
                }
            }
            stays
        });
        drop(known);
        if left {
            self.shared.see(None);
        }
        self.note_siblings();
        self.call();
    }

    fn forget(&self, id: &str, error: &(dyn std::error::Error + 'static)) {
        if let Some(ChannelError::Refused(_)) = error.downcast_ref() {
            let reason = format!("instance {id}: {}", Chain(error));
            self.refused.borrow_mut().insert(id.to_owned(), reason);
        }
        self.known.borrow_mut().remove(id);
        let again = crate::clock::now() + RETRY;
        self.failed.borrow_mut().insert(id.to_owned(), again);
        if !self.unsteady.replace(true) {
            tracing::warn!(queue = %self.name, instance = id, error = %Chain(error), "a target does not open a channel");
        }
        self.call();
    }

    /// Asks those that did not open a channel again, when it is time.
    pub(super) fn retry(self: &Rc<Self>, now: Instant) {
        if !self.failed.borrow().is_empty() {
            self.failed.borrow_mut().retain(|_, again| now < *again);
            self.scan();
        }
    }
}

async fn welcomed(mut opening: Opening) -> Result<FrontChannel, ChannelError> {
    let control = watch_control(opening.control())?;
    loop {
        match opening.try_finish()? {
            Ok(front) => return Ok(front),
            Err(again) => opening = again,
        }
        control.readable().await?.clear_ready();
    }
}

/// A second descriptor of a control socket, registered for reading.
pub(in crate::queues) fn watch_control(control: &ControlSocket) -> io::Result<AsyncFd<OwnedFd>> {
    readable(control.as_fd().try_clone_to_owned()?)
}

fn is_dead(error: &ChannelError) -> bool {
    let kinds = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound];
    matches!(error, ChannelError::Io(error) if kinds.contains(&error.kind()))
}

fn is_denied(error: &ChannelError) -> bool {
    matches!(error, ChannelError::Io(error) if error.kind() == io::ErrorKind::PermissionDenied)
}
