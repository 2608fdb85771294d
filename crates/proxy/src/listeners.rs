//! The listeners of one thread, begun and ended while the front runs, and the connections accepted from
//! each.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use slab::Slab;
use tokio::task::{AbortHandle, JoinHandle};

use crate::accept::{self, Incoming, Listener};
use crate::endpoint::{Endpoint, ThreadSocket};
use crate::slow_timer::TICK;
use crate::worker::Worker;

/// How long connections of an endpoint that is no longer listened on may go on (reference
/// B20.3).
const DRAIN: Duration = Duration::from_secs(5);

/// An endpoint, counted by the front.
pub(crate) type EndpointId = u64;

/// What a thread is to listen on, and what no longer.
#[derive(Debug)]
pub(crate) enum Change {
    Begin(EndpointId, Endpoint, Vec<ThreadSocket>),
    /// Confirmed when this thread's sockets are closed, so that others can take the address.
    End(EndpointId, std::sync::mpsc::Sender<()>),
}

/// What a thread listens on.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Vec<Accepting>);

#[derive(Debug)]
struct Accepting {
    id: EndpointId,
    endpoint: Rc<Endpoint>,
    listener: Rc<Listener>,
    /// Whether what waits on the socket is left to somebody else.
    is_shared: Arc<AtomicBool>,
    accept: JoinHandle<()>,
    open: Rc<EndpointConnections>,
}

/// An endpoint's connections on one thread.
#[derive(Debug, Default)]
struct EndpointConnections {
    tasks: RefCell<Slab<Option<AbortHandle>>>,
    /// They are to end, each with the exchange it is in.
    ending: Rc<Cell<bool>>,
}

impl EndpointConnections {
    /// Says whether they are to end.
    fn ending(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.ending)
    }
}

impl Listeners {
    /// Accepts from one socket more.
    fn begin(
        &mut self,
        worker: &Rc<Worker>,
        id: EndpointId,
        endpoint: &Rc<Endpoint>,
        socket: ThreadSocket,
    ) -> io::Result<()> {
        let (socket, is_shared) = socket.into_parts();
        let listener = Rc::new(Listener::new(socket)?);
        let open = Rc::<EndpointConnections>::default();
        let accepting = (Rc::clone(&listener), Rc::clone(endpoint), Rc::clone(&open));
        let accept = accept(Rc::clone(worker), accepting.0, accepting.1, accepting.2);
        self.0.push(Accepting {
            id,
            endpoint: Rc::clone(endpoint),
            listener,
            is_shared,
            accept: tokio::task::spawn_local(accept),
            open,
        });
        Ok(())
    }

    /// Does what the front says.
    pub(crate) async fn change(&mut self, worker: &Rc<Worker>, change: Change) {
        match change {
            Change::Begin(id, endpoint, sockets) => {
                let endpoint = Rc::new(endpoint);
                for socket in sockets {
                    if let Err(error) = self.begin(worker, id, &endpoint, socket) {
                        tracing::error!(%error, "cannot wait on a listener");
                    }
                }
            }
            Change::End(id, ended) => {
                let ending = self.0.extract_if(.., |listener| listener.id == id);
                for listener in ending.collect::<Vec<_>>() {
                    let open = Rc::clone(&listener.open);
                    let _ = tokio::time::timeout(DRAIN, listener.end(worker)).await;
                    tokio::task::spawn_local(drain(open));
                }
                // The front may have given up waiting.
                let _ = ended.send(());
            }
        }
    }

    /// Accepts nothing more. Connections stay.
    pub(crate) async fn end(&mut self, worker: &Rc<Worker>) {
        for listener in &self.0 {
            listener.open.ending.set(true);
        }
        for listener in self.0.drain(..) {
            listener.end(worker).await;
        }
    }
}

impl Accepting {
    /// Closes the socket. What waits on it is accepted first, unless somebody else will: where this is the
    /// last descriptor of it, the kernel resets them.
    async fn end(mut self, worker: &Rc<Worker>) {
        self.open.ending.set(true);
        self.accept.abort();
        let _ = (&mut self.accept).await;
        if !self.is_shared.load(Ordering::Acquire) {
            self.accept_waiting(worker).await;
        }
        // At once: what is made from here on is lost.
        drop(self.listener);
        worker.check(true);
    }

    /// Accepts all connections that the kernel has made. Where descriptors are short, those of connections
    /// that end are waited for.
    async fn accept_waiting(&self, worker: &Rc<Worker>) {
        loop {
            match self.listener.try_accept() {
                Ok(incoming) => accepted(worker, incoming, &self.endpoint, &self.open),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) if is_short(&error) => {
                    worker.check(true);
                    tokio::time::sleep(TICK).await;
                }
                Err(_) => return,
            }
        }
    }
}

/// Whether one connection only is lost: others may wait behind it (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    let of_one = [ErrorKind::ConnectionAborted, ErrorKind::PermissionDenied];
    of_one.contains(&error.kind())
}

/// Whether descriptors, or memory for them, are short.
fn is_short(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| short.contains(&error))
}

/// Accepts connections of an endpoint, which are among those that are `open` while they last.
async fn accept(
    worker: Rc<Worker>,
    listener: Rc<Listener>,
    endpoint: Rc<Endpoint>,
    open: Rc<EndpointConnections>,
) {
    let descriptors = worker.descriptors();
    let mut short = false;
    loop {
        // What is accepted beyond what clients are given is of the reserve: no more of it, then.
        while short {
            tokio::time::sleep(TICK).await;
            short = descriptors.are_short(listener.as_fd());
        }
        match listener.accept().await {
            Ok(incoming) => {
                if descriptors.are_reserved(incoming.as_fd()) {
                    short = descriptors.are_short(listener.as_fd());
                }
                accepted(&worker, incoming, &endpoint, &open);
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(TICK).await;
                short = descriptors.are_short(listener.as_fd());
            }
        }
    }
}

/// Serves a connection, in a task of its own.
fn accepted(
    worker: &Rc<Worker>,
    incoming: Incoming,
    endpoint: &Rc<Endpoint>,
    open: &Rc<EndpointConnections>,
) {
    match worker.counts().admit(&worker.limits()) {
        Ok(mut counted) => {
            counted.begin(open.ending(), worker.one_begins());
            if let Some(metrics) = worker.metrics() {
                counted.measure(metrics);
            }
            let (worker, endpoint) = (Rc::clone(worker), Rc::clone(endpoint));
            spawn(open, accept::serve(worker, endpoint, incoming, counted));
        }
        Err(refused) => {
            let client = incoming.peer;
            worker.refused(refused);
            tracing::debug!(?client, ?refused, "a connection is closed at once");
        }
    }
}

async fn drain(open: Rc<EndpointConnections>) {
    if open.tasks.borrow().is_empty() {
        return;
    }
    tokio::time::sleep(DRAIN).await;
    for (_, task) in open.tasks.borrow().iter() {
        if let Some(task) = task {
            task.abort();
        }
    }
}

/// Runs a connection as one of its endpoint's.
fn spawn(open: &Rc<EndpointConnections>, serve: impl Future<Output = ()> + 'static) {
    let at = open.tasks.borrow_mut().insert(None);
    let counted = Counted {
        open: Rc::clone(open),
        at,
    };
    let task = tokio::task::spawn_local(async move {
        let _counted = counted;
        serve.await;
    });
    if let Some(entry) = open.tasks.borrow_mut().get_mut(at) {
        *entry = Some(task.abort_handle());
    }
}

/// A connection's place among its endpoint's; given up with its task.
struct Counted {
    open: Rc<EndpointConnections>,
    at: usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Not while the others are walked through: aborting only marks a task of this thread.
        self.open.tasks.borrow_mut().try_remove(self.at);
    }
}
