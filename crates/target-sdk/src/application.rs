//! What a queue can be served with: a service of requests, or what axum makes of a `Router` for
//! handlers that ask who their client is.

use http::{Request, Response};
use tower_service::Service;

use crate::Body;

/// What [`serve`](crate::serve()) takes. `By` only tells the two kinds apart, and is inferred.
pub trait Application<By> {
    /// The service that answers requests.
    type Service;

    /// Makes it.
    fn into_service(self) -> Self::Service;
}

/// A service of requests.
#[derive(Debug)]
pub struct ByRequest(());

impl<S, B> Application<ByRequest> for S
where
    S: Service<Request<Body>, Response = Response<B>>,
{
    type Service = S;

    fn into_service(self) -> S {
        self
    }
}

#[cfg(feature = "axum")]
pub use with_axum::{ByConnection, PerConnection, QueueClient};

#[cfg(feature = "axum")]
mod with_axum {
    use std::convert::Infallible;
    use std::future::Future;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use axum::extract::ConnectInfo;
    use axum::extract::connect_info::{self, IntoMakeServiceWithConnectInfo};
    use axum::middleware::AddExtension;
    use http::{Request, Response};
    use tower_service::Service;

    use super::Application;
    use crate::{Body, RequestInfo};

    /// A service that is made for each connection: `into_make_service_with_connect_info`.
    #[derive(Debug)]
    pub struct ByConnection(());

    /// Whom a connection comes from. A request that no client has sent (a health check of the front's
    /// over the queue) comes from `0.0.0.0:0`.
    #[derive(Debug, Clone, Copy)]
    pub struct QueueClient(SocketAddr);

    impl QueueClient {
        fn of(info: Option<&RequestInfo>) -> Self {
            let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
            let address = info.and_then(RequestInfo::client_address);
            Self(address.unwrap_or(nobody))
        }
    }

    impl connect_info::Connected<QueueClient> for SocketAddr {
        fn connect_info(client: QueueClient) -> Self {
            client.0
        }
    }

    /// Has axum's `ConnectInfo` extractor find the client's address.
    pub(crate) fn tell_axum(extensions: &mut http::Extensions, info: &RequestInfo) {
        extensions.insert(ConnectInfo(QueueClient::of(Some(info)).0));
    }

    /// A service that axum makes for each connection, as one of requests: front and client share the
    /// connection, so that each request may come from another one.
    #[derive(Debug)]
    pub struct PerConnection<S> {
        make: IntoMakeServiceWithConnectInfo<S, SocketAddr>,
    }

    impl<S: Clone> Clone for PerConnection<S> {
        fn clone(&self) -> Self {
            Self {
                make: self.make.clone(),
            }
        }
    }

    impl<S, B> Application<ByConnection> for IntoMakeServiceWithConnectInfo<S, SocketAddr>
    where
        S: Clone + Service<Request<Body>, Response = Response<B>>,
    {
        type Service = PerConnection<S>;

        fn into_service(self) -> PerConnection<S> {
            PerConnection { make: self }
        }
    }

    type OfConnection<S> = AddExtension<S, ConnectInfo<SocketAddr>>;

    impl<S, B> Service<Request<Body>> for PerConnection<S>
    where
        S: Clone + Service<Request<Body>, Response = Response<B>>,
    {
        type Response = S::Response;
        type Error = S::Error;
        type Future = <OfConnection<S> as Service<Request<Body>>>::Future;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            // Each service is a new one: axum's are always ready.
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            let client = QueueClient::of(request.extensions().get::<RequestInfo>());
            self.of(client).call(request)
        }
    }

    impl<S: Clone> PerConnection<S> {
        fn of(&mut self, client: QueueClient) -> OfConnection<S> {
            let made = pin!(self.make.call(client));
            let polled = made.poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Ok::<_, Infallible>(service)) = polled else {
                unreachable!("axum makes services without waiting");
            };
            service
        }
    }
}

#[cfg(feature = "axum")]
pub(crate) use with_axum::tell_axum;

/// Without axum there is nobody to tell.
#[cfg(not(feature = "axum"))]
pub(crate) fn tell_axum(_: &mut http::Extensions, _: &crate::RequestInfo) {}
