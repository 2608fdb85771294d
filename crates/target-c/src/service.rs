//! The service that the Rust library calls: each call becomes an exchange that a program answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use ostler_target::{Body, BoxError};
use tower_service::Service;

use crate::events::Events;
use crate::exchange::Exchange;
use crate::outgoing::{Ending, ResponseBody};

#[derive(Debug, Clone)]
pub(crate) struct Exchanges(pub(crate) Arc<Events>);

impl Service<Request<Body>> for Exchanges {
    type Response = Response<ResponseBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let events = Arc::clone(&self.0);
        Box::pin(async move {
            let (exchange, answer) = Exchange::new(request, Arc::clone(&events));
            // Dropped with this future when the client goes.
            let ending = Ending::of(&exchange);
            events.request(exchange);
            let response = answer
                .await
                .map_err(|_cancelled| "the application has cancelled the exchange")?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                ending.revoke();
                return Ok(response);
            }
            Ok(response.map(|body| body.ends(ending)))
        })
    }
}
