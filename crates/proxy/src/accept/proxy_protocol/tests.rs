use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use super::*;

const BEHIND: &[u8] = b"GET / HTTP/1.1\r\n";

fn some(client: &str, local: &str) -> Option<Ends> {
    Some(Ends {
        client: client.parse().unwrap(),
        local: local.parse().unwrap(),
    })
}

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend([command, family]);
    header.extend((rest.len() as u16).to_be_bytes());
    header.extend(rest);
    header
}

/// Decodes what arrives in pieces of `step` bytes: how many are the header's, and what it says.
fn decode(input: &[u8], step: usize) -> Result<(usize, Option<Ends>), HeaderError> {
    let mut decoder = HeaderDecoder::default();
    let mut before = 0;
    for piece in input.chunks(step) {
        match decoder.decode(piece)? {
            Progress::NeedMore => before += piece.len(),
            Progress::Complete { taken, ends } => return Ok((before + taken, ends)),
        }
    }
    panic!("there is no end in {input:?}");
}

#[test]
fn a_header_is_taken_whole_and_nothing_behind_it_however_it_arrives() {
    let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 1, 187];
    let mut v6 = [0; 36];
    (v6[15], v6[31], v6[33], v6[35]) = (1, 2, 3, 4);
    let with_more = [&v4[..], &[0x04, 0, 2, 9, 9]].concat();
    let ends = some("192.0.2.7:4711", "198.51.100.1:443");
    for (header, wanted) in [
        (
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n".to_vec(),
            ends,
        ),
        (
            b"PROXY TCP6 2001:db8::7 ::1 65535 0\r\n".to_vec(),
            some("[2001:db8::7]:65535", "[::1]:0"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN ffff::1 whatever\r\n".to_vec(), None),
        (binary(0x21, 0x11, &v4), ends),
        (binary(0x21, 0x11, &with_more), ends),
        (binary(0x21, 0x21, &v6), some("[::1]:3", "[::2]:4")),
        (binary(0x20, 0x00, &[]), None),
        (binary(0x20, 0x11, &v4), None),
        (binary(0x21, 0x00, &[1, 2, 3]), None),
        (binary(0x21, 0x31, &[0; 216]), None),
    ] {
        let wire = [&header[..], BEHIND].concat();
        for step in 1..=wire.len() {
            assert_eq!(decode(&wire, step), Ok((header.len(), wanted)), "by {step}");
        }
    }
}

#[test]
fn what_is_no_header_is_refused_as_soon_as_it_shows() {
    use HeaderError::{Binary, Line, NotThere};
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    let cases: &[(&[u8], HeaderError)] = &[
        (b"GET / HTTP/1.1\r\n", NotThere),
        (b"POST / HTTP/1.1\r\n", NotThere),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NotThere),
        (b"\r\n\r\nGET / HTTP/1.1\r\n", NotThere),
        (b"\x16\x03\x01\x00\x05", NotThere),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n", Line),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 65536\r\n", Line),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n", Line),
        (b"PROXY TCP4 ::1 ::1 1 2\r\n", Line),
        (b"PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n", Line),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n", Line),
        (b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n", Line),
        (b"PROXY UNKNOWN4\r\n", Line),
        (b"PROXY \xff\r\n", Line),
        (long.as_bytes(), Line),
    ];
    let binaries = [
        binary(0x11, 0x11, &[0; 12]),
        binary(0x22, 0x11, &[0; 12]),
        binary(0x21, 0x11, &[0; 11]),
        binary(0x21, 0x21, &[0; 35]),
        binary(0x21, 0x13, &[0; 12]),
    ];
    let binaries = binaries.iter().map(|header| (&header[..], Binary));
    for (input, error) in cases.iter().copied().chain(binaries) {
        for step in [1, 5, input.len()] {
            assert_eq!(decode(input, step), Err(error), "{input:?} by {step}");
        }
    }
}

#[tokio::test]
async fn what_follows_the_header_stays_in_the_socket() {
    let (mut peer, own) = UnixStream::pair().unwrap();
    peer.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\nGET /")
        .unwrap();
    let mut own = OwnedFd::from(own);
    let ends = read(&own).await.unwrap();
    assert_eq!(ends, some("192.0.2.7:4711", "198.51.100.1:443"));
    drop(peer);
    let mut rest = String::new();
    UnixStream::from(own.try_clone().unwrap())
        .read_to_string(&mut rest)
        .unwrap();
    assert_eq!(rest, "GET /");
    // A header that breaks off.
    let (mut peer, other) = UnixStream::pair().unwrap();
    peer.write_all(b"PROXY TCP4 192.0").unwrap();
    drop(peer);
    own = OwnedFd::from(other);
    let error = read(&own).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}
