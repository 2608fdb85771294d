//! The bytes of a response between the program, which gives them when it likes, and the library, which
//! sends them as the client takes them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use ostler_target::BoxError;

use crate::error::Error;
use crate::events::EventKind;
use crate::exchange::Exchange;

/// Most bytes that wait here for the client; a program that has more waits, too.
const MOST: usize = 256 * 1024;

/// Whether there is room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There is.
    Left,
    /// There is none: [`EventKind::Writable`] says when there is.
    None,
}

/// Bytes that the program has given and the client has not taken.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Bytes>,
    /// Bytes in `pieces`.
    waiting: usize,
    end: End,
    /// Whoever takes the pieces, if it has found none.
    taker: Option<Waker>,
    /// The program is to be told when there is room.
    owes_room: bool,
}

#[derive(Debug, Default)]
enum End {
    /// There may be more.
    #[default]
    Open,
    /// Nothing follows the pieces but trailers.
    Ended(Option<HeaderMap>),
    /// The program has cancelled it.
    Cancelled,
    /// Nobody takes the pieces any more.
    Gone,
}

impl Outgoing {
    /// Takes as much of these bytes as there is room for.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize, Error> {
        let mut state = self.open()?;
        let count = bytes.len().min(MOST.saturating_sub(state.waiting));
        if count == 0 && !bytes.is_empty() {
            state.owes_room = true;
            return Err(Error::Again);
        }
        if count > 0 {
            state.push(Bytes::copy_from_slice(&bytes[..count]));
        }
        Ok(count)
    }

    /// Takes all of these bytes, and says whether there is room for more.
    pub(crate) fn push(&self, bytes: Bytes) -> Result<Room, Error> {
        let mut state = self.open()?;
        if !bytes.is_empty() {
            state.push(bytes);
        }
        state.owes_room |= state.waiting >= MOST;
        Ok(if state.waiting < MOST {
            Room::Left
        } else {
            Room::None
        })
    }

    /// Nothing follows but these trailers.
    pub(crate) fn end(&self, trailers: Option<HeaderMap>) -> Result<(), Error> {
        let mut state = self.open()?;
        state.end = End::Ended(trailers.filter(|trailers| !trailers.is_empty()));
        state.wake();
        Ok(())
    }

    /// What is not sent yet will not be; whoever receives it sees that it is not whole.
    pub(crate) fn cancel(&self) {
        let mut state = self.lock();
        if matches!(state.end, End::Open) {
            state.end = End::Cancelled;
            state.wake();
        }
    }

    /// Nobody takes pieces any more; true when all of them were taken.
    pub(crate) fn leave(&self) -> bool {
        let mut state = self.lock();
        let whole = matches!(state.end, End::Ended(None)) && state.pieces.is_empty();
        state.end = End::Gone;
        state.pieces.clear();
        state.waiting = 0;
        whole
    }

    /// The next piece, or what ends them.
    pub(crate) fn poll_next(
        &self,
        cx: &Context<'_>,
        exchange: Option<&Arc<Exchange>>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut state = self.lock();
        if let End::Cancelled = state.end {
            return Poll::Ready(Some(Err(
                "the application has cancelled the response".into()
            )));
        }
        if let Some(piece) = state.pieces.pop_front() {
            state.waiting -= piece.len();
            let tell = state.owes_room && state.waiting <= MOST / 2;
            state.owes_room &= !tell;
            drop(state);
            if tell && let Some(exchange) = exchange {
                exchange.tell(EventKind::Writable);
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &mut state.end {
            End::Open => {
                state.taker = Some(cx.waker().clone());
                Poll::Pending
            }
            End::Ended(trailers) => Poll::Ready(trailers.take().map(Frame::trailers).map(Ok)),
            End::Cancelled | End::Gone => Poll::Ready(None),
        }
    }

    fn is_over(&self) -> bool {
        let state = self.lock();
        state.pieces.is_empty() && matches!(state.end, End::Ended(None))
    }

    fn open(&self) -> Result<std::sync::MutexGuard<'_, State>, Error> {
        let state = self.lock();
        match state.end {
            End::Open => Ok(state),
            End::Gone => Err(Error::Gone),
            End::Ended(_) | End::Cancelled => Err(Error::State("the response has been ended")),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, piece: Bytes) {
        self.waiting += piece.len();
        self.pieces.push_back(piece);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(taker) = self.taker.take() {
            taker.wake();
        }
    }
}

/// The end of an exchange: whoever holds this as the exchange ends tells the program.
#[derive(Debug)]
pub(crate) struct Ending(Option<Arc<Exchange>>);

impl Ending {
    pub(crate) fn of(exchange: &Arc<Exchange>) -> Self {
        Self(Some(Arc::clone(exchange)))
    }

    /// The exchange goes on otherwise.
    pub(crate) fn revoke(mut self) {
        self.0 = None;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(exchange) = &self.0 {
            exchange.end();
        }
    }
}

/// The body of a program's response.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    outgoing: Arc<Outgoing>,
    /// What is stated where it is known: the whole of it is here.
    length: Option<u64>,
    ending: Option<Ending>,
}

impl ResponseBody {
    pub(crate) fn new(outgoing: Arc<Outgoing>, length: Option<u64>) -> Self {
        Self {
            outgoing,
            length,
            ending: None,
        }
    }

    /// The same; when it is dropped, the exchange is over.
    pub(crate) fn ends(mut self, ending: Ending) -> Self {
        self.ending = Some(ending);
        self
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let exchange = self.ending.as_ref().and_then(|ending| ending.0.as_ref());
        self.outgoing.poll_next(cx, exchange)
    }

    fn is_end_stream(&self) -> bool {
        self.outgoing.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
