//! Memory that an image of 32 bits refers to but that is not part of it: RAM.
//!
//! Addresses of variables stand in the literals of code, many of them in few ranges.

use super::references::{Image, literals};
use super::vectors::VectorTable;
use fwdelta_core::exec::layout::Segment;
use std::cmp::Reverse;

/// Addresses are counted by ranges of this length.
const RANGE_BITS: u32 = 16;
/// Ranges of memory that are described.
const SEGMENTS_MAX: usize = 4;
/// Distinct addresses per range: at least these, and one per so many bytes of image.
const ADDRS_MIN: usize = 8;
const LEN_PER_ADDR: u64 = 1 << 14;
/// Segments begin and end at multiples of this.
const PAGE_LEN: u64 = 0x1000;
/// Registers of devices and of the core, by the architecture of Cortex-M: they never move.
const CORTEX_M_DEVICES: [std::ops::Range<u64>; 2] =
    [0x4000_0000..0x6000_0000, 0xe000_0000..0x1_0000_0000];
/// Numbers, not addresses: small ones and small negative ones.
const NUMBERS: [std::ops::Range<u64>; 2] = [0..0x1_0000, 0xfff0_0000..0x1_0000_0000];

/// The memory that the images, versions of one firmware that are loaded at `bases`, refer to;
/// addresses and lengths only.
pub(super) fn ranges(
    images: &[Image],
    bases: &[u64],
    tables: &[Option<VectorTable>],
) -> Vec<(u64, u64)> {
    let mut addrs: Vec<u64> = images.iter().flat_map(literals).collect();
    addrs.extend(tables.iter().flatten().map(|table| table.stack - 4));
    let is_cortex_m = tables.iter().any(Option::is_some);
    let excluded = CORTEX_M_DEVICES.iter().filter(|_| is_cortex_m).chain(&NUMBERS);
    let excluded: Vec<_> = excluded.collect();
    let own = |addr: u64| {
        images.iter().zip(bases).any(|(image, base)| addr.wrapping_sub(*base) < image.len())
    };
    addrs.retain(|addr| !own(*addr) && !excluded.iter().any(|range| range.contains(addr)));
    addrs.sort_unstable();
    addrs.dedup();
    let image_len: u64 = images.iter().map(Image::len).sum();
    let count_min = ADDRS_MIN + (image_len / LEN_PER_ADDR) as usize;
    let mut clusters = clusters(&addrs, count_min);
    let holds_stack = |cluster: &Cluster| {
        let mut stacks = tables.iter().flatten().map(|table| table.stack - 4);
        stacks.any(|stack| (cluster.first..=cluster.last).contains(&stack))
    };
    clusters.sort_by_key(|cluster| (!holds_stack(cluster), Reverse(cluster.count), cluster.first));
    clusters.truncate(SEGMENTS_MAX);
    clusters.sort_by_key(|cluster| cluster.first);
    let rounded = clusters.iter().map(|cluster| {
        let start = cluster.first / PAGE_LEN * PAGE_LEN;
        (start, (cluster.last + 1).next_multiple_of(PAGE_LEN) - start)
    });
    rounded.filter(|(start, len)| start + len <= 1 << 32).collect()
}

/// Addresses of neighbouring ranges.
struct Cluster {
    first: u64,
    last: u64,
    count: usize,
}

/// Ranges with enough addresses, those next to one another together; `addrs` ascend.
fn clusters(addrs: &[u64], count_min: usize) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for range in addrs.chunk_by(|a, b| a >> RANGE_BITS == b >> RANGE_BITS) {
        let (Some(first), Some(last)) = (range.first(), range.last()) else { continue };
        let aligned = range.iter().filter(|addr| **addr % 4 == 0).count();
        if range.len() < count_min || aligned < range.len() / 2 {
            continue;
        }
        match clusters.last_mut() {
            Some(before) if (first >> RANGE_BITS) - (before.last >> RANGE_BITS) == 1 => {
                before.last = *last;
                before.count += range.len();
            }
            _ => clusters.push(Cluster { first: *first, last: *last, count: range.len() }),
        }
    }
    clusters
}

/// Segments of no bytes for memory behind an image; the part that follows it directly makes the
/// image's own segment longer instead.
pub(super) fn add_to(image: Segment, ranges: &[(u64, u64)]) -> Vec<Segment> {
    let mut segments = vec![image];
    for (addr, span) in ranges {
        let end = image.addr.saturating_add(image.len);
        let is_behind = *addr >= end && *addr - end < 1 << RANGE_BITS;
        if is_behind {
            segments[0].span = segments[0].span.max(addr.saturating_add(*span) - image.addr);
        } else if addr.saturating_add(*span) <= image.addr || *addr >= end {
            let pos = image.pos + image.len;
            segments.push(Segment { pos, len: 0, addr: *addr, span: *span, module: image.module });
        }
    }
    segments
}
