//! Data: pointers, offsets relative to their own place or to a table, and any other word.

use super::layout::Content;
use super::unit::{Kind, Site, Unit, signed};

/// Neighbours in a table of offsets lie closer than this.
const TABLE_SPREAD: u32 = 0x2_0000;
/// Bytes of the head of `.eh_frame_hdr`, whose words are not relative to the table.
const EH_HEAD_LEN: u64 = 12;

/// The next unit.
pub(super) fn unit(site: &Site<'_>) -> Unit {
    if site.pos & 3 != 0 {
        return site.odd_bytes(4);
    }
    let Some(word) = site.u32(0).filter(|_| site.left >= 4) else {
        return site.plain(Kind::Bytes, 4);
    };
    if has_no_references(site) {
        return site.plain(Kind::Data, 4);
    }
    if let Some(unit) = wide(site) {
        return unit;
    }
    let found = match site.class.content {
        Content::EhFrameHdr => frame_table(site, word).or_else(|| relative(site, word)),
        Content::EhFrame => back(site, word).or_else(|| relative(site, word)),
        _ if site.class.wide => based(site, word).or_else(|| relative(site, word)),
        _ => pointer32(site, word).or_else(|| prel31(site, word)),
    };
    found.unwrap_or_else(|| site.plain(Kind::Data, 4))
}

fn has_no_references(site: &Site<'_>) -> bool {
    !site.is_mapped || site.class.content == Content::Words
}

/// Bytes from the site on, at most `most`, that are no references; may be fewer than there are.
pub(super) fn plain_len(site: &Site<'_>, most: usize) -> usize {
    if has_no_references(site) {
        return site.ahead(most).len();
    }
    if site.pos & 3 != 0 || site.class.content != Content::Data {
        return 0;
    }
    match site.class.wide {
        true if site.pos & 7 == 0 => plain_len_wide(site, most),
        true => 0,
        false => {
            let is_plain = |bytes: &&[u8; 4]| {
                let word = site.word(**bytes);
                word >> 24 != 0x7f && !site.bounds.is_near32(word)
            };
            4 * site.ahead(most).as_chunks::<4>().0.iter().take_while(is_plain).count()
        }
    }
}

/// How many units `bytes` are, words from the site on that [`plain_len`] found.
pub(super) fn count(site: &Site<'_>, bytes: &[u8]) -> u64 {
    let words = bytes.len() as u64 / 4;
    if !site.is_mapped || !site.class.wide {
        return words;
    }
    // They start at a multiple of 8, where eight zeros are one unit.
    words.saturating_sub(
        bytes.as_chunks::<8>().0.iter().filter(|pair| **pair == [0; 8]).count() as u64
    )
}

fn plain_len_wide(site: &Site<'_>, most: usize) -> usize {
    let bounds = site.bounds;
    // What flash is filled with is neither a pointer nor an offset.
    let is_filler = !bounds.is_pointer64(u64::MAX)
        && bounds.table_base.wrapping_add(u64::from(u32::MAX)) >= bounds.high;
    let mut here = *site;
    let mut len = 0usize;
    for [a, b, c, d, e, f, g, h] in site.ahead(most).as_chunks::<8>().0 {
        let (first, second) = (site.word([*a, *b, *c, *d]), site.word([*e, *f, *g, *h]));
        let (high, low) = if site.class.big_endian { (first, second) } else { (second, first) };
        let word = u64::from(high) << 32 | u64::from(low);
        if word != 0 && !(word == u64::MAX && is_filler) {
            let mut is_plain = |word: u32| {
                let is_plain = !is_relative(&here, word) && !is_based(&here, word);
                here.pass(4);
                is_plain
            };
            if bounds.is_pointer64(word) || !is_plain(first) || !is_plain(second) {
                return len;
            }
        } else {
            here.pass(8);
        }
        len += 8;
    }
    len
}

fn refers(word: u32, kind: Kind, target: u64, aux: u64) -> Unit {
    Unit { word: word.into(), target, aux, kind, len: 4 }
}

/// A 64-bit pointer, or 64 bits of nothing.
fn wide(site: &Site<'_>) -> Option<Unit> {
    let aligned = site.class.wide && site.pos & 7 == 0 && site.left >= 8;
    let word = site.u64().filter(|_| aligned)?;
    if site.bounds.is_pointer64(word) {
        return Some(Unit { word, target: word, kind: Kind::Pointer64, len: 8, aux: 0 });
    }
    (word == 0).then(|| site.plain(Kind::Data, 8))
}

/// A word that is an address of the module, in code as well as in data.
pub(super) fn pointer32(site: &Site<'_>, word: u32) -> Option<Unit> {
    let is_pointer = site.pos & 3 == 0 && site.bounds.is_pointer32(word.into());
    is_pointer.then(|| refers(word, Kind::Pointer32, word.into(), 0))
}

/// A 64-bit address in code: kernels keep tables there. Only where addresses are so high that
/// instructions do not look like them.
pub(super) fn high_pointer(site: &Site<'_>) -> Option<Unit> {
    let word = site.u64().filter(|_| site.pos & 7 == 0 && site.left >= 8)?;
    let valid = site.bounds.low >> 32 != 0 && site.bounds.is_pointer64(word);
    let unit = Unit { word, target: word, kind: Kind::Pointer64, len: 8, ..Unit::default() };
    valid.then_some(unit)
}

fn frame_table(site: &Site<'_>, word: u32) -> Option<Unit> {
    let start = site.run_addr;
    let in_table = site.addr.wrapping_sub(start) >= EH_HEAD_LEN;
    let target = start.wrapping_add(signed(word.into(), 32));
    in_table.then(|| refers(word, Kind::Based, target, start))
}

fn back(site: &Site<'_>, word: u32) -> Option<Unit> {
    let before = site.addr.wrapping_sub(site.run_addr).wrapping_add(32);
    let is_back = (16..0x80_0000).contains(&word) && u64::from(word) < before;
    is_back.then(|| refers(word, Kind::Back, site.addr.wrapping_sub(word.into()), 0))
}

/// An offset into the module like its neighbours: jump tables, kallsyms.
fn based(site: &Site<'_>, word: u32) -> Option<Unit> {
    let base = site.bounds.table_base;
    is_based(site, word).then(|| refers(word, Kind::Based, base.wrapping_add(word.into()), base))
}

#[inline(always)]
fn is_based(site: &Site<'_>, word: u32) -> bool {
    let target = site.bounds.table_base.wrapping_add(word.into());
    if word <= 0x100 || target >= site.bounds.high {
        return false;
    }
    let near = |low: u32, high: u32| low <= high && high - low < TABLE_SPREAD;
    let (Some(before), Some(after)) = (site.u32_before(4), site.u32(4)) else { return false };
    let Some(far_before) = site.u32_before(8) else { return false };
    let Some(far_after) = site.u32(8) else { return false };
    near(before, word) && near(word, after) || near(far_before, word) && near(word, far_after)
}

fn relative(site: &Site<'_>, word: u32) -> Option<Unit> {
    let target = site.addr.wrapping_add(signed(word.into(), 32));
    is_relative(site, word).then(|| refers(word, Kind::Rel32, target, 0))
}

#[inline(always)]
fn is_relative(site: &Site<'_>, word: u32) -> bool {
    let target = site.addr.wrapping_add(signed(word.into(), 32));
    let is_far = !(-64..=0x400).contains(&(word as i32));
    is_far && (site.bounds.text_low..site.bounds.text_high).contains(&target)
}

/// `.ARM.exidx`: 31 bits backwards to a function. Forwards they look like any small number.
fn prel31(site: &Site<'_>, word: u32) -> Option<Unit> {
    let target = site.addr.wrapping_add(signed(word.into(), 31)) & 0xffff_ffff;
    let is_text = (site.bounds.text_low..site.bounds.text_high).contains(&target);
    (word >> 24 == 0x7f && is_text).then(|| refers(word, Kind::Prel31, target, 0))
}
