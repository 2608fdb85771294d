//! Buffers for what arrives, lent by the thread to connections while bytes are in them: of many
//! connections few receive something at a time.

use std::cell::RefCell;

/// Buffers that a thread keeps for whoever receives next.
const MOST_FREE: usize = 64;

/// Those that have grown beyond this are not kept.
const LARGEST: usize = 64 * 1024;

thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Puts a buffer with memory in the place of one that has none.
pub(crate) fn lend(buffer: &mut Vec<u8>) {
    if buffer.capacity() == 0
        && let Some(lent) = FREE.with_borrow_mut(Vec::pop)
    {
        *buffer = lent;
    }
}

/// Takes the memory of a buffer with nothing in it.
pub(crate) fn take_back(buffer: &mut Vec<u8>) {
    if !buffer.is_empty() || buffer.capacity() == 0 {
        return;
    }
    let buffer = std::mem::take(buffer);
    if buffer.capacity() <= LARGEST {
        FREE.with_borrow_mut(|free| {
            if free.len() < MOST_FREE {
                free.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_from_one_that_is_empty_to_one_that_has_none() {
        let mut first = Vec::with_capacity(1000);
        first.push(1);
        take_back(&mut first);
        assert_eq!(first, [1], "what is in it stays");
        first.clear();
        let lent = first.as_ptr();
        take_back(&mut first);
        assert_eq!(first.capacity(), 0);
        let mut second = Vec::new();
        lend(&mut second);
        assert_eq!(second.as_ptr(), lent);
        let mut large = Vec::with_capacity(LARGEST + 1);
        take_back(&mut large);
        lend(&mut first);
        assert_eq!((first.capacity(), large.capacity()), (0, 0));
    }
}
