//! The request's body on its way to the application.

use std::collections::VecDeque;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::HIGH_WATER;

/// What has arrived of a request's body and not been taken.
#[derive(Debug)]
pub(super) struct Incoming {
    pieces: VecDeque<Bytes>,
    /// Bytes in `pieces`.
    held: usize,
    pub(super) progress: Progress,
    /// The application has been told that the body has ended.
    told: bool,
    /// It may be read: the application has asked for it, or the client sends it unasked.
    pub(super) wanted: bool,
}

/// How far a body has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Arriving,
    Whole,
    /// It ends before its end: the client is gone, too slow, or does not keep to its framing.
    Broken,
}

/// What there is for an application that wants to know what came.
pub(super) enum Received {
    Body {
        pieces: VecDeque<Bytes>,
        more: bool,
    },
    /// No more comes.
    Nothing,
    NotYet,
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            pieces: VecDeque::new(),
            held: 0,
            progress: Progress::Arriving,
            told: false,
            wanted: true,
        }
    }
}

impl Incoming {
    pub(super) fn push(&mut self, piece: Bytes) {
        self.held += piece.len();
        self.pieces.push_back(piece);
    }

    /// Whether more is to be read from the client now.
    pub(super) fn has_room(&self) -> bool {
        self.wanted && self.held < HIGH_WATER
    }

    /// Whether there is something to be told.
    pub(super) fn has_news(&self) -> bool {
        match self.progress {
            Progress::Arriving => !self.pieces.is_empty(),
            Progress::Whole => !self.pieces.is_empty() || !self.told,
            Progress::Broken => true,
        }
    }

    /// Takes everything there is.
    pub(super) fn take(&mut self) -> Received {
        let is_whole = self.progress == Progress::Whole;
        if !self.pieces.is_empty() || (is_whole && !self.told) {
            self.told = is_whole;
            self.held = 0;
            return Received::Body {
                pieces: std::mem::take(&mut self.pieces),
                more: !is_whole,
            };
        }
        match self.progress {
            Progress::Broken => Received::Nothing,
            _ => Received::NotYet,
        }
    }
}

/// Pieces as one `bytes` object.
pub(super) fn joined<'py>(
    py: Python<'py>,
    pieces: &VecDeque<Bytes>,
) -> PyResult<Bound<'py, PyBytes>> {
    if let (1, Some(piece)) = (pieces.len(), pieces.front()) {
        return Ok(PyBytes::new(py, piece));
    }
    let length = pieces.iter().map(Bytes::len).sum();
    PyBytes::new_with(py, length, |mut whole| {
        for piece in pieces {
            let (here, rest) = whole.split_at_mut(piece.len());
            here.copy_from_slice(piece);
            whole = rest;
        }
        Ok(())
    })
}
