//! `HttpRequest` of a cluster as it is written.

use std::time::Duration;

/// `HttpRequest` of a cluster (reference A1.11), apart from `ActivityTimeout`, which stands in
/// [`ClusterConfig`](super::ClusterConfig).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpRequestConfig {
    /// HTTP version towards destinations; absent is 2.
    pub version: Option<HttpVersion>,
    /// Which other versions will do; absent is [`HttpVersionPolicy::RequestVersionOrLower`], so
    /// that over http it is HTTP/1.1 in the end.
    pub version_policy: Option<HttpVersionPolicy>,
    /// Whether responses may be buffered before they are written; absent is false.
    pub allow_response_buffering: Option<bool>,
}

/// `HttpRequest:Version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HttpVersion {
    /// `1.0`.
    Http10,
    /// `1.1`.
    Http11,
    /// `2`.
    Http2,
    /// `3`.
    Http3,
}

/// `HttpRequest:VersionPolicy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HttpVersionPolicy {
    /// The version asked for, or a lower one.
    #[default]
    RequestVersionOrLower,
    /// The version asked for, or a higher one.
    RequestVersionOrHigher,
    /// No other version.
    RequestVersionExact,
}

/// How long a forwarded exchange may be idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityTimeout {
    /// Ends after this long without a byte in either direction; after zero, at once.
    After(Duration),
    /// `-00:00:00.001`: never.
    Infinite,
}
