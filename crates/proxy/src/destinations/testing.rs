//! What the tests of connections share: a thread's runtime, and bodies that are given piece by piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc;

use super::upload::Rewind;

/// How long anything may take before a test gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test on a runtime like that of a front's thread.
pub(super) fn on_a_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        let in_time = tokio::time::timeout(PATIENCE, test).await;
        assert!(in_time.is_ok(), "the test waits for what never comes");
    });
}

/// A body whose frames are sent to it.
pub(super) struct Pieces {
    receiver: mpsc::UnboundedReceiver<Frame<Bytes>>,
    is_empty: bool,
}

/// A body of frames that are still to be sent.
pub(super) fn pieces() -> (mpsc::UnboundedSender<Frame<Bytes>>, Pieces) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let is_empty = false;
    (sender, Pieces { receiver, is_empty })
}

impl Pieces {
    /// No body.
    pub(super) fn empty() -> Self {
        let (_, receiver) = mpsc::unbounded_channel();
        Self {
            receiver,
            is_empty: true,
        }
    }

    /// A body of these frames.
    pub(super) fn of(frames: impl IntoIterator<Item = Frame<Bytes>>) -> Self {
        let (sender, body) = pieces();
        for frame in frames {
            sender.send(frame).unwrap();
        }
        body
    }
}

impl Rewind for Pieces {
    fn rewind(&mut self) -> bool {
        false
    }

    fn forget(&mut self) {}
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.receiver.poll_recv(cx).map(|frame| frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty
    }
}

/// The next frame of a body.
pub(super) async fn next<B: Body + Unpin>(
    body: &mut B,
) -> Option<Result<Frame<B::Data>, B::Error>> {
    std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}
