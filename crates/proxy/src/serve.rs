//! Serving a client's connection: heads in, one exchange after the other, until one of the two ends it.

use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ostler_config::HttpProtocols;
use ostler_http1::{HeadProgress, RequestHead};
use tokio::io::AsyncReadExt;

use crate::answer::{self, Why};
use crate::client_side::{AfterExchange, ClientSide};
use crate::client_socket::{ClientSocket, Interest, READ};
use crate::connection::Connection;
use crate::connection_counts::Counted;
use crate::exchange::exchange;
use crate::http2::{self, Preface};
use crate::tls::{ClientFacts, TlsSession};
use crate::watch::{NEXT_REQUEST, Watch};
use crate::worker::Worker;

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

/// Serves a connection until it is over: over its TLS session, if there is one.
pub(crate) async fn serve(worker: Rc<Worker>, accepted: Accepted) {
    let Accepted {
        socket,
        facts,
        session,
        protocols,
        counted,
    } = accepted;
    // Over TLS the handshake has said what is spoken.
    let mut begins_with = match session {
        None => protocols,
        Some(_) => HttpProtocols::Http1,
    };
    let _ = ostler_shm::set_no_delay(std::os::fd::AsFd::as_fd(&socket));
    let Ok(client) = ClientSocket::new(socket, facts, session) else {
        return;
    };
    let watch = Watch::new(client.socket(), client.facts().client, counted);
    let _registered = worker.register(Rc::clone(&watch));
    let mut connection = Connection::new(client, worker, watch);
    let mut head = RequestHead::default();
    let lingers = loop {
        let next = connection.next_head(&mut head, begins_with).await;
        begins_with = HttpProtocols::Http1;
        match next {
            NextHead::Head => {
                match exchange(&mut ClientSide::Http1(&mut connection), &head).await {
                    AfterExchange::Keep => connection.last_used = Some(connection.worker.now()),
                    // What the client sends before it has heard of the end would destroy the response on
                    // its way.
                    AfterExchange::Close => break connection.watch.is_ending(),
                    AfterExchange::Linger => break true,
                    AfterExchange::Detached => return connection.let_go(),
                }
            }
            NextHead::Over => break false,
            NextHead::Refused(why) => {
                answer::refuse(&mut ClientSide::Http1(&mut connection), why).await;
                break true;
            }
            NextHead::Http2 => return connection.serve_http2().await,
        }
    };
    if lingers {
        connection.client.linger().await;
    }
    connection.close().await;
}

/// What comes where a request's head is waited for.
enum NextHead {
    Head,
    /// The connection is over, with nothing to say.
    Over,
    /// What has arrived is no request, or not all of one in time.
    Refused(Why),
    /// The client speaks HTTP/2 from the start (RFC 9113 section 3.3).
    Http2,
}

impl Connection {
    /// Reads until a whole head is here, or HTTP/2's preface where that may come.
    async fn next_head(&mut self, head: &mut RequestHead, begins_with: HttpProtocols) -> NextHead {
        self.decoder.reset();
        if self.client.set_interest(self.reading_interest()).is_err() {
            return NextHead::Over;
        }
        let limits = self.worker.limits();
        self.watch.data_rates.end();
        self.watch
            .set_deadline(Some(self.worker.now() + limits.keep_alive_timeout));
        let mut begun = false;
        loop {
            let preface = match begins_with {
                HttpProtocols::Http1 => Preface::Not,
                _ => http2::preface(&self.input),
            };
            let progress = match preface {
                Preface::Whole => {
                    self.watch.set_deadline(None);
                    return NextHead::Http2;
                }
                Preface::Begun => Ok(HeadProgress::Incomplete),
                Preface::Not if self.input.is_empty() => Ok(HeadProgress::Incomplete),
                Preface::Not if !begins_with.has_http1() => {
                    return NextHead::Refused(Why::NotHttp2);
                }
                Preface::Not => self.decoder.decode(&self.input, head),
            };
            match progress {
                Ok(HeadProgress::Complete { consumed }) => {
                    self.consume(consumed);
                    self.watch.set_deadline(None);
                    self.watch.data_rates.begin();
                    return NextHead::Head;
                }
                Ok(HeadProgress::Incomplete) if !begun && !self.input.is_empty() => {
                    // The clock of the head starts with its first byte.
                    begun = true;
                    let deadline = self.worker.now() + limits.head_timeout;
                    self.watch.set_deadline(Some(deadline));
                }
                Ok(HeadProgress::Incomplete) => {}
                Err(error) => return NextHead::Refused(Why::MalformedHead(error)),
            }
            if self.read_closed {
                return NextHead::Over;
            }
            // Nothing has been asked yet where HTTP/2 begins.
            let is_http2 = preface == Preface::Begun && self.input.starts_with(b"PRI");
            match self.recv_or_deadline(begun && !is_http2).await {
                Some(Ok(0)) | Some(Err(_)) => return NextHead::Over,
                Some(Ok(_)) => {}
                None if begun && !(is_http2 && self.watch.is_ending()) => {
                    return NextHead::Refused(Why::HeadTooSlow);
                }
                None => return NextHead::Over,
            }
        }
    }

    /// Bytes from the client; `None` when there are none by the deadline, or no request has begun
    /// and the front is stopping: then a request that is on its way is waited for where it is the
    /// connection's first, or comes soon after the one before, or is in the socket already.
    async fn recv_or_deadline(&mut self, begun: bool) -> Option<std::io::Result<usize>> {
        let (client, input, watch, worker) =
            (&self.client, &mut self.input, &self.watch, &self.worker);
        let mut is_last = false;
        poll_fn(|cx| {
            if let Poll::Ready(received) = client.poll_recv(cx, input, READ) {
                return Poll::Ready(Some(received));
            }
            if watch.is_ending() && !begun && !std::mem::replace(&mut is_last, true) {
                let now = worker.now();
                let is_in_use = |last| now.saturating_duration_since(last) < NEXT_REQUEST;
                let time = match self.last_used.is_none_or(is_in_use) {
                    true => NEXT_REQUEST,
                    false => Duration::ZERO,
                };
                watch.set_deadline(Some(now + time));
            }
            // What has just arrived may not have been told yet.
            if watch.is_expired(worker.now()) && !(is_last && client.has_unread()) {
                return Poll::Ready(None);
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

    /// The target has the connection now: only this process' descriptor closes.
    fn let_go(mut self) {
        self.forget_places();
    }

    /// The client's connection from here on is streams.
    async fn serve_http2(self) {
        let Self {
            client,
            worker,
            input,
            watch,
            ..
        } = self;
        let Ok((socket, facts)) = client.into_socket() else {
            return;
        };
        let Ok(socket) = tokio::net::TcpStream::from_std(socket.into()) else {
            return;
        };
        let (reader, writer) = socket.into_split();
        let reader = std::io::Cursor::new(input).chain(reader);
        http2::serve(worker, tokio::io::join(reader, writer), facts, watch).await;
    }

    async fn close(mut self) {
        self.client.close_records().await;
        // Targets hold the socket too, so closing it here would not end it.
        self.client.shutdown();
        self.forget_places();
    }
}
