//! A collector of traces, by the published protocol: over HTTP and gRPC at one address.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::runtime::Runtime;
use tonic::{Request, Response, Status};

use super::eventually;

/// What it has been sent.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    spans: Vec<Span>,
    fields: HeaderMap,
    /// It answers so in place of taking anything.
    away: Option<StatusCode>,
}

pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    received: Received,
    _runtime: Runtime,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let received = Received::default();
        let runtime = Runtime::new().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let grpc = TraceServiceServer::new(received.clone());
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(received.clone())
            .merge(tonic::service::Routes::new(grpc).into_axum_router());
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            address,
            received,
            _runtime: runtime,
        }
    }

    /// Has it answer this in place of taking spans, or take them.
    pub(crate) fn set_away(&self, away: Option<StatusCode>) {
        self.received.0.lock().unwrap().away = away;
    }

    /// The spans, once there are so many.
    pub(crate) fn spans(&self, count: usize) -> Vec<Span> {
        let spans = || self.received.0.lock().unwrap().spans.clone();
        eventually("the collector has the spans", || spans().len() >= count);
        assert_eq!(spans().len(), count);
        spans()
    }

    /// A field of the last request.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let received = self.received.0.lock().unwrap();
        let field = received.fields.get(name);
        field.map(|value| value.to_str().unwrap().to_owned())
    }
}

impl Received {
    fn add(&self, fields: HeaderMap, request: ExportTraceServiceRequest) {
        let mut inner = self.0.lock().unwrap();
        inner.fields = fields;
        for resource in request.resource_spans {
            inner.spans.extend(
                resource
                    .scope_spans
                    .into_iter()
                    .flat_map(|scope| scope.spans),
            );
        }
    }

    fn away(&self) -> Option<StatusCode> {
        self.0.lock().unwrap().away
    }
}

async fn take(
    State(received): State<Received>,
    fields: HeaderMap,
    body: Bytes,
) -> (StatusCode, Vec<u8>) {
    if let Some(status) = received.away() {
        return (status, Vec::new());
    }
    assert_eq!(fields["content-type"], "application/x-protobuf");
    received.add(fields, ExportTraceServiceRequest::decode(body).unwrap());
    (
        StatusCode::OK,
        ExportTraceServiceResponse::default().encode_to_vec(),
    )
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        self.add(metadata.into_headers(), request);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// An attribute as text; empty without one.
pub(crate) fn attribute(span: &Span, key: &str) -> String {
    let attribute = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == key);
    let value = attribute.and_then(|attribute| attribute.value.as_ref()?.value.clone());
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        None => String::new(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
