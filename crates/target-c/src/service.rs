//! The service that the Rust library calls: each call becomes an exchange that a program answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use ostler_target::{Body, BoxError};
use tower_service::Service;

use crate::events::Events;
use crate::exchange::{Answer, AnswerBody, Exchange};
use crate::response_body::{Ending, ResponseBody};
use crate::switched;

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
            events.request(Arc::clone(&exchange));
            let answer = answer
                .await
                .map_err(|_cancelled| "the application has cancelled the exchange")?;
            Ok(response(&exchange, answer, ending))
        })
    }
}

/// The response that an answer is.
fn response(exchange: &Arc<Exchange>, answer: Answer, ending: Ending) -> Response<ResponseBody> {
    let Answer { head, body } = answer;
    let given = |length| ResponseBody::new(Arc::clone(exchange.outgoing()), length);
    let (body, file) = match body {
        AnswerBody::Given(length) => (given(length).ends(ending), None),
        AnswerBody::File(file) => (given(None).ends(ending), Some(file)),
        AnswerBody::Switched(upgrade) => {
            ending.revoke();
            tokio::spawn(switched::run(Arc::clone(exchange), upgrade));
            (ResponseBody::empty(), None)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.fields;
    if let Some(file) = file {
        response.extensions_mut().insert(file);
    }
    response
}
