//! What is counted: one call each of what every request goes through.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use ostler_config::schema::{MatchConfig, RouteConfig};
use ostler_delegation::entry::{Completed, ExchangeKey};
use ostler_delegation::{Disposition, Ending};
use ostler_http1::{
    BodyLength, HeadDecoder, HeadProgress, Limits, RequestFacts, RequestHead, ResponseHead,
    Version, encode_response_head,
};
use ostler_model::{FastRandom, RandomSource, RequestView, RouteModel, RouteTable};
use ostler_shm::{Consumer, OwnRegion, Producer, RegionSpec};

/// One of the hot paths.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// How many calls are counted. Those of a table go through as many of its routes.
    pub(crate) calls: u64,
    /// Makes what a call needs, and the call.
    pub(crate) set_up: fn() -> Box<dyn FnMut()>,
}

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "request_head_small",
        calls: 2000,
        set_up: || request_head(SMALL),
    },
    Workload {
        name: "request_head_browser",
        calls: 2000,
        set_up: || request_head(BROWSER),
    },
    Workload {
        name: "response_head_written",
        calls: 2000,
        set_up: response_head_written,
    },
    Workload {
        name: "response_head_read",
        calls: 2000,
        set_up: response_head_read,
    },
    Workload {
        name: "route_match_10",
        calls: 2000,
        set_up: || route_match(10),
    },
    Workload {
        name: "route_match_10000",
        calls: 2000,
        set_up: || route_match(10_000),
    },
    Workload {
        name: "ring_entry",
        calls: 2000,
        set_up: ring_entry,
    },
    Workload {
        name: "ring_completion",
        calls: 2000,
        set_up: ring_completion,
    },
];

const SMALL: &str = "GET /orders/17 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n";

/// What a browser sends with a page's second request.
const BROWSER: &str = "GET /static/app.4f3c1d.js?v=20260401 HTTP/1.1\r\n\
    Host: shop.example\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: */*\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: no-cors\r\n\
    Sec-Fetch-Dest: script\r\n\
    Referer: https://shop.example/orders?page=2\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=4f1d0a9e6c2b47f2a9a07cf1be8b3c55; theme=dark; consent=1\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n\
    Content-Length: 1024\r\nCache-Control: private, max-age=0\r\nETag: \"5f3c1d-400\"\r\n\
    Date: Wed, 01 Apr 2026 12:00:00 GMT\r\nServer: app\r\n\r\n";

fn request_head(text: &'static str) -> Box<dyn FnMut()> {
    let mut decoder = HeadDecoder::new(Limits::default());
    let mut head = RequestHead::default();
    Box::new(move || {
        decoder.reset();
        let read = decoder.decode(black_box(text.as_bytes()), &mut head);
        assert!(matches!(read, Ok(HeadProgress::Complete { .. })));
        black_box((head.framing(), head.keep_alive()));
    })
}

fn response_head_written() -> Box<dyn FnMut()> {
    let mut fields = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CACHE_CONTROL, "private, max-age=0"),
        (header::ETAG, "\"5f3c1d-400\""),
        (header::SERVER, "app"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    let request = RequestFacts {
        version: Version::Http11,
        is_head: false,
        is_connect: false,
        keep_alive: true,
    };
    let mut out = Vec::with_capacity(1024);
    Box::new(move || {
        out.clear();
        let framing = encode_response_head(
            &mut out,
            black_box(request),
            StatusCode::OK,
            None,
            black_box(&fields),
            &[],
            BodyLength::Known(1024),
            b"Wed, 01 Apr 2026 12:00:00 GMT",
        );
        black_box((framing, &out));
    })
}

fn response_head_read() -> Box<dyn FnMut()> {
    let response = Bytes::from_static(RESPONSE);
    Box::new(move || {
        let head = ResponseHead::parse(black_box(&response), &Method::GET);
        assert!(black_box(head).is_ok());
    })
}

struct Request {
    path: String,
}

impl RequestView for Request {
    fn method(&self) -> &str {
        "GET"
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn authority(&self) -> &str {
        "shop.example"
    }

    fn is_https(&self) -> bool {
        false
    }

    fn for_each_field_value(&self, _name: &str, _visit: &mut dyn FnMut(&[u8])) {}
}

fn route_match(routes: usize) -> Box<dyn FnMut()> {
    let models: Vec<_> = (0..routes)
        .map(|number| {
            let matches = MatchConfig {
                path: Some(format!("/service-{number}/orders/{{id}}/{{**rest}}")),
                ..MatchConfig::default()
            };
            Arc::new(RouteModel {
                config: Arc::new(RouteConfig {
                    route_id: number.to_string(),
                    matches,
                    ..RouteConfig::default()
                }),
                cluster: None,
                policies: Default::default(),
                action: None,
                transforms: None,
            })
        })
        .collect();
    let table = RouteTable::build(&models).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut random = FastRandom::new(1);
    let requests: Vec<_> = (0..1000)
        .map(|_| {
            let number = random.below(routes);
            let path = format!("/service-{number}/orders/12345/lines/1");
            Request { path }
        })
        .collect();
    let mut next = 0;
    Box::new(move || {
        black_box(table.find(black_box(&requests[next])));
        next = (next + 1) % requests.len();
    })
}

/// The two ends of a ring.
fn ring() -> (Producer, Consumer) {
    let spec = RegionSpec {
        ring_capacity: 64 * 1024,
        slots: 16,
    };
    let (one, other) = (OwnRegion::heap(spec), OwnRegion::heap(spec));
    let producer = Producer::new(Arc::clone(&one), other.peer_view());
    (producer, Consumer::new(other, one.peer_view()))
}

fn ring_entry() -> Box<dyn FnMut()> {
    let (mut producer, mut consumer) = ring();
    let (fixed, index) = ([1; 56], [2; 15 * 8]);
    let mut entry = Vec::new();
    Box::new(move || {
        let pushed = producer.try_push(black_box(&[&fixed, &index, BROWSER.as_bytes()]));
        assert!(pushed.is_ok());
        assert_eq!(consumer.try_pop(&mut entry), Ok(true));
        black_box(&entry);
    })
}

fn ring_completion() -> Box<dyn FnMut()> {
    let (mut producer, mut consumer) = ring();
    let completed = Completed {
        key: ExchangeKey {
            slot: 3,
            generation: 1,
            exchange: 7,
        },
        disposition: Disposition::Keep,
        ending: Ending::Answered,
        status: 200,
        bytes_sent: 1024,
        body_received: 0,
        received_ns: 1,
        first_byte_ns: 2,
        completed_ns: 3,
        leftover: Vec::new(),
    };
    let (mut written, mut read) = (Vec::new(), Vec::new());
    Box::new(move || {
        black_box(&completed).encode(&mut written);
        assert!(producer.try_push(&[&written]).is_ok());
        assert_eq!(consumer.try_pop(&mut read), Ok(true));
        assert!(black_box(Completed::decode(&read)).is_ok());
    })
}
