//! What stands before the proxy pipeline: the policies that a route names, in ASP.NET's order
//! (reference 4.1): CORS, authorization, rate limiter, request timeouts.

use bytes::Bytes;

use crate::context::ExchangeContext;

/// What became of an exchange at the door.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It goes on; what is held for it is given back when this is dropped.
    Admitted(Admitted),
    /// It is answered here.
    #[expect(dead_code, reason = "no policy refuses yet")]
    Answered(http::Response<Bytes>),
}

/// What an admitted exchange holds until it is over.
#[derive(Debug, Default)]
pub(crate) struct Admitted {}

/// Asks each policy in turn. A route without policies costs nothing here.
pub(crate) async fn admit(_context: &mut ExchangeContext<'_>) -> Admission {
    Admission::Admitted(Admitted::default())
}
