//! Relayed connections: the front speaks HTTP/1.1 over sockets of its own for clients whose sockets
//! it may not hand over. hyper serves them; the handler sees the same requests.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{CONNECTION, HeaderMap, HeaderValue, TE};
use hyper_util::rt::TokioIo;
use ostler_delegation::ChannelError;
use ostler_delegation::control::{ConnectionFacts, TargetMessage};
use ostler_delegation::relayed_client::{CLIENT_FIELD, RelayedClient};
use ostler_delegation::target::{RelayChannel, RelayedConnection};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::application::tell_axum;
use crate::body::Body;
use crate::handler::{Handler, ResponseBody, call};
use crate::head_limits::{LONGEST_HEAD, MOST_FIELDS};
use crate::info::{RequestInfo, TlsInfo};
use crate::response::{Either, bare};
use crate::stop::told;

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
    let control = ostler_readiness::readable(control)?;
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
                // Those that the front has sent before it hears of that.
                while let Ok(Some(connection)) = channel.poll_connection() {
                    connections.spawn(serve_connection(connection, service.clone(), stop.clone()));
                }
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
    let RelayedConnection { socket, client } = connection;
    let only = client.map(Client::from);
    let socket = std::os::unix::net::UnixStream::from(socket);
    let socket = socket
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(socket));
    let Ok(socket) = socket else { return };
    let answer =
        hyper::service::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
            let mut service = service.clone();
            let now = ostler_shm::monotonic_nanoseconds();
            let client = match &only {
                Some(only) => Some(only.clone()),
                None => Client::of(request.headers_mut()),
            };
            async move {
                let Some(client) = client else {
                    let response = bare(http::StatusCode::BAD_REQUEST);
                    return Ok::<_, Infallible>(response.map(|_nothing| Either::Library));
                };
                let info = RequestInfo::relayed(&client.facts, client.tls, now)
                    .asked_by_https(client.is_https);
                let left_unread = Arc::<AtomicBool>::default();
                let mut request = request.map(|body| Body::relayed(body, Arc::clone(&left_unread)));
                tell_axum(request.extensions_mut(), &info);
                request.extensions_mut().insert(info);
                let mut response = match call(&mut service, request).await {
                    Ok(response) => Either::of(response),
                    Err(status) => bare(status).map(|_nothing| Either::Library),
                };
                if left_unread.load(Ordering::Relaxed) {
                    // hyper closes the connection then, and the front is to know before it sends
                    // another request.
                    let fields = response.headers_mut();
                    fields.insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok(response)
            }
        });
    let connection = hyper::server::conn::http1::Builder::new()
        .max_headers(MOST_FIELDS)
        .max_buf_size(LONGEST_HEAD)
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

/// Whose a request is.
#[derive(Debug, Clone)]
struct Client {
    facts: ConnectionFacts,
    tls: Option<Arc<TlsInfo>>,
    is_https: bool,
}

impl From<RelayedClient> for Client {
    fn from(client: RelayedClient) -> Self {
        Self {
            facts: client.facts,
            is_https: client.is_https,
            tls: client.tls.map(|tls| Arc::new(TlsInfo::new(tls))),
        }
    }
}

impl Client {
    /// What the front has added to a request's fields, which is taken away: the handler sees what
    /// the client has sent. `None` if it is no front's.
    fn of(fields: &mut HeaderMap) -> Option<Self> {
        let value = fields.remove(CLIENT_FIELD)?;
        let client = match RelayedClient::decode(value.as_bytes()) {
            Ok(client) => client,
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::error!(error, "a relayed request does not say whose it is");
                return None;
            }
        };
        if !client.sent_te {
            fields.remove(TE);
        }
        Some(client.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(client: &str) -> HeaderMap {
        let mut fields = HeaderMap::new();
        fields.insert(CLIENT_FIELD, HeaderValue::from_str(client).unwrap());
        fields.insert(TE, HeaderValue::from_static("trailers"));
        fields
    }

    #[test]
    fn what_the_front_adds_is_taken_away() {
        for sent_te in [false, true] {
            let client = RelayedClient {
                facts: ConnectionFacts {
                    client: Some("192.0.2.7:4711".parse().unwrap()),
                    local: None,
                    accepted_ns: 42,
                },
                tls: None,
                is_https: false,
                sent_te,
            };
            let mut fields = fields(&client.encode());
            let known = Client::of(&mut fields).unwrap();
            assert_eq!(known.facts, client.facts);
            assert_eq!(fields.contains_key(TE), sent_te);
            assert!(!fields.contains_key(CLIENT_FIELD));
            assert!(Client::of(&mut fields).is_none());
        }
    }

    #[test]
    fn what_no_front_has_written_is_refused() {
        for value in ["", "AA", "192.0.2.7"] {
            assert!(Client::of(&mut fields(value)).is_none(), "{value}");
        }
    }
}
