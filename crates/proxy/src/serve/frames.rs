//! What a connection needs while it is busy, and not while it rests, lent by its thread: the memory of an
//! exchange, from its head to its end.
//!
//! A frame is a future that serves one connection after the other. The task of a connection polls it while
//! the connection is in it, so nothing is allocated for an exchange, and a connection that rests has none.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use ostler_http1::RequestHead;

use super::busy::After;
use crate::connection::Connection;

/// Frames that a thread keeps for its next exchanges.
const MOST_FREE: usize = 128;

thread_local! {
    static FREE: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

struct Frame {
    seat: Rc<Seat>,
    run: Pin<Box<dyn Future<Output = ()>>>,
}

/// How a connection comes into a frame and out of it.
#[derive(Default)]
struct Seat {
    comes: Cell<Option<Box<Connection>>>,
    leaves: Cell<Option<(Box<Connection>, After)>>,
}

impl Frame {
    fn new() -> Self {
        let seat = Rc::<Seat>::default();
        let run = Box::pin(run(Rc::clone(&seat)));
        Self { seat, run }
    }
}

/// Serves a connection for as long as something of a request is here. A frame whose connection is given up
/// goes with it.
pub(super) async fn in_one(connection: Box<Connection>) -> (Box<Connection>, After) {
    let free = FREE.with_borrow_mut(Vec::pop);
    let mut frame = free.unwrap_or_else(Frame::new);
    frame.seat.comes.set(Some(connection));
    let left = poll_fn(|cx| {
        let _never = frame.run.as_mut().poll(cx);
        frame.seat.leaves.take().map_or(Poll::Pending, Poll::Ready)
    })
    .await;
    FREE.with_borrow_mut(|free| {
        if free.len() < MOST_FREE {
            free.push(frame);
        }
    });
    left
}

async fn run(seat: Rc<Seat>) {
    let mut head = RequestHead::default();
    loop {
        let comes = poll_fn(|_| seat.comes.take().map_or(Poll::Pending, Poll::Ready));
        let mut connection = comes.await;
        let after = connection.exchanges(&mut head).await;
        seat.leaves.set(Some((connection, after)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, F>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    /// An exchange that a target has takes so much for as long as it lasts; what passes through the front
    /// takes more, on the heap.
    #[test]
    fn a_frame_is_a_few_kilobytes() {
        let frame = size_of_future(run);
        assert!(frame <= 5 * 1024, "{frame}");
    }
}
