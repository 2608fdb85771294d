//! A client's socket whose records the kernel reads and writes.

use std::cell::Cell;
use std::io;
use std::os::fd::BorrowedFd;

use ostler_shm::kernel_tls::{is_writable, recv_kernel_tls, send_close_notify};

/// What such a socket needs beside itself. What is sent over it is sent as over any other.
#[derive(Debug, Default)]
pub(crate) struct KernelSocket {
    /// The client has said that it sends nothing more, which the kernel tells only once.
    ended: Cell<bool>,
    cut_short: Cell<bool>,
}

impl KernelSocket {
    /// Appends what has arrived, up to `max` bytes; 0 when the client has ended its direction. Fewer
    /// than asked for do not mean that there is no more: an alert behind data is read by itself.
    pub(crate) fn recv(
        &self,
        socket: BorrowedFd<'_>,
        out: &mut Vec<u8>,
        max: usize,
    ) -> io::Result<usize> {
        if self.ended.get() {
            return Ok(0);
        }
        let received = recv_kernel_tls(socket, out, max)?;
        if received == 0 && max > 0 {
            self.ended.set(true);
        }
        Ok(received)
    }

    /// The next end of the connection is no end of what was being said: closing it says nothing.
    pub(crate) fn cut_short(&self) {
        self.cut_short.set(true);
    }

    /// Says that nothing more comes (RFC 8446 section 6.1), unless something has been cut short.
    /// `WouldBlock` while the socket has no room: what the kernel has encrypted and not placed yet
    /// would be cut off by a shutdown.
    pub(crate) fn close(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        if self.cut_short.get() {
            return Ok(());
        }
        match is_writable(socket) {
            true => send_close_notify(socket),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}
