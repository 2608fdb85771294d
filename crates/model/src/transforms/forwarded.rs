//! `X-Forwarded-*` and `Forwarded` (reference B3.6 and B3.7): who a client is, in fields.

use std::net::{IpAddr, SocketAddr};

use super::outgoing_request::OutgoingRequest;
use crate::random::RandomSource;

/// What is done with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Off,
    Set,
    Append,
    Remove,
}

impl Action {
    /// Spelled exactly so, or its number in YARP's enumeration.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "Off" | "0" => Some(Self::Off),
            "Set" | "1" => Some(Self::Set),
            "Append" | "2" => Some(Self::Append),
            "Remove" | "3" => Some(Self::Remove),
            _ => None,
        }
    }
}

/// A fact that `X-Forwarded-*` tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fact {
    For,
    Prefix,
    Host,
    Proto,
}

impl Fact {
    /// In the order in which they are applied.
    pub(super) const ALL: [(Self, &'static str); 4] = [
        (Self::For, "For"),
        (Self::Prefix, "Prefix"),
        (Self::Host, "Host"),
        (Self::Proto, "Proto"),
    ];

    pub(super) fn text(self, request: &OutgoingRequest<'_>) -> Option<String> {
        match self {
            Self::For => {
                let client = request.remote()?;
                Some(client.ip().to_canonical().to_string())
            }
            Self::Prefix => request.path_base().map(str::to_owned),
            Self::Host => {
                let host = request.original().authority();
                (!host.is_empty()).then(|| host.to_owned())
            }
            Self::Proto => Some(scheme(request).to_owned()),
        }
    }
}

fn scheme(request: &OutgoingRequest<'_>) -> &'static str {
    match request.original().is_https() {
        true => "https",
        false => "http",
    }
}

/// How a `Forwarded` element shows an end of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeFormat {
    name: NodeName,
    port: NodePort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NodeName {
    Random,
    Unknown,
    Ip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NodePort {
    Absent,
    Port,
    Random,
}

impl NodeFormat {
    pub(super) const RANDOM: Self = Self {
        name: NodeName::Random,
        port: NodePort::Absent,
    };

    /// `Some(None)` is the format `None`: the element is left out.
    pub(super) fn parse(text: &str) -> Option<Option<Self>> {
        let text = text.trim().to_ascii_lowercase();
        if text == "none" {
            return Some(None);
        }
        let names = [
            ("random", NodeName::Random),
            ("unknown", NodeName::Unknown),
            ("ip", NodeName::Ip),
        ];
        names.into_iter().find_map(|(start, name)| {
            let port = match text.strip_prefix(start)? {
                "" => NodePort::Absent,
                "andport" => NodePort::Port,
                "andrandomport" => NodePort::Random,
                _ => return None,
            };
            Some(Some(Self { name, port }))
        })
    }

    /// The node, in quotes where it needs them (RFC 7239 section 6).
    fn text(self, end: Option<SocketAddr>, random: &mut dyn RandomSource) -> String {
        let name = match (self.name, end.map(|end| end.ip().to_canonical())) {
            (NodeName::Random, _) => obfuscated(random),
            (NodeName::Ip, Some(IpAddr::V6(ip))) => format!("[{ip}]"),
            (NodeName::Ip, Some(IpAddr::V4(ip))) => ip.to_string(),
            (NodeName::Ip, None) | (NodeName::Unknown, _) => "unknown".to_owned(),
        };
        let port = end.map_or(0, |end| end.port());
        match self.port {
            NodePort::Port if port > 0 => format!("\"{name}:{port}\""),
            NodePort::Random => format!("\"{name}:{}\"", obfuscated(random)),
            _ if name.starts_with('[') => format!("\"{name}\""),
            _ => name,
        }
    }
}

/// An identifier that says nothing (RFC 7239 section 6.3).
fn obfuscated(random: &mut dyn RandomSource) -> String {
    const CHARACTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    let characters = (0..9).map(|_| char::from(CHARACTERS[random.below(CHARACTERS.len())]));
    std::iter::once('_').chain(characters).collect()
}

/// The elements of a `Forwarded` field.
#[derive(Debug, Clone)]
pub(super) struct Elements {
    pub(super) proto: bool,
    pub(super) host: bool,
    pub(super) client: Option<NodeFormat>,
    pub(super) by: Option<NodeFormat>,
}

impl Elements {
    pub(super) fn text(
        &self,
        request: &OutgoingRequest<'_>,
        random: &mut dyn RandomSource,
    ) -> String {
        let mut elements = Vec::with_capacity(4);
        if self.proto {
            elements.push(format!("proto={}", scheme(request)));
        }
        let host = request.original().authority();
        if self.host && !host.is_empty() {
            elements.push(format!("host=\"{host}\""));
        }
        if let Some(format) = self.client {
            elements.push(format!("for={}", format.text(request.remote(), random)));
        }
        if let Some(format) = self.by {
            elements.push(format!("by={}", format.text(request.local(), random)));
        }
        elements.join(";")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Always the first character.
    struct First;

    impl RandomSource for First {
        fn below(&mut self, _bound: usize) -> usize {
            0
        }
    }

    #[test]
    fn nodes_are_shown_in_every_format() {
        // Reference B3.7.
        let (v4, v6) = ("192.0.2.7:4711", "[2001:db8::7]:4711");
        for (format, end, text) in [
            ("Ip", v4, "192.0.2.7"),
            ("ip", v6, "\"[2001:db8::7]\""),
            ("Ip", "[::ffff:192.0.2.7]:1", "192.0.2.7"),
            ("IpAndPort", v4, "\"192.0.2.7:4711\""),
            ("IpAndPort", v6, "\"[2001:db8::7]:4711\""),
            ("IpAndPort", "192.0.2.7:0", "192.0.2.7"),
            ("IpAndRandomPort", v4, "\"192.0.2.7:_aaaaaaaaa\""),
            ("Unknown", v4, "unknown"),
            ("UnknownAndPort", v4, "\"unknown:4711\""),
            ("UnknownAndPort", "192.0.2.7:0", "unknown"),
            ("UnknownAndRandomPort", v4, "\"unknown:_aaaaaaaaa\""),
            ("Random", v4, "_aaaaaaaaa"),
            ("RandomAndPort", v4, "\"_aaaaaaaaa:4711\""),
            ("RandomAndRandomPort", v4, "\"_aaaaaaaaa:_aaaaaaaaa\""),
            ("Ip", "", "unknown"),
        ] {
            let format = NodeFormat::parse(format).unwrap().unwrap();
            assert_eq!(
                format.text(end.parse().ok(), &mut First),
                text,
                "{format:?}"
            );
        }
        assert_eq!(NodeFormat::parse("NONE"), Some(None));
        assert_eq!(NodeFormat::parse("IpAnd"), None);
    }
}
