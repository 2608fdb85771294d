//! Pieces of a body that wait for their reader, however small they come.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// A piece below this is put together with others of its kind: what a piece costs beside its bytes would
/// be more than they are, and credit is given for bytes.
const SMALL: usize = 1024;

/// What has arrived of a body, in order. It takes memory in proportion to the bytes, not to the pieces in
/// which they came.
#[derive(Debug, Default)]
pub struct Pieces {
    whole: VecDeque<Bytes>,
    /// Small ones, behind the others.
    small: BytesMut,
    bytes: usize,
}

impl Pieces {
    /// Adds what has arrived.
    pub fn push(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        // The first is likely to be taken before another one comes.
        let is_first = self.is_empty();
        self.bytes += data.len();
        if is_first || data.len() >= SMALL {
            self.end_small();
            self.whole.push_back(data);
        } else {
            self.small.extend_from_slice(&data);
            if self.small.len() >= SMALL {
                self.end_small();
            }
        }
    }

    fn end_small(&mut self) {
        if !self.small.is_empty() {
            self.whole.push_back(self.small.split().freeze());
        }
    }

    /// Takes the next piece.
    pub fn pop(&mut self) -> Option<Bytes> {
        if self.whole.is_empty() {
            self.end_small();
        }
        let next = self.whole.pop_front()?;
        self.bytes -= next.len();
        Some(next)
    }

    /// Whether everything has been taken.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// How many bytes are here.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets go of everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_given_in_order_however_it_came() {
        let sizes = [1, 2, 5000, 3, 1023, 1, 1024, 7, 1, 1, 70_000, 1000, 100];
        for popped_between in [0, 1, 2] {
            let (mut pieces, mut said, mut heard) = (Pieces::default(), Vec::new(), Vec::new());
            for (at, size) in sizes.iter().enumerate() {
                let piece = vec![at as u8; *size];
                said.extend_from_slice(&piece);
                pieces.push(piece.into());
                for _ in 0..popped_between {
                    heard.extend(pieces.pop().into_iter().flatten());
                }
                assert_eq!(pieces.bytes(), said.len() - heard.len());
            }
            while let Some(piece) = pieces.pop() {
                assert!(!piece.is_empty());
                heard.extend(piece);
            }
            assert!(pieces.is_empty());
            assert_eq!(heard, said, "{popped_between}");
        }
    }

    #[test]
    fn a_body_of_single_bytes_takes_as_much_memory_as_it_has_bytes() {
        const BYTES: usize = 64 * 1024;
        let mut pieces = Pieces::default();
        for _ in 0..BYTES {
            pieces.push(Bytes::from_static(b"."));
        }
        assert_eq!(pieces.bytes(), BYTES);
        assert!(pieces.whole.len() <= BYTES / SMALL + 1);
    }

    #[test]
    fn small_pieces_between_large_ones_are_no_memory_of_their_own() {
        let mut pieces = Pieces::default();
        for _ in 0..100 {
            pieces.push(Bytes::from_static(&[0; SMALL]));
            pieces.push(Bytes::from_static(b"."));
        }
        assert!(pieces.whole.len() <= 2 * 100);
    }
}
