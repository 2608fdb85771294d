//! What a request is to whoever decides about it.

/// What route matching reads of a request. Implemented by the proxy for its heads.
pub trait RequestView {
    /// The method as it was sent, case included.
    fn method(&self) -> &str;

    /// The path as it was sent: percent-encoded, without query. What does not begin with `/` (the
    /// `*` of OPTIONS, a CONNECT request) counts as the path without segments.
    fn path(&self) -> &str;

    /// What follows the first `?`, without it; `None` when there is none.
    fn query(&self) -> Option<&str>;

    /// `host[:port]` of the `Host` field or `:authority`; empty when there is none.
    fn authority(&self) -> &str;

    /// Whether the request came over TLS: the port is 443 then where `authority` names none, else 80.
    fn is_https(&self) -> bool;

    /// Calls `visit` with the value of each field line of that name (compared without case), in the
    /// order they were sent, without the blanks around it.
    fn for_each_field_value(&self, name: &str, visit: &mut dyn FnMut(&[u8]));
}
