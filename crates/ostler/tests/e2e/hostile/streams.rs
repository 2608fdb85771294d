//! Targets that say nonsense of streams: whoever asks is answered or refused, and nobody else notices.

use std::io::Read as _;
use std::time::Duration;

use ostler_delegation::entry::{Completed, ExchangeKey};
use ostler_delegation::{Disposition, Ending, Stage};
use serde_json::json;

use crate::support::http2_client::{Http2Client, get, run, url};
use crate::support::{
    Authority, Front, HostileChannel, HostileQueue, Process, Sandbox, TlsSettings, answered,
    delegating_by_path, tls,
};
use crate::tls::{authority, kestrel, start};

/// What a target says of a stream that it has taken.
type Saying = fn(&mut HostileChannel<'_>, ExchangeKey);

const WAIT: Duration = Duration::from_millis(300);

const DATA: u8 = 5;
const TRAILERS: u8 = 6;
const CREDIT: u8 = 7;
const HEAD: u8 = 8;
const STOP: u8 = 9;
const LAST: u8 = 1;

/// What a client must never see: it is behind the end of its response.
const BEHIND: &[u8] = b"BEHIND";

fn begun(kind: u8, flags: u8, middle: u16, key: ExchangeKey) -> Vec<u8> {
    let mut entry = vec![kind, flags];
    entry.extend(middle.to_le_bytes());
    for number in [key.slot, key.generation, key.exchange] {
        entry.extend(number.to_le_bytes());
    }
    entry
}

fn fields(entry: &mut Vec<u8>, fields: &[(&str, &str)]) {
    entry.extend((fields.len() as u32).to_le_bytes());
    for (name, value) in fields {
        entry.extend((name.len() as u16).to_le_bytes());
        entry.extend([0, 0]);
        entry.extend((value.len() as u32).to_le_bytes());
        entry.extend(name.as_bytes());
        entry.extend(value.as_bytes());
    }
}

/// A response's head with the start of its body.
fn head(key: ExchangeKey, status: u16, length: Option<u64>, said: &[(&str, &str)]) -> Vec<u8> {
    let mut entry = begun(HEAD, 0, status, key);
    entry.extend(length.unwrap_or(u64::MAX).to_le_bytes());
    fields(&mut entry, said);
    entry
}

fn data(key: ExchangeKey, bytes: &[u8], flags: u8) -> Vec<u8> {
    let mut entry = begun(DATA, flags, 0, key);
    entry.extend(bytes);
    entry
}

fn trailers(key: ExchangeKey, said: &[(&str, &str)]) -> Vec<u8> {
    let mut entry = begun(TRAILERS, 0, 0, key);
    fields(&mut entry, said);
    entry
}

fn credit(key: ExchangeKey, bytes: u32) -> Vec<u8> {
    let mut entry = begun(CREDIT, 0, 0, key);
    entry.extend(bytes.to_le_bytes());
    entry
}

fn last(mut entry: Vec<u8>) -> Vec<u8> {
    entry[1] |= LAST;
    entry
}

const SAYINGS: [(&str, Saying); 24] = [
    ("nothing but the end", |_, _| {}),
    ("data before a head", |target, key| {
        target.push(&data(key, b"early", 0));
    }),
    ("the end of a body before a head", |target, key| {
        target.push(&data(key, b"", LAST));
        target.push(&head(key, 200, Some(0), &[]));
    }),
    ("a whole response, and data behind it", |target, key| {
        target.push(&last(head(key, 200, Some(0), &[])));
        target.push(&data(key, BEHIND, 0));
    }),
    ("more than the stated length", |target, key| {
        target.push(&head(key, 200, Some(2), &[]));
        target.push(&data(key, b"ok", 0));
        target.push(&data(key, BEHIND, LAST));
    }),
    ("less than the stated length", |target, key| {
        target.push(&head(key, 200, Some(9), &[]));
        target.push(&data(key, b"ok", LAST));
    }),
    ("half a body, and the end of the exchange", |target, key| {
        target.push(&head(key, 200, Some(9), &[]));
        target.push(&data(key, b"ok", 0));
    }),
    ("another length in a field", |target, key| {
        target.push(&head(key, 200, Some(2), &[("content-length", "99")]));
        target.push(&data(key, b"ok", LAST));
    }),
    ("a length in a field alone", |target, key| {
        target.push(&head(key, 200, None, &[("content-length", "2")]));
        target.push(&data(key, b"ok", LAST));
    }),
    ("lengths that contradict", |target, key| {
        let twice = [("content-length", "2"), ("content-length", "5")];
        target.push(&head(key, 200, None, &twice));
        target.push(&data(key, b"ok", LAST));
    }),
    ("fields of a connection", |target, key| {
        let said = [("transfer-encoding", "gzip, chunked"), ("connection", "x")];
        target.push(&head(key, 200, Some(2), &said));
        target.push(&data(key, b"ok", LAST));
    }),
    ("a body where none may be", |target, key| {
        target.push(&head(key, 204, Some(6), &[]));
        target.push(&data(key, BEHIND, LAST));
    }),
    ("a body of what has not changed", |target, key| {
        target.push(&head(key, 304, None, &[]));
        target.push(&data(key, BEHIND, LAST));
    }),
    ("a body of what is reset", |target, key| {
        target.push(&head(key, 205, Some(6), &[]));
        target.push(&data(key, BEHIND, LAST));
    }),
    ("two heads", |target, key| {
        target.push(&head(key, 200, None, &[]));
        target.push(&head(key, 500, None, &[]));
        target.push(&data(key, b"ok", LAST));
    }),
    ("a protocol that nobody asked for", |target, key| {
        target.push(&head(key, 101, None, &[("upgrade", "x")]));
        target.push(&data(key, BEHIND, 0));
    }),
    ("interim responses without end", |target, key| {
        for _ in 0..500 {
            target.push(&head(key, 103, None, &[("link", "x")]));
        }
    }),
    ("a status that is none", |target, key| {
        target.push(&head(key, 1000, Some(0), &[]));
    }),
    ("more than was allowed", |target, key| {
        target.push(&head(key, 200, None, &[]));
        for _ in 0..3 {
            target.push(&data(key, &[b'x'; 30_000], 0));
        }
    }),
    ("credit beyond all numbers", |target, key| {
        target.push(&credit(key, u32::MAX));
        target.push(&credit(key, u32::MAX));
        target.push(&begun(STOP, 0, 0, key));
        target.push(&last(head(key, 200, Some(0), &[])));
    }),
    ("trailers that frame, and two of them", |target, key| {
        target.push(&head(key, 200, None, &[]));
        let said = [("content-length", "7"), ("transfer-encoding", "chunked")];
        target.push(&trailers(key, &said));
        target.push(&trailers(key, &[("x-two", "2")]));
    }),
    ("more fields than there are", |target, key| {
        let mut entry = begun(HEAD, 0, 200, key);
        entry.extend(u64::MAX.to_le_bytes());
        entry.extend(u32::MAX.to_le_bytes());
        target.push(&entry);
    }),
    ("a field of two lines", |target, key| {
        let said = [("x-a", "1\r\nx-b: 2")];
        target.push(&last(head(key, 200, Some(0), &said)));
    }),
    ("of a stream that is not there", |target, key| {
        let slot = key.slot + 1;
        let other = ExchangeKey { slot, ..key };
        target.push(&last(head(other, 200, Some(0), &[])));
    }),
];

/// Takes every request, says that of it, and ends it in the ways there are, one after the other.
fn talk(target: &mut HostileChannel<'_>, saying: Saying) {
    const ENDS: [(Disposition, Ending); 4] = [
        (Disposition::Keep, Ending::Answered),
        (Disposition::Close, Ending::HandlerFailed),
        (Disposition::Detached, Ending::Answered),
        (Disposition::Returned, Ending::Answered),
    ];
    for (disposition, ending) in ENDS.into_iter().cycle() {
        let Some(key) = target.take_request() else {
            return;
        };
        target.says(key, Stage::Received { body_read: false });
        saying(target, key);
        target.complete(&Completed {
            disposition,
            ending,
            ..answered(key)
        });
    }
}

struct Fronts {
    good: Process,
    front: Front,
    authority: Authority,
}

impl Fronts {
    /// A stream of HTTP/2 ends, and those beside it and behind it are answered.
    async fn by_http2(&self, client: &Http2Client) {
        let (beside, _stream) = client.begin(get("/good/delay/20"), true).await;
        let body = http::Request::post(url("/bad/")).body(()).unwrap();
        let (response, mut upload) = client.begin(body, false).await;
        // It may be refused before its body is there.
        let _ = upload.send_data(vec![b'x'; 1000].into(), true);
        if let Ok(response) = response.await {
            let mut body = response.into_body();
            let mut received = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                received.extend_from_slice(&piece);
                let _ = body.flow_control().release_capacity(piece.len());
            }
            assert!(!contains(&received, BEHIND));
        }
        assert_eq!(beside.await.unwrap().status(), 200);
        assert_eq!(client.get("/good/").await.status(), 200);
    }

    /// A response over HTTP/1.1 ends, with its connection or before the next one.
    fn by_http1(&self) {
        let config = TlsSettings::new(&self.authority).config();
        let mut client = tls(self.front.port, "localhost", config);
        let request = "POST /bad/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody\
            GET /good/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        client.send(request);
        let mut received = Vec::new();
        let _ = client.stream().read_to_end(&mut received);
        assert!(!contains(&received, BEHIND), "{}", received.escape_ascii());
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_target_that_says_nonsense_of_streams() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let good = sandbox.target("good", &[]);
    let sections = format!("{{ {}", kestrel(&sandbox, json!({})));
    let proxy = delegating_by_path(&["good", "bad"]).replacen('{', &sections, 1);
    let front = start(&sandbox, &proxy);
    let fronts = Fronts {
        good,
        front,
        authority,
    };
    for (name, saying) in SAYINGS {
        println!("{name}");
        let queue = HostileQueue::open(&sandbox.runtime(), "bad", WAIT);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                queue.receive_fronts(|hello| talk(&mut hello.accept_streams(), saying));
            });
            let _stop = super::targets::Stop(&queue);
            for _ in 0..4 {
                fronts.by_http1();
            }
            run(async {
                let settings = TlsSettings {
                    alpn: &[b"h2"],
                    ..TlsSettings::new(&fronts.authority)
                };
                let client = Http2Client::over_tls(fronts.front.port, &settings).await;
                for _ in 0..4 {
                    fronts.by_http2(&client).await;
                }
            });
        });
        assert!(fronts.front.process.is_running());
        assert!(fronts.good.is_running());
    }
}
