//! The application's service, and how it is called.

use std::future::poll_fn;

use http::StatusCode;
use http::header::CONTENT_LENGTH;
use hyper::upgrade::OnUpgrade;
use tower_service::Service;

use crate::body::Body;
use crate::error::BoxError;
use crate::panics::{Contained, Panicked, contain};
use crate::send_file::{AskedRange, apply_range};

/// What a service must be to answer delegated requests.
pub(crate) trait Handler<B>:
    Service<http::Request<Body>, Response = http::Response<B>, Future: Send, Error: Into<BoxError>>
    + Clone
    + Send
    + 'static
{
}

impl<S, B> Handler<B> for S where
    S: Service<
            http::Request<Body>,
            Response = http::Response<B>,
            Future: Send,
            Error: Into<BoxError>,
        > + Clone
        + Send
        + 'static
{
}

/// What the body of its responses must be.
pub(crate) trait ResponseBody:
    http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static
{
}

impl<B> ResponseBody for B where
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static
{
}

/// Calls a service as soon as it is ready; its errors and panics are a 500, and so is a response that
/// is none. Of a response that is a file, it makes the part that was asked for.
pub(crate) async fn call<S, B>(
    service: &mut S,
    request: http::Request<Body>,
) -> Result<http::Response<B>, StatusCode>
where
    S: Service<http::Request<Body>, Response = http::Response<B>>,
    S::Error: Into<BoxError>,
{
    let failed = |error: BoxError| {
        tracing::error!(error, "the service failed");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let panicked = |panicked: Panicked| {
        tracing::error!("{panicked}");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    poll_fn(|cx| service.poll_ready(cx))
        .await
        .map_err(|error| failed(error.into()))?;
    let asked = AskedRange::of(&request);
    let may_switch = request.extensions().get::<OnUpgrade>().is_some();
    let future = contain(|| service.call(request)).map_err(panicked)?;
    let future = std::pin::pin!(future);
    match Contained(future).await.map_err(panicked)? {
        Ok(mut response) => {
            if is_interim(response.status(), may_switch) {
                let status = response.status().as_u16();
                return Err(failed(
                    format!("it answers with {status}, behind which the response is still to come")
                        .into(),
                ));
            }
            forget_empty_length(&mut response);
            apply_range(asked.as_ref(), &mut response);
            Ok(response)
        }
        Err(error) => Err(failed(error.into())),
    }
}

/// Whether a client that is sent this goes on waiting for its response, or takes it for a switch to a
/// protocol that it has not asked for: it could not tell the next response from this one's (RFC 9110
/// section 15.2).
fn is_interim(status: StatusCode, may_switch: bool) -> bool {
    status.is_informational() && !(may_switch && status == StatusCode::SWITCHING_PROTOCOLS)
}

/// Takes the length of the empty body from a 304, which states what GET would give or nothing (RFC
/// 9110 section 8.6): axum says of every response how long its own body is.
fn forget_empty_length<B>(response: &mut http::Response<B>) {
    let is_empty = |length: &http::HeaderValue| length == "0";
    if response.status() == StatusCode::NOT_MODIFIED
        && response.headers().get(CONTENT_LENGTH).is_some_and(is_empty)
    {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
}
