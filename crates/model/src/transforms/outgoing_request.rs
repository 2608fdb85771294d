//! A request on its way to a destination: what request transforms work on.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::net::SocketAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response};

use super::lines;
use super::path::{self, Slashes};
use super::query::QueryParameters;
use crate::route::escape::decode_path;
use crate::route::{PathTemplate, RequestView};

/// A request on its way to a destination.
pub struct OutgoingRequest<'a> {
    original: &'a dyn RequestView,
    remote: Option<SocketAddr>,
    local: Option<SocketAddr>,
    pub(super) client_certificate: Option<&'a [u8]>,
    prefix: Option<&'a str>,
    template: Option<&'a PathTemplate>,
    values: OnceCell<Vec<(&'a str, Option<String>)>>,
    /// What becomes of `%2F` in route values: the text is an encoded slash, unless the client
    /// encodes percent signs too, since `%252F` must not become a slash.
    pub(super) slashes: Slashes,
    /// The method.
    pub method: Method,
    /// The fields; without `Host` the destination's own is sent.
    pub headers: HeaderMap,
    destination_host: &'a HeaderValue,
    pub(super) headers_copied: bool,
    pub(super) path: Cow<'a, str>,
    raw_query: Option<&'a str>,
    /// Made of the raw query once a transform needs it; then this is the query.
    parameters: Option<QueryParameters>,
    answer: Option<Response<Vec<u8>>>,
}

/// The ends of a client's connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionEnds<'a> {
    /// The client's.
    pub remote: Option<SocketAddr>,
    /// The proxy's.
    pub local: Option<SocketAddr>,
    /// Whether the client has asked by https.
    pub is_https: bool,
    /// What was taken from the path's beginning before it came here, by something that is believed.
    pub prefix: Option<&'a str>,
    /// Whether what is said of the client is what something before the proxy says.
    pub is_claimed: bool,
    /// The client's certificate in DER, if it has shown one.
    pub client_certificate: Option<&'a [u8]>,
}

impl fmt::Debug for OutgoingRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

impl<'a> OutgoingRequest<'a> {
    pub(super) fn new(
        original: &'a dyn RequestView,
        ends: ConnectionEnds<'a>,
        template: Option<&'a PathTemplate>,
        method: Method,
        headers: Option<HeaderMap>,
        destination_host: &'a HeaderValue,
    ) -> Self {
        let path = original.path();
        let doubly = path.as_bytes().windows(3).any(|three| three == b"%25");
        Self {
            original,
            remote: ends.remote,
            local: ends.local,
            client_certificate: ends.client_certificate,
            prefix: ends.prefix,
            template,
            values: OnceCell::new(),
            slashes: if doubly {
                Slashes::Encode
            } else {
                Slashes::Keep
            },
            method,
            headers_copied: headers.is_some(),
            headers: headers.unwrap_or_default(),
            destination_host,
            path: path::forwarded(path),
            raw_query: original.query(),
            parameters: None,
            answer: None,
        }
    }

    /// The request as the client sent it.
    pub fn original(&self) -> &dyn RequestView {
        self.original
    }

    /// The client's address.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// The client's certificate in DER, if it has shown one.
    pub fn client_certificate(&self) -> Option<&[u8]> {
        self.client_certificate
    }

    /// What was taken from the path's beginning before the request came here.
    pub fn path_base(&self) -> Option<&str> {
        self.prefix
    }

    /// The address that the client connected to.
    pub fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    /// The path, decoded but for encoded slashes; what the destination's address has before it is
    /// not in it.
    pub fn path(&self) -> Cow<'_, str> {
        decode_path(&self.path)
    }

    /// Replaces the path by a decoded one.
    pub fn set_path(&mut self, decoded: &str) {
        self.path = Cow::Owned(path::configured(decoded));
    }

    /// The query as it will be sent, without `?`.
    pub fn query(&self) -> Option<Cow<'_, str>> {
        match &self.parameters {
            None => self.raw_query.map(path::forwarded_query),
            Some(parameters) => parameters.encode().map(Cow::Owned),
        }
    }

    /// Sets a parameter of the query, or adds a value to it.
    pub fn put_query_parameter(&mut self, name: &str, value: &str, append: bool) {
        self.parameters().put(name, value, append);
    }

    /// Removes a parameter of the query.
    pub fn remove_query_parameter(&mut self, name: &str) {
        self.parameters().remove(name);
    }

    /// What the route's path template captured under a name.
    pub fn route_value(&self, name: &str) -> Option<&str> {
        let values = self.values.get_or_init(|| {
            let captured = self.template.map(|at| at.capture(self.original.path()));
            captured.flatten().unwrap_or_default()
        });
        let found = values
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_deref())
    }

    /// Takes the values of a field: those of the outgoing request, or the client's where its fields
    /// were not copied (reference B2.7).
    pub fn take(&mut self, name: &HeaderName) -> Vec<HeaderValue> {
        let mut values = Vec::new();
        if let header::Entry::Occupied(entry) = self.headers.entry(name) {
            values.extend(entry.remove_entry_mult().1);
        } else if !self.headers_copied {
            self.original_values(name, |value| values.push(value));
        }
        values
    }

    /// Answers the request: no destination is asked.
    pub fn respond(&mut self, response: Response<Vec<u8>>) {
        self.answer = Some(response);
    }

    /// The path and query as they are sent, behind `prefix`, the path of the destination's address.
    pub fn target(&self, prefix: &str) -> String {
        let mut target = path::with_prefix(prefix, &self.path);
        if target.is_empty() {
            target.push('/');
        }
        if let Some(query) = self.query() {
            target.push('?');
            target.push_str(&query);
        }
        target
    }

    pub(super) fn take_answer(&mut self) -> Option<Response<Vec<u8>>> {
        self.answer.take()
    }

    fn parameters(&mut self) -> &mut QueryParameters {
        let raw = self.raw_query.unwrap_or_default();
        self.parameters
            .get_or_insert_with(|| QueryParameters::parse(raw))
    }

    pub(super) fn original_values(&self, name: &HeaderName, mut take: impl FnMut(HeaderValue)) {
        self.original
            .for_each_field_value(name.as_str(), &mut |value| {
                // What has been received as a field is one.
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    take(value);
                }
            });
    }

    /// Sets a field, or appends to it on the same line (reference B7.4). A value that is
    /// none takes the field with it (2.7).
    pub(super) fn put(&mut self, name: &HeaderName, value: Option<&HeaderValue>, append: bool) {
        let mut values = match append {
            true => self.take(name),
            false => Vec::new(),
        };
        self.headers.remove(name);
        let Some(value) = value else { return };
        values.push(value.clone());
        self.put_joined(name, &values);
    }

    pub(super) fn put_joined(&mut self, name: &HeaderName, values: &[HeaderValue]) {
        let values: Vec<_> = values.iter().map(HeaderValue::as_bytes).collect();
        if let Some(value) = lines::joined(name, &values) {
            self.headers.insert(name.clone(), value);
        }
    }

    /// Reference B3.5.
    pub(super) fn host(&mut self, original: bool) {
        let own = self.original.authority();
        let is_original = |host: &HeaderValue| host.as_bytes() == own.as_bytes();
        let current = self.headers.get(header::HOST);
        match (original, current) {
            (true, Some(_)) => {}
            (true, None) => {
                if !self.headers_copied
                    && let Ok(host) = HeaderValue::from_str(own)
                    && !own.is_empty()
                {
                    self.headers.insert(header::HOST, host);
                }
            }
            (false, Some(host)) if !is_original(host) => {}
            (false, _) => {
                let host = self.destination_host.clone();
                self.headers.insert(header::HOST, host);
            }
        }
    }

    /// Where no transform has left a `Host`, the destination's is sent.
    pub(super) fn conclude(&mut self) {
        if !self.headers.contains_key(header::HOST) {
            let host = self.destination_host.clone();
            self.headers.insert(header::HOST, host);
        }
    }
}
