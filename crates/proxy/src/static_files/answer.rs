//! When a request is answered from a file.

use http::header::{
    IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{HeaderValue, Method, Request};
use ostler_http1::RequestHead;
use ostler_model::Found;

use super::{FileResponse, is_read};
use crate::worker::Worker;

/// The answer from a file before routes are looked at, if the request is for one. A front without
/// files pays nothing for this but the look: what finding one needs has a place of its own.
pub(crate) async fn find(worker: &Worker, head: &RequestHead) -> Option<Box<FileResponse>> {
    worker.static_files()?;
    Box::pin(find_file(worker, head)).await
}

async fn find_file(worker: &Worker, head: &RequestHead) -> Option<Box<FileResponse>> {
    let files = worker.static_files()?;
    // Nothing is made of those that are for the routes in any case.
    if !matches!(head.method(), "GET" | "HEAD") {
        return None;
    }
    files.serve(request(head)?).await.map(Box::new)
}

/// The navigation fallback, where no route matches. It is as a route for GET and HEAD behind all
/// others: where it is all that matches but for the method, it says so.
pub(crate) async fn find_unmatched<'a>(
    worker: &Worker,
    head: &RequestHead,
    found: Found<'a>,
) -> Result<Box<FileResponse>, Found<'a>> {
    if worker.static_files().is_none() {
        return Err(found);
    }
    Box::pin(find_fallback(worker, head, found)).await
}

async fn find_fallback<'a>(
    worker: &Worker,
    head: &RequestHead,
    found: Found<'a>,
) -> Result<Box<FileResponse>, Found<'a>> {
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
    // The route is there; its file may not be.
    let response = files.serve_fallback(request).await;
    response.map(Box::new).ok_or(Found::NotFound)
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
