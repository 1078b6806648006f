//! How much memory the service takes: bytes that pass through are counted, and what the process
//! takes as a whole is looked at before an upload is let in.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one permit.
const UNIT: u64 = 4096;

/// The stated limit, and the share of it that bytes in passage may take.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    limit: u64,
    passing: Arc<Semaphore>,
}

/// No memory is left for these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoMemory;

/// Bytes in memory, which are counted as long as these live: until they are stored, or sent.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Memory {
    /// An eighth of `limit` is for bytes in passage.
    pub(super) fn new(limit: u64) -> Self {
        let units = (limit / 8 / UNIT).clamp(1, Semaphore::MAX_PERMITS as u64);
        Self { limit, passing: Arc::new(Semaphore::new(units as usize)) }
    }

    /// Whether the process takes so much less than its limit that another upload can begin.
    pub(super) fn has_room(&self) -> bool {
        resident().is_none_or(|resident| resident < self.limit - self.limit / 8)
    }

    /// Bytes that may be held as long as the result lives.
    pub(super) fn reserve(&self, bytes: u64) -> Result<OwnedSemaphorePermit, NoMemory> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).map_err(|_| NoMemory)?;
        self.passing.clone().try_acquire_many_owned(units).map_err(|_| NoMemory)
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Held {
    /// Bytes for which room was reserved.
    pub(super) fn new(bytes: Vec<u8>, permit: OwnedSemaphorePermit) -> Self {
        Self { bytes, permit: Some(permit) }
    }

    /// Appends to what never grows beyond `limit`; the room for it is counted before it is taken.
    pub(super) fn append(
        &mut self,
        more: &[u8],
        limit: usize,
        memory: &Memory,
    ) -> Result<(), NoMemory> {
        let needed = self.bytes.len() + more.len();
        if needed > self.bytes.capacity() {
            let capacity = (2 * self.bytes.capacity()).max(64 << 10).min(limit).max(needed);
            let permit = memory.reserve((capacity - self.bytes.capacity()) as u64)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
            match &mut self.permit {
                Some(held) => held.merge(permit),
                None => self.permit = Some(permit),
            }
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// The resident memory of this process in bytes, where the system tells.
pub(super) fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_passage_are_counted_and_given_back() {
        let memory = Memory::new(8 << 20);
        let (mut first, mut second) = (Held::default(), Held::default());
        let chunk = vec![7; 100_000];
        for _ in 0..6 {
            first.append(&chunk, 600_000, &memory).unwrap();
        }
        assert_eq!((first.len(), first.as_ref()[599_999]), (600_000, 7));
        let mut filled = 0;
        while second.append(&chunk, 1 << 20, &memory).is_ok() {
            filled += 1;
        }
        assert!((1..5).contains(&filled), "{filled} chunks in what was left");
        drop(first);
        second.append(&chunk, 1 << 20, &memory).unwrap();
    }

    #[test]
    fn a_process_beyond_its_limit_has_no_room() {
        if resident().is_none() {
            return; // this system does not tell
        }
        assert!(!Memory::new(1 << 20).has_room());
        assert!(Memory::new(1 << 40).has_room());
    }
}
