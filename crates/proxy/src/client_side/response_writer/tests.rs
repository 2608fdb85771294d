use std::future::Future;
use std::os::unix::net::UnixStream;
use std::pin::pin;

use ostler_delegation::control::ConnectionFacts;
use rustix::net::sockopt::set_socket_send_buffer_size;

use super::*;
use crate::client_socket::Interest;
use crate::tls::ClientFacts;

fn facts() -> ClientFacts {
    ClientFacts::clear(ConnectionFacts {
        client: None,
        local: None,
        accepted_ns: 0,
    })
}

/// A client whose connection has room for little, and its other end.
fn narrow() -> (ClientSocket, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    set_socket_send_buffer_size(&ours, 4096).unwrap();
    let mut client = ClientSocket::new(ours.into(), facts(), None).unwrap();
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

#[tokio::test]
async fn the_last_piece_goes_out_with_the_head_and_the_end() {
    // Each write is a packet of its own.
    let (ours, theirs) = rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
        rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK,
        None,
    )
    .unwrap();
    let mut client = ClientSocket::new(ours, facts(), None).unwrap();
    client.set_interest(Interest::ReadsAndWrites).unwrap();
    let (request, ending) = (RequestHead::default(), Cell::new(false));
    let mut writer = ResponseWriter::Http1(Http1Response::new(&request, &client, &ending, false));
    begin(&mut writer);
    let patience = Duration::from_secs(30);
    let piece = Bytes::from_static(b"hello");
    writer.last(piece, patience).await.unwrap();
    assert!(!writer.is_begun());
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", http::HeaderValue::from_static("1"));
    writer.end(Some(trailers), patience).await.unwrap();
    let mut packet = [0; 4096];
    let flags = rustix::net::RecvFlags::empty();
    let (length, _) = rustix::net::recv(&theirs, &mut packet, flags).unwrap();
    let packet = std::str::from_utf8(&packet[..length]).unwrap();
    let body = "\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n";
    assert!(
        packet.starts_with("HTTP/1.1 201 ") && packet.ends_with(body),
        "{packet}"
    );
    assert!(rustix::net::recv(&theirs, &mut [0; 1], flags).is_err());
}
