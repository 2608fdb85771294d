//! What a metric says of a request: few values, whatever clients send.

use http::Version;

/// A method that conventions know, or any other: a client must not make a metric of each word it thinks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KnownMethod(u8);

/// By RFC 9110, PATCH (RFC 5789), and what OpenTelemetry calls the rest.
const METHODS: [&str; 10] = [
    "_OTHER", "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
];

/// What was asked, as far as metrics tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Asked {
    pub(crate) method: KnownMethod,
    pub(crate) is_https: bool,
    protocol: u8,
}

impl KnownMethod {
    pub(crate) const COUNT: usize = METHODS.len();
    pub(crate) const OTHER: Self = Self(0);

    pub(crate) fn of(method: &str) -> Self {
        let found = METHODS.iter().position(|&known| known == method);
        Self(u8::try_from(found.unwrap_or_default()).unwrap_or_default())
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..).take(METHODS.len()).map(Self)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(crate) fn as_str(self) -> &'static str {
        METHODS[self.index()]
    }
}

impl Asked {
    /// A request.
    pub(crate) fn request(method: &str, version: Version, is_https: bool) -> Self {
        let protocol = match version {
            Version::HTTP_10 => 1,
            Version::HTTP_11 => 2,
            Version::HTTP_2 => 3,
            _ => 0,
        };
        Self {
            method: KnownMethod::of(method),
            is_https,
            protocol,
        }
    }

    /// Something that is none.
    pub(crate) fn malformed(is_https: bool) -> Self {
        Self {
            method: KnownMethod::OTHER,
            is_https,
            protocol: 0,
        }
    }

    pub(crate) fn scheme(self) -> &'static str {
        scheme(self.is_https)
    }

    /// `network.protocol.version`; of what is no request there is none.
    pub(crate) fn protocol(self) -> Option<&'static str> {
        match self.protocol {
            1 => Some("1.0"),
            2 => Some("1.1"),
            3 => Some("2"),
            _ => None,
        }
    }
}

pub(crate) fn scheme(is_https: bool) -> &'static str {
    match is_https {
        true => "https",
        false => "http",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_nobody_knows_are_one() {
        for (method, known) in [("GET", "GET"), ("get", "_OTHER"), ("BREW", "_OTHER")] {
            assert_eq!(KnownMethod::of(method).as_str(), known);
        }
        assert_eq!(KnownMethod::all().count(), KnownMethod::COUNT);
    }
}
