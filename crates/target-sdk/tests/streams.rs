//! Streams, with the front's end of a channel driven by hand.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use ostler_delegation::control::ConnectionFacts;
use ostler_delegation::entry::{Completed, ExchangeKey, ExchangeLimits, RequestEntry};
use ostler_delegation::front::{FrontChannel, Opening};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_delegation::stream_entry::{
    BodyEntry, ClientVersion, FIRST_WINDOW, StreamClient, StreamHead, StreamRequest, TargetEntry,
};
use ostler_delegation::{Disposition, Ending, QueueName, Stage};
use ostler_http1::{HeadDecoder, HeadProgress, Limits, RequestFacts, RequestHead};
use ostler_shm::PushError;
use ostler_target::{Arrival, RequestInfo, RequestQueue};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const RING: usize = 256 * 1024;
const MOMENT: Duration = Duration::from_millis(1);

/// A front of one channel, and the target at its other end.
struct Front {
    channel: FrontChannel,
    target: JoinHandle<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

impl Front {
    async fn of(app: Router) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = RequestQueue::builder("q")
            .runtime_folder(folder.path())
            .url_prefix("http://*:80/")
            .bind()
            .unwrap();
        let target = tokio::spawn(async move { ostler_target::serve(queue, app).await });
        let queue = RuntimeFolder::new(folder.path()).queue(&QueueName::new("q").unwrap());
        let control = queue.connect(&queue.instances()[0]).unwrap();
        let mut opening = Opening::start(control, RING).unwrap();
        let channel = loop {
            match opening.try_finish().unwrap() {
                Ok(channel) => break channel,
                Err(again) => opening = again,
            }
            tokio::time::sleep(MOMENT).await;
        };
        assert!(channel.speaks_streams());
        Self {
            channel,
            target,
            _folder: folder,
        }
    }

    /// Opens a stream with a head; `prefix` is the start of its body, or all of it.
    fn open(&mut self, head: &str, prefix: &[u8], is_whole: bool) -> ExchangeKey {
        let mut decoded = RequestHead::default();
        let progress = HeadDecoder::new(Limits::default()).decode(head.as_bytes(), &mut decoded);
        assert!(matches!(progress, Ok(HeadProgress::Complete { .. })));
        let request = StreamRequest {
            request: RequestEntry {
                head: decoded.parts(),
                facts: RequestFacts::from(&decoded),
                framing: decoded.framing(),
                expects_continue: decoded.expects_continue(),
                upgrade: decoded.upgrade().is_some(),
                head_received_ns: 1,
                queued_ns: 2,
                limits: ExchangeLimits::NONE,
                forwarded: None,
                transforms: &[],
                directives: &[],
                prefix,
            },
            client: StreamClient {
                facts: ConnectionFacts {
                    client: Some("192.0.2.7:4711".parse().unwrap()),
                    local: None,
                    accepted_ns: 1,
                },
                tls: None,
                is_https: false,
                version: ClientVersion::Http2,
            },
            is_whole,
        };
        let key = self.channel.open_stream(&request).unwrap();
        self.channel.wake().unwrap();
        key
    }

    /// The next thing the target says.
    async fn next(&mut self) -> TargetEntry {
        loop {
            if let Some(entry) = self.channel.poll_entry().unwrap() {
                return entry;
            }
            self.channel.tell_of_room().unwrap();
            self.channel.wake().unwrap();
            assert!(!self.target.is_finished());
            tokio::time::sleep(MOMENT).await;
        }
    }

    async fn head(&mut self, key: ExchangeKey) -> StreamHead {
        match self.next().await {
            TargetEntry::Head(of, head) if of == key => head,
            other => panic!("{other:?}"),
        }
    }

    async fn completed(&mut self, key: ExchangeKey) -> Completed {
        match self.next().await {
            TargetEntry::Completed(completed) if completed.key == key => completed,
            other => panic!("{other:?}"),
        }
    }
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_small_response_is_one_entry_and_the_end() {
    let hello = async |info: axum::Extension<RequestInfo>| {
        assert_eq!(info.arrival(), Arrival::Streamed);
        assert_eq!(info.client_address().unwrap().port(), 4711);
        "hello"
    };
    let mut front = Front::of(Router::new().route("/", get(hello))).await;
    for _ in 0..100 {
        let key = front.open(GET, b"", true);
        let head = front.head(key).await;
        assert_eq!((head.status, head.length), (200, Some(5)));
        assert_eq!(head.data, "hello");
        assert!(head.is_last);
        let completed = front.completed(key).await;
        let ended = (completed.disposition, completed.ending);
        assert_eq!(ended, (Disposition::Keep, Ending::Answered));
        assert_eq!(completed.bytes_sent, 5);
        assert_eq!(key.slot, 0, "slots are used again");
    }
}

/// Of what an application may say, what no response says.
#[tokio::test]
async fn a_response_is_final_and_says_no_length_that_is_not_get_s() {
    let interim = async |status: &str| {
        let status: http::StatusCode = status.parse().unwrap();
        status
    };
    let app = Router::new()
        .route("/103", get(move || interim("103")))
        .route("/101", get(move || interim("101")))
        .route("/304", get(async || http::StatusCode::NOT_MODIFIED))
        .route(
            "/known",
            get(async || (http::StatusCode::NOT_MODIFIED, [("content-length", "7")])),
        );
    let mut front = Front::of(app).await;
    let expected = [
        ("/103", 500, None),
        ("/101", 500, None),
        ("/304", 304, None),
        ("/known", 304, Some("7")),
    ];
    for (path, status, length) in expected {
        let key = front.open(
            &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"),
            b"",
            true,
        );
        let head = front.head(key).await;
        let said = head.fields.get("content-length");
        let said = said.map(|length| length.to_str().unwrap());
        assert_eq!((head.status, said), (status, length), "{path}");
        front.completed(key).await;
    }
}

#[tokio::test]
async fn trailers_go_both_ways() {
    let echo = async |body: Body| http::Response::new(body);
    let mut front = Front::of(Router::new().route("/", any(echo))).await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-end", HeaderValue::from_static("1"));
    let key = front.open(POST, b"one", false);
    front.channel.send_data(key, b"two", false).unwrap();
    front.channel.send_trailers(key, &trailers).unwrap();
    front.channel.wake().unwrap();
    let mut echoed = front.head(key).await.data.to_vec();
    loop {
        match front.next().await {
            TargetEntry::Body(_, BodyEntry::Data { data, .. }) => echoed.extend(data),
            TargetEntry::Body(_, BodyEntry::Trailers(end)) => {
                assert_eq!(end, trailers);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(echoed, b"onetwo");
    front.completed(key).await;
}

#[tokio::test]
async fn a_response_waits_for_credit_and_holds_no_other_up() {
    let much = vec![b'x'; 3 * FIRST_WINDOW as usize];
    let long = Bytes::from(much.clone());
    let app = Router::new()
        .route("/", get(|| async { "short" }))
        .route("/long", get(move || async move { long }));
    let mut front = Front::of(app).await;
    let slow = front.open("GET /long HTTP/1.1\r\nhost: x\r\n\r\n", b"", true);
    let mut received = front.head(slow).await.data.to_vec();
    while received.len() < FIRST_WINDOW as usize {
        match front.next().await {
            TargetEntry::Body(_, BodyEntry::Data { data, .. }) => received.extend(data),
            other => panic!("{other:?}"),
        }
    }
    // Nobody takes what the first has sent: a second one is answered all the same.
    let quick = front.open(GET, b"", true);
    assert_eq!(front.head(quick).await.data, "short");
    front.completed(quick).await;
    assert_eq!(received.len(), FIRST_WINDOW as usize);
    loop {
        front.channel.give_credit(slow, 10_000);
        match front.next().await {
            TargetEntry::Body(_, BodyEntry::Data { data, is_last }) => {
                received.extend(data);
                if is_last {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, much);
    front.completed(slow).await;
}

#[tokio::test]
async fn a_request_s_body_waits_for_its_reader_and_is_kept_until_that_reads_on() {
    let count = async |body: Body| {
        let length = body.collect().await.unwrap().to_bytes().len();
        length.to_string()
    };
    let mut front = Front::of(Router::new().route("/", any(count))).await;
    let key = front.open(POST, b"", false);
    let piece = vec![b'x'; front.channel.longest_data()];
    let whole = 5 * FIRST_WINDOW as usize;
    let mut left = whole;
    while left > 0 {
        let part = piece.len().min(left).min(front.channel.may_send(key));
        let sent = match part {
            0 => Err(PushError::Full),
            part => front
                .channel
                .send_data(key, &piece[..part], part == left)
                .map(|()| part),
        };
        match sent {
            Ok(sent) => left -= sent,
            Err(PushError::Full) => tokio::time::sleep(MOMENT).await,
            Err(error) => panic!("{error}"),
        }
        front.channel.wake().unwrap();
        while left > 0
            && let Some(entry) = front.channel.poll_entry().unwrap()
        {
            assert!(matches!(entry, TargetEntry::Body(_, BodyEntry::Credit(_))));
            let committed = Stage::Received { body_read: true };
            assert_eq!(
                front.channel.stage(key),
                committed,
                "credit comes behind the word that nothing need be kept"
            );
        }
    }
    loop {
        match front.next().await {
            TargetEntry::Head(_, head) => {
                assert_eq!(head.data, whole.to_string());
                break;
            }
            TargetEntry::Body(_, BodyEntry::Credit(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(front.completed(key).await.body_received, whole as u64);
}

#[tokio::test]
async fn a_body_that_is_not_wanted_is_said_to_be() {
    let app = Router::new().route("/", any(|| async { "no" }));
    let mut front = Front::of(app).await;
    let key = front.open(POST, b"", false);
    let (mut stopped, mut answered) = (false, false);
    loop {
        match front.next().await {
            TargetEntry::Stop(of) => stopped |= of == key,
            TargetEntry::Head(..) => answered = true,
            TargetEntry::Completed(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(stopped && answered);
    // What was on its way then is nobody's.
    front.channel.send_data(key, b"late", true).unwrap();
    let key = front.open(GET, b"", true);
    assert_eq!(front.head(key).await.data, "no");
    front.completed(key).await;
}

#[tokio::test]
async fn a_cancelled_exchange_is_dropped_and_completed() {
    struct Told(mpsc::UnboundedSender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (sender, mut told) = mpsc::unbounded_channel();
    let waits = move || async move {
        let _told = Told(sender);
        std::future::pending::<&str>().await
    };
    let mut front = Front::of(Router::new().route("/", get(waits))).await;
    let key = front.open(GET, b"", true);
    while front.channel.stage(key) == Stage::Queued {
        tokio::time::sleep(MOMENT).await;
    }
    assert!(!front.channel.withdraw_stream(key), "it is being handled");
    front.channel.cancel_stream(key);
    front.channel.wake().unwrap();
    told.recv().await;
    // Of an exchange that is given up the end alone is told.
    assert_eq!(front.completed(key).await.ending, Ending::ClientGone);
}

#[tokio::test]
async fn a_response_whose_body_breaks_is_not_taken_for_whole() {
    let breaks = async || {
        let some = Ok(Frame::data(Bytes::from("some")));
        let frames = [some, Err(std::io::Error::other("broken"))];
        Body::new(StreamBody::new(futures_util::stream::iter(frames)))
    };
    let mut front = Front::of(Router::new().route("/", get(breaks))).await;
    let key = front.open(GET, b"", true);
    let head = front.head(key).await;
    assert_eq!((&head.data[..], head.is_last), (&b"some"[..], false));
    let completed = front.completed(key).await;
    assert_eq!(completed.ending, Ending::HandlerFailed);
    assert_eq!(completed.status, 200);
}

/// Pieces of one byte take more of a ring than credit counts.
#[tokio::test]
async fn many_small_pieces_leave_room_for_other_streams() {
    /// A quarter of the ring, in entries of up to 1,024 bytes.
    const MOST: usize = RING / 4 / (1024 + 32);
    let given = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given);
    let drip = async move || {
        let pieces = (0..10_000).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from_static(b"."))
        });
        Body::from_stream(futures_util::stream::iter(pieces))
    };
    let app = Router::new()
        .route("/", get(drip))
        .route("/other", get(async || "hello"));
    let mut front = Front::of(app).await;
    let key = front.open(GET, b"", true);
    // One goes with the head, and the last one waits.
    while given.load(Ordering::Relaxed) < MOST + 2 {
        tokio::time::sleep(MOMENT).await;
    }
    let other = front.open("GET /other HTTP/1.1\r\nhost: x\r\n\r\n", b"", true);
    while front.channel.stage(other) != Stage::Responding {
        tokio::time::sleep(MOMENT).await;
    }
    let (mut bytes, mut before) = (front.head(key).await.data.len(), 0);
    let mut count = |entry: TargetEntry| match entry {
        TargetEntry::Body(of, BodyEntry::Data { data, .. }) if of == key => bytes += data.len(),
        other => panic!("{other:?}"),
    };
    loop {
        match front.next().await {
            TargetEntry::Head(of, head) if of == other => {
                assert_eq!(head.data, "hello");
                break;
            }
            entry => count(entry),
        }
        before += 1;
    }
    assert_eq!(before, MOST);
    loop {
        match front.next().await {
            TargetEntry::Completed(completed) if completed.key == key => break,
            TargetEntry::Completed(_) => {}
            entry => count(entry),
        }
    }
    assert_eq!(bytes, 10_000);
}

#[tokio::test]
async fn small_pieces_of_a_request_leave_room_for_other_requests() {
    let mut front = Front::of(Router::new().route("/", any(async |_: Bytes| "read"))).await;
    let key = front.open(POST, b"", false);
    let mut sent = 0;
    // The target has no turn meanwhile.
    while front.channel.send_data(key, b".", false).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, RING / 4 / (1024 + 32));
    front.channel.send_data(key, &[b'.'; 1024], false).unwrap();
    let other = front.open(POST, b"", true);
    let mut is_over = false;
    while !is_over {
        match front.next().await {
            TargetEntry::Head(of, head) => assert_eq!((of, head.data), (other, "read".into())),
            TargetEntry::Completed(completed) => is_over = completed.key == other,
            other => panic!("{other:?}"),
        }
    }
    front.channel.send_data(key, b".", true).unwrap();
    front.channel.wake().unwrap();
    assert_eq!(front.head(key).await.data, "read");
    assert_eq!(front.completed(key).await.body_received, sent as u64 + 1025);
}

/// Else an upload would hold up all that the front's thread has to do.
#[tokio::test]
async fn pieces_of_a_body_are_no_reason_for_a_front_to_sleep() {
    let mut front = Front::of(Router::new()).await;
    let key = front.open(POST, b"", false);
    for _ in 0..10 {
        front.channel.send_data(key, b"piece", false).unwrap();
    }
    assert!(front.channel.waiting() > 10);
    assert!(!front.channel.pace(MOMENT));
    for _ in 0..3 {
        front.open(GET, b"", true);
    }
    assert!(front.channel.pace(MOMENT));
}

/// As long as an entry may be, which .NET's own limit is too.
#[tokio::test]
async fn fields_that_no_entry_holds_end_the_exchange() {
    let long = "x".repeat(RING / 4);
    let fields = long.clone();
    let long_head = async move || [("x-long", fields)];
    let long_trailers = async move || {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-long", long.parse().unwrap());
        let frames = [Frame::data(Bytes::from("body")), Frame::trailers(trailers)];
        let frames = frames.map(Ok::<_, std::io::Error>);
        Body::new(StreamBody::new(futures_util::stream::iter(frames)))
    };
    let app = Router::new()
        .route("/head", get(long_head))
        .route("/trailers", get(long_trailers));
    let mut front = Front::of(app).await;
    let failed = (Disposition::Close, Ending::HandlerFailed);
    let key = front.open("GET /head HTTP/1.1\r\nhost: x\r\n\r\n", b"", true);
    let completed = front.completed(key).await;
    assert_eq!((completed.disposition, completed.ending), failed);
    let key = front.open("GET /trailers HTTP/1.1\r\nhost: x\r\n\r\n", b"", true);
    assert_eq!(front.head(key).await.data, "body");
    let completed = front.completed(key).await;
    assert_eq!((completed.disposition, completed.ending), failed);
}
