//! Targets that may not hold a client's socket: the front speaks HTTP/1.1 to them over sockets of its
//! own, which all clients of a thread share. Each request says whose it is.

use std::cell::{Cell, RefCell};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::Response;
use http::header::{HeaderName, HeaderValue, TE};
use http::request::Parts;
use ostler_delegation::control::{FrontMessage, TargetMessage};
use ostler_delegation::handover::is_idempotent;
use ostler_delegation::relayed_client::CLIENT_FIELD;
use ostler_delegation::{
    ChannelError, FORWARDED_CLIENTS_MINOR, PROTOCOL_MINOR, SHARED_RELAY_MINOR, WireError,
};
use ostler_shm::{ControlSocket, ReceiveError};

use tokio::task::AbortHandle;

use super::instance::Instance;
use super::queue::watch_control;
use crate::destinations::{
    ForwardBody, Interim, NotRelayed, RelayedConnections, ResponseBody, SendError,
};
use crate::metrics::{QueueCells, QueueEvent};
use crate::tls::{ClientFacts, TlsFacts};

const CLIENT: HeaderName = HeaderName::from_static(CLIENT_FIELD);

/// An instance that is relayed to. No memory is shared with it.
#[derive(Debug)]
pub(crate) struct RelayTarget {
    id: String,
    control: ControlSocket,
    url_prefixes: RefCell<Vec<String>>,
    instance: Arc<Instance>,
    counts: Arc<QueueCells>,
    /// Follows what the target says; while it is one of a queue's.
    task: RefCell<Option<AbortHandle>>,
    /// Connections for any client.
    shared: Rc<RelayedConnections>,
    /// What the target speaks, as its welcome says.
    minor: Cell<u8>,
    draining: Cell<bool>,
    dead: Cell<bool>,
}

/// A client's own connections, to targets that know of none but a single client's.
#[derive(Debug, Default)]
pub(crate) struct RelayPlaces(RefCell<Vec<(Rc<RelayTarget>, Rc<RelayedConnections>)>>);

impl RelayPlaces {
    /// The connections to this target that the client may use: everybody's where the target knows
    /// shared ones. Else those of one whose connection carries requests of others are used once.
    pub(crate) fn of(
        &self,
        target: &Rc<RelayTarget>,
        facts: &ClientFacts,
    ) -> Rc<RelayedConnections> {
        if target.is_shared() {
            return Rc::clone(&target.shared);
        }
        if facts.forwarded().is_some() {
            return Rc::default();
        }
        let mut places = self.0.borrow_mut();
        places.retain(|(target, _)| !target.is_dead());
        let known = places.iter().find(|(known, _)| Rc::ptr_eq(known, target));
        match known {
            Some((_, connections)) => Rc::clone(connections),
            None => {
                let connections = Rc::new(RelayedConnections::default());
                places.push((Rc::clone(target), Rc::clone(&connections)));
                connections
            }
        }
    }
}

/// Counts an exchange at its instance.
#[derive(Debug)]
pub(crate) struct RelayGuard(Rc<RelayTarget>);

impl Drop for RelayGuard {
    fn drop(&mut self) {
        self.0.instance.end();
    }
}

impl RelayTarget {
    pub(crate) fn hello(
        id: String,
        control: ControlSocket,
        instance: Arc<Instance>,
        counts: Arc<QueueCells>,
    ) -> Result<Rc<Self>, ChannelError> {
        control.send(
            &FrontMessage::HelloRelay {
                minor: PROTOCOL_MINOR,
                pid: std::process::id(),
            }
            .encode(),
            &[],
        )?;
        Ok(Rc::new(Self {
            id,
            control,
            url_prefixes: RefCell::default(),
            instance,
            counts,
            task: RefCell::default(),
            shared: Rc::default(),
            minor: Cell::new(0),
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
                Err(_) => self.die(),
            }
        }
        !self.dead.get() && !self.draining.get()
    }

    fn take(&self, message: TargetMessage) {
        match message {
            TargetMessage::Draining => {
                self.draining.set(true);
                self.instance.set_draining();
                self.shared.close();
            }
            TargetMessage::Prefixes { url_prefixes } => {
                self.url_prefixes.replace(url_prefixes);
            }
            _ => {}
        }
    }

    fn die(&self) {
        if self.dead.replace(true) {
            return;
        }
        self.shared.close();
        if self.task.borrow().is_some() {
            self.instance.detach();
        }
    }

    /// No further exchange comes; those under way have their connections.
    pub(crate) fn retire(&self) {
        // A target that does not read it sees the socket close soon after.
        let _ = self.control.send(&FrontMessage::Goodbye.encode(), &[]);
        self.die();
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    /// Follows what the target says, on this thread. Calls `changed` when that changes anything.
    pub(crate) fn run(self: &Rc<Self>, changed: impl Fn() + 'static) {
        self.instance.attach();
        let task = tokio::task::spawn_local(Rc::clone(self).drive(changed));
        self.task.replace(Some(task.abort_handle()));
    }

    /// What all threads know of the target.
    pub(crate) fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Closes connections that nobody has used for a while.
    pub(crate) fn sweep(&self, now: Instant) {
        self.shared.sweep(now);
    }

    /// Whether a connection carries requests of any client.
    fn is_shared(&self) -> bool {
        self.minor.get() >= SHARED_RELAY_MINOR
    }

    /// Whether a request may say that its client has asked by another scheme than its connection shows.
    fn knows_schemes(&self) -> bool {
        self.minor.get() >= FORWARDED_CLIENTS_MINOR
    }

    /// Whether a request without a body that it has said nothing of may be given to another
    /// instance: one that stops does not begin it, and of one that died nobody knows (the failure
    /// table's row "target dies").
    pub(crate) fn may_have_left_out(&self, method: &str) -> bool {
        !self.is_open() && (self.draining.get() || is_idempotent(method))
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.get()
    }

    pub(crate) fn load(&self) -> usize {
        self.instance.load()
    }

    pub(crate) fn url_prefixes(&self) -> Vec<String> {
        self.url_prefixes.borrow().clone()
    }

    pub(crate) fn begin(self: &Rc<Self>) -> RelayGuard {
        self.instance.begin();
        self.counts.count(QueueEvent::Given);
        RelayGuard(Rc::clone(self))
    }

    /// Waits for the target's welcome.
    pub(crate) async fn welcomed(&self) -> Result<(), ChannelError> {
        let control = watch_control(&self.control)?;
        loop {
            match self.receive()? {
                Some(TargetMessage::Welcome { minor, .. }) if minor > PROTOCOL_MINOR => {
                    return Err(WireError::Invalid("the minor version of a welcome").into());
                }
                Some(TargetMessage::Welcome {
                    minor,
                    url_prefixes,
                    ..
                }) => {
                    self.minor.set(minor);
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

    /// Sends a client's request over one of `connections`.
    pub(crate) async fn send(
        &self,
        connections: &Rc<RelayedConnections>,
        make: &dyn Fn() -> Option<Parts>,
        body: ForwardBody,
        facts: &ClientFacts,
        interim: &Interim,
    ) -> Result<Response<ResponseBody>, NotRelayed> {
        let make = || {
            let mut parts = make()?;
            if self.is_shared() {
                let sent_te = parts.headers.contains_key(TE);
                parts
                    .headers
                    .insert(CLIENT, facts.told(sent_te, self.knows_schemes()));
                // What trailers the application sends can be passed on (RFC 9110 section 6.5.1).
                parts
                    .headers
                    .insert(TE, HeaderValue::from_static("trailers"));
            }
            Some(parts)
        };
        let connect = || self.connect(facts).map_err(SendError::of);
        connections.send(&make, body, &connect, interim).await
    }

    /// Opens a connection, for any client or, where the target does not know such, for this one.
    fn connect(&self, facts: &ClientFacts) -> Result<UnixStream, ChannelError> {
        let (ours, theirs) = UnixStream::pair()?;
        let message = match self.is_shared() {
            true => FrontMessage::SharedRelayConnection,
            false => FrontMessage::RelayConnection {
                facts: facts.connection,
                tls: facts.tls.as_deref().map(TlsFacts::to_target),
            },
        };
        self.control.send(&message.encode(), &[theirs.as_fd()])?;
        Ok(ours)
    }

    /// Watches the control socket until the target is gone.
    async fn drive(self: Rc<Self>, changed: impl Fn()) {
        let Ok(control) = watch_control(&self.control) else {
            self.die();
            return changed();
        };
        while !self.dead.get() {
            match self.receive() {
                Ok(None) => match control.readable().await {
                    Ok(mut guard) => guard.clear_ready(),
                    Err(_) => self.die(),
                },
                Ok(Some(message)) => {
                    self.take(message);
                    changed();
                }
                Err(_) => self.die(),
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
