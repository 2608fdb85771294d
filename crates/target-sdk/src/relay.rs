//! Relayed connections: the front speaks HTTP/1.1 over a socket of its own for a client whose
//! socket it may not hand over. hyper serves them; the handler sees the same requests.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use ostler_delegation::ChannelError;
use ostler_delegation::control::TargetMessage;
use ostler_delegation::target::{RelayChannel, RelayedConnection};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::body::Body;
use crate::channel::told;
use crate::exchange::{Handler, ResponseBody, call};
use crate::info::{RequestInfo, TlsInfo};
use crate::response::{Either, bare};

/// Serves the connections that come over a control socket until the front is gone or, once told
/// to stop, until those under way are finished.
pub(crate) async fn serve<S, B>(
    mut channel: RelayChannel,
    service: S,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()>
where
    S: Handler<B>,
    B: ResponseBody,
{
    let control = std::os::fd::AsFd::as_fd(channel.control()).try_clone_to_owned()?;
    let control = crate::readiness::readable(control)?;
    let mut connections = JoinSet::new();
    loop {
        match channel.poll_connection() {
            Ok(Some(connection)) => {
                connections.spawn(serve_connection(connection, service.clone(), stop.clone()));
                tokio::task::yield_now().await;
                continue;
            }
            Ok(None) => {}
            Err(ChannelError::Closed) => break,
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::error!(error, "a front misbehaves; its relay channel ends");
                break;
            }
        }
        tokio::select! {
            ready = control.readable() => ready?.clear_ready(),
            true = told(&mut stop) => {
                channel.send(&TargetMessage::Draining);
                break;
            }
            Some(_) = connections.join_next() => {}
        }
    }
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn serve_connection<S, B>(
    connection: RelayedConnection,
    service: S,
    mut stop: watch::Receiver<bool>,
) where
    S: Handler<B>,
    B: ResponseBody,
{
    let RelayedConnection { socket, facts, tls } = connection;
    let tls = tls.map(|tls| Arc::new(TlsInfo::new(tls)));
    let socket = std::os::unix::net::UnixStream::from(socket);
    let socket = socket
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(socket));
    let Ok(socket) = socket else { return };
    let answer =
        hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let mut service = service.clone();
            let now = ostler_shm::monotonic_nanoseconds();
            let info = RequestInfo::relayed(&facts, tls.clone(), now);
            async move {
                let mut request = request.map(Body::relayed);
                request.extensions_mut().insert(info);
                Ok::<_, Infallible>(match call(&mut service, request).await {
                    Ok(response) => response.map(|body| Either::Handler { body }),
                    Err(status) => bare(status).map(|_nothing| Either::Library),
                })
            }
        });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(socket), answer)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        true = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        let error: &(dyn std::error::Error + 'static) = &error;
        tracing::debug!(error, "a relayed connection ended");
    }
}
