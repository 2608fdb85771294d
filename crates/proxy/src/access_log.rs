//! What an access log is told of an exchange when it is over: who asked what, and how it ended.
//!
//! Where there is a log, an exchange keeps a copy of its request's head to its end: the client's buffer
//! may be gone by then.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Version;
use ostler_delegation::control::ConnectionFacts;
use ostler_http1::RequestHead;

use crate::outcome::Outcome;
use crate::trace::{Sampling, TraceContext};

/// A log with one line an exchange. It is called by the threads that serve clients, so it must not block.
pub trait AccessLog: fmt::Debug + Send + Sync {
    /// An exchange is over.
    fn write(&self, record: &AccessRecord<'_>);
}

/// Who is told of spans. It is called by the threads that serve clients, so it must not block.
pub trait SpanExporter: fmt::Debug + Send + Sync {
    /// An exchange is over, whose span is to be told of.
    fn export(&self, record: &AccessRecord<'_>, trace: &TraceContext);
}

/// How a front takes part in traces.
#[derive(Debug, Clone)]
pub struct TraceOptions {
    /// Who is told of spans.
    pub exporter: Arc<dyn SpanExporter>,
    /// Which, of traces that begin here.
    pub sampling: Sampling,
}

/// An exchange that is over.
#[derive(Debug, Clone, Copy)]
pub struct AccessRecord<'a> {
    /// When the request's head had been received.
    pub at: SystemTime,
    /// The client's address; absent for a client on a socket of the file system.
    pub client: Option<SocketAddr>,
    /// The address that the client connected to.
    pub local: Option<SocketAddr>,
    /// Whether the client spoke TLS.
    pub is_https: bool,
    /// What was asked.
    pub request: &'a LoggedRequest,
    /// The span that it was, where there are traces.
    pub trace: Option<&'a TraceContext>,
    /// How it ended.
    pub outcome: &'a Outcome,
}

/// What a client asked.
#[derive(Debug, Clone)]
pub enum LoggedRequest {
    /// A request.
    Read(Box<RequestHead>, Version),
    /// What could not be read as a request: its first line, as far as there is one. Empty over HTTP/2.
    Malformed(Vec<u8>),
}

impl LoggedRequest {
    /// What could not be read as a request, of which `input` is there.
    pub(crate) fn malformed(input: &[u8]) -> Self {
        /// More than what any log's reader wants of it.
        const LONGEST: usize = 8 * 1024;
        let line = input.trim_ascii_start().split(|&byte| byte == b'\n').next();
        let line = line.unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Self::Malformed(line[..line.len().min(LONGEST)].to_vec())
    }
}

/// Who is told of an exchange with all that is known of it.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(crate) log: Option<Arc<dyn AccessLog>>,
    pub(crate) exporter: Option<Arc<dyn SpanExporter>>,
}

/// What they will need of an exchange that is under way.
#[derive(Debug)]
pub(crate) struct Noted {
    listeners: Listeners,
    is_https: bool,
    trace: Option<Box<TraceContext>>,
    at: SystemTime,
    client: Option<SocketAddr>,
    local: Option<SocketAddr>,
    request: LoggedRequest,
}

impl Noted {
    pub(crate) fn new(
        listeners: Listeners,
        connection: &ConnectionFacts,
        is_https: bool,
        request: LoggedRequest,
        trace: Option<Box<TraceContext>>,
    ) -> Box<Self> {
        Box::new(Self {
            listeners,
            is_https,
            trace,
            at: crate::clock::wall_clock(),
            client: connection.client,
            local: connection.local,
            request,
        })
    }

    /// Of a request that had been received so long ago.
    pub(crate) fn earlier(
        log: &Arc<dyn AccessLog>,
        connection: &ConnectionFacts,
        request: LoggedRequest,
        ago: Duration,
    ) -> Box<Self> {
        let listeners = Listeners {
            log: Some(Arc::clone(log)),
            exporter: None,
        };
        let mut noted = Self::new(listeners, connection, false, request, None);
        noted.at = noted.at.checked_sub(ago).unwrap_or(noted.at);
        noted
    }

    /// What the client asks is known only now.
    pub(crate) fn set_request(&mut self, request: LoggedRequest) {
        self.request = request;
    }

    /// Tells them.
    pub(crate) fn write(&self, outcome: &Outcome) {
        let record = AccessRecord {
            at: self.at,
            client: self.client,
            local: self.local,
            is_https: self.is_https,
            request: &self.request,
            trace: self.trace.as_deref(),
            outcome,
        };
        if let Some(log) = &self.listeners.log {
            log.write(&record);
        }
        if let (Some(exporter), Some(trace)) = (&self.listeners.exporter, record.trace) {
            exporter.export(&record, trace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_malformed_the_first_line_is_kept() {
        let line = |input: &[u8]| match LoggedRequest::malformed(input) {
            LoggedRequest::Malformed(line) => line,
            LoggedRequest::Read(..) => unreachable!("it is malformed"),
        };
        assert_eq!(
            line(b"\r\nGET / HTTP/9.9\r\nHost: x\r\n"),
            b"GET / HTTP/9.9"
        );
        assert_eq!(line(b"\x00\x01 no line"), b"\x00\x01 no line");
        assert_eq!(line(b""), b"");
        assert_eq!(line(&[b'a'; 100_000]).len(), 8 * 1024);
    }
}
