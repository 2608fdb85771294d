use std::future::Future;
use std::os::unix::net::UnixStream;
use std::pin::pin;

use ostler_delegation::control::ConnectionFacts;
use rustix::net::sockopt::set_socket_send_buffer_size;

use super::*;
use crate::client::Interest;
use crate::tls::ClientFacts;

/// A client whose connection has room for little, and its other end.
fn narrow() -> (Client, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    set_socket_send_buffer_size(&ours, 4096).unwrap();
    let facts = ClientFacts::clear(ConnectionFacts {
        client: None,
        local: None,
        accepted_ns: 0,
    });
    let mut client = Client::new(ours.into(), facts, None).unwrap();
    client.set_interest(Interest::ReadsAndWrites).unwrap();
    (client, theirs)
}

fn begin(writer: &mut ResponseWriter<'_>) {
    let may_follow = writer.head(Head {
        status: StatusCode::CREATED,
        reason: None,
        fields: HeaderMap::new(),
        added: &[],
        length: BodyLength::Unknown,
        keep_alive: true,
    });
    assert!(may_follow);
}

/// Tries to send a first piece and gives it up when the client does not take all of it.
async fn try_a_piece(writer: &mut ResponseWriter<'_>) {
    let piece = Bytes::from_static(&[b'x'; 100_000]);
    let mut sending = pin!(writer.data(piece, Duration::from_secs(30)));
    let tried = std::future::poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx)));
    assert!(tried.await.is_pending());
}

#[tokio::test]
async fn a_response_has_begun_when_its_first_piece_is_half_taken() {
    let (client, _theirs) = narrow();
    let (request, ending) = (RequestHead::default(), Cell::new(false));
    let mut writer = ResponseWriter::Http1(Http1Response::new(&request, &client, &ending, false));
    begin(&mut writer);
    assert!(!writer.is_begun());
    try_a_piece(&mut writer).await;
    assert!(writer.is_begun());
    let sent = writer.bytes_sent();
    assert!((1..100_000).contains(&sent), "{sent} bytes have been taken");
}

#[tokio::test]
async fn a_response_has_begun_when_its_first_byte_is_tried() {
    let (client, _theirs) = narrow();
    let full = [0; 100_000];
    let mut full = [IoSlice::new(&full)];
    let mut taken = 0;
    let filled = client.send_half(&mut full, Duration::ZERO, &mut taken);
    filled.await.unwrap_err();
    let (request, ending) = (RequestHead::default(), Cell::new(false));
    let mut writer = ResponseWriter::Http1(Http1Response::new(&request, &client, &ending, false));
    begin(&mut writer);
    try_a_piece(&mut writer).await;
    assert!(writer.is_begun());
    assert_eq!(writer.bytes_sent(), 0);
}
