//! A journal: memory into which one process receives from clients' sockets, and in which another one finds
//! what was received, should the first die before it has done anything with it.
//!
//! ```text
//! 0x0000  magic, version, length in bytes, cells                 written once, before sharing
//! 0x1000  the first cell, 4096 bytes; one behind the other
//!
//! a cell
//! 0x000   slot + 1, generation (u32 each)                        0: free, and the rest means nothing
//! 0x008   exchange, number (u32 each)
//! 0x010   bytes received + 1                                     0: they are being received
//! 0x018   when they were received
//! 0x020   the bytes; 0 behind them
//! ```
//!
//! A process that dies between receiving and saying how much leaves the 0 at 0x010. Behind what it has received
//! there is nothing but zeros, so all of it is found, unless it ends in zeros itself: see
//! [`Journaled::is_certain`].

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::retry_on_intr;
use rustix::net::RecvFlags;

use crate::error::RegionError;
use crate::mapping::{Access, Mapping};
use crate::memfd::{self, SizeSealed};

/// `OSTLERJL` in memory on a little-endian machine.
const MAGIC: u64 = u64::from_le_bytes(*b"OSTLERJL");
const VERSION: u64 = 1;

const CELL: usize = 4096;
const FIRST: usize = 4096;
const DATA: usize = 0x20;
const MOST_CELLS: usize = 64 * 1024;

/// Bytes that one cell has room for.
pub const JOURNAL_CELL: usize = CELL - DATA;

/// Words of a cell before its data.
const OCCUPANT: usize = 0;
const EXCHANGE: usize = 1;
const LENGTH: usize = 2;
const WHEN: usize = 3;
const WORDS: usize = DATA / size_of::<u64>();

const _: () = assert!(WHEN + 1 == WORDS && DATA + JOURNAL_CELL == CELL);

/// The journal that this process writes.
#[derive(Debug)]
pub struct OwnJournal {
    descriptor: OwnedFd,
    pages: Pages,
    /// Cells that nobody holds; the one that was given back last is taken next.
    free: Mutex<Vec<usize>>,
}

/// A journal's memory. Words of cells' heads are atomics; what a cell holds is bytes to who has the cell, and
/// words to the other process.
struct Pages(Mapping);

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pages")
    }
}

impl Pages {
    fn identity(&self) -> &[AtomicU64] {
        self.words(0, 4)
    }

    fn head(&self, cell: usize) -> &[AtomicU64] {
        self.words(FIRST + cell * CELL, WORDS)
    }

    /// Words that nobody in this process sees as bytes.
    fn words(&self, offset: usize, words: usize) -> &[AtomicU64] {
        let start = self.0.address(offset, words * size_of::<u64>());
        // SAFETY: `address` has seen that they are mapped, which they are as long as `self` lives; offsets
        // here are multiples of eight; in this process bytes are made of cells' data alone, by whoever writes
        // it, and words of data by whoever only reads.
        unsafe { slice::from_raw_parts(start.as_ptr().cast(), words) }
    }
}

impl OwnJournal {
    /// Creates a journal of this many cells, sealed as a region is. Memory is taken as cells are used.
    ///
    /// # Errors
    ///
    /// When descriptors or memory are short.
    pub fn create(name: &str, cells: usize) -> Result<Arc<Self>, RegionError> {
        let cells = cells.clamp(1, MOST_CELLS);
        let length = FIRST + cells * CELL;
        let (descriptor, mapping) = memfd::create(name, length)?;
        let pages = Pages(mapping);
        let identity = [MAGIC, VERSION, length as u64, cells as u64];
        for (word, value) in pages.identity().iter().zip(identity) {
            // The descriptor's way through the kernel orders these before the peer's loads.
            word.store(value, Ordering::Relaxed);
        }
        Ok(Arc::new(Self {
            descriptor,
            pages,
            free: Mutex::new((0..cells).rev().collect()),
        }))
    }

    /// The memfd, to be sent to the peer.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// A cell for the `number`th of what comes under (slot, generation, exchange); `None` when all are
    /// held.
    pub fn take(
        self: &Arc<Self>,
        [slot, generation, exchange]: [u32; 3],
        number: u32,
    ) -> Option<JournalCell> {
        let at = self.free().pop()?;
        let cell = JournalCell {
            journal: Arc::clone(self),
            at,
            received: 0,
            number,
        };
        let head = self.pages.head(at);
        head[EXCHANGE].store(pair(exchange, number), Ordering::Relaxed);
        head[LENGTH].store(0, Ordering::Relaxed);
        // Who finds the occupant finds what stands before.
        head[OCCUPANT].store(pair(slot.wrapping_add(1), generation), Ordering::Release);
        Some(cell)
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// A cell of one's own, until it is dropped.
#[derive(Debug)]
pub struct JournalCell {
    journal: Arc<OwnJournal>,
    at: usize,
    /// Bytes behind which all is zero. `<= JOURNAL_CELL`
    received: usize,
    number: u32,
}

impl JournalCell {
    /// Which one this is of those that come under its key.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Receives what has arrived, into an empty cell; 0 at the end of the stream.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when nothing has arrived; else what recv(2) says.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        debug_assert_eq!(self.received, 0);
        let start = self.data();
        // SAFETY: `data` is mapped for writing as long as the journal lives, which this cell keeps; nobody
        // else in this process has the cell, and the other one cannot write.
        let room: &mut [MaybeUninit<u8>] =
            unsafe { slice::from_raw_parts_mut(start.cast(), JOURNAL_CELL) };
        let received = retry_on_intr(|| {
            let ((received, _), _) = rustix::net::recv(socket, &mut *room, RecvFlags::DONTWAIT)?;
            Ok(received.len())
        })?;
        self.received = received;
        let head = self.journal.pages.head(self.at);
        let now = crate::process::monotonic_nanoseconds();
        head[WHEN].store(now, Ordering::Relaxed);
        head[LENGTH].store(received as u64 + 1, Ordering::Release);
        Ok(received)
    }

    /// What was received.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: as in `receive`; the memory began as zeros, so every byte of it has a value.
        unsafe { slice::from_raw_parts(self.data(), self.received) }
    }

    /// When that was.
    pub fn received_ns(&self) -> u64 {
        self.journal.pages.head(self.at)[WHEN].load(Ordering::Relaxed)
    }

    fn data(&self) -> *mut u8 {
        let offset = FIRST + self.at * CELL + DATA;
        let pages = &self.journal.pages.0;
        pages.address(offset, JOURNAL_CELL).as_ptr()
    }
}

impl Drop for JournalCell {
    fn drop(&mut self) {
        let head = self.journal.pages.head(self.at);
        head[OCCUPANT].store(0, Ordering::Release);
        // The bytes go behind it: an occupied cell has all of them.
        fence(Ordering::SeqCst);
        let (start, received) = (self.data(), self.received);
        // SAFETY: as in `receive`; `received` is no more than the cell's room.
        unsafe { start.write_bytes(0, received) };
        self.journal.free().push(self.at);
    }
}

/// The journal that the other side writes, of which every value is suspect.
#[derive(Debug)]
pub struct PeerJournal {
    pages: Pages,
    cells: usize,
}

/// What the other side has received and may not have begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journaled {
    /// Which one it is of those that come under its key.
    pub number: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The other side has said how many there are. Else zeros at their end may be missing.
    pub is_certain: bool,
}

impl PeerJournal {
    /// Maps the journal behind a descriptor that the peer sent, read-only.
    ///
    /// # Errors
    ///
    /// Anything but a memfd of the right length, sealed as a region's is, with the header of a journal, is
    /// refused.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the mapping takes over from the descriptor"
    )]
    pub fn map(descriptor: OwnedFd) -> Result<Self, RegionError> {
        let memfd = SizeSealed::of_peer(descriptor.as_fd())?;
        let length = memfd.length();
        let wrong_length = || RegionError::Length {
            length: length as u64,
        };
        if !(FIRST + CELL..=FIRST + MOST_CELLS * CELL).contains(&length) {
            return Err(wrong_length());
        }
        let pages = Pages(Mapping::new(&memfd, Access::Read)?);
        let [magic, version, stated, cells] =
            [0, 1, 2, 3].map(|at: usize| pages.identity()[at].load(Ordering::Relaxed));
        if magic != MAGIC || version != VERSION {
            return Err(RegionError::NotJournal);
        }
        let within = usize::try_from(cells).ok().filter(|&cells| {
            cells <= MOST_CELLS
                && FIRST + cells * CELL == length
                && pages.0.length() == length
                && stated == length as u64
        });
        let cells = within.ok_or_else(wrong_length)?;
        Ok(Self { pages, cells })
    }

    /// What stands under (slot, generation, exchange), if anything does. To be asked of a side that writes
    /// no more.
    pub fn find(&self, [slot, generation, exchange]: [u32; 3]) -> Option<Journaled> {
        let occupant = pair(slot.wrapping_add(1), generation);
        let cell = (0..self.cells).find(|&cell| {
            let head = self.pages.head(cell);
            let stands = head[OCCUPANT].load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            stands == occupant && head[EXCHANGE].load(Ordering::Relaxed) as u32 == exchange
        })?;
        let head = self.pages.head(cell);
        let number = (head[EXCHANGE].load(Ordering::Relaxed) >> 32) as u32;
        let length = head[LENGTH].load(Ordering::Relaxed);
        let bytes = self.copy(cell);
        let (length, is_certain) = match length {
            0 => {
                let last = bytes.iter().rposition(|&byte| byte != 0);
                (last.map_or(0, |last| last + 1), false)
            }
            length => (usize::try_from(length - 1).unwrap_or(usize::MAX), true),
        };
        let bytes = bytes.get(..length)?.to_vec();
        Some(Journaled {
            number,
            bytes,
            is_certain,
        })
    }

    fn copy(&self, cell: usize) -> Vec<u8> {
        let offset = FIRST + cell * CELL + DATA;
        let words = self.pages.words(offset, JOURNAL_CELL / size_of::<u64>());
        let words = words.iter();
        words
            .flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes())
            .collect()
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    const KEY: [u32; 3] = [7, 2, 9];

    fn ends() -> (Arc<OwnJournal>, PeerJournal) {
        let own = OwnJournal::create("test", 2).unwrap();
        let sent = own.descriptor().try_clone_to_owned().unwrap();
        (own, PeerJournal::map(sent).unwrap())
    }

    fn received(journal: &Arc<OwnJournal>, number: u32, bytes: &[u8]) -> JournalCell {
        let (mut client, socket) = UnixStream::pair().unwrap();
        client.write_all(bytes).unwrap();
        let mut cell = journal.take(KEY, number).unwrap();
        assert_eq!(cell.receive(socket.as_fd()).unwrap(), bytes.len());
        assert_eq!(cell.bytes(), bytes);
        cell
    }

    #[test]
    fn what_is_received_is_found_until_the_cell_is_given_back() {
        let (own, peer) = ends();
        assert_eq!(peer.find(KEY), None);
        let cell = received(&own, 3, b"GET / HTTP/1.1\r\n\r\n");
        assert!(cell.received_ns() > 0);
        let found = peer.find(KEY).unwrap();
        assert_eq!(found.bytes, b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!((found.number, found.is_certain), (3, true));
        assert_eq!(peer.find([7, 2, 10]), None);
        assert_eq!(peer.find([7, 3, 9]), None);
        assert_eq!(peer.find([6, 2, 9]), None);
        drop(cell);
        assert_eq!(peer.find(KEY), None);
    }

    #[test]
    fn a_death_between_receiving_and_saying_how_much_loses_nothing_but_zeros() {
        let (own, peer) = ends();
        drop(received(&own, 0, &[b'x'; JOURNAL_CELL]));
        let cell = received(&own, 1, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\0\0");
        own.pages.head(cell.at)[LENGTH].store(0, Ordering::Relaxed);
        let found = peer.find(KEY).unwrap();
        assert_eq!(found.bytes, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(!found.is_certain);
    }

    #[test]
    fn no_more_cells_are_given_than_there_are_and_each_comes_back_empty() {
        let (own, _) = ends();
        let first = received(&own, 0, b"one");
        let _second = own.take(KEY, 1).unwrap();
        assert!(own.take(KEY, 2).is_none());
        drop(first);
        let again = own.take(KEY, 2).unwrap();
        assert_eq!((again.bytes(), again.number()), (&b""[..], 2));
    }

    #[test]
    fn what_is_no_journal_is_refused() {
        let spec = crate::RegionSpec {
            ring_capacity: 4096,
            slots: 1,
        };
        let region = crate::OwnRegion::create("test", spec).unwrap();
        let sent = region.descriptor().try_clone_to_owned().unwrap();
        assert!(matches!(
            PeerJournal::map(sent),
            Err(RegionError::NotJournal)
        ));
        let (own, _) = ends();
        let wrong = [(0, 1), (1, 2), (2, 4096), (3, 3), (3, u64::MAX)];
        for (word, value) in wrong {
            let word = &own.pages.identity()[word];
            let before = word.swap(value, Ordering::Relaxed);
            let sent = own.descriptor().try_clone_to_owned().unwrap();
            assert!(PeerJournal::map(sent).is_err());
            word.store(before, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_no_find() {
        let (own, peer) = ends();
        let cell = received(&own, 0, b"one");
        own.pages.head(cell.at)[LENGTH].store(u64::MAX, Ordering::Relaxed);
        assert_eq!(peer.find(KEY), None);
    }
}
