//! What each reason makes of an answer, reason by reason.

use super::*;

/// An answer's status, what becomes of the connection, and the error that is told.
type Row = (u16, Then, Option<ForwarderError>);

/// A status, and nothing else: no fields, no body, and the connection goes on.
fn plain(status: u16) -> Row {
    (status, Then::Keep, None)
}

fn failed(status: u16, error: ForwarderError) -> Row {
    (status, Then::Keep, Some(error))
}

fn of_queue(reason: Unanswered) -> Why {
    Why::Unanswered(QueueName::new("shop").unwrap(), reason)
}

#[track_caller]
fn are_answered<const N: usize>(rows: [(Why, Row); N]) {
    for (row, (why, expected)) in rows.into_iter().enumerate() {
        let answer = why.answer(None);
        let found = (answer.status.as_u16(), answer.connection, answer.error);
        assert_eq!(found, expected, "row {row}");
    }
}

#[test]
fn what_the_front_decides_has_a_status_and_leaves_the_connection() {
    are_answered([
        (Why::HostNotAllowed, plain(400)),
        (Why::NoRoute, plain(404)),
        (Why::MethodNotAllowed("GET".into()), plain(405)),
        (Why::AmbiguousRoutes(Vec::new()), plain(500)),
        (Why::NoCluster, plain(503)),
        (Why::NoAffinity, plain(503)),
        (
            Why::NoDestination,
            failed(503, ForwarderError::NoAvailableDestinations),
        ),
    ]);
}

#[test]
fn what_is_no_request_ends_a_connection_and_not_the_streams_beside_it() {
    are_answered([
        (
            Why::MalformedHead(HeadError::TooManyFields),
            (431, Then::Close, None),
        ),
        (
            Why::MalformedStream(StatusCode::NOT_IMPLEMENTED, "a cause".into()),
            plain(501),
        ),
        (Why::HeadTooSlow, (408, Then::Close, None)),
        (Why::NotHttp2, (400, Then::Close, None)),
    ]);
}

#[test]
fn what_a_destination_does_not_answer_says_in_which_phase() {
    use ForwarderError::{
        RequestBodyClient, RequestCanceled, RequestCreation, ResponseBodyDestination,
        ResponseHeaders, UpgradeResponseClient,
    };
    let no_response = NoResponse {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        error: RequestBodyClient,
        cause: None,
    };
    are_answered([
        (Why::Connect, failed(502, RequestCreation)),
        (Why::NotTransformed, failed(502, RequestCreation)),
        (Why::UpgradeForbidden, failed(502, RequestCreation)),
        (Why::TooManyUpgrades, failed(502, UpgradeResponseClient)),
        (Why::InvalidKey("a cause".into()), plain(400)),
        (
            Why::NoRequest(StatusCode::BAD_REQUEST, "a cause".into()),
            failed(400, RequestCreation),
        ),
        (Why::NoResponse(no_response), failed(413, RequestBodyClient)),
        (Why::NotSwitched, failed(502, ResponseHeaders)),
        (
            Why::SwitchIgnored(StatusCode::OK),
            failed(502, ResponseHeaders),
        ),
        (
            Why::NotPassedOn(StatusCode::BAD_GATEWAY, ResponseBodyDestination),
            failed(502, ResponseBodyDestination),
        ),
        (
            Why::ClientGone(RequestCanceled),
            (502, Then::Silent, Some(RequestCanceled)),
        ),
    ]);
}

#[test]
fn what_no_target_answers_has_http_sys_verbosities() {
    use ForwarderError::{NoAvailableDestinations, Request, RequestCreation, RequestTimedOut};
    let full = |verbosity| of_queue(Unanswered::QueueFull(verbosity));
    let late = Unanswered::TimedOut(StatusCode::GATEWAY_TIMEOUT);
    let nowhere = Some(NoAvailableDestinations);
    are_answered([
        (of_queue(Unanswered::TargetDied), failed(503, Request)),
        (
            of_queue(Unanswered::WaitedTooLong),
            failed(503, NoAvailableDestinations),
        ),
        (of_queue(late), failed(504, RequestTimedOut)),
        (of_queue(Unanswered::TooLarge), failed(431, RequestCreation)),
        (full(Verbosity503::Basic), (503, Then::Reset, nowhere)),
        (full(Verbosity503::Limited), (503, Then::Close, nowhere)),
        (full(Verbosity503::Full), (503, Then::Close, nowhere)),
    ]);
}

#[test]
fn what_is_said_with_a_status_is_said_as_text() {
    for (why, text) in [
        (
            of_queue(Unanswered::QueueFull(Verbosity503::Full)),
            "QueueFull: the request queue is full",
        ),
        (Why::NotHttp2, "only HTTP/2 is spoken here"),
        (
            Why::MalformedHead(HeadError::TooManyFields),
            "there are too many fields",
        ),
    ] {
        let answer = why.answer(None);
        assert_eq!(answer.fields[CONTENT_TYPE], "text/plain");
        let AnswerBody::Here(body) = answer.body else {
            panic!("{text}: it is a file");
        };
        assert_eq!(body, text);
    }
}

#[test]
fn the_methods_that_have_a_route_are_said() {
    let answer = Why::MethodNotAllowed("GET, POST".into()).answer(None);
    assert_eq!(answer.fields[ALLOW], "GET, POST");
}

#[test]
fn a_transform_does_not_say_how_its_answer_is_delimited() {
    let mut response = Response::new(b"no".to_vec());
    for (name, value) in [
        ("content-length", "99"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("x-said", "it"),
    ] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = Why::Transform(Box::new(response)).answer(None);
    let names: Vec<_> = answer.fields.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["x-said"]);
}
