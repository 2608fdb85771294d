//! HTTP/2 frame by frame, as a test says it: a client, or a destination.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Destination, PATIENCE};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// END_STREAM; of SETTINGS and PING, ACK.
pub(crate) const END: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const COMPRESSION_ERROR: u32 = 9;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// `:status: 200`, compressed (RFC 7541 appendix A).
pub(crate) const STATUS_200: &[u8] = &[0x88];

/// RFC 8441 section 3.
pub(crate) const ENABLE_CONNECT_PROTOCOL: (u16, u32) = (8, 1);

/// One side of a connection, which says what it likes.
pub(crate) struct Frames<S = TcpStream> {
    pub(crate) stream: S,
}

/// A frame that has come.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Whether it ends its stream's direction.
    pub(crate) fn ends(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END != 0
    }

    /// The error code of a RST_STREAM or a GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        number(&self.payload[at..])
    }

    /// The status of a response whose fields begin with it, by its place in the static table or as a
    /// literal (RFC 7541 appendix A).
    pub(crate) fn status(&self) -> u16 {
        assert_eq!(self.kind, HEADERS, "{self:?}");
        const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
        let first = usize::from(self.payload[0]);
        match first.checked_sub(0x88).and_then(|at| STATIC.get(at)) {
            Some(status) => *status,
            None => {
                // The name is the table's; the value has three digits, in Huffman's code or not.
                assert!(matches!(first, 0x08 | 0x48), "{self:?}");
                let (length, text) = (self.payload[1], &self.payload[2..]);
                match length & 0x80 {
                    0 => std::str::from_utf8(&text[..3]).unwrap().parse().unwrap(),
                    _ => digits(&text[..usize::from(length & 0x7f)]),
                }
            }
        }
    }
}

/// Three digits in Huffman's code (RFC 7541 appendix B): 0 to 2 have five bits, the others six.
fn digits(code: &[u8]) -> u16 {
    let bit = |at: usize| u16::from(code[at / 8] >> (7 - at % 8) & 1);
    let bits = |at: usize, count: usize| (at..at + count).fold(0, |all, at| all << 1 | bit(at));
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let (digit, length) = match bits(at, 5) {
            short @ 0..=2 => (short, 5),
            _ => (bits(at, 6) - 0x19 + 3, 6),
        };
        (at, number) = (at + length, number * 10 + digit);
    }
    number
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

impl Frames {
    /// A client that has said its preface and its SETTINGS.
    pub(crate) fn connect(port: u16) -> Self {
        let mut frames = Self::silent(port);
        frames.begin(&[]);
        frames
    }

    /// One that has said nothing.
    pub(crate) fn silent(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        Self::over(stream)
    }

    /// The front's connection to a destination, which has said these settings.
    pub(crate) fn accept(destination: &Destination, settings: &[(u16, u32)]) -> Self {
        let stream = destination.accept().stream.into_inner();
        let mut frames = Self::over(stream);
        let mut preface = [0; PREFACE.len()];
        frames.stream.read_exact(&mut preface).unwrap();
        assert_eq!(preface, PREFACE);
        frames.settings(settings);
        frames
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }
}

impl<S: Read + Write> Frames<S> {
    /// Says the preface and SETTINGS.
    pub(crate) fn begin(&mut self, settings: &[(u16, u32)]) {
        self.say(PREFACE);
        self.settings(settings);
    }

    /// Says SETTINGS, each a number and a value.
    fn settings(&mut self, settings: &[(u16, u32)]) {
        let mut payload = Vec::new();
        for (setting, value) in settings {
            payload.extend(setting.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        self.frame(SETTINGS, 0, 0, &payload);
    }

    /// The stream of the next request, once its head is here.
    pub(crate) fn asked(&mut self) -> u32 {
        self.next_that(|frame| frame.kind == HEADERS).stream
    }

    /// False once the front has ended the connection.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.say(frame(kind, flags, stream, payload))
    }

    /// `GET path`, with the end of its stream.
    pub(crate) fn request(&mut self, stream: u32, path: &str) -> bool {
        self.headers(stream, END, &get(path))
    }

    /// A block of fields, in one frame.
    pub(crate) fn headers(&mut self, stream: u32, flags: u8, block: &[u8]) -> bool {
        self.frame(HEADERS, END_HEADERS | flags, stream, block)
    }

    /// Lets the front send so much more on a stream, or on the connection (0).
    pub(crate) fn open_window(&mut self, stream: u32, by: u32) -> bool {
        self.frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
    }

    /// The next frame; `None` when the connection is over, by a reset too.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let mut payload = vec![0; number(&[0, head[0], head[1], head[2]]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: number(&head[5..]),
            payload,
        };
        Some(frame)
    }

    /// The next frame that `is_wanted`, while SETTINGS and PINGs are answered and what else comes is
    /// passed over.
    pub(crate) fn next_that(&mut self, is_wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.next().expect("the connection ends before");
            if matches!(frame.kind, SETTINGS | PING) && frame.flags & END == 0 {
                let payload = if frame.kind == PING {
                    &frame.payload[..]
                } else {
                    &[]
                };
                self.frame(frame.kind, END, 0, payload);
            }
            if is_wanted(&frame) {
                return frame;
            }
        }
    }

    /// The payload of the next frame of this kind on this stream.
    pub(crate) fn frame_of(&mut self, kind: u8, stream: u32) -> Vec<u8> {
        let is_wanted = |frame: &Frame| (frame.kind, frame.stream) == (kind, stream);
        self.next_that(is_wanted).payload
    }

    /// The status that a stream is answered with.
    pub(crate) fn status_of(&mut self, stream: u32) -> u16 {
        let is_answer =
            |frame: &Frame| frame.stream == stream && matches!(frame.kind, HEADERS | RST_STREAM);
        let answer = self.next_that(is_answer);
        assert_eq!(answer.kind, HEADERS, "reset: {answer:?}");
        answer.status()
    }

    /// The error code that a stream is reset with.
    pub(crate) fn reset_of(&mut self, stream: u32) -> u32 {
        let is_end = |frame: &Frame| {
            frame.kind == GOAWAY || (frame.kind, frame.stream) == (RST_STREAM, stream)
        };
        let end = self.next_that(is_end);
        assert_eq!(end.kind, RST_STREAM, "the connection ends with it: {end:?}");
        end.code()
    }

    /// The error code of the next GOAWAY.
    pub(crate) fn goaway(&mut self) -> u32 {
        self.next_that(|frame| frame.kind == GOAWAY).code()
    }

    /// Reads to the connection's end.
    pub(crate) fn is_closed(&mut self) -> bool {
        while self.next().is_some() {}
        true
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A stream's end by reset.
pub(crate) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// The fields of `GET path`.
pub(crate) fn get(path: &str) -> Vec<u8> {
    fields(&[
        (":method", b"GET"),
        (":scheme", b"http"),
        (":authority", b"example.org"),
        (":path", path.as_bytes()),
    ])
}

/// Fields as literals without compression (RFC 7541 section 6.2.2).
pub(crate) fn fields(fields: &[(&str, &[u8])]) -> Vec<u8> {
    literals(0x00, fields)
}

/// The same, each with a place in the table of its connection (section 6.2.1).
pub(crate) fn remembered(fields: &[(&str, &[u8])]) -> Vec<u8> {
    literals(0x40, fields)
}

fn literals(first: u8, fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(first);
        for text in [name.as_bytes(), value] {
            match text.len().checked_sub(127) {
                None => block.push(text.len() as u8),
                Some(mut rest) => {
                    block.push(127);
                    while rest >= 128 {
                        block.push(rest as u8 | 0x80);
                        rest >>= 7;
                    }
                    block.push(rest as u8);
                }
            }
            block.extend_from_slice(text);
        }
    }
    block
}
