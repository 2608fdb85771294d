//! Rings: a producer that writes entries into its own region, a consumer that copies them out.
//!
//! Neither ever waits. Each keeps its own position to itself and the peer's last seen one cached,
//! so that in steady state the only cache lines that move between processors are the entries and
//! the producer's position.

use std::sync::Arc;

use crate::copy::{self, WordWriter};
use crate::error::{PushError, RingError};
use crate::layout::{self, Field, WORD};
use crate::region::{OwnRegion, PeerRegion};
use crate::sync::Ordering;

/// Puts entries into this side's ring.
#[derive(Debug)]
pub struct Producer {
    own: Arc<OwnRegion>,
    peer: Arc<PeerRegion>,
    /// Bytes produced, a multiple of 8. What the own region says, which nobody else writes.
    produced: u64,
    entries: u64,
    /// The peer's consumer position when last looked at. `consumed <= produced` and
    /// `produced - consumed <= capacity`.
    consumed: u64,
    broken: Option<RingError>,
}

impl Producer {
    /// A producer for the ring in `own`, whose consumer keeps its position in `peer`.
    pub fn new(own: Arc<OwnRegion>, peer: Arc<PeerRegion>) -> Self {
        let produced = own.field(Field::ProducerPosition).load(Ordering::Relaxed);
        let entries = own.entries_produced();
        // The oldest position that a consumer can be at.
        let consumed = produced.saturating_sub(own.spec().ring_capacity as u64);
        Self {
            own,
            peer,
            produced,
            entries,
            consumed,
            broken: None,
        }
    }

    /// The longest entry, in bytes: a quarter of the ring's capacity.
    #[inline]
    pub fn max_entry(&self) -> usize {
        layout::max_entry(self.own.spec().ring_capacity)
    }

    /// Puts one entry, the concatenation of `parts`, into the ring and publishes it.
    ///
    /// # Errors
    ///
    /// [`PushError`]; the ring is then as it was.
    #[inline]
    pub fn try_push(&mut self, parts: &[&[u8]]) -> Result<(), PushError> {
        let length = parts
            .iter()
            .fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        if length > self.max_entry() {
            return Err(PushError::TooLarge);
        }
        let size = layout::entry_size(length) as u64;
        if self.room() < size {
            self.refresh()?;
            if self.room() < size {
                return Err(PushError::Full);
            }
        }
        let mut writer = WordWriter::new(self.own.ring(), word_index(self.produced));
        writer.word(length as u64);
        for part in parts {
            writer.bytes(part);
        }
        writer.finish();

        self.entries += 1;
        self.produced += size;
        self.own
            .field(Field::EntriesProduced)
            .store(self.entries, Ordering::Relaxed);
        // Publishes the entry: pairs with the acquire load in `Consumer::refresh`.
        self.own
            .field(Field::ProducerPosition)
            .store(self.produced, Ordering::Release);
        Ok(())
    }

    /// Whether the peer has consumed everything. False too when the peer misbehaves, which the
    /// next push that needs room reports.
    pub fn is_empty(&mut self) -> bool {
        self.refresh().is_ok() && self.consumed == self.produced
    }

    /// Whether more than a quarter of the ring holds what the peer has not consumed.
    pub fn fills_up(&mut self) -> bool {
        let quarter = self.own.spec().ring_capacity as u64 / 4;
        if self.produced - self.consumed <= quarter {
            return false;
        }
        // A peer that misbehaves is found out by the next push that needs room.
        self.refresh().is_ok() && self.produced - self.consumed > quarter
    }

    /// Entries the peer says it has not consumed yet; never more than the ring can hold.
    pub fn pending_entries(&self) -> u64 {
        let most = (self.own.spec().ring_capacity / WORD) as u64;
        self.entries
            .saturating_sub(self.peer.entries_consumed())
            .min(most)
    }

    /// Bytes that can be written without looking at the peer.
    #[inline]
    fn room(&self) -> u64 {
        self.own.spec().ring_capacity as u64 - (self.produced - self.consumed)
    }

    /// Looks how far the peer has come.
    #[cold]
    fn refresh(&mut self) -> Result<(), RingError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        // Pairs with the release store in `Consumer::try_pop`: the peer's loads of the words up
        // to there are done, so overwriting them is fine.
        let position = self.peer.load_acquire(Field::ConsumerPosition);
        let (consumed, produced) = (self.consumed, self.produced);
        if !(consumed..=produced).contains(&position) || !is_whole(position) {
            let error = RingError::ConsumerPosition {
                position,
                consumed,
                produced,
            };
            self.broken = Some(error);
            return Err(error);
        }
        self.consumed = position;
        Ok(())
    }
}

/// Takes entries out of the peer's ring.
#[derive(Debug)]
pub struct Consumer {
    own: Arc<OwnRegion>,
    peer: Arc<PeerRegion>,
    /// Bytes consumed, a multiple of 8. What the own region says, which nobody else writes.
    consumed: u64,
    entries: u64,
    /// The peer's producer position when last looked at. `consumed <= produced` and
    /// `produced - consumed <= capacity`.
    produced: u64,
    broken: Option<RingError>,
}

impl Consumer {
    /// A consumer of the ring in `peer`, which keeps its position in `own`.
    pub fn new(own: Arc<OwnRegion>, peer: Arc<PeerRegion>) -> Self {
        let consumed = own.field(Field::ConsumerPosition).load(Ordering::Relaxed);
        let entries = own.entries_consumed();
        Self {
            own,
            peer,
            consumed,
            entries,
            produced: consumed,
            broken: None,
        }
    }

    /// The longest entry that [`try_pop`](Self::try_pop) gives, in bytes.
    #[inline]
    pub fn max_entry(&self) -> usize {
        layout::max_entry(self.peer.spec().ring_capacity)
    }

    /// Copies the next entry into `out`, replacing what is there, and frees its room in the ring.
    /// False when there is none; `out` is then empty. Allocates only when the capacity of `out` is
    /// too small, and never more than [`max_entry`](Self::max_entry) asks for.
    ///
    /// # Errors
    ///
    /// [`RingError`] when the peer misbehaved; so will every later call.
    #[inline]
    pub fn try_pop(&mut self, out: &mut Vec<u8>) -> Result<bool, RingError> {
        out.clear();
        if self.consumed == self.produced {
            self.refresh()?;
            if self.consumed == self.produced {
                return Ok(false);
            }
        }
        if let Some(error) = self.broken {
            return Err(error);
        }
        let ring = self.peer.ring();
        let at = word_index(self.consumed);
        // Read once; from here on only the copy counts.
        let header = ring.load(at & (ring.len() - 1));
        let available = self.produced - self.consumed;
        let length = usize::try_from(header).unwrap_or(usize::MAX);
        if length > self.max_entry() || layout::entry_size(length) as u64 > available {
            let error = RingError::EntryLength { length: header };
            self.broken = Some(error);
            return Err(error);
        }
        copy::read(ring, at.wrapping_add(1), length, out);

        self.entries += 1;
        self.consumed += layout::entry_size(length) as u64;
        self.own
            .field(Field::EntriesConsumed)
            .store(self.entries, Ordering::Relaxed);
        // Gives the room back: pairs with the acquire load in `Producer::refresh`, and orders our
        // loads of the entry before the peer's stores over it.
        self.own
            .field(Field::ConsumerPosition)
            .store(self.consumed, Ordering::Release);
        Ok(true)
    }

    /// Whether there is nothing to pop. False too when the peer misbehaves, which the next
    /// [`try_pop`](Self::try_pop) reports.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        if self.consumed < self.produced || self.refresh().is_err() {
            return false;
        }
        self.consumed == self.produced
    }

    /// Looks how far the peer has come.
    #[inline]
    fn refresh(&mut self) -> Result<(), RingError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        // Pairs with the release store in `Producer::try_push`: the entries up to there are seen.
        let position = self.peer.load_acquire(Field::ProducerPosition);
        let capacity = self.peer.spec().ring_capacity as u64;
        // `consumed` is ours and counts real bytes: it is far from overflowing.
        if !(self.consumed..=self.consumed + capacity).contains(&position) || !is_whole(position) {
            let error = RingError::ProducerPosition {
                position,
                consumed: self.consumed,
            };
            self.broken = Some(error);
            return Err(error);
        }
        self.produced = position;
        Ok(())
    }
}

/// The word a position falls on, before it is reduced to the ring's length.
#[inline]
fn word_index(position: u64) -> usize {
    // `layout` asserts that a `usize` has 64 bits.
    position as usize / WORD
}

#[inline]
fn is_whole(position: u64) -> bool {
    position.is_multiple_of(WORD as u64)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
