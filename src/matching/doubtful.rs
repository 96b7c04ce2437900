//! Where new is not much like what its covers copy: there another place in old may serve better.

use std::ops::Range;

use super::covers::Cover;

/// What is decided on together, in bytes.
const BLOCK_LEN: usize = 32;
/// Differing bytes of a block that are no reason to look elsewhere: those of an instruction. To go
/// there and come back costs more.
const DIFFERING_MAX: usize = 4;

/// The stretches of `new` that are doubtful where `known`, ascending in new, leads, and a block
/// around each.
pub(super) fn doubtful(old: &[u8], new: &[u8], known: &[Cover]) -> Vec<Range<usize>> {
    let mut equal = vec![0; new.len().div_ceil(BLOCK_LEN)];
    for cover in known {
        let (old_pos, new_pos) = (cover.old_pos as usize, cover.new_pos as usize);
        let mut bytes = (&old[old_pos..], &new[new_pos..new_pos + cover.len as usize]);
        let mut at = new_pos;
        while !bytes.1.is_empty() {
            let len = bytes.1.len().min(BLOCK_LEN - at % BLOCK_LEN);
            let (here, rest) = bytes.1.split_at(len);
            let count: u8 = here.iter().zip(bytes.0).map(|(a, b)| u8::from(a == b)).sum();
            equal[at / BLOCK_LEN] += usize::from(count);
            (bytes, at) = ((&bytes.0[len..], rest), at + len);
        }
    }
    let blocks = new.chunks(BLOCK_LEN).zip(&equal).enumerate();
    let blocks = blocks.filter(|(_, (block, equal))| block.len() > **equal + DIFFERING_MAX);
    let mut stretches: Vec<Range<usize>> = Vec::new();
    for (number, _) in blocks {
        let start = number.saturating_sub(1) * BLOCK_LEN;
        let end = new.len().min((number + 2) * BLOCK_LEN);
        match stretches.last_mut() {
            Some(last) if last.end >= start => last.end = end,
            _ => stretches.push(start..end),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::super::testing::noise;
    use super::*;

    #[test]
    fn what_is_not_covered_or_differs_much() {
        let old = noise(1, 4096);
        let mut new = old.clone();
        let whole = Cover { old_pos: 0, new_pos: 0, len: 4096 };
        let found = |new: &[u8], known: &[Cover]| {
            let stretches = doubtful(&old, new, known);
            stretches.into_iter().map(|range| (range.start, range.end)).collect::<Vec<_>>()
        };
        assert_eq!(found(&new, &[whole]), []);
        assert_eq!(found(&new, &[]), [(0, 4096)]);
        new[1000..1004].iter_mut().for_each(|byte| *byte ^= 1);
        assert_eq!(found(&new, &[whole]), [], "an instruction");
        new[2000..2010].iter_mut().for_each(|byte| *byte ^= 1);
        // Bytes 2,000 to 2,009 are in one block.
        assert_eq!(found(&new, &[whole]), [(1952, 2048)]);
        let halves =
            [Cover { len: 2040, ..whole }, Cover { old_pos: 3000, new_pos: 3000, len: 1096 }];
        assert_eq!(found(&new, &halves), [(1952, 3040)]);
    }
}
