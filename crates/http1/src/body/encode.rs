//! Framing a response's body.

use std::io::Write as _;

use http::HeaderMap;

use crate::error::BodyLengthError;
use crate::framing::ResponseBody;

/// Frames one body. It copies no data: it says what to send before and behind each piece.
#[derive(Debug)]
pub struct BodyEncoder {
    body: ResponseBody,
    sent: u64,
}

impl BodyEncoder {
    /// An encoder for a body framed so.
    pub fn new(body: ResponseBody) -> Self {
        Self { body, sent: 0 }
    }

    /// Appends to `out` what goes before `len` bytes of data (not 0), and returns what goes behind.
    ///
    /// # Errors
    ///
    /// When the body grows longer than its Content-Length.
    pub fn begin_data(
        &mut self,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<&'static [u8], BodyLengthError> {
        self.sent = self.sent.saturating_add(len as u64);
        match self.body {
            ResponseBody::Chunked => {
                write!(out, "{len:x}\r\n").expect("writing to a vector cannot fail");
                Ok(b"\r\n")
            }
            ResponseBody::Length(length) if self.sent > length => Err(BodyLengthError::TooLong),
            ResponseBody::None => Err(BodyLengthError::TooLong),
            ResponseBody::Length(_) | ResponseBody::UntilClose => Ok(b""),
        }
    }

    /// The same for the last piece of a body without trailers: what is returned ends the body.
    ///
    /// # Errors
    ///
    /// When the body is not as long as its Content-Length.
    pub fn last_data(
        &mut self,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<&'static [u8], BodyLengthError> {
        let behind = self.begin_data(len, out)?;
        match self.body {
            ResponseBody::Chunked => Ok(b"\r\n0\r\n\r\n"),
            _ => self.finish(None, out).map(|()| behind),
        }
    }

    /// Appends what ends the body. Trailers are sent where there are chunks, and else dropped.
    ///
    /// # Errors
    ///
    /// When the body is shorter than its Content-Length.
    pub fn finish(
        &mut self,
        trailers: Option<&HeaderMap>,
        out: &mut Vec<u8>,
    ) -> Result<(), BodyLengthError> {
        match self.body {
            ResponseBody::Length(length) if self.sent < length => {
                return Err(BodyLengthError::TooShort {
                    missing: length - self.sent,
                });
            }
            ResponseBody::Chunked => {
                out.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    out.extend_from_slice(name.as_str().as_bytes());
                    out.extend_from_slice(b": ");
                    out.extend_from_slice(value.as_bytes());
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(b"\r\n");
            }
            _ => {}
        }
        Ok(())
    }
}
