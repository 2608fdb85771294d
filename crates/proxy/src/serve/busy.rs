//! A connection while something of a request is here.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use ostler_config::HttpProtocols;
use ostler_http1::{HeadProgress, RequestHead};

use crate::answer::{self, Why};
use crate::buffers;
use crate::client_side::{AfterExchange, ClientSide};
use crate::client_socket::READ;
use crate::connection::Connection;
use crate::exchange::exchange;
use crate::http2::{self, Preface};
use crate::watch::NEXT_REQUEST;

/// What has become of a connection that was busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing of a request is here.
    Rests,
    /// The client speaks HTTP/2 from the start (RFC 9113 section 3.3).
    Http2,
    Over,
}

/// What comes where a request's head is waited for.
enum NextHead {
    Head,
    /// Nothing is here.
    Nothing,
    /// The connection is over, with nothing to say.
    Over,
    /// What has arrived is no request, or not all of one in time.
    Refused(Why),
    /// HTTP/2's preface.
    Http2,
}

impl Connection {
    /// Serves exchanges until nothing of a further one is here, or the connection is over, and closed.
    pub(super) async fn exchanges(&mut self, head: &mut RequestHead) -> After {
        let lingers = loop {
            match self.next_head(head).await {
                NextHead::Head => match exchange(&mut ClientSide::Http1(self), head).await {
                    AfterExchange::Keep => {
                        self.last_used = Some(self.worker.now());
                        // Whoever was answered meanwhile has as long again, and no longer.
                        self.is_told_to_end = false;
                    }
                    // What the client sends before it has heard of the end would destroy the response
                    // on its way.
                    AfterExchange::Close => break self.watch.is_ending(),
                    AfterExchange::Linger => break true,
                    // The target has the connection now: only this process' descriptor closes.
                    AfterExchange::Detached => {
                        self.forget_places();
                        return After::Over;
                    }
                },
                NextHead::Nothing => {
                    buffers::take_back(&mut self.input);
                    return After::Rests;
                }
                NextHead::Over => break false,
                NextHead::Refused(why) => {
                    // On the heap, so that connections that go on do not carry the room for it.
                    self.watch.counted.ends_by(why.ends_connection());
                    Box::pin(answer::refuse(&mut ClientSide::Http1(self), why)).await;
                    break true;
                }
                NextHead::Http2 => return After::Http2,
            }
        };
        if lingers {
            self.client.linger().await;
        }
        self.close().await;
        After::Over
    }

    /// Reads until a whole head is here, or HTTP/2's preface where that may come.
    async fn next_head(&mut self, head: &mut RequestHead) -> NextHead {
        self.decoder.reset();
        if self.client.set_interest(self.reading_interest()).is_err() {
            return NextHead::Over;
        }
        self.watch.data_rates.end();
        let limits = self.worker.limits();
        let mut begun = false;
        loop {
            let preface = match self.begins_with {
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
                Preface::Not if !self.begins_with.has_http1() => {
                    return NextHead::Refused(Why::NotHttp2);
                }
                Preface::Not => self.decoder.decode(&self.input, head),
            };
            match progress {
                Ok(HeadProgress::Complete { consumed }) => {
                    self.begins_with = HttpProtocols::Http1;
                    self.consume(consumed);
                    self.watch.set_deadline(None);
                    self.watch.data_rates.begin();
                    buffers::take_back(&mut self.input);
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
            let received = match begun {
                true => self.recv_or_deadline(is_http2).await,
                false => self.recv_at_once().await,
            };
            match received {
                Some(Ok(1..)) => {}
                Some(_) => return NextHead::Over,
                None if !begun => return NextHead::Nothing,
                None if is_http2 && self.watch.is_ending() => return NextHead::Over,
                None => return NextHead::Refused(Why::HeadTooSlow),
            }
        }
    }

    /// What has arrived; `None` when that is nothing.
    async fn recv_at_once(&mut self) -> Option<io::Result<usize>> {
        buffers::lend(&mut self.input);
        let (client, input) = (&self.client, &mut self.input);
        poll_fn(|cx| {
            Poll::Ready(match client.poll_recv(cx, input, READ) {
                Poll::Ready(received) => Some(received),
                Poll::Pending => None,
            })
        })
        .await
    }

    /// Bytes from the client; `None` when there are none by the deadline. A client that is about to begin
    /// with HTTP/2 has asked for nothing, and has little time when the front is stopping.
    async fn recv_or_deadline(&mut self, is_http2: bool) -> Option<io::Result<usize>> {
        let (client, input, watch, worker) =
            (&self.client, &mut self.input, &self.watch, &self.worker);
        let is_last = &mut self.is_told_to_end;
        poll_fn(|cx| {
            if let Poll::Ready(received) = client.poll_recv(cx, input, READ) {
                return Poll::Ready(Some(received));
            }
            if is_http2 && watch.is_ending() && !std::mem::replace(is_last, true) {
                watch.set_deadline(Some(worker.now() + NEXT_REQUEST));
            }
            // What has just arrived may not have been told yet.
            let may_be_told = is_http2 && *is_last && client.has_unread();
            if watch.is_expired(worker.now()) && !may_be_told {
                return Poll::Ready(None);
            }
            watch.wake_by(cx.waker());
            Poll::Pending
        })
        .await
    }
}
