//! The response on its way to the client.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use pyo3::PyResult;
use pyo3::exceptions::PyRuntimeError;

use super::HIGH_WATER;
use crate::file::{FileBody, FilePart};

/// How far a response has come.
#[derive(Debug, Default)]
pub(super) enum Outgoing {
    #[default]
    Expected,
    /// The application has given the head. It goes out with the first of the body.
    Head(Head),
    /// A response that the serving thread has not taken yet, and what more of it has come.
    Ready(Box<http::Response<Content>>, Option<Pieces>),
    /// The serving thread sends what comes here.
    Sending(Pieces),
    Complete,
}

/// A response's head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    /// Fields come behind the body.
    pub(super) trailers: bool,
}

/// What a response's body is made of.
#[derive(Debug)]
pub(crate) enum Content {
    Whole(Bytes),
    /// Comes by `HttpExchange::poll_piece`.
    Pieces,
    /// What the pieces have turned out to be.
    File(FileBody),
}

/// A body that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    data: VecDeque<Bytes>,
    /// Bytes in `data`.
    held: usize,
    /// Bytes to come, where the head says how many there are.
    expected: Option<u64>,
    /// All of the body, where the application has given a file behind a head that had gone.
    file: Option<FileBody>,
    trailers: Option<HeaderMap>,
    expects_trailers: bool,
    is_whole: bool,
    /// Nothing of it has come yet.
    is_untouched: bool,
    is_aborted: bool,
}

/// The next of a response's body.
pub(crate) enum Piece {
    Data(Bytes),
    /// What is left of it.
    File(FileBody),
    Trailers(HeaderMap),
    End,
    /// The application has failed: the client has to see that it is not whole.
    Aborted,
}

impl Outgoing {
    /// Takes a piece of the body; true when it is enough for now.
    pub(super) fn push(&mut self, data: Bytes, more: bool) -> PyResult<bool> {
        match self {
            Self::Head(_) => Ok(self.begin(data, more)),
            Self::Ready(_, Some(pieces)) | Self::Sending(pieces) if !pieces.is_whole => {
                Ok(pieces.push(data, more))
            }
            Self::Expected => Err(PyRuntimeError::new_err("the response has not been started")),
            _ => Err(PyRuntimeError::new_err("the response is complete already")),
        }
    }

    /// Has the head go out before the body; false when it has gone.
    pub(super) fn flush(&mut self) -> bool {
        let has_head = matches!(self, Self::Head(_));
        if has_head {
            self.begin(Bytes::new(), true);
        }
        if let Self::Ready(_, Some(pieces)) = self {
            pieces.is_untouched = has_head;
        }
        has_head
    }

    fn begin(&mut self, data: Bytes, more: bool) -> bool {
        let Self::Head(head) = std::mem::take(self) else {
            return false;
        };
        let expects_trailers = head.trailers;
        if !more && !expects_trailers {
            *self = Self::Ready(head.with(Content::Whole(data)), None);
            return false;
        }
        let mut pieces = Pieces {
            expects_trailers,
            expected: head.length(),
            ..Pieces::default()
        };
        let is_full = pieces.push(data, more);
        *self = Self::Ready(head.with(Content::Pieces), Some(pieces));
        is_full
    }

    /// Takes a file for the whole body.
    pub(super) fn file(&mut self, file: FilePart) -> PyResult<()> {
        match self {
            Self::Head(head) => {
                let file = file.into_send_file()?;
                // Nothing stands behind a file.
                head.trailers = false;
                self.begin(Bytes::new(), false);
                if let Self::Ready(response, None) = self {
                    response.extensions_mut().insert(file);
                }
                Ok(())
            }
            Self::Ready(_, Some(pieces)) | Self::Sending(pieces) if pieces.is_untouched => {
                pieces.file = Some(file.into_body()?);
                pieces.is_untouched = false;
                pieces.is_whole = true;
                Ok(())
            }
            _ => {
                let text = "a file follows the response's start and is its whole body";
                Err(PyRuntimeError::new_err(text))
            }
        }
    }

    /// Takes fields behind the body; the last of them end the response.
    pub(super) fn trailers(&mut self, fields: HeaderMap, more: bool) -> PyResult<()> {
        let (Self::Ready(_, Some(pieces)) | Self::Sending(pieces)) = self else {
            return Err(PyRuntimeError::new_err("trailers have a body before them"));
        };
        if !pieces.expects_trailers {
            let text = "the response's start does not say that trailers come";
            return Err(PyRuntimeError::new_err(text));
        }
        let trailers = pieces.trailers.get_or_insert_with(HeaderMap::new);
        trailers.extend(fields);
        pieces.expects_trailers = more;
        pieces.is_whole = !more;
        Ok(())
    }

    /// Ends what the application has left unfinished: by an answer of this status, or by breaking off.
    pub(super) fn fail(&mut self, status: StatusCode) {
        match self {
            // Nothing of it has been sent.
            Self::Expected
            | Self::Head(_)
            | Self::Ready(
                _,
                Some(Pieces {
                    is_whole: false, ..
                }),
            ) => {
                let text = status.canonical_reason().unwrap_or_default();
                let mut fields = HeaderMap::new();
                let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
                fields.insert(http::header::CONTENT_TYPE, plain);
                let head = Head {
                    status,
                    fields,
                    trailers: false,
                };
                let text = Bytes::from_static(text.as_bytes());
                *self = Self::Ready(head.with(Content::Whole(text)), None);
            }
            Self::Sending(pieces) if !pieces.is_whole => pieces.is_aborted = true,
            _ => {}
        }
    }

    /// The response once there is one; what comes of it later goes on by `next`.
    pub(super) fn take(&mut self) -> Option<http::Response<Content>> {
        match std::mem::take(self) {
            Self::Ready(response, more) => {
                *self = more.map_or(Self::Complete, Self::Sending);
                Some(*response)
            }
            other => {
                *self = other;
                None
            }
        }
    }

    /// The next of the body.
    pub(super) fn next(&mut self) -> Option<Piece> {
        let Self::Sending(pieces) = self else {
            return Some(Piece::End);
        };
        if pieces.is_aborted {
            return Some(Piece::Aborted);
        }
        if let Some(file) = pieces.file.take() {
            *self = Self::Complete;
            return Some(Piece::File(file));
        }
        if let Some(data) = pieces.data.pop_front() {
            pieces.held -= data.len();
            return Some(Piece::Data(data));
        }
        if !pieces.is_whole {
            return None;
        }
        let trailers = pieces.trailers.take();
        *self = Self::Complete;
        Some(trailers.map_or(Piece::End, Piece::Trailers))
    }

    /// Whether the application should wait before it gives more.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Ready(_, Some(pieces)) | Self::Sending(pieces) => pieces.held >= HIGH_WATER,
            _ => false,
        }
    }

    /// Whether all bytes that the head has promised are there, so that the client has the response although the
    /// application has not said that it ends.
    pub(super) fn is_as_long_as_promised(&self) -> bool {
        match self {
            Self::Ready(_, Some(pieces)) | Self::Sending(pieces) => pieces.expected == Some(0),
            _ => false,
        }
    }

    /// Whether the application has more to give.
    pub(super) fn is_unfinished(&self) -> bool {
        !self.progress().1
    }

    /// Whether the application has begun it, and whether it has given it whole.
    pub(super) fn progress(&self) -> (bool, bool) {
        match self {
            Self::Expected => (false, false),
            Self::Head(_) => (true, false),
            Self::Ready(_, Some(pieces)) | Self::Sending(pieces) => (true, pieces.is_whole),
            Self::Ready(_, None) | Self::Complete => (true, true),
        }
    }
}

impl Head {
    fn length(&self) -> Option<u64> {
        let length = self.fields.get(http::header::CONTENT_LENGTH)?;
        length.to_str().ok()?.parse().ok()
    }

    fn with(self, content: Content) -> Box<http::Response<Content>> {
        let mut response = http::Response::new(content);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.fields;
        Box::new(response)
    }
}

impl Pieces {
    fn push(&mut self, data: Bytes, more: bool) -> bool {
        self.is_untouched = false;
        self.expected = self
            .expected
            .map(|length| length.saturating_sub(data.len() as u64));
        if !data.is_empty() {
            self.held += data.len();
            self.data.push_back(data);
        }
        self.is_whole = !more && !self.expects_trailers;
        self.held >= HIGH_WATER
    }
}
