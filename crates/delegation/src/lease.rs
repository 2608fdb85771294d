//! Leases: a front lets a target read the next requests of a connection by itself, for as long as they are
//! such as the lease names. Drawn in `docs/delegation-protocol.md`, section 20.

use ostler_http1::{Framing, Limits, RequestHead, Version};

use crate::error::WireError;
use crate::wire::{Put, Reader};

const WHAT: &str = "a lease";

const GET: u8 = 1;
const HEAD: u8 = 1 << 1;

const TELLS_HEADS: u8 = 1;
const EXACT: u8 = 1 << 1;

/// Most paths that a lease leaves out.
pub const MOST_EXCLUDED: usize = 32;

/// What a front grants with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// It stands for as long as this is the epoch of the front's region.
    pub epoch: u64,
    /// The front wants to be told the head of each request.
    pub tells_heads: bool,
    /// What bounds a head.
    pub limits: Limits,
    /// Which requests the target may answer.
    pub predicate: Predicate,
}

/// Which requests a target may answer without asking: those of which it is certain that the front would give
/// them to it as they are. Of others some would be given to it, too; the front sees to those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicate {
    /// The value of the field `Host`, byte for byte.
    pub host: String,
    /// Whether GET is meant.
    pub get: bool,
    /// Whether HEAD is meant.
    pub head: bool,
    /// Which paths are meant.
    pub paths: Paths,
}

/// Which paths a lease names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paths {
    /// This one.
    Exactly(String),
    /// Those that begin with a path and with none of some longer ones, these compared without case.
    Below {
        /// The path: it ends in a slash.
        prefix: String,
        /// The longer ones.
        excluded: Vec<String>,
    },
}

impl Paths {
    fn include(&self, path: &str) -> bool {
        match self {
            Self::Exactly(exactly) => path == exactly,
            Self::Below { prefix, excluded } => {
                let starts_with = |longer: &String| {
                    let start = path.as_bytes().get(..longer.len());
                    start.is_some_and(|start| start.eq_ignore_ascii_case(longer.as_bytes()))
                };
                path.starts_with(prefix.as_str()) && !excluded.iter().any(starts_with)
            }
        }
    }
}

impl Predicate {
    /// Whether this request is meant. It has no body and asks for nothing but a response, and its head has the
    /// form already in which fronts hand heads over.
    pub fn holds(&self, head: &RequestHead) -> bool {
        let method = match head.method() {
            "GET" => self.get,
            "HEAD" => self.head,
            _ => false,
        };
        method
            && head.version() == Version::Http11
            && head.keep_alive()
            && head.framing() == Framing::None
            && head.upgrade().is_none()
            && is_plain_target(head.request_target())
            && head.authority() == self.host
            && self.paths.include(head.path())
            && head.fields().all(|field| !is_judged(field.name))
    }
}

/// Whether a request-target is in origin form, and has no second spelling: no escape in its path, no dot
/// segment, no empty one, nothing that had to be escaped.
fn is_plain_target(target: &str) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    path.starts_with('/')
        && path.bytes().all(is_plain)
        && !path.contains("/.")
        && !path.contains("//")
        && is_plain_query(query.as_bytes())
}

/// RFC 3986's `pchar` without escapes, and the slash.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte)
}

fn is_plain_query(query: &[u8]) -> bool {
    let is_escape = |at: usize| {
        let digits = query.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut bytes = query.iter().enumerate();
    bytes.all(|(at, &byte)| match byte {
        b'%' => is_escape(at),
        b'?' => true,
        byte => is_plain(byte),
    })
}

/// Fields that the front would do something about: what a client says of who it is, or expects.
fn is_judged(name: &str) -> bool {
    // The length first: it rules nearly every field out without looking at its name.
    match name.len() {
        6 => name.eq_ignore_ascii_case("expect"),
        9 => name.eq_ignore_ascii_case("forwarded"),
        15..=18 => {
            let start = name.as_bytes().get(..12);
            start.is_some_and(|start| start.eq_ignore_ascii_case(b"x-forwarded-"))
        }
        _ => false,
    }
}

impl Lease {
    /// Appends what stands in a request entry.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let Predicate {
            host,
            get,
            head,
            paths,
        } = &self.predicate;
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let (path, excluded, is_exact) = match paths {
            Paths::Exactly(path) => (path, &[][..], true),
            Paths::Below { prefix, excluded } => (prefix, &excluded[..], false),
        };
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        out.put_u64(self.epoch);
        out.put_u32(number(self.limits.request_line));
        out.put_u32(number(self.limits.field_lines));
        out.put_u32(number(self.limits.fields));
        out.put_u8(flag(*get, GET) | flag(*head, HEAD));
        out.put_u8(flag(self.tells_heads, TELLS_HEADS) | flag(is_exact, EXACT));
        debug_assert!(excluded.len() <= MOST_EXCLUDED);
        out.put_u16(excluded.len() as u16);
        for text in [host, path].into_iter().chain(excluded) {
            out.put_string(text);
        }
    }

    /// Reads it.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let epoch = reader.u64()?;
        let limits = Limits {
            request_line: reader.u32()? as usize,
            field_lines: reader.u32()? as usize,
            fields: reader.u32()? as usize,
        };
        let methods = reader.u8()?;
        let flags = reader.u8()?;
        let count = usize::from(reader.u16()?);
        if methods & !(GET | HEAD) != 0
            || flags & !(TELLS_HEADS | EXACT) != 0
            || count > MOST_EXCLUDED
            || (flags & EXACT != 0 && count > 0)
        {
            return Err(WireError::Invalid(WHAT));
        }
        let host = reader.string()?.to_owned();
        let path = reader.string()?.to_owned();
        let excluded = (0..count).map(|_| reader.string().map(str::to_owned));
        let excluded = excluded.collect::<Result<Vec<_>, _>>()?;
        let paths = match flags & EXACT {
            0 => Paths::Below {
                prefix: path,
                excluded,
            },
            _ => Paths::Exactly(path),
        };
        Ok(Self {
            epoch,
            tells_heads: flags & TELLS_HEADS != 0,
            limits: limits.validated(),
            predicate: Predicate {
                host,
                get: methods & GET != 0,
                head: methods & HEAD != 0,
                paths,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use ostler_http1::{HeadDecoder, HeadProgress};
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn lease() -> Lease {
        Lease {
            epoch: 3,
            tells_heads: true,
            limits: Limits::default(),
            predicate: Predicate {
                host: "x".to_owned(),
                get: true,
                head: false,
                paths: Paths::Below {
                    prefix: "/a/".to_owned(),
                    excluded: vec!["/a/b".to_owned()],
                },
            },
        }
    }

    fn holds(predicate: &Predicate, text: &str) -> bool {
        let mut head = RequestHead::default();
        let text = text.replace('\n', "\r\n") + "\r\n\r\n";
        let progress = HeadDecoder::new(Limits::default()).decode(text.as_bytes(), &mut head);
        assert!(
            matches!(progress, Ok(HeadProgress::Complete { .. })),
            "{text}"
        );
        predicate.holds(&head)
    }

    #[test]
    fn what_a_lease_names_and_nothing_else() {
        let predicate = lease().predicate;
        for (expected, text) in [
            (true, "GET /a/ HTTP/1.1\nHost: x"),
            (true, "GET /a/c?d=/../e%20&f?g HTTP/1.1\nHost: x\nAccept: y"),
            (
                true,
                "GET /a/c HTTP/1.1\nHost: x\nContent-Type: y\nCookie: z",
            ),
            (false, "GET /a HTTP/1.1\nHost: x"),
            (false, "GET /A/c HTTP/1.1\nHost: x"),
            (false, "GET /a/b HTTP/1.1\nHost: x"),
            (false, "GET /a/B/c HTTP/1.1\nHost: x"),
            (false, "GET /a/./c HTTP/1.1\nHost: x"),
            (false, "GET /a/../c HTTP/1.1\nHost: x"),
            (false, "GET /a//b HTTP/1.1\nHost: x"),
            (false, "GET /a/%62 HTTP/1.1\nHost: x"),
            (false, "GET /a/c?d%2 HTTP/1.1\nHost: x"),
            // What is read has been escaped.
            (true, "GET /a/c?<d> HTTP/1.1\nHost: x"),
            (false, "GET http://x/a/c HTTP/1.1\nHost: x"),
            (false, "GET /a/c HTTP/1.1\nHost: X"),
            (false, "GET /a/c HTTP/1.1\nHost: y"),
            (false, "GET /a/c HTTP/1.0\nHost: x\nConnection: keep-alive"),
            (false, "GET /a/c HTTP/1.1\nHost: x\nConnection: close"),
            (false, "GET /a/c HTTP/1.1\nHost: x\nContent-Length: 1"),
            (
                false,
                "GET /a/c HTTP/1.1\nHost: x\nTransfer-Encoding: chunked",
            ),
            (
                false,
                "GET /a/c HTTP/1.1\nHost: x\nConnection: upgrade\nUpgrade: y",
            ),
            (false, "GET /a/c HTTP/1.1\nHost: x\nExpect: 100-continue"),
            (false, "GET /a/c HTTP/1.1\nHost: x\nForwarded: for=y"),
            (false, "GET /a/c HTTP/1.1\nHost: x\nx-forwarded-FOR: y"),
            (false, "GET /a/c HTTP/1.1\nHost: x\nX-Forwarded-Prefix: y"),
            (false, "HEAD /a/c HTTP/1.1\nHost: x"),
            (false, "POST /a/c HTTP/1.1\nHost: x"),
            (false, "get /a/c HTTP/1.1\nHost: x"),
        ] {
            assert_eq!(holds(&predicate, text), expected, "{text}");
        }
        let exactly = Predicate {
            head: true,
            paths: Paths::Exactly("/a/c".to_owned()),
            ..predicate
        };
        assert!(holds(&exactly, "HEAD /a/c?d HTTP/1.1\nHost: x"));
        assert!(!holds(&exactly, "GET /a/c/ HTTP/1.1\nHost: x"));
    }

    #[test]
    fn a_lease_crosses_whole() {
        let exactly = Lease {
            epoch: u64::MAX,
            tells_heads: false,
            predicate: Predicate {
                head: true,
                paths: Paths::Exactly("/".to_owned()),
                ..lease().predicate
            },
            ..lease()
        };
        for lease in [lease(), exactly] {
            let mut bytes = Vec::new();
            lease.put(&mut bytes);
            let mut reader = Reader::new(&bytes, WHAT);
            assert_eq!(Lease::read(&mut reader), Ok(lease));
            reader.end().unwrap();
            for end in 0..bytes.len() {
                assert!(Lease::read(&mut Reader::new(&bytes[..end], WHAT)).is_err());
            }
        }
    }

    /// The bytes that `docs/delegation-protocol.md` shows.
    #[test]
    fn a_lease_is_written_as_the_page_shows() {
        let mut bytes = Vec::new();
        lease().put(&mut bytes);
        let shown = "03 00 00 00 00 00 00 00 00 20 00 00 00 80 00 00 \
                     64 00 00 00 01 01 01 00 01 00 78 03 00 2f 61 2f 04 00 2f 61 2f 62";
        let found: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found.join(" "), shown);
        let page = include_str!("../../../docs/delegation-protocol.md");
        for line in found.chunks(16).map(|line| line.join(" ")) {
            assert!(page.contains(&line), "{line}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let mut bytes = Vec::new();
        lease().put(&mut bytes);
        for (at, value) in [(20, 4), (21, 4), (21, 2), (22, 33)] {
            let mut wrong = bytes.clone();
            wrong[at] = value;
            assert!(Lease::read(&mut Reader::new(&wrong, WHAT)).is_err());
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Lease::read(&mut Reader::new(&bytes, WHAT));
        }
    }
}
