//! The body of a response, as the library takes it, and the end of its exchange.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use ostler_target::BoxError;

use crate::events::EventKind;
use crate::exchange::Exchange;
use crate::outgoing::Outgoing;

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

    /// That of a response which has none.
    pub(crate) fn empty() -> Self {
        Self::new(Arc::new(Outgoing::ended()), Some(0))
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
        self.outgoing.poll_next(cx, || {
            if let Some(exchange) = exchange {
                exchange.tell(EventKind::Writable);
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.outgoing.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
