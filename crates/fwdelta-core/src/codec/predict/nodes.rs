//! Traces of contexts, found by hash: a bucket for the next half byte of each.

use core::hint::black_box;

use crate::error::Result;
use crate::state::Visit;

/// Bytes of a bucket in memory: a check, and the traces of the 15 places in half a byte.
pub(super) const BUCKET_LEN: usize = 16;

/// All buckets.
#[derive(Debug)]
pub(super) struct Nodes<'w> {
    buckets: &'w mut [[u8; BUCKET_LEN]],
    mask: u32,
}

impl<'w> Nodes<'w> {
    /// Nothing was seen; the number of buckets is a power of two.
    pub(super) fn new(buckets: &'w mut [[u8; BUCKET_LEN]]) -> Self {
        buckets.fill([0; BUCKET_LEN]);
        let mask = (buckets.len() as u32).wrapping_sub(1);
        Self { buckets, mask }
    }

    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.buckets.as_flattened_mut())
    }

    #[inline(always)]
    fn bucket(&self, at: u32) -> [u8; BUCKET_LEN] {
        self.buckets.get((at & self.mask) as usize).copied().unwrap_or_default()
    }

    /// Fetches the buckets of contexts from memory: all at once, as to find one after the other
    /// would wait for each.
    #[inline(always)]
    pub(super) fn fetch(&self, contexts: &[u32]) {
        let mut checks = 0;
        for context in contexts {
            let [check, ..] = self.bucket(*context);
            checks ^= check;
        }
        black_box(checks);
    }

    /// The bucket of a context: its own, or else the one of three that has seen least, emptied.
    #[inline(always)]
    pub(super) fn find(&mut self, context: u32) -> u32 {
        let check = (context >> 24) as u8;
        let places = [context, context ^ 1, context ^ 2].map(|at| at & self.mask);
        let mut least = (u8::MAX, context & self.mask);
        for at in places {
            let [found, seen, ..] = self.bucket(at);
            if found == check {
                return at;
            }
            if seen < least.0 {
                least = (seen, at);
            }
        }
        if let Some(bucket) = self.buckets.get_mut(least.1 as usize) {
            *bucket = [0; BUCKET_LEN];
            let [first, ..] = bucket;
            *first = check;
        }
        least.1
    }

    /// The trace at a place of a bucket.
    #[inline(always)]
    pub(super) fn trace(&self, bucket: u32, place: u32) -> u8 {
        let bucket = self.buckets.get(bucket as usize);
        bucket.and_then(|bucket| bucket.get((place & 15) as usize)).copied().unwrap_or(0)
    }

    /// Replaces it.
    #[inline(always)]
    pub(super) fn set(&mut self, bucket: u32, place: u32, trace: u8) {
        let bucket = self.buckets.get_mut(bucket as usize);
        if let Some(to) = bucket.and_then(|bucket| bucket.get_mut((place & 15) as usize)) {
            *to = trace;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_find_their_bucket_until_it_is_the_least_seen_of_three() {
        let mut memory = [[0; BUCKET_LEN]; 8];
        let mut nodes = Nodes::new(&mut memory);
        let contexts = [0x0100_0004, 0x0200_0004, 0x0300_0004];
        for (seen, context) in (1..).zip(contexts) {
            let bucket = nodes.find(context);
            nodes.set(bucket, 1, 4 - seen);
        }
        let places = contexts.map(|context| nodes.find(context));
        assert_eq!(places, [4, 5, 6]);
        assert_eq!(nodes.find(0x0400_0004), 6);
        assert_eq!(nodes.trace(6, 1), 0);
        assert_eq!(contexts[..2].iter().map(|at| nodes.find(*at)).sum::<u32>(), 9);
    }
}
