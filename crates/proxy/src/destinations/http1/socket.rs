//! The stream under an HTTP/1.1 connection, and the memory that it is read into.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};

use super::stream::{Stream, Unread};

/// Least that is asked of the kernel at a time.
const READ: usize = 64 * 1024;
/// How much memory is lent for it; what small reads leave of it serves the next ones.
const LENT: usize = READ + READ / 2;

thread_local! {
    /// What is read into, by all connections of this thread. A connection that nothing has arrived on
    /// holds no memory; one that something has holds what arrived, and gives it back by dropping it.
    static LENDING: RefCell<BytesMut> = RefCell::default();
}

/// The stream, which an exchange shares with an upload that goes on beside its response.
#[derive(Clone)]
pub(super) struct Socket(Rc<Inner>);

struct Inner {
    stream: RefCell<Box<dyn Stream>>,
    write_failed: Cell<bool>,
}

impl Socket {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Self(Rc::new(Inner {
            stream: RefCell::new(stream),
            write_failed: Cell::new(false),
        }))
    }

    /// What has arrived, behind `before`; nothing at the end of the stream.
    pub(super) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        before: &[u8],
    ) -> Poll<io::Result<Bytes>> {
        LENDING.with_borrow_mut(|memory| {
            if memory.capacity() < before.len() + READ {
                memory.reserve(before.len() + LENT);
            }
            memory.extend_from_slice(before);
            let mut stream = self.0.stream.borrow_mut();
            let received = pin!(stream.read_buf(memory)).poll(cx);
            match received {
                Poll::Ready(Ok(1..)) => return Poll::Ready(Ok(memory.split().freeze())),
                _ => memory.clear(),
            }
            received.map_ok(|_end| Bytes::new())
        })
    }

    /// Whether nothing has arrived, and the stream has not ended.
    pub(super) fn is_quiet(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.poll_receive(&mut cx, b"").is_pending()
    }

    /// The same, as the kernel has it now.
    pub(super) fn is_quiet_now(&self) -> bool {
        self.is_quiet() && self.0.stream.borrow().look() == Unread::Nothing
    }

    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.0.stream.borrow_mut();
        let written = Pin::new(&mut *stream).poll_write_vectored(cx, pieces);
        if let Poll::Ready(Err(_) | Ok(0)) = written {
            self.0.write_failed.set(true);
        }
        written
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.0.stream.borrow_mut();
        let flushed = Pin::new(&mut *stream).poll_flush(cx);
        if let Poll::Ready(Err(_)) = flushed {
            self.0.write_failed.set(true);
        }
        flushed
    }

    /// Whether a write has failed. The kernel tells of a reset once: who reads after that sees an end
    /// that proves nothing.
    pub(super) fn write_failed(&self) -> bool {
        self.0.write_failed.get()
    }

    /// The stream, once nobody else uses it.
    pub(super) fn into_stream(self) -> Option<Box<dyn Stream>> {
        let inner = Rc::try_unwrap(self.0).ok()?;
        Some(inner.stream.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::destinations::testing::on_a_thread;

    #[test]
    fn memory_is_lent_while_bytes_are_there() {
        on_a_thread(async {
            let (ours, mut theirs) = tokio::io::duplex(READ);
            let socket = Socket::new(Box::new(ours));
            assert!(socket.is_quiet());
            let receive = async |before: &[u8]| {
                std::future::poll_fn(|cx| socket.poll_receive(cx, before)).await
            };
            theirs.write_all(b"one").await.unwrap();
            let one = receive(b"and ").await.unwrap();
            theirs.write_all(b"two").await.unwrap();
            let two = receive(b"").await.unwrap();
            assert_eq!((&one[..], &two[..]), (&b"and one"[..], &b"two"[..]));
            let lent = || LENDING.with_borrow(|memory| (memory.as_ptr().addr(), memory.len()));
            assert_eq!(lent().1, 0);
            // Both came out of one piece of memory, which is used again once they are gone.
            assert_eq!(two.as_ptr().addr(), one.as_ptr().addr() + one.len());
            let (first, end) = (one.as_ptr().addr(), lent().0);
            drop((one, two));
            for _ in 0..3 {
                let large = vec![1; READ];
                theirs.write_all(&large).await.unwrap();
                let received = receive(b"").await.unwrap();
                assert!(received.len() == READ && received.as_ptr().addr() >= first);
                assert!(received.as_ptr().addr() <= end);
            }
            drop(theirs);
            assert!(receive(b"x").await.unwrap().is_empty());
            assert_eq!(lent().1, 0);
        });
    }
}
