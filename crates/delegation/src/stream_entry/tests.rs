use ostler_http1::{
    FieldRange, Framing, HeadDecoder, HeadProgress, Limits, RequestFacts, RequestHead,
};
use proptest::prelude::*;

use super::*;
use crate::Disposition;
use crate::entry::{ExchangeLimits, FrontEntry};
use crate::handover::Ending;
use crate::page;

const KEY: ExchangeKey = ExchangeKey {
    slot: 7,
    generation: 2,
    exchange: 9,
};

fn head() -> RequestHead {
    let text = "POST /a?b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut head = RequestHead::default();
    let progress = HeadDecoder::new(Limits::default()).decode(text.as_bytes(), &mut head);
    assert!(matches!(progress, Ok(HeadProgress::Complete { .. })));
    head
}

fn client(tls: Option<TlsFacts>) -> StreamClient {
    StreamClient {
        facts: ConnectionFacts {
            client: Some("192.0.2.7:4711".parse().unwrap()),
            local: Some("[::1]:443".parse().unwrap()),
            accepted_ns: 42,
        },
        is_https: tls.is_some(),
        tls,
        version: ClientVersion::Http2,
    }
}

fn request(head: &RequestHead, client: StreamClient) -> StreamRequest<'_> {
    StreamRequest {
        request: RequestEntry {
            head: head.parts(),
            facts: RequestFacts::from(head),
            framing: head.framing(),
            expects_continue: false,
            upgrade: false,
            head_received_ns: 11,
            queued_ns: 12,
            limits: ExchangeLimits {
                body: 14,
                ..ExchangeLimits::NONE
            },
            forwarded: None,
            transforms: &[],
            directives: &[],
            prefix: b"first",
        },
        client,
        is_whole: true,
    }
}

fn encoded(request: &StreamRequest<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode_fixed(KEY, &mut bytes);
    bytes.extend_from_slice(request.request.head.raw);
    bytes.extend_from_slice(request.request.prefix);
    bytes
}

fn fields() -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in [("x-twice", "1"), ("x-twice", "2"), ("empty", "")] {
        fields.append(name, HeaderValue::from_static(value));
    }
    fields
}

#[test]
fn a_stream_s_request_says_whose_it_is() {
    let head = head();
    for tls in [
        None,
        Some(TlsFacts {
            version: 0x0304,
            server_name: Some("shop.example".into()),
        }),
    ] {
        let sent = request(&head, client(tls));
        let mut bytes = encoded(&sent);
        let mut index = Vec::new();
        let Ok(FrontEntry::Stream(KEY, read)) = FrontEntry::decode(&mut bytes, &mut index) else {
            panic!("a stream was written");
        };
        assert_eq!(read.client, sent.client);
        assert!(read.is_whole);
        assert_eq!(read.request.framing, Framing::Chunked);
        assert_eq!(read.request.limits, sent.request.limits);
        assert_eq!(read.request.prefix, b"first");
        let again = RequestHead::from_parts(read.request.head).unwrap();
        assert_eq!(again.raw(), head.raw());
    }
}

#[test]
fn what_a_target_says_arrives() {
    let (mut bytes, data) = (Vec::new(), Bytes::from_static(b"hello"));
    put_head(&mut bytes, KEY, 200, Some(5), &fields(), true);
    assert_eq!(bytes.len(), head_length(&fields()));
    bytes.extend_from_slice(&data);
    let head = StreamHead {
        status: 200,
        length: Some(5),
        fields: fields(),
        data,
        is_last: true,
    };
    let read = TargetEntry::decode(&mut bytes).unwrap();
    assert_eq!(read, TargetEntry::Head(KEY, head));

    put_head(&mut bytes, KEY, 103, None, &fields(), false);
    let Ok(TargetEntry::Head(KEY, interim)) = TargetEntry::decode(&mut bytes) else {
        panic!("a head was written");
    };
    assert_eq!((interim.status, interim.length), (103, None));

    put_stop(&mut bytes, KEY);
    assert_eq!(TargetEntry::decode(&mut bytes), Ok(TargetEntry::Stop(KEY)));
    let completed = Completed {
        key: KEY,
        disposition: Disposition::Keep,
        ending: Ending::Answered,
        status: 200,
        bytes_sent: 1,
        body_received: 2,
        received_ns: 3,
        first_byte_ns: 4,
        completed_ns: 5,
        leftover: Vec::new(),
    };
    completed.encode(&mut bytes);
    let read = TargetEntry::decode(&mut bytes).unwrap();
    assert_eq!(read.key(), KEY);
    assert_eq!(read, TargetEntry::Completed(completed));
}

#[test]
fn bodies_read_alike_both_ways() {
    for (len, is_last) in [(1, false), (0, true), (20_000, true)] {
        let data = vec![b'x'; len];
        let mut bytes = Vec::new();
        put_data(&mut bytes, KEY, is_last);
        bytes.extend_from_slice(&data);
        let data = data.into();
        let expected = BodyEntry::Data { data, is_last };
        let read = TargetEntry::decode(&mut bytes.clone()).unwrap();
        assert_eq!(read, TargetEntry::Body(KEY, expected.clone()));
        let mut index = Vec::new();
        let Ok(FrontEntry::Body(KEY, read)) = FrontEntry::decode(&mut bytes, &mut index) else {
            panic!("a body was written");
        };
        assert_eq!(read, expected);
    }
    let mut bytes = Vec::new();
    put_trailers(&mut bytes, KEY, &fields());
    let read = decode_body(&mut bytes).unwrap();
    assert_eq!(read, (KEY, BodyEntry::Trailers(fields())));
    put_credit(&mut bytes, KEY, 65_536);
    let read = decode_body(&mut bytes).unwrap();
    assert_eq!(read, (KEY, BodyEntry::Credit(65_536)));
}

#[test]
fn what_means_nothing_is_refused() {
    let mut bytes = Vec::new();
    let refused = |bytes: &[u8]| TargetEntry::decode(&mut bytes.to_vec()).is_err();
    put_data(&mut bytes, KEY, false);
    assert!(refused(&bytes), "no data, and not the last");
    bytes.push(0);
    assert!(!refused(&bytes));
    bytes[1] = 2;
    assert!(refused(&bytes), "an unknown flag");
    for (status, is_last) in [(99, false), (1000, false), (103, true)] {
        put_head(&mut bytes, KEY, status, None, &fields(), is_last);
        assert!(refused(&bytes), "{status}");
    }
    put_head(&mut bytes, KEY, 103, None, &HeaderMap::new(), false);
    bytes.push(0);
    assert!(refused(&bytes), "an interim response has no body");
    put_trailers(&mut bytes, KEY, &HeaderMap::new());
    bytes[DATA_FIXED..].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(refused(&bytes), "more fields than there is room for");
    let mut bad = HeaderMap::new();
    bad.insert("x", HeaderValue::from_static("1"));
    put_trailers(&mut bytes, KEY, &bad);
    let last = bytes.len() - 1;
    bytes[last] = b'\n';
    assert!(refused(&bytes), "no field's value");
}

#[test]
fn every_truncation_is_an_error() {
    let head = head();
    let tls = TlsFacts {
        version: 0x0303,
        server_name: Some("h".into()),
    };
    let bytes = encoded(&request(&head, client(Some(tls))));
    for end in 0..bytes.len() {
        let mut cut = bytes[..end].to_vec();
        assert!(
            FrontEntry::decode(&mut cut, &mut Vec::new()).is_err(),
            "{end}"
        );
    }
    let mut bytes = Vec::new();
    put_trailers(&mut bytes, KEY, &fields());
    for end in 0..bytes.len() {
        let mut cut = bytes[..end].to_vec();
        assert!(TargetEntry::decode(&mut cut).is_err(), "{end}");
    }
}

/// The bytes in `docs/delegation-protocol.md`, section 18.
#[test]
fn the_page_s_examples_are_what_is_written() {
    let mut bytes = Vec::new();
    put_head(
        &mut bytes,
        KEY,
        200,
        Some(2),
        &{
            let mut fields = HeaderMap::new();
            fields.insert("a", HeaderValue::from_static("b"));
            fields
        },
        true,
    );
    bytes.extend_from_slice(b"ok");
    page::shows("head", &bytes);
    put_data(&mut bytes, KEY, true);
    bytes.extend_from_slice(b"ok");
    page::shows("data", &bytes);
    put_credit(&mut bytes, KEY, 65_536);
    page::shows("credit", &bytes);
    put_stop(&mut bytes, KEY);
    page::shows("stop", &bytes);
    bytes.clear();
    request(&head(), client(None)).put_client(&mut bytes);
    page::shows("client", &bytes);
}

proptest! {
    #[test]
    fn garbage_never_panics(
        mut entry in proptest::collection::vec(any::<u8>(), 0..400), kind in 0u8..12
    ) {
        let mut index: Vec<FieldRange> = Vec::new();
        let _ = TargetEntry::decode(&mut entry.clone());
        if let Some(first) = entry.first_mut() {
            *first = kind;
        }
        let _ = TargetEntry::decode(&mut entry.clone());
        if let Ok(FrontEntry::Stream(_, stream)) = FrontEntry::decode(&mut entry, &mut index) {
            let _ = RequestHead::from_parts(stream.request.head);
        }
    }
}
