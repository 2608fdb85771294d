//! Sending spans to a collector: OTLP over HTTP with protobuf, or over gRPC.

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use ostler_config::{OtlpProtocol, TracesConfig};
use prost::Message as _;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

/// Most bytes of a collector's answer.
const MOST: usize = 64 * 1024;

/// Where spans are sent.
#[derive(Debug)]
pub(super) struct Collector {
    transport: Transport,
    /// What a collector asks for beside spans: a key, say.
    fields: HeaderMap,
    service: String,
}

#[derive(Debug)]
enum Transport {
    Http(Box<HttpsClient<Full<Bytes>>>, Uri),
    Grpc(Box<TraceServiceClient<HttpsClient<tonic::body::Body>>>),
}

type HttpsClient<B> = Client<HttpsConnector<HttpConnector>, B>;

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotSent {
    /// The collector is away or busy.
    #[error("{0}")]
    Transient(String),
    /// It will not take them.
    #[error("{0}")]
    Refused(String),
}

impl NotSent {
    /// Whether the same may be taken later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Transient(_))
    }
}

impl Collector {
    pub(super) fn new(config: &TracesConfig) -> anyhow::Result<Self> {
        let endpoint = config.endpoint.trim_end_matches('/');
        let transport = match config.protocol {
            OtlpProtocol::HttpProtobuf => {
                let uri = format!("{endpoint}/v1/traces").parse();
                Transport::Http(
                    Box::new(client(false)?),
                    uri.context("the endpoint is no URL")?,
                )
            }
            OtlpProtocol::Grpc => {
                let origin = endpoint.parse().context("the endpoint is no URL")?;
                let client = TraceServiceClient::with_origin(client(true)?, origin);
                Transport::Grpc(Box::new(client))
            }
        };
        let mut fields = HeaderMap::new();
        for (name, value) in &config.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            let mut value = HeaderValue::from_str(value).context("a header's value is none")?;
            value.set_sensitive(true);
            fields.insert(name.context("a header's name is none")?, value);
        }
        Ok(Self {
            transport,
            fields,
            service: config.service_name.clone(),
        })
    }

    /// Sends these; how many of them the collector refuses.
    pub(super) async fn send(&mut self, spans: Vec<Span>) -> Result<usize, NotSent> {
        let request = self.request(spans);
        let fields = self.fields.clone();
        let answer = match &mut self.transport {
            Transport::Http(client, uri) => post(client, uri.clone(), fields, &request).await?,
            Transport::Grpc(client) => {
                let mut request = tonic::Request::new(request);
                *request.metadata_mut() = MetadataMap::from_headers(fields);
                let answer = client.export(request).await;
                answer
                    .map_err(|status| NotSent::from(&status))?
                    .into_inner()
            }
        };
        Ok(answer.partial_success.map_or(0, refused))
    }

    fn request(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let version = env!("CARGO_PKG_VERSION");
        let resource = [
            ("service.name", self.service.clone()),
            ("service.version", version.to_owned()),
            ("service.instance.id", std::process::id().to_string()),
            ("telemetry.sdk.language", "rust".to_owned()),
        ];
        let attributes = resource.map(|(key, value)| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue {
                value: Some(Value::StringValue(value)),
            }),
            ..KeyValue::default()
        });
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: attributes.into(),
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        name: "ostler".to_owned(),
                        version: version.to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        }
    }
}

fn refused(partial: ExportTracePartialSuccess) -> usize {
    if partial.rejected_spans > 0 {
        let why = partial.error_message;
        tracing::warn!(
            spans = partial.rejected_spans,
            why,
            "the collector refuses spans"
        );
    }
    usize::try_from(partial.rejected_spans).unwrap_or(0)
}

/// A client that believes whom the system believes.
fn client<B>(is_grpc: bool) -> anyhow::Result<HttpsClient<B>>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)
        .context("the system has no root certificates")?
        .https_or_http();
    let connector = match is_grpc {
        true => connector.enable_http2().build(),
        false => connector.enable_http1().build(),
    };
    let mut builder = Client::builder(TokioExecutor::new());
    Ok(builder.http2_only(is_grpc).build(connector))
}

async fn post(
    client: &HttpsClient<Full<Bytes>>,
    uri: Uri,
    fields: HeaderMap,
    request: &ExportTraceServiceRequest,
) -> Result<ExportTraceServiceResponse, NotSent> {
    let body = Full::new(Bytes::from(request.encode_to_vec()));
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = fields;
    let protobuf = HeaderValue::from_static("application/x-protobuf");
    request.headers_mut().insert(CONTENT_TYPE, protobuf);
    let transient = |error: &dyn std::error::Error| NotSent::Transient(chain(error));
    let response = client
        .request(request)
        .await
        .map_err(|error| transient(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MOST).collect().await;
    let body = body
        .map_err(|error| NotSent::Transient(error.to_string()))?
        .to_bytes();
    if status.is_success() {
        // Whatever it says, it has taken them.
        return Ok(ExportTraceServiceResponse::decode(body).unwrap_or_default());
    }
    // By the protocol, no others are to be tried again.
    let said = format!("it answers {status}");
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Err(NotSent::Transient(said)),
        _ => Err(NotSent::Refused(said)),
    }
}

impl From<&Status> for NotSent {
    fn from(status: &Status) -> Self {
        let said = format!("it answers {:?}: {}", status.code(), status.message());
        match status.code() {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
            // How the client says that no connection opens.
            | Code::Unknown => Self::Transient(said),
            _ => Self::Refused(said),
        }
    }
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said.push_str(": ");
        said.push_str(&error.to_string());
        cause = error.source();
    }
    said
}
