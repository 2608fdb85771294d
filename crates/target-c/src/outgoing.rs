//! The bytes of a response between the program, which gives them when it likes, and the library, which
//! sends them as the client takes them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use ostler_target::BoxError;

use crate::error::Error;

/// Most bytes that wait here for the client; a program that has more waits, too.
const MOST: usize = 256 * 1024;

/// Whether there is room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There is.
    Left,
    /// There is none: [`EventKind::Writable`](crate::EventKind::Writable) says when there is.
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
    /// One that has ended, with nothing.
    pub(crate) fn ended() -> Self {
        Self(Mutex::new(State {
            end: End::Ended(None),
            ..State::default()
        }))
    }

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

    /// The next piece, or what ends them. `tell_room` is called where there is room again of which the program
    /// is to be told.
    pub(crate) fn poll_next(
        &self,
        cx: &Context<'_>,
        tell_room: impl FnOnce(),
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
            if tell {
                tell_room();
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

    pub(crate) fn is_over(&self) -> bool {
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
