//! What a handler can know of its request beyond HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use ostler_delegation::control::{ConnectionFacts, TlsFacts};
use ostler_delegation::entry::ForwardedClient;

/// How a request reached this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arrival {
    /// The client's own socket was handed over: bytes go between client and this process only.
    Delegated,
    /// The client's connection cannot be handed over (it carries HTTP/2, or TLS that the front
    /// speaks): the front passes the bytes on, through memory that it shares with this process.
    Streamed,
    /// The front passes the bytes on over a socket, since it does not share memory with this process.
    Relayed,
}

/// The TLS that a client speaks with the front. The bytes that reach this process are decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    version: u16,
    server_name: Option<String>,
}

impl TlsInfo {
    pub(crate) fn new(facts: TlsFacts) -> Self {
        Self {
            version: facts.version,
            server_name: facts.server_name,
        }
    }

    /// The host that the client asked for in its handshake (SNI).
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The version as TLS writes it: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3.
    pub fn version(&self) -> u16 {
        self.version
    }
}

/// The client and the way of a request. In the extensions of every request: in an axum handler,
/// `Extension(info): Extension<RequestInfo>`.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    client: Option<SocketAddr>,
    local: Option<SocketAddr>,
    arrival: Arrival,
    tls: Option<Arc<TlsInfo>>,
    is_https: bool,
    accepted_ns: u64,
    head_received_ns: u64,
    queued_ns: u64,
    received_ns: u64,
}

impl RequestInfo {
    pub(crate) fn delegated(
        facts: &ConnectionFacts,
        tls: Option<Arc<TlsInfo>>,
        head_received_ns: u64,
        queued_ns: u64,
        received_ns: u64,
    ) -> Self {
        Self {
            client: facts.client,
            local: facts.local,
            arrival: Arrival::Delegated,
            is_https: tls.is_some(),
            tls,
            accepted_ns: facts.accepted_ns,
            head_received_ns,
            queued_ns,
            received_ns,
        }
    }

    /// `times`: when the head was complete, when it was put into the queue, when it was taken out.
    pub(crate) fn streamed(
        facts: &ConnectionFacts,
        tls: Option<Arc<TlsInfo>>,
        times: [u64; 3],
    ) -> Self {
        let [head_received_ns, queued_ns, received_ns] = times;
        Self {
            arrival: Arrival::Streamed,
            ..Self::delegated(facts, tls, head_received_ns, queued_ns, received_ns)
        }
    }

    pub(crate) fn relayed(
        facts: &ConnectionFacts,
        tls: Option<Arc<TlsInfo>>,
        received_ns: u64,
    ) -> Self {
        Self {
            arrival: Arrival::Relayed,
            ..Self::delegated(facts, tls, 0, 0, received_ns)
        }
    }

    /// What something that stands before the front says of who has asked.
    pub(crate) fn forwarded(self, client: Option<ForwardedClient>) -> Self {
        match client {
            None => self,
            Some(ForwardedClient { address, is_https }) => Self {
                client: address,
                is_https,
                ..self
            },
        }
    }

    /// The same of one that says nothing more of the client's address.
    pub(crate) fn asked_by_https(self, is_https: bool) -> Self {
        Self { is_https, ..self }
    }

    /// The client's address: as the front's socket has it, or, where something that the front trusts
    /// stands before it, as that one says.
    pub fn client_address(&self) -> Option<SocketAddr> {
        self.client
    }

    /// The address the client connected to.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local
    }

    /// How the request reached this process.
    pub fn arrival(&self) -> Arrival {
        self.arrival
    }

    /// What the client and the front said when they agreed on TLS; `None` in clear text.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    /// The scheme that the client asked by: `https` where it speaks TLS with the front, or, where
    /// something that the front trusts stands before it, if that one says so.
    pub fn scheme(&self) -> &'static str {
        match self.is_https {
            true => "https",
            false => "http",
        }
    }

    /// When the connection was accepted: nanoseconds of `CLOCK_MONOTONIC`, as all times here.
    pub fn connection_started_ns(&self) -> u64 {
        self.accepted_ns
    }

    /// When the front had the whole head; 0 when it was relayed.
    pub fn head_received_ns(&self) -> u64 {
        self.head_received_ns
    }

    /// When the front put the request into the queue (`RequestQueuedForIO`); 0 when it was relayed.
    pub fn queued_ns(&self) -> u64 {
        self.queued_ns
    }

    /// When this process took it out (`RequestDeliveredForIO`).
    pub fn received_ns(&self) -> u64 {
        self.received_ns
    }
}
