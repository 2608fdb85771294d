//! The sample application: an axum `Router`, the same however its requests come.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, Request, Response, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Json};
use futures_util::stream;
use http_body_util::BodyExt as _;
use ostler_target::{Arrival, RequestInfo, TlsInfo};
use sha2::{Digest, Sha256};

use super::bodies;

/// The application; `label` tells instances apart.
pub(crate) fn app(label: &str) -> Router {
    let label: Arc<str> = label.into();
    Router::new().fallback(dispatch).with_state(label)
}

/// Any prefix may stand before a path, so paths are told by their end.
async fn dispatch(State(label): State<Arc<str>>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let mut segments = path.rsplit('/').filter(|segment| !segment.is_empty());
    let (last, before) = (segments.next().unwrap_or(""), segments.next().unwrap_or(""));
    match (before, last) {
        ("bytes", count) => match count.parse() {
            Ok(count) => bodies::known_length(count),
            Err(_) => bad_request("/bytes/N wants a number"),
        },
        ("stream", count) => match count.parse() {
            Ok(count) => bodies::chunked(count),
            Err(_) => bad_request("/stream/N wants a number"),
        },
        ("break", count) => match count.parse() {
            Ok(count) => bodies::breaking_off(count),
            Err(_) => bad_request("/break/N wants a number"),
        },
        ("delay", millis) => match millis.parse() {
            Ok(millis) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                greeting(&label)
            }
            Err(_) => bad_request("/delay/MS wants a number"),
        },
        ("status", code) => match code
            .parse()
            .ok()
            .and_then(|code| StatusCode::from_u16(code).ok())
        {
            Some(status) if !status.is_informational() => status.into_response(),
            _ => bad_request("/status/CODE wants a code from 200 to 999"),
        },
        ("fields", code) => fields(code, request.uri().query()),
        (_, "trailers") => bodies::with_trailers(),
        (_, "echo") => echo(request).await,
        (_, "upload") => upload(request).await,
        (_, "sse") => events(),
        (_, "ws") => web_socket(request).await,
        (_, "panic") => panic!("asked to by {path}"),
        _ => greeting(&label),
    }
}

fn greeting(label: &str) -> Response<Body> {
    format!("{label} {}\n", std::process::id()).into_response()
}

fn bad_request(text: &'static str) -> Response<Body> {
    (StatusCode::BAD_REQUEST, text).into_response()
}

/// A response whose fields are the parameters of the query, as they stand there.
fn fields(code: &str, query: Option<&str>) -> Response<Body> {
    let Some(status) = code
        .parse()
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok())
    else {
        return bad_request("/fields/CODE wants a status");
    };
    let mut response = (status, "fields\n").into_response();
    for parameter in query.into_iter().flat_map(|query| query.split('&')) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) else {
            return bad_request("/fields/CODE wants fields as its parameters");
        };
        response.headers_mut().append(name, value);
    }
    response
}

/// Everything about a request, as JSON.
async fn echo(request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let (length, sha256) = match hash(body).await {
        Ok(hashed) => hashed,
        Err(error) => return body_failed(&error),
    };
    let fields: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            // Field values are bytes; each byte is shown as the character of its number.
            let value: String = value
                .as_bytes()
                .iter()
                .map(|byte| char::from(*byte))
                .collect();
            (name.as_str().to_owned(), value)
        })
        .collect();
    let info = parts.extensions.get::<RequestInfo>();
    let direct = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let client = match info {
        Some(info) => info.client_address(),
        None => direct.map(|ConnectInfo(address)| *address),
    };
    let arrival = match info.map(RequestInfo::arrival) {
        Some(Arrival::Delegated) => "delegated",
        Some(Arrival::Streamed) => "streamed",
        Some(Arrival::Relayed) => "relayed",
        Some(_) => "otherwise",
        None => "direct",
    };
    Json(serde_json::json!({
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "fields": fields,
        "client": client.map(|address| address.to_string()),
        "local": info.and_then(RequestInfo::local_address).map(|address| address.to_string()),
        "length": length,
        "sha256": sha256,
        "pid": std::process::id(),
        "arrival": arrival,
        "scheme": info.map(RequestInfo::scheme),
        "server_name": info.and_then(RequestInfo::tls).and_then(TlsInfo::server_name),
    }))
    .into_response()
}

/// Counts and hashes the body.
async fn upload(request: Request<Body>) -> Response<Body> {
    match hash(request.into_body()).await {
        Ok((length, sha256)) => Json(serde_json::json!({
            "length": length,
            "sha256": sha256,
            "pid": std::process::id(),
        }))
        .into_response(),
        Err(error) => body_failed(&error),
    }
}

async fn hash(mut body: Body) -> Result<(u64, String), axum::Error> {
    let (mut length, mut hasher) = (0, Sha256::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            length += data.len() as u64;
            hasher.update(&data);
        }
    }
    let digest = hasher.finalize();
    Ok((
        length,
        digest.iter().map(|byte| format!("{byte:02x}")).collect(),
    ))
}

fn body_failed(error: &axum::Error) -> Response<Body> {
    (
        StatusCode::BAD_REQUEST,
        format!("the body failed: {error}\n"),
    )
        .into_response()
}

/// An event a second, numbered from 0; the first at once.
fn events() -> Response<Body> {
    let events = stream::unfold(0u64, |number| async move {
        if number > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let event = Event::default()
            .id(number.to_string())
            .data(format!("event {number}"));
        Some((Ok::<_, Infallible>(event), number + 1))
    });
    Sse::new(events).into_response()
}

/// Sends every message back.
async fn web_socket(request: Request<Body>) -> Response<Body> {
    let (mut parts, _body): (Parts, Body) = request.into_parts();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade.on_upgrade(send_back),
        Err(rejection) => rejection.into_response(),
    }
}

async fn send_back(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let answer = match message {
            Message::Text(_) | Message::Binary(_) => socket.send(message).await,
            // The answers to these are sent by the next `recv`.
            Message::Close(_) | Message::Ping(_) | Message::Pong(_) => Ok(()),
        };
        if answer.is_err() {
            return;
        }
    }
}
