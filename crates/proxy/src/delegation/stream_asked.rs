//! A request as a stream's target is asked it.

use std::rc::Rc;
use std::time::Instant;

use http::Version;
use ostler_delegation::entry::{ExchangeLimits, RequestEntry};
use ostler_delegation::stream_entry::{ClientVersion, StreamClient, StreamRequest};
use ostler_http1::{Framing, RequestFacts, RequestHead};

use crate::queues::{Channel, NotTaken, StreamHandle};
use crate::tls::{ClientFacts, TlsFacts};

/// What a target is told of a request beside its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamAsked<'a> {
    /// What the target sees.
    pub(crate) head: &'a RequestHead,
    pub(crate) client: &'a ClientFacts,
    /// What the client speaks.
    pub(crate) version: Version,
    pub(crate) head_received_ns: u64,
}

impl StreamAsked<'_> {
    /// Puts the request into an instance's ring. Its body goes behind it as it is read; limits, transforms
    /// and fields that are added are for the front, through which the bytes pass.
    pub(crate) fn open(
        &self,
        channel: &Rc<Channel>,
        now: Instant,
    ) -> Result<StreamHandle, NotTaken> {
        let head = self.head;
        let request = StreamRequest {
            request: RequestEntry {
                head: head.parts(),
                facts: RequestFacts::from(head),
                framing: head.framing(),
                expects_continue: head.expects_continue(),
                upgrade: head.upgrade().is_some(),
                head_received_ns: self.head_received_ns,
                queued_ns: ostler_shm::monotonic_nanoseconds(),
                limits: ExchangeLimits::NONE,
                forwarded: None,
                transforms: &[],
                directives: &[],
                prefix: &[],
            },
            client: StreamClient {
                facts: self.client.connection,
                is_https: self.client.scheme_told(channel.tells_forwarded_clients()),
                tls: self.client.tls.as_deref().map(TlsFacts::to_target),
                version: match self.version {
                    Version::HTTP_2 => ClientVersion::Http2,
                    Version::HTTP_10 => ClientVersion::Http10,
                    _ => ClientVersion::Http11,
                },
            },
            is_whole: head.framing() == Framing::None && head.upgrade().is_none(),
        };
        channel.open_stream(&request, now)
    }
}
