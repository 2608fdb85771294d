//! Serving a client's connection: heads in, one exchange after the other, until one of the two ends it.
//!
//! ```text
//!   +----> rests ----(something arrives)----> is busy, in a frame ----> over, or HTTP/2
//!   |        what `Connection` holds              + the exchange's own memory
//!   +---------(nothing is here)-------------------+
//! ```
//!
//! Most connections of a front rest most of the time: then they are as little memory as can be.

mod busy;
mod frames;

use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ostler_config::HttpProtocols;
use tokio::io::AsyncReadExt;

use busy::After;

use crate::client_socket::{ClientSocket, Interest};
use crate::connection::Connection;
use crate::connection_counts::Counted;
use crate::http2;
use crate::tls::{ClientFacts, TlsSession};
use crate::watch::{NEXT_REQUEST, Watch};
use crate::worker::{Registered, Worker};

/// A connection that has been accepted, and shaken hands with if it speaks TLS.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) socket: OwnedFd,
    pub(crate) facts: ClientFacts,
    pub(crate) session: Option<TlsSession>,
    /// What may be spoken in clear text.
    pub(crate) protocols: HttpProtocols,
    pub(crate) counted: Counted,
}

/// A connection that is served from here on.
#[derive(Debug)]
pub(crate) struct Begun {
    connection: Box<Connection>,
    registered: Registered,
}

impl Begun {
    /// Makes the connection known to the thread; `None` where its socket cannot be waited on.
    pub(crate) fn new(worker: &Rc<Worker>, accepted: Accepted) -> Option<Self> {
        let Accepted {
            socket,
            facts,
            session,
            protocols,
            counted,
        } = accepted;
        // Over TLS the handshake has said what is spoken.
        let begins_with = match session {
            None => protocols,
            Some(_) => HttpProtocols::Http1,
        };
        let _ = ostler_shm::set_no_delay(std::os::fd::AsFd::as_fd(&socket));
        let client = ClientSocket::new(socket, facts, session).ok()?;
        let watch = Watch::new(client.socket(), client.facts().client, counted);
        let registered = worker.register(Rc::clone(&watch));
        let connection = Connection::new(client, Rc::clone(worker), watch, begins_with);
        Some(Self {
            connection: Box::new(connection),
            registered,
        })
    }

    /// Serves the connection until it is over: over its TLS session, if there is one.
    pub(crate) async fn serve(self) {
        let Self {
            mut connection,
            registered,
        } = self;
        // A request may have come with the end of the handshake, and be in the session already.
        let mut is_here = connection.client.tls().is_some();
        while is_here || connection.something_arrives().await {
            is_here = false;
            let after;
            (connection, after) = frames::in_one(connection).await;
            match after {
                After::Rests => {}
                After::Http2 => return Box::pin(connection.serve_http2(registered)).await,
                After::Over => return,
            }
        }
        Box::pin(connection.close()).await;
    }
}

impl Connection {
    /// Waits until something arrives, with nothing of a request here. False when that is over: by the
    /// deadline, or the front is stopping. Then a request that is on its way is waited for where it is the
    /// connection's first, or comes soon after the one before, or is in the socket already.
    async fn something_arrives(&mut self) -> bool {
        if self.client.set_interest(self.reading_interest()).is_err() {
            return false;
        }
        if !self.watch.has_deadline() {
            let longest = self.worker.limits().keep_alive_timeout;
            self.watch.set_deadline(Some(self.worker.now() + longest));
        }
        let (client, watch, worker) = (&self.client, &self.watch, &self.worker);
        let (is_last, last_used) = (&mut self.is_told_to_end, self.last_used);
        poll_fn(|cx| {
            if let Poll::Ready(readable) = client.poll_stirs(cx) {
                return Poll::Ready(readable.is_ok());
            }
            if watch.is_ending() && !std::mem::replace(is_last, true) {
                let now = worker.now();
                let is_in_use = |last| now.saturating_duration_since(last) < NEXT_REQUEST;
                let time = match last_used.is_none_or(is_in_use) {
                    true => NEXT_REQUEST,
                    false => Duration::ZERO,
                };
                watch.set_deadline(Some(now + time));
            }
            // What has just arrived may not have been told yet.
            if watch.is_expired(worker.now()) && !(*is_last && client.has_unread()) {
                return Poll::Ready(false);
            }
            watch.wake_by(cx.waker());
            Poll::Pending
        })
        .await
    }

    /// Waiting to write is not given up between two forwarded exchanges: registering costs.
    fn reading_interest(&self) -> Interest {
        match self.client.interest() {
            Interest::ReadsAndWrites => Interest::ReadsAndWrites,
            Interest::Reads | Interest::Breaks => Interest::Reads,
        }
    }

    /// The client's connection from here on is streams.
    async fn serve_http2(self: Box<Self>, registered: Registered) {
        let Self {
            client,
            worker,
            input,
            watch,
            ..
        } = *self;
        let Ok((socket, facts)) = client.into_socket() else {
            return;
        };
        let Ok(socket) = tokio::net::TcpStream::from_std(socket.into()) else {
            return;
        };
        let (reader, writer) = socket.into_split();
        let reader = std::io::Cursor::new(input).chain(reader);
        let io = tokio::io::join(reader, writer);
        http2::serve(worker, io, facts, watch, registered).await;
    }

    async fn close(&mut self) {
        self.client.close_records().await;
        // Targets hold the socket too, so closing it here would not end it.
        self.client.shutdown();
        self.forget_places();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queues::Handoff;

    fn size_of_future<A, F>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    /// What a front has of each connection that rests, beside what the runtime has. An exchange takes
    /// ten times as much.
    #[test]
    fn a_connection_that_rests_is_a_kilobyte() {
        let task = size_of_future(Begun::serve);
        let parts = [
            size_of::<Connection>(),
            size_of::<Watch>(),
            size_of::<Handoff>(),
            task,
        ];
        assert!(parts.iter().sum::<usize>() <= 1280, "{parts:?}");
        assert!(task <= 192, "{task}");
    }
}
