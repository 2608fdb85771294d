//! A file's response on its way to the client.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONTENT_LENGTH, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    RANGE,
};
use http::{HeaderValue, Method, Request, Response};
use http_body::Body;
use ostler_http1::{BodyLength, Framing, RequestHead};
use ostler_model::Found;

use super::is_read;
use crate::downstream::{Downstream, Head, ResponseWriter};
use crate::exchange::After;

/// How long a client may take no byte.
const SEND_TIMEOUT: Duration = Duration::from_secs(120);

/// Answers from a file before routes are looked at, if the request is for one. A front without files
/// pays nothing for this but the look: what serving one needs has a place of its own.
pub(crate) async fn answer(downstream: &mut Downstream<'_>, head: &RequestHead) -> Option<After> {
    downstream.worker().static_files()?;
    Box::pin(answer_from_file(downstream, head)).await
}

async fn answer_from_file(downstream: &mut Downstream<'_>, head: &RequestHead) -> Option<After> {
    let worker = std::rc::Rc::clone(downstream.worker());
    let files = worker.static_files()?;
    // Nothing is made of those that are for the routes in any case.
    if !matches!(head.method(), "GET" | "HEAD") {
        return None;
    }
    let response = files.serve(request(head)?).await?;
    Some(send(downstream, head, response).await)
}

/// Answers with the navigation fallback where no route matches. It is as a route for GET and HEAD
/// behind all others: where it is all that matches but for the method, it says so.
pub(crate) async fn answer_unmatched<'a>(
    downstream: &mut Downstream<'_>,
    head: &RequestHead,
    found: Found<'a>,
) -> Result<After, Found<'a>> {
    if downstream.worker().static_files().is_none() {
        return Err(found);
    }
    Box::pin(answer_with_fallback(downstream, head, found)).await
}

async fn answer_with_fallback<'a>(
    downstream: &mut Downstream<'_>,
    head: &RequestHead,
    found: Found<'a>,
) -> Result<After, Found<'a>> {
    let worker = std::rc::Rc::clone(downstream.worker());
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
        Some(response) => Ok(send(downstream, head, response).await),
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
async fn send<B>(
    downstream: &mut Downstream<'_>,
    head: &RequestHead,
    response: Response<B>,
) -> After
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + 'static,
{
    // A request's body is nothing to a file; one that is still to come ends the connection.
    let framing = head.framing();
    let is_whole = match (&*downstream, framing) {
        (_, Framing::None) => true,
        (Downstream::Http1(connection), Framing::Length(length)) => {
            connection.body_prefix(framing).len() as u64 >= length
        }
        _ => false,
    };
    let Some((_body, mut writer)) = downstream.halves(head) else {
        return After::Close;
    };
    let keep_alive = match write(&mut writer, response, is_whole).await {
        Ok(keep_alive) => keep_alive,
        // Only the end of the connection or the stream says that it is not whole.
        Err(error) => {
            tracing::debug!(%error, "a file's response breaks off");
            writer.abort();
            return After::Close;
        }
    };
    if let (true, Downstream::Http1(connection)) = (keep_alive, &mut *downstream) {
        connection.consume_prefix(framing, Vec::new());
    }
    downstream.after_response(keep_alive, is_whole).await
}

/// True when the connection may carry another request.
async fn write<B>(
    writer: &mut ResponseWriter<'_>,
    response: Response<B>,
    keep_alive: bool,
) -> Result<bool, Box<dyn std::error::Error>>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + 'static,
{
    let (parts, body) = response.into_parts();
    let stated = parts.headers.get(CONTENT_LENGTH);
    let stated = stated.and_then(|length| length.to_str().ok()?.parse().ok());
    let length = match stated.or(body.size_hint().exact()) {
        Some(length) => BodyLength::Known(length),
        None => BodyLength::Unknown,
    };
    let may_follow = writer.head(Head {
        status: parts.status,
        reason: None,
        fields: parts.headers,
        added: &[],
        length,
        keep_alive,
    });
    let mut body = pin!(body);
    while may_follow {
        let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await else {
            break;
        };
        let data = frame?.into_data().unwrap_or_default();
        if !data.is_empty() {
            writer.data(data, SEND_TIMEOUT).await?;
        }
    }
    Ok(writer.end(None, SEND_TIMEOUT).await?)
}
