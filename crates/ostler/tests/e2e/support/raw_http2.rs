//! HTTP/2 frame by frame, for what a library would not send: a destination's end of a connection.

use super::{Destination, Incoming};

/// Frame types (RFC 9113 section 6).
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;

/// Flags.
const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// `:status: 200`, compressed (RFC 7541 appendix A).
pub(crate) const STATUS_200: &[u8] = &[0x88];

/// RFC 8441 section 3.
pub(crate) const ENABLE_CONNECT_PROTOCOL: (u16, u32) = (8, 1);

/// A connection of the front's to a destination that says what a test says.
pub(crate) struct RawHttp2 {
    incoming: Incoming,
}

/// A frame as it arrives, less what it carries.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A stream's end by reset.
pub(crate) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

impl RawHttp2 {
    /// Accepts a connection and says these settings.
    pub(crate) fn accept(destination: &Destination, settings: &[(u16, u32)]) -> Self {
        let mut incoming = destination.accept();
        let preface = incoming.read(24);
        assert_eq!(preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let payload = settings.iter().flat_map(|(id, value)| {
            let (id, value) = (id.to_be_bytes(), value.to_be_bytes());
            [id.as_slice(), value.as_slice()].concat()
        });
        incoming.send(frame(SETTINGS, 0, 0, &payload.collect::<Vec<_>>()));
        Self { incoming }
    }

    /// The next frame; the other end's settings are acknowledged.
    pub(crate) fn next(&mut self) -> Frame {
        let head = self.incoming.read(9);
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        self.incoming.read(length);
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
        };
        if frame.kind == SETTINGS && frame.flags & ACK == 0 {
            self.send(self::frame(SETTINGS, ACK, 0, &[]));
        }
        frame
    }

    /// Reads until a frame of this kind.
    pub(crate) fn until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next();
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// The stream of the next request, once its head is here.
    pub(crate) fn asked(&mut self) -> u32 {
        self.until(HEADERS).stream
    }

    /// Sends bytes, in one segment where they fit into one.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.incoming.send(bytes);
    }
}
