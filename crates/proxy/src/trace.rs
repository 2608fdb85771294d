//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): what a request says of the trace that it is
//! part of, and the front's own span in it.

use std::fmt;

use aws_lc_rs::rand;
use ostler_http1::RequestHead;

/// The field that says which trace a request belongs to.
pub(crate) const TRACEPARENT: &str = "traceparent";
/// What tracing systems add to it.
pub(crate) const TRACESTATE: &str = "tracestate";

/// Flags of version 00 that mean something: *sampled*, and that the trace id is random.
const KNOWN_FLAGS: u8 = 0b11;
const SAMPLED: u8 = 0b01;

/// The front's span of an exchange: a part of the client's trace, or the first of a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    parent: Option<[u8; 8]>,
    flags: u8,
    state: String,
}

/// The share of traces that are told of, of those that begin here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling(f64);

/// Whose part a request is, by its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parent {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

impl Sampling {
    /// From none (0) to all (1).
    pub fn share(share: f64) -> Self {
        Self(share.clamp(0.0, 1.0))
    }

    /// By the trace's id, so that all who sample by this share agree.
    fn takes(self, trace_id: [u8; 16]) -> bool {
        let [.., a, b, c, d, e, f, g] = trace_id;
        let random = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
        // Both are below 2^56, which a double holds to eight bits.
        (random as f64) < self.0 * (1u64 << 56) as f64
    }
}

impl TraceContext {
    /// The span of an exchange whose request says this. `None` where the system gives no random bytes.
    pub(crate) fn of(head: &RequestHead, sampling: Sampling) -> Option<Self> {
        let w3c = only(head, TRACEPARENT).and_then(Parent::of_w3c);
        let parent = w3c.or_else(|| Parent::of_b3(head));
        let mut random = [0; 24];
        rand::fill(&mut random).ok()?;
        let ([own_trace @ .., _, _, _, _, _, _, _, _], span) = (random, random);
        let mut span_id = [0; 8];
        span_id.copy_from_slice(&span[16..]);
        let trace_id = parent.map_or(own_trace, |parent| parent.trace_id);
        let flags = match parent {
            Some(parent) => parent.flags & KNOWN_FLAGS,
            None if sampling.takes(trace_id) => SAMPLED,
            None => 0,
        };
        Some(Self {
            trace_id,
            span_id,
            parent: parent.map(|parent| parent.span_id),
            flags,
            // What belongs to a field that is not there, or is none, means nothing (section 4.3).
            state: w3c.map_or(String::new(), |_| state(head)),
        })
    }

    /// The trace's id.
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The id of the front's own span.
    pub fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// The span that the client's request was part of.
    pub fn parent(&self) -> Option<[u8; 8]> {
        self.parent
    }

    /// `trace-flags`.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// `tracestate`, as the client sent it.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Whether the span is told of.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace's id, as it is written.
    pub fn trace_id_text(&self) -> impl fmt::Display + '_ {
        Hex(&self.trace_id)
    }

    /// The field for who comes next.
    pub(crate) fn traceparent(&self) -> String {
        let (trace, span, flags) = (Hex(&self.trace_id), Hex(&self.span_id), self.flags);
        format!("00-{trace}-{span}-{flags:02x}")
    }

    /// Whether the client's own `tracestate` goes on.
    pub(crate) fn keeps_state(&self) -> bool {
        !self.state.is_empty()
    }
}

/// The one value of a field. Several make none (section 3.2).
fn only<'h>(head: &'h RequestHead, name: &'h str) -> Option<&'h [u8]> {
    let mut values = head.fields_named(name);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// All lines of it are one list.
fn state(head: &RequestHead) -> String {
    let values = head.fields_named(TRACESTATE);
    let values: Vec<_> = values
        .filter_map(|value| std::str::from_utf8(value).ok())
        .collect();
    values.join(",")
}

impl Parent {
    /// `00-TRACE-SPAN-FLAGS`. A later version may have more behind it (section 3.2.2).
    fn of_w3c(value: &[u8]) -> Option<Self> {
        let (known, more) = value.split_at_checked(55)?;
        let mut parts = known.split(|&byte| byte == b'-');
        let mut part = || parts.next();
        let [version] = bytes(part()?)?;
        let parent = Self {
            trace_id: bytes(part()?)?,
            span_id: bytes(part()?)?,
            flags: bytes::<1>(part()?)?[0],
        };
        let is_whole = match version {
            0 => more.is_empty(),
            0xff => false,
            _ => more.is_empty() || more.starts_with(b"-"),
        };
        (is_whole && parent.is_valid()).then_some(parent)
    }

    /// Zipkin's: `b3: TRACE-SPAN-SAMPLED-PARENT`, or a field for each.
    fn of_b3(head: &RequestHead) -> Option<Self> {
        let (trace, span, sampled) = match only(head, "b3") {
            Some(value) => {
                let mut parts = value.split(|&byte| byte == b'-');
                (parts.next()?, parts.next()?, parts.next())
            }
            None => {
                let sampled = match only(head, "x-b3-flags") {
                    Some(b"1") => Some(&b"d"[..]),
                    _ => only(head, "x-b3-sampled"),
                };
                (
                    only(head, "x-b3-traceid")?,
                    only(head, "x-b3-spanid")?,
                    sampled,
                )
            }
        };
        let (trace, span) = (trace.to_ascii_lowercase(), span.to_ascii_lowercase());
        let trace_id = bytes(&trace).or_else(|| {
            // Half as long in older systems.
            let short: [u8; 8] = bytes(&trace)?;
            let mut long = [0; 16];
            long[8..].copy_from_slice(&short);
            Some(long)
        })?;
        let is_sampled = matches!(sampled, Some(b"1" | b"d" | b"true"));
        let parent = Self {
            trace_id,
            span_id: bytes(&span)?,
            flags: if is_sampled { SAMPLED } else { 0 },
        };
        parent.is_valid().then_some(parent)
    }

    fn is_valid(self) -> bool {
        self.trace_id != [0; 16] && self.span_id != [0; 8]
    }
}

/// Digits in lower case.
fn bytes<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    if hex.len() != 2 * N {
        return None;
    }
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use ostler_http1::{HeadDecoder, Limits};

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn of(fields: &str, share: f64) -> TraceContext {
        let bytes = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let mut head = RequestHead::default();
        HeadDecoder::new(Limits::default())
            .decode(bytes.as_bytes(), &mut head)
            .unwrap();
        TraceContext::of(&head, Sampling::share(share)).unwrap()
    }

    #[test]
    fn a_span_of_the_client_s_is_the_parent_of_the_front_s() {
        for (flags, is_sampled) in [("01", true), ("00", false)] {
            let fields = format!(
                "traceparent: 00-{TRACE}-{SPAN}-{flags}\r\ntracestate: a=1\r\ntracestate: b=2\r\n"
            );
            // What the client has decided holds.
            for share in [0.0, 1.0] {
                let context = of(&fields, share);
                assert_eq!(context.trace_id_text().to_string(), TRACE);
                assert_eq!(Hex(&context.parent().unwrap()).to_string(), SPAN);
                assert_ne!(Hex(&context.span_id()).to_string(), SPAN);
                assert_eq!(context.is_sampled(), is_sampled);
                assert_eq!(context.state(), "a=1,b=2");
                let own = Hex(&context.span_id()).to_string();
                assert_eq!(context.traceparent(), format!("00-{TRACE}-{own}-{flags}"));
            }
        }
    }

    #[test]
    fn what_is_no_context_begins_a_new_trace() {
        let none = "0".repeat(32);
        for value in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-0"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{none}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &none[..16]),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00_{TRACE}-{SPAN}-01"),
            format!("00-{SPAN}-{TRACE}-01"),
            "\u{e4}".repeat(40),
        ] {
            let context = of(&format!("traceparent: {value}\r\ntracestate: a=1\r\n"), 1.0);
            assert_eq!(context.parent(), None, "{value}");
            assert_ne!(context.trace_id_text().to_string(), TRACE, "{value}");
            assert!(!context.keeps_state(), "{value}");
        }
        let twice = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\n").repeat(2);
        assert_eq!(of(&twice, 1.0).parent(), None);
    }

    #[test]
    fn a_later_version_may_say_more() {
        for behind in ["", "-more"] {
            let context = of(
                &format!("traceparent: 7f-{TRACE}-{SPAN}-09{behind}\r\n"),
                0.0,
            );
            assert_eq!(context.trace_id_text().to_string(), TRACE);
            assert!(context.traceparent().starts_with("00-"));
            assert!(
                context.traceparent().ends_with("-01"),
                "what is not known is left out"
            );
        }
    }

    #[test]
    fn zipkin_s_fields_are_read_where_there_are_no_others() {
        let short = &TRACE[..16];
        for (fields, trace, is_sampled) in [
            (format!("b3: {TRACE}-{SPAN}-1\r\n"), TRACE.to_owned(), true),
            (
                format!("b3: {TRACE}-{SPAN}-d-{SPAN}\r\n"),
                TRACE.to_owned(),
                true,
            ),
            (format!("b3: {TRACE}-{SPAN}\r\n"), TRACE.to_owned(), false),
            (
                format!("X-B3-TraceId: {short}\r\nX-B3-SpanId: {SPAN}\r\nX-B3-Sampled: 0\r\n"),
                format!("0000000000000000{short}"),
                false,
            ),
            (
                format!(
                    "X-B3-TraceId: {}\r\nX-B3-SpanId: {SPAN}\r\nX-B3-Flags: 1\r\n",
                    TRACE.to_uppercase()
                ),
                TRACE.to_owned(),
                true,
            ),
        ] {
            let context = of(&fields, 0.5);
            assert_eq!(context.trace_id_text().to_string(), trace, "{fields}");
            assert_eq!(context.is_sampled(), is_sampled, "{fields}");
        }
        for fields in ["b3: 0\r\n", "b3: 1-2-3\r\n", "X-B3-TraceId: 1\r\n"] {
            assert_eq!(of(fields, 1.0).parent(), None, "{fields}");
        }
    }

    #[test]
    fn as_many_traces_are_told_of_as_the_share_says() {
        let sampled = |share| (0..400).filter(|_| of("", share).is_sampled()).count();
        assert_eq!(sampled(0.0), 0);
        assert_eq!(sampled(1.0), 400);
        let half = sampled(0.5);
        assert!((100..300).contains(&half), "{half}");
    }
}
