use crate::ext::Protocol;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};
use std::fmt;

/// HTTP/2 Header
#[derive(Debug, Clone, Eq, PartialEq)]
pub enum Header<T = HeaderName> {
    Field { name: T, value: HeaderValue },
    // TODO: Change these types to `http::uri` types.
    Authority(BytesStr),
    Method(Method),
    Scheme(BytesStr),
    Path(BytesStr),
    Protocol(Protocol),
    Status(StatusCode),
    // ostler: a field that makes its message malformed, and nothing else: the
    // compression's state goes on (RFC 9113 sections 8.1.1 and 8.2.1).
    Malformed { name: Bytes, value: Bytes },
}

/// The header field name
#[derive(Debug, Clone, Eq, PartialEq, Hash)]
pub enum Name<'a> {
    Field(&'a HeaderName),
    Authority,
    Method,
    Scheme,
    Path,
    Protocol,
    Status,
    // ostler: that of a malformed field.
    Malformed(&'a [u8]),
}

#[doc(hidden)]
#[derive(Clone, Eq, PartialEq, Default)]
pub struct BytesStr(Bytes);

pub fn len(name: &HeaderName, value: &HeaderValue) -> usize {
    let n: &str = name.as_ref();
    32 + n.len() + value.len()
}

impl Header<Option<HeaderName>> {
    pub fn reify(self) -> Result<Header, HeaderValue> {
        use self::Header::*;

        Ok(match self {
            Field {
                name: Some(n),
                value,
            } => Field { name: n, value },
            Field { name: None, value } => return Err(value),
            Authority(v) => Authority(v),
            Method(v) => Method(v),
            Scheme(v) => Scheme(v),
            Path(v) => Path(v),
            Protocol(v) => Protocol(v),
            Status(v) => Status(v),
            Malformed { name, value } => Malformed { name, value },
        })
    }
}

// ostler
impl Header {
    /// The same with memory of its own, and no more than it takes.
    pub(crate) fn compact(&self) -> Self {
        let compact = |text: &BytesStr| BytesStr(Bytes::copy_from_slice(&text.0));
        match self {
            Self::Field { name, value } => {
                let mut copy = HeaderValue::from_bytes(value.as_bytes());
                if let Ok(copy) = &mut copy {
                    copy.set_sensitive(value.is_sensitive());
                }
                Self::Field {
                    name: HeaderName::from_bytes(name.as_ref()).unwrap_or_else(|_| name.clone()),
                    value: copy.unwrap_or_else(|_| value.clone()),
                }
            }
            Self::Authority(text) => Self::Authority(compact(text)),
            Self::Scheme(text) => Self::Scheme(compact(text)),
            Self::Path(text) => Self::Path(compact(text)),
            Self::Malformed { name, value } => Self::Malformed {
                name: Bytes::copy_from_slice(name),
                value: Bytes::copy_from_slice(value),
            },
            Self::Method(_) | Self::Protocol(_) | Self::Status(_) => self.clone(),
        }
    }
}

impl Header {
    // ostler: what is not well-formed is a field too, `Malformed`.
    pub fn new(name: Bytes, value: Bytes) -> Header {
        match name.strip_prefix(b":") {
            Some(b"authority") => Name::Authority.into_entry(value),
            Some(b"method") => Name::Method.into_entry(value),
            Some(b"scheme") => Name::Scheme.into_entry(value),
            Some(b"path") => Name::Path.into_entry(value),
            Some(b"protocol") => Name::Protocol.into_entry(value),
            Some(b"status") => Name::Status.into_entry(value),
            Some(_) => Header::Malformed { name, value },
            // HTTP/2 requires lower case header names
            None => match (
                HeaderName::from_lowercase(&name),
                HeaderValue::from_bytes(&value),
            ) {
                (Ok(name), Ok(value)) => Header::Field { name, value },
                _ => Header::Malformed { name, value },
            },
        }
    }

    pub fn len(&self) -> usize {
        match *self {
            Header::Field {
                ref name,
                ref value,
            } => len(name, value),
            Header::Authority(ref v) => 32 + 10 + v.len(),
            Header::Method(ref v) => 32 + 7 + v.as_ref().len(),
            Header::Scheme(ref v) => 32 + 7 + v.len(),
            Header::Path(ref v) => 32 + 5 + v.len(),
            Header::Protocol(ref v) => 32 + 9 + v.as_str().len(),
            Header::Status(_) => 32 + 7 + 3,
            Header::Malformed {
                ref name,
                ref value,
            } => 32 + name.len() + value.len(),
        }
    }

    /// Returns the header name
    pub fn name(&self) -> Name<'_> {
        match *self {
            Header::Field { ref name, .. } => Name::Field(name),
            Header::Authority(..) => Name::Authority,
            Header::Method(..) => Name::Method,
            Header::Scheme(..) => Name::Scheme,
            Header::Path(..) => Name::Path,
            Header::Protocol(..) => Name::Protocol,
            Header::Status(..) => Name::Status,
            Header::Malformed { ref name, .. } => Name::Malformed(name),
        }
    }

    pub fn value_slice(&self) -> &[u8] {
        match *self {
            Header::Field { ref value, .. } => value.as_ref(),
            Header::Authority(ref v) => v.as_ref(),
            Header::Method(ref v) => v.as_ref().as_ref(),
            Header::Scheme(ref v) => v.as_ref(),
            Header::Path(ref v) => v.as_ref(),
            Header::Protocol(ref v) => v.as_ref(),
            Header::Status(ref v) => v.as_str().as_ref(),
            Header::Malformed { ref value, .. } => value,
        }
    }

    pub fn value_eq(&self, other: &Header) -> bool {
        match *self {
            Header::Field { ref value, .. } => {
                let a = value;
                match *other {
                    Header::Field { ref value, .. } => a == value,
                    _ => false,
                }
            }
            Header::Authority(ref a) => match *other {
                Header::Authority(ref b) => a == b,
                _ => false,
            },
            Header::Method(ref a) => match *other {
                Header::Method(ref b) => a == b,
                _ => false,
            },
            Header::Scheme(ref a) => match *other {
                Header::Scheme(ref b) => a == b,
                _ => false,
            },
            Header::Path(ref a) => match *other {
                Header::Path(ref b) => a == b,
                _ => false,
            },
            Header::Protocol(ref a) => match *other {
                Header::Protocol(ref b) => a == b,
                _ => false,
            },
            Header::Status(ref a) => match *other {
                Header::Status(ref b) => a == b,
                _ => false,
            },
            Header::Malformed { ref value, .. } => value == other.value_slice(),
        }
    }

    pub fn is_sensitive(&self) -> bool {
        match *self {
            Header::Field { ref value, .. } => value.is_sensitive(),
            // TODO: Technically these other header values can be sensitive too.
            _ => false,
        }
    }

    pub fn skip_value_index(&self) -> bool {
        use http::header;

        match *self {
            Header::Field { ref name, .. } => matches!(
                *name,
                header::AGE
                    | header::AUTHORIZATION
                    | header::CONTENT_LENGTH
                    | header::ETAG
                    | header::IF_MODIFIED_SINCE
                    | header::IF_NONE_MATCH
                    | header::LOCATION
                    | header::COOKIE
                    | header::SET_COOKIE
            ),
            Header::Path(..) => true,
            _ => false,
        }
    }
}

// Mostly for tests
impl From<Header> for Header<Option<HeaderName>> {
    fn from(src: Header) -> Self {
        match src {
            Header::Field { name, value } => Header::Field {
                name: Some(name),
                value,
            },
            Header::Authority(v) => Header::Authority(v),
            Header::Method(v) => Header::Method(v),
            Header::Scheme(v) => Header::Scheme(v),
            Header::Path(v) => Header::Path(v),
            Header::Protocol(v) => Header::Protocol(v),
            Header::Status(v) => Header::Status(v),
            Header::Malformed { name, value } => Header::Malformed { name, value },
        }
    }
}

impl<'a> Name<'a> {
    // ostler: infallible, as `Header::new` is.
    pub fn into_entry(self, value: Bytes) -> Header {
        let header = match self {
            Name::Field(name) => HeaderValue::from_bytes(&value)
                .ok()
                .map(|value| Header::Field {
                    name: name.clone(),
                    value,
                }),
            Name::Authority => BytesStr::checked(&value).map(Header::Authority),
            Name::Method => Method::from_bytes(&value).ok().map(Header::Method),
            Name::Scheme => BytesStr::checked(&value).map(Header::Scheme),
            Name::Path => BytesStr::checked(&value).map(Header::Path),
            Name::Protocol => Protocol::try_from(value.clone()).ok().map(Header::Protocol),
            Name::Status => StatusCode::from_bytes(&value).ok().map(Header::Status),
            Name::Malformed(_) => None,
        };
        header.unwrap_or_else(|| Header::Malformed {
            name: Bytes::copy_from_slice(self.as_slice()),
            value,
        })
    }

    pub fn as_slice(&self) -> &[u8] {
        match *self {
            Name::Field(ref name) => name.as_ref(),
            Name::Authority => b":authority",
            Name::Method => b":method",
            Name::Scheme => b":scheme",
            Name::Path => b":path",
            Name::Protocol => b":protocol",
            Name::Status => b":status",
            Name::Malformed(name) => name,
        }
    }
}

// ===== impl BytesStr =====

impl BytesStr {
    pub(crate) const fn from_static(value: &'static str) -> Self {
        BytesStr(Bytes::from_static(value.as_bytes()))
    }

    pub(crate) fn from(value: &str) -> Self {
        BytesStr(Bytes::copy_from_slice(value.as_bytes()))
    }

    #[doc(hidden)]
    pub fn try_from(bytes: Bytes) -> Result<Self, std::str::Utf8Error> {
        std::str::from_utf8(bytes.as_ref())?;
        Ok(BytesStr(bytes))
    }

    // ostler: `try_from` that leaves the bytes to who has them.
    fn checked(bytes: &Bytes) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?;
        Some(BytesStr(bytes.clone()))
    }

    pub(crate) fn as_str(&self) -> &str {
        // Safety: check valid utf-8 in constructor
        unsafe { std::str::from_utf8_unchecked(self.0.as_ref()) }
    }

    pub(crate) fn into_inner(self) -> Bytes {
        self.0
    }
}

impl std::ops::Deref for BytesStr {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for BytesStr {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl fmt::Debug for BytesStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
