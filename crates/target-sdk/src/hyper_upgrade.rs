//! One request that hyper serves so that it makes the `OnUpgrade` which axum's WebSocket extractor wants.

use std::pin::Pin;
use std::sync::PoisonError;

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::sync::oneshot;

use crate::head_limits::MOST_FIELDS;
use crate::response::Nothing;

/// A connection to be driven, where the head of its answer goes, and where the upgrade comes from once
/// hyper has the request.
type AnsweredByHyper = (
    Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
    oneshot::Sender<http::response::Parts>,
    oneshot::Receiver<hyper::upgrade::OnUpgrade>,
);

/// Has hyper serve one request, and what it is answered with be told from outside.
pub(crate) fn answered_by_hyper<I>(io: I) -> AnsweredByHyper
where
    I: Read + Write + Unpin + Send + 'static,
{
    let (upgrade_sender, upgrade_receiver) = oneshot::channel();
    let (answer_sender, answer_receiver) = oneshot::channel::<http::response::Parts>();
    // hyper may call a service more than once; it sees one head, so here it calls once.
    let channels = std::sync::Mutex::new(Some((upgrade_sender, answer_receiver)));
    let hyper_service =
        hyper::service::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
            let channels = channels
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let upgrade = hyper::upgrade::on(&mut request);
            async move {
                let Some((upgrades, answer)) = channels else {
                    return Err(Refused);
                };
                upgrades.send(upgrade).map_err(|_| Refused)?;
                let parts = answer.await.map_err(|_| Refused)?;
                Ok(http::Response::from_parts(parts, Nothing))
            }
        });
    let connection = hyper::server::conn::http1::Builder::new()
        .max_headers(MOST_FIELDS)
        .serve_connection(io, hyper_service)
        .with_upgrades();
    (Box::pin(connection), answer_sender, upgrade_receiver)
}

/// The exchange ended otherwise.
#[derive(Debug, thiserror::Error)]
#[error("the exchange ended")]
struct Refused;

/// Gives hyper what there is room for.
pub(crate) fn put(from: &mut Bytes, buffer: &mut ReadBufCursor<'_>) {
    let count = from.len().min(buffer.remaining());
    buffer.put_slice(&from[..count]);
    from.advance(count);
}
