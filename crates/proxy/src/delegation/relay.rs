//! Targets that may not hold a client's socket: the front speaks HTTP/1.1 to them over a socket of
//! its own, one for each client connection.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ostler_delegation::ChannelError;
use ostler_delegation::control::{FrontMessage, TargetMessage};
use ostler_shm::{ControlSocket, ReceiveError};

use super::queue::watch_control;
use crate::forwarder::{Sender, handshake};
use crate::tls::{ClientFacts, TlsFacts};

/// An instance that is relayed to. No memory is shared with it.
#[derive(Debug)]
pub(crate) struct RelayTarget {
    id: String,
    control: ControlSocket,
    url_prefixes: RefCell<Vec<String>>,
    load: Arc<AtomicUsize>,
    draining: Cell<bool>,
    dead: Cell<bool>,
}

/// A client connection's own connection to a relayed target.
#[derive(Debug)]
pub(crate) struct RelayPlace {
    pub(crate) target: Rc<RelayTarget>,
    pub(crate) sender: Sender,
}

/// The connections to relayed targets that are open for a client and carry nothing now.
#[derive(Debug, Default)]
pub(crate) struct RelayPlaces(RefCell<Vec<RelayPlace>>);

impl RelayPlaces {
    /// One to this target, opened where there is none.
    pub(crate) async fn take(
        &self,
        target: &Rc<RelayTarget>,
        facts: &ClientFacts,
    ) -> Result<RelayPlace, ChannelError> {
        let idle = {
            let mut places = self.0.borrow_mut();
            places.retain(|place| !place.target.is_dead() && place.sender.is_open());
            let at = places
                .iter()
                .position(|place| Rc::ptr_eq(&place.target, target));
            at.map(|at| places.swap_remove(at))
        };
        match idle {
            Some(place) => Ok(place),
            None => target.connect(facts).await,
        }
    }

    /// Gives back one whose exchange is over.
    pub(crate) fn give_back(&self, place: RelayPlace) {
        self.0.borrow_mut().push(place);
    }
}

/// Counts an exchange at its instance.
#[derive(Debug)]
pub(crate) struct RelayGuard(Rc<RelayTarget>);

impl Drop for RelayGuard {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}

impl RelayTarget {
    pub(crate) fn hello(
        id: String,
        control: ControlSocket,
        load: Arc<AtomicUsize>,
    ) -> Result<Rc<Self>, ChannelError> {
        control.send(
            &FrontMessage::HelloRelay {
                pid: std::process::id(),
            }
            .encode(),
            &[],
        )?;
        Ok(Rc::new(Self {
            id,
            control,
            url_prefixes: RefCell::default(),
            load,
            draining: Cell::new(false),
            dead: Cell::new(false),
        }))
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whether it takes exchanges. What it said last is looked at first: an exchange given to one
    /// that has just died would be lost.
    pub(crate) fn is_open(&self) -> bool {
        const FEW: usize = 16;
        for _ in 0..FEW {
            match self.receive() {
                Ok(Some(message)) => self.take(message),
                Ok(None) => break,
                Err(_) => self.dead.set(true),
            }
        }
        !self.dead.get() && !self.draining.get()
    }

    fn take(&self, message: TargetMessage) {
        match message {
            TargetMessage::Draining => self.draining.set(true),
            TargetMessage::Prefixes { url_prefixes } => {
                self.url_prefixes.replace(url_prefixes);
            }
            _ => {}
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.get()
    }

    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    pub(crate) fn url_prefixes(&self) -> Vec<String> {
        self.url_prefixes.borrow().clone()
    }

    pub(crate) fn begin(self: &Rc<Self>) -> RelayGuard {
        self.load.fetch_add(1, Ordering::Relaxed);
        RelayGuard(Rc::clone(self))
    }

    /// Waits for the target's welcome.
    pub(crate) async fn welcomed(&self) -> Result<(), ChannelError> {
        let control = watch_control(&self.control)?;
        loop {
            match self.receive()? {
                Some(TargetMessage::Welcome { url_prefixes, .. }) => {
                    self.url_prefixes.replace(url_prefixes);
                    return Ok(());
                }
                Some(TargetMessage::Refused { reason }) => {
                    return Err(ChannelError::Refused(reason));
                }
                Some(_) => {}
                None => control.readable().await?.clear_ready(),
            }
        }
    }

    /// Opens a connection for a client.
    pub(crate) async fn connect(
        self: &Rc<Self>,
        facts: &ClientFacts,
    ) -> Result<RelayPlace, ChannelError> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        let message = FrontMessage::RelayConnection {
            facts: facts.connection,
            tls: facts.tls.as_deref().map(TlsFacts::to_target),
        };
        self.control.send(&message.encode(), &[theirs.as_fd()])?;
        ours.set_nonblocking(true)?;
        let ours = tokio::net::UnixStream::from_std(ours)?;
        let sender = handshake(ours)
            .await
            .map_err(|error| ChannelError::Io(io::Error::other(error)))?;
        Ok(RelayPlace {
            target: Rc::clone(self),
            sender,
        })
    }

    /// Watches the control socket until the target is gone.
    pub(crate) async fn drive(self: Rc<Self>, changed: impl Fn()) {
        let Ok(control) = watch_control(&self.control) else {
            self.dead.set(true);
            return changed();
        };
        while !self.dead.get() {
            match self.receive() {
                Ok(None) => match control.readable().await {
                    Ok(mut guard) => guard.clear_ready(),
                    Err(_) => self.dead.set(true),
                },
                Ok(Some(message)) => {
                    self.take(message);
                    changed();
                }
                Err(_) => self.dead.set(true),
            }
            // Whoever talks without end does not keep the thread from its other work.
            tokio::task::yield_now().await;
        }
        changed();
    }

    fn receive(&self) -> Result<Option<TargetMessage>, ChannelError> {
        let mut packet = Vec::new();
        match self.control.receive(&mut packet) {
            Ok(_) => Ok(Some(TargetMessage::decode(&packet)?)),
            Err(ReceiveError::WouldBlock) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
