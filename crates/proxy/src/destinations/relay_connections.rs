//! The connections of one thread to a relayed target: socket pairs, used one exchange at a time.

use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Instant;

use http::request::Parts;
use http::{Request, Response};
use http_body::Body as _;

use super::forward_body::ForwardBody;
use super::http1::{Home, Http1, Http1Body};
use super::interim::Interim;
use super::response_body::ResponseBody;
use super::retries::{IDLE_TIMEOUT, MOST_RETRIES, may_be_repeated};
use super::send_error::SendError;

/// How many unused ones are kept: each is a descriptor here and one in the target.
const MOST_IDLE: usize = 64;

/// Connections to one target.
#[derive(Debug, Default)]
pub(crate) struct RelayedConnections {
    /// The one used last at the end: those in front grow old.
    idle: RefCell<Vec<Idle>>,
    /// None is kept any more.
    closed: Cell<bool>,
}

#[derive(Debug)]
struct Idle {
    connection: Http1,
    /// When a sweep first found it unused.
    since: Option<Instant>,
}

/// A request has no response.
#[derive(Debug)]
pub(crate) struct NotRelayed {
    pub(crate) error: SendError,
    pub(crate) left: Left,
}

/// What can still be done for a request.
#[derive(Debug)]
pub(crate) enum Left {
    /// The target has not had a byte of it. Its body, whole.
    Unsent(ForwardBody),
    /// It has no body, and the target has said nothing.
    Unheard,
    Nothing,
}

impl RelayedConnections {
    /// Sends a request, whose URI is a path with query and which has a `Host`.
    ///
    /// It is sent again on another connection when one from before had ended, where that is known
    /// before a byte was sent, or where the target has said nothing, there is no body, and doing twice
    /// what it asks does no harm: a target that stops closes those that are unused.
    pub(crate) async fn send(
        self: &Rc<Self>,
        make: &dyn Fn() -> Option<Parts>,
        mut body: ForwardBody,
        connect: &dyn Fn() -> Result<UnixStream, SendError>,
        interim: &Interim,
    ) -> Result<Response<ResponseBody>, NotRelayed> {
        let mut retries = 0;
        loop {
            let (mut connection, is_new) = match self.take() {
                Some(connection) => (connection, false),
                None => match open(connect) {
                    Ok(connection) => (connection, true),
                    Err(error) => {
                        let left = match retries {
                            0 => Left::Unsent(body),
                            _ => Left::Unheard,
                        };
                        return Err(NotRelayed { error, left });
                    }
                },
            };
            let Some(parts) = make() else {
                let error = SendError::of("no request can be made");
                let left = Left::Nothing;
                return Err(NotRelayed { error, left });
            };
            let is_bodiless = body.is_end_stream();
            let is_repeatable = may_be_repeated(&parts.method);
            let request = Request::from_parts(parts, body);
            interim.clear();
            let failed = match connection.send(request, Some(interim)).await {
                Ok(response) => {
                    return Ok(response.map(|incoming| {
                        let home = Home::Relayed(Rc::clone(self));
                        ResponseBody::Http1(Http1Body::new(incoming, connection, home))
                    }));
                }
                Err(failed) => failed,
            };
            let error = SendError::of(failed.error);
            match failed.unsent {
                Some(request) if is_new => {
                    let left = match retries {
                        0 => Left::Unsent(request.into_body()),
                        _ => Left::Unheard,
                    };
                    return Err(NotRelayed { error, left });
                }
                Some(request) => body = request.into_body(),
                None if !is_bodiless || failed.heard => {
                    let left = Left::Nothing;
                    return Err(NotRelayed { error, left });
                }
                None if is_new || retries == MOST_RETRIES || !is_repeatable => {
                    let left = Left::Unheard;
                    return Err(NotRelayed { error, left });
                }
                None => {
                    retries += 1;
                    body = ForwardBody::empty();
                }
            }
        }
    }

    pub(super) fn take(&self) -> Option<Http1> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { connection, .. }) = idle.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for who comes next.
    pub(super) fn put_back(&self, connection: Http1) {
        let mut idle = self.idle.borrow_mut();
        if !self.closed.get() && idle.len() < MOST_IDLE {
            let since = None;
            idle.push(Idle { connection, since });
        }
    }

    /// Closes what nobody uses, now and from now on.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        let idle = self.idle.take();
        drop(idle);
    }

    /// Closes what nobody has used for a while, and what the target has closed.
    pub(crate) fn sweep(&self, now: Instant) {
        let mut idle = self.idle.take();
        idle.retain_mut(|idle| {
            let since = *idle.since.get_or_insert(now);
            now.saturating_duration_since(since) < IDLE_TIMEOUT && idle.connection.is_still_open()
        });
        let mut kept = self.idle.borrow_mut();
        idle.append(&mut kept);
        *kept = idle;
    }
}

fn open(connect: &dyn Fn() -> Result<UnixStream, SendError>) -> Result<Http1, SendError> {
    let stream = connect()?;
    stream.set_nonblocking(true).map_err(SendError::of)?;
    let stream = tokio::net::UnixStream::from_std(stream).map_err(SendError::of)?;
    Ok(Http1::new(stream))
}

#[cfg(test)]
mod tests;
