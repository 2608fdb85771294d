//! A file's response on its way to the client.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{HeaderValue, Method, Request, Response};
use http_body::Body;
use ostler_http1::{
    BodyEncoder, BodyLength, Framing, RequestFacts, RequestHead, ResponseBody, encode_response_head,
};
use ostler_model::Found;

use super::is_read;
use crate::connection::Connection;
use crate::exchange::After;
use crate::respond::Chain;

/// How long a client may take no byte.
const SEND_TIMEOUT: Duration = Duration::from_secs(120);

/// Answers from a file before routes are looked at, if the request is for one. A front without files
/// pays nothing for this but the look: what serving one needs has a place of its own.
pub(crate) async fn answer(connection: &mut Connection, head: &RequestHead) -> Option<After> {
    connection.worker.static_files()?;
    Box::pin(answer_from_file(connection, head)).await
}

async fn answer_from_file(connection: &mut Connection, head: &RequestHead) -> Option<After> {
    let worker = std::rc::Rc::clone(&connection.worker);
    let files = worker.static_files()?;
    // Nothing is made of those that are for the routes in any case.
    if !matches!(head.method(), "GET" | "HEAD") {
        return None;
    }
    let response = files.serve(request(head)?).await?;
    Some(send(connection, head, response).await)
}

/// Answers with the navigation fallback where no route matches. It is as a route for GET and HEAD
/// behind all others: where it is all that matches but for the method, it says so.
pub(crate) async fn answer_unmatched<'a>(
    connection: &mut Connection,
    head: &RequestHead,
    found: Found<'a>,
) -> Result<After, Found<'a>> {
    if connection.worker.static_files().is_none() {
        return Err(found);
    }
    Box::pin(answer_with_fallback(connection, head, found)).await
}

async fn answer_with_fallback<'a>(
    connection: &mut Connection,
    head: &RequestHead,
    found: Found<'a>,
) -> Result<After, Found<'a>> {
    let worker = std::rc::Rc::clone(&connection.worker);
    let Some(files) = worker
        .static_files()
        .filter(|files| files.falls_back(head.path()))
    else {
        return Err(found);
    };
    let (Found::NotFound | Found::MethodNotAllowed { .. }) = &found else {
        return Err(found);
    };
    let Some(request) = request(head) else {
        return Err(found);
    };
    if !is_read(request.method()) {
        let mut allow = vec!["GET", "HEAD"];
        if let Found::MethodNotAllowed { allow: others } = &found {
            allow.extend(others.split(',').map(str::trim));
        }
        allow.sort_unstable();
        allow.dedup();
        let allow = allow.join(", ");
        return Err(Found::MethodNotAllowed { allow });
    }
    match files.serve_fallback(request).await {
        Some(response) => Ok(send(connection, head, response).await),
        // The route is there, its file is not.
        None => Err(Found::NotFound),
    }
}

/// What of a request matters for a file.
fn request(head: &RequestHead) -> Option<Request<()>> {
    // `*` and an authority are for nobody here.
    let path = head.path().starts_with('/').then(|| head.path())?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(head.method().as_bytes()).ok()?;
    let target = match head.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    *request.uri_mut() = target.parse().ok()?;
    for name in [
        RANGE,
        IF_RANGE,
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
    ] {
        let values = head.fields_named(name.as_str());
        let values: Vec<_> = values
            .filter_map(|value| HeaderValue::from_bytes(value).ok())
            .collect();
        for value in values {
            request.headers_mut().append(name.clone(), value);
        }
    }
    Some(request)
}

/// Sends a response with any body.
async fn send<B>(connection: &mut Connection, head: &RequestHead, response: Response<B>) -> After
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + 'static,
{
    // A request's body is nothing to a file; one that is still to come ends the connection.
    let prefix = connection.body_prefix(head.framing()).len() as u64;
    let is_whole = match head.framing() {
        Framing::None => true,
        Framing::Length(length) => prefix >= length,
        Framing::Chunked => false,
    };
    let facts = RequestFacts::from(head);
    let facts = RequestFacts {
        keep_alive: facts.keep_alive && is_whole,
        ..facts
    };
    let (parts, body) = response.into_parts();
    let length = match body.size_hint().exact() {
        Some(length) => BodyLength::Known(length),
        None => BodyLength::Unknown,
    };
    let mut out = Vec::with_capacity(512);
    let date = crate::clock::date();
    let fields = &parts.headers;
    let framing = encode_response_head(
        &mut out,
        facts,
        parts.status,
        None,
        fields,
        &[],
        length,
        &date,
    );
    let mut encoder = BodyEncoder::new(framing.body);
    let mut body = pin!(body);
    let mut ended = framing.body == ResponseBody::None;
    loop {
        let mut data = Bytes::new();
        let mut suffix = &b""[..];
        if !ended {
            match poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                Some(Ok(frame)) => data = frame.into_data().unwrap_or_default(),
                // The file has become shorter, or cannot be read: only closing says so.
                None if encoder.finish(None, &mut out).is_err() => return After::Close,
                None => ended = true,
                Some(Err(error)) => {
                    tracing::warn!(error = %Chain(&error), "a file cannot be read");
                    return After::Close;
                }
            }
        }
        if !data.is_empty() {
            match encoder.begin_data(data.len(), &mut out) {
                Ok(behind) => suffix = behind,
                Err(_) => return After::Close,
            }
        }
        let mut pieces = [&out[..], &data[..], suffix].map(std::io::IoSlice::new);
        if pieces.iter().any(|piece| !piece.is_empty()) {
            let sent = connection.client.send_pieces(&mut pieces, SEND_TIMEOUT);
            if sent.await.is_err() {
                return After::Close;
            }
        }
        out.clear();
        if ended {
            break;
        }
    }
    if framing.keep_alive {
        connection.consume_prefix(head.framing(), Vec::new());
        return After::Keep;
    }
    connection.client.linger().await;
    After::Close
}
