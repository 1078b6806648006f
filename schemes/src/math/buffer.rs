//! Memory for polynomials, kept for reuse.
//!
//! A ciphertext is megabytes: taken from the system and given back at each operation, its pages cost
//! more than the arithmetic. Freed buffers wait here for the next polynomial of their length.

use aligned_vec::{AVec, CACHELINE_ALIGN};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroize;

/// Words at the start of a cache line, where vector loads are fastest.
#[derive(Debug, PartialEq)]
pub(crate) struct Buffer {
    words: AVec<u64>,
}

/// Words that wait in all, for each length: 256 MiB.
const MOST_WORDS: usize = 1 << 25;
/// Lengths from `2^0` on.
const LENGTHS: usize = 20;

/// `[k]`: buffers of `2^k` words.
static FREE: [Mutex<Vec<AVec<u64>>>; LENGTHS] = [const { Mutex::new(Vec::new()) }; LENGTHS];

fn free(length: usize) -> Option<&'static Mutex<Vec<AVec<u64>>>> {
    FREE.get(length.checked_ilog2()? as usize).filter(|_| length.is_power_of_two())
}

impl Buffer {
    /// Words whose values are arbitrary: for results that are written in full.
    pub(crate) fn stale(length: usize) -> Self {
        let waiting =
            free(length).and_then(|free| free.lock().unwrap_or_else(PoisonError::into_inner).pop());
        let words = waiting.unwrap_or_else(|| aligned_vec::avec![0; length]);
        Self { words }
    }

    /// Zeros.
    pub(crate) fn zeroed(length: usize) -> Self {
        let mut buffer = Self::stale(length);
        buffer.fill(0);
        buffer
    }

    /// A copy.
    pub(crate) fn copy_of(words: &[u64]) -> Self {
        let mut buffer = Self::stale(words.len());
        buffer.copy_from_slice(words);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let length = self.words.len();
        let words = std::mem::replace(&mut self.words, AVec::new(CACHELINE_ALIGN));
        if let Some(free) = free(length) {
            let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
            if free.len() < MOST_WORDS / length {
                free.push(words);
            }
        }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::copy_of(&self.words)
    }
}

impl Deref for Buffer {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.words
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }
}

impl Zeroize for Buffer {
    fn zeroize(&mut self) {
        self.words.as_mut_slice().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_independent_and_zeroed_when_asked() {
        for length in [1usize, 7, 64, 1 << 21] {
            let mut first = Buffer::stale(length);
            first.fill(3);
            let second = first.clone();
            first.fill(4);
            assert!(second.iter().all(|&word| word == 3) && second.len() == length);
            drop(first);
            assert!(Buffer::zeroed(length).iter().all(|&word| word == 0));
            assert_eq!(&Buffer::copy_of(&second)[..], &second[..]);
        }
    }
}
