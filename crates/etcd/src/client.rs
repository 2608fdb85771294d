//! A connection to one of etcd's members, and the calls that are needed.

use std::time::Duration;

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

use crate::error::EtcdError;
use crate::messages::{
    AuthenticateRequest, AuthenticateResponse, KeyValue, RangeRequest, RangeResponse,
    WatchCreateRequest, WatchRequest, WatchResponse,
};

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a connection shows a sign of life, and how long that may take: a link that is dead says
/// nothing by itself. etcd closes connections that do so more often than every five seconds.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// How to reach etcd.
#[derive(Clone)]
pub struct Access {
    /// URLs of its members, of which any one will do.
    pub endpoints: Vec<String>,
    /// A user and its password, where etcd asks for one.
    pub user: Option<(String, String)>,
    /// What https is spoken by.
    pub tls: TlsAccess,
}

/// Whom to trust, and who one is oneself; all of it PEM.
#[derive(Clone, Default)]
pub struct TlsAccess {
    /// Who vouches for etcd; whom the system trusts, if nobody is named.
    pub authorities: Option<Vec<u8>>,
    /// A certificate chain and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Access {
    /// Shows no secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

/// A connection to one member.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    endpoint: String,
    token: Option<MetadataValue<Ascii>>,
}

/// Keys under a prefix, as of one revision of the store.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) revision: i64,
    pub(crate) kvs: Vec<KeyValue>,
}

impl Client {
    /// Connects to the first member that answers, beginning at `first`.
    ///
    /// # Errors
    ///
    /// That none does, with each one's reason.
    pub async fn connect(access: &Access, first: usize) -> Result<Self, EtcdError> {
        let mut reasons = Vec::new();
        let count = access.endpoints.len();
        for at in 0..count {
            let endpoint = &access.endpoints[(first + at) % count];
            match Self::connect_to(access, endpoint).await {
                Ok(client) => return Ok(client),
                Err(error @ EtcdError::Endpoint { .. }) => return Err(error),
                Err(error) => reasons.push(format!("{endpoint}: {error}")),
            }
        }
        Err(EtcdError::Unreachable(reasons.join("; ")))
    }

    async fn connect_to(access: &Access, endpoint: &str) -> Result<Self, EtcdError> {
        let wrong = |source| EtcdError::Endpoint {
            endpoint: endpoint.to_owned(),
            source,
        };
        let mut to = Endpoint::from_shared(endpoint.to_owned()).map_err(wrong)?;
        if endpoint.starts_with("https:") {
            to = to.tls_config(tls(&access.tls)).map_err(wrong)?;
        }
        let to = to
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(SIGN_OF_LIFE)
            .keep_alive_timeout(PATIENCE)
            .keep_alive_while_idle(true);
        let channel = in_time(to.connect()).await?;
        let channel = channel.map_err(|error| EtcdError::Unreachable(chain(&error)))?;
        let mut client = Self {
            channel,
            endpoint: endpoint.to_owned(),
            token: None,
        };
        if let Some((name, password)) = &access.user {
            client.authenticate(name, password).await?;
        }
        Ok(client)
    }

    /// The member's URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    async fn authenticate(&mut self, name: &str, password: &str) -> Result<(), EtcdError> {
        let request = AuthenticateRequest {
            name: name.to_owned(),
            password: password.to_owned(),
        };
        let path = "/etcdserverpb.Auth/Authenticate";
        match self.call::<_, AuthenticateResponse>(path, request).await {
            Ok(response) => {
                let token = response.token.parse();
                self.token = Some(token.map_err(|_| {
                    EtcdError::Refused("the token that it gives is no text".to_owned())
                })?);
                Ok(())
            }
            // Whoever has not switched it on lets everybody in.
            Err(EtcdError::Refused(why)) if why.contains("authentication is not enabled") => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// One question, one answer.
    pub(crate) async fn call<Q, R>(&self, path: &'static str, message: Q) -> Result<R, EtcdError>
    where
        Q: Message + Default + 'static,
        R: Message + Default + 'static,
    {
        let mut grpc = self.grpc().await?;
        let path = PathAndQuery::from_static(path);
        let answer = grpc.unary(self.request(message), path, ProstCodec::<Q, R>::default());
        Ok(in_time(answer).await??.into_inner())
    }

    async fn grpc(&self) -> Result<Grpc<Channel>, EtcdError> {
        // As many routes as there are: etcd itself has no bound either.
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let ready = in_time(grpc.ready()).await?;
        ready.map_err(|error| EtcdError::Unreachable(chain(&error)))?;
        Ok(grpc)
    }

    fn request<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("token", token.clone());
        }
        request
    }

    /// Everything under a prefix, as a quorum has it.
    pub(crate) async fn range(&self, prefix: &str, keys_only: bool) -> Result<Range, EtcdError> {
        let request = RangeRequest {
            key: prefix.as_bytes().to_vec(),
            range_end: end_of(prefix),
            keys_only,
        };
        let path = "/etcdserverpb.KV/Range";
        let response: RangeResponse = self.call(path, request).await?;
        Ok(Range {
            revision: response.header.unwrap_or_default().revision,
            kvs: response.kvs,
        })
    }

    /// What changes under a prefix, from a revision on.
    pub(crate) async fn watch(&self, prefix: &str, from: i64) -> Result<Watch, EtcdError> {
        let (requests, receiver) = mpsc::channel(1);
        let request = WatchRequest {
            create: Some(WatchCreateRequest {
                key: prefix.as_bytes().to_vec(),
                range_end: end_of(prefix),
                start_revision: from,
            }),
        };
        // There is room for one, and it is the first.
        _ = requests.try_send(request);
        let receiver = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let mut request = self.request(receiver);
        // A member that has lost the others is to say so, and not to be silent.
        let metadata = request.metadata_mut();
        metadata.insert("hasleader", MetadataValue::from_static("true"));
        let mut grpc = self.grpc().await?;
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
        let responses = in_time(grpc.streaming(request, path, codec)).await??;
        let mut watch = Watch {
            responses: responses.into_inner(),
            _requests: requests,
        };
        // The first answer says whether there is one.
        in_time(watch.next()).await??;
        Ok(watch)
    }
}

/// A watch under way.
pub(crate) struct Watch {
    responses: Streaming<WatchResponse>,
    /// etcd ends a watch to which nothing can be said any more.
    _requests: mpsc::Sender<WatchRequest>,
}

impl Watch {
    /// The next changes.
    ///
    /// # Errors
    ///
    /// Why there will be none. A watch that is canceled is at its end: etcd says it once, and the stream
    /// then neither ends nor fails.
    pub(crate) async fn next(&mut self) -> Result<Vec<crate::messages::Event>, EtcdError> {
        let response = match self.responses.next().await {
            Some(Ok(response)) => response,
            Some(Err(status)) => return Err(EtcdError::WatchEnded(said(&status))),
            None => return Err(EtcdError::WatchEnded("the connection is closed".to_owned())),
        };
        match (response.canceled, response.compact_revision) {
            (false, _) => Ok(response.events),
            (true, 0) => Err(EtcdError::WatchEnded(response.cancel_reason)),
            (true, compacted) => Err(EtcdError::Compacted {
                compacted,
                reason: response.cancel_reason,
            }),
        }
    }
}

fn said(status: &tonic::Status) -> String {
    match status.message() {
        "" => status.code().description().to_owned(),
        message => message.to_owned(),
    }
}

fn tls(access: &TlsAccess) -> ClientTlsConfig {
    let mut config = ClientTlsConfig::new();
    config = match &access.authorities {
        Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
        None => config.with_native_roots(),
    };
    match &access.identity {
        Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
        None => config,
    }
}

async fn in_time<T>(call: impl Future<Output = T>) -> Result<T, EtcdError> {
    let answer = tokio::time::timeout(PATIENCE, call).await;
    answer.map_err(|_| EtcdError::Late(PATIENCE))
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The first key behind all that begin with a prefix.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    // No byte of a text is 0xff.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}
