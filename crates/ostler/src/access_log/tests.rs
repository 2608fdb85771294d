//! What lines look like, format by format.

use std::time::{Duration, UNIX_EPOCH};

use http::Version;
use ostler_http1::{HeadDecoder, HeadProgress, Limits, RequestHead};
use ostler_proxy::{AccessRecord, ForwarderError, LoggedRequest, Mode, Outcome};

use super::{combined, json, w3c};

fn asked(bytes: &[u8]) -> LoggedRequest {
    let mut head = RequestHead::default();
    let progress = HeadDecoder::new(Limits::default()).decode(bytes, &mut head);
    assert!(!matches!(progress.unwrap(), HeadProgress::Incomplete));
    LoggedRequest::Read(Box::new(head), Version::HTTP_11)
}

/// The line in each format.
fn lines(request: &LoggedRequest, outcome: &Outcome) -> [String; 3] {
    let record = AccessRecord {
        at: UNIX_EPOCH + Duration::from_millis(784_111_777_042),
        client: Some("[2001:db8::1]:4711".parse().unwrap()),
        local: Some("192.0.2.1:80".parse().unwrap()),
        is_https: false,
        request,
        trace: None,
        outcome,
    };
    let mut lines = [const { Vec::new() }; 3];
    combined::append(&mut lines[0], &record);
    json::append(&mut lines[1], &record);
    w3c::append(&mut lines[2], &record, "host 1");
    lines.map(|line| String::from_utf8(line).unwrap())
}

#[test]
fn a_request_is_a_line_with_all_its_columns() {
    let request = asked(
        b"GET /a/b?c=d HTTP/1.1\r\nHost: h.example\r\nUser-Agent: agent/1 (x; y)\r\n\
          Referer: https://r.example/\r\nCookie: a=b; c=d\r\n\r\n",
    );
    let mut outcome = Outcome::local(200, 1234, Duration::from_micros(1500));
    outcome.mode = Mode::Delegated;
    outcome.bytes_received = Some(5);
    outcome.queued = Some(Duration::from_micros(20));
    outcome.first_byte = Some(Duration::from_micros(30));
    outcome.error = Some(ForwarderError::ResponseBodyDestination);
    let [combined, json, w3c] = lines(&request, &outcome);
    assert_eq!(
        combined,
        "2001:db8::1 - - [06/Nov/1994:08:49:37 +0000] \"GET /a/b?c=d HTTP/1.1\" 200 1234 \
         \"https://r.example/\" \"agent/1 (x; y)\"\n"
    );
    assert_eq!(
        json,
        "{\"time\":\"1994-11-06T08:49:37.042Z\",\"client\":\"2001:db8::1\",\"method\":\"GET\",\
         \"target\":\"/a/b?c=d\",\"version\":\"HTTP/1.1\",\"host\":\"h.example\",\
         \"referer\":\"https://r.example/\",\"user_agent\":\"agent/1 (x; y)\",\"status\":200,\
         \"bytes_sent\":1234,\"bytes_received\":5,\"micros\":1500,\"queued_micros\":20,\
         \"first_byte_micros\":30,\"mode\":\"delegated\",\"error\":\"ResponseBodyDestination\"}\n"
    );
    assert_eq!(
        w3c,
        "1994-11-06 08:49:37 2001:db8::1 - host+1 192.0.2.1 80 GET /a/b ?c=d 200 1.500 HTTP/1.1 \
         h.example agent/1+(x;+y) a=b;+c=d https://r.example/ 5 1234 - - ResponseBodyDestination \
         0.030 delegated 0.020 - - -\n"
    );
}

#[test]
fn what_is_no_request_is_a_line_too() {
    let request = LoggedRequest::Malformed(b"GET \"/\x00 \xff".to_vec());
    let outcome = Outcome::local(0, 0, Duration::ZERO);
    let [combined, json, w3c] = lines(&request, &outcome);
    assert_eq!(
        combined,
        "2001:db8::1 - - [06/Nov/1994:08:49:37 +0000] \"GET \\\"/\\x00 \\xFF\" 000 0 \"-\" \"-\"\n"
    );
    assert!(
        json.contains("\"malformed\":\"GET \\\"/\\u0000 \u{fffd}\""),
        "{json}"
    );
    assert!(
        w3c.contains(" 192.0.2.1 80 - - - 0 0.000 - - - - - - 0 "),
        "{w3c}"
    );
}

/// A preamble names the columns that lines have.
#[test]
fn every_column_has_a_name() {
    let preamble = String::from_utf8(w3c::preamble()).unwrap();
    let names = preamble.lines().nth(1).unwrap();
    let names = names.strip_prefix("#Fields: ").unwrap().split(' ').count();
    let request = asked(b"GET / HTTP/1.1\r\nHost: h\r\nCookie: a b\r\n\r\n");
    let [_, _, line] = lines(&request, &Outcome::local(404, 10, Duration::ZERO));
    assert_eq!(line.trim_end().split(' ').count(), names);
}

#[test]
fn no_client_forges_a_line() {
    let request = asked(
        b"GET /%0d%0a HTTP/1.1\r\nHost: h\r\nUser-Agent: x\" 200 1\t\"y\xff\xc2\x85\\\r\n\
          Referer: \xe2\x80\xa8a\r\n\r\n",
    );
    for line in lines(&request, &Outcome::local(200, 1, Duration::ZERO)) {
        let whole = line.strip_suffix('\n').unwrap();
        assert_eq!(whole.lines().count(), 1, "{line}");
        assert!(!whole.contains("x\" 200"), "{line}");
        assert!(
            !whole.contains('\u{85}') || whole.starts_with('{'),
            "{line}"
        );
    }
}
