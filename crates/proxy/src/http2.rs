//! HTTP/2 from clients. A stub: it is not offered to them yet (`tls::HTTP2`), and whoever comes here
//! by prior knowledge is turned away.

use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::tls::ClientFacts;
use crate::worker::Worker;

/// Serves a connection until it is over: closes it, for now.
pub(crate) async fn serve<S>(_worker: Rc<Worker>, stream: S, facts: ClientFacts)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    tracing::debug!(client = ?facts.connection.client, "HTTP/2 is not spoken yet");
    drop(stream);
}
