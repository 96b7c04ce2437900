//! Finds where references may start in x86 code, many positions at once.

use super::layout::Content;
use super::unit::{Home, Kind, Site};
use super::walk::{Field, Globals};
use super::x86::{PLAIN_LEN, field_at, has_modrm, sets_global, target};

/// Bytes of a MOV of a value.
const VALUE_LEN: usize = 5;
/// Positions looked at together, and bytes that takes.
const GLANCE_LEN: usize = 32;
const GLANCE_SIGHT: usize = GLANCE_LEN + 5;

/// Where something may start that is not passed over, a bit for each position, the first the
/// lowest.
///
/// Without branches or tables, so that compilers turn it into vector instructions.
#[inline(always)]
fn glance(bytes: &[u8; GLANCE_SIGHT]) -> u32 {
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|by| part(bytes, by));
    let mut flags = [0u8; GLANCE_LEN];
    let windows = a.iter().zip(&b).zip(c.iter().zip(&d)).zip(&e);
    for (flag, (((a, b), (c, d)), e)) in flags.iter_mut().zip(windows) {
        let is_jump = a & 0xfe == 0xe8;
        let is_relative = b & 0xc7 == 0x05;
        let is_long = (*a == 0x0f) & ((b & 0xf0 == 0x80) | (c & 0xc7 == 0x05));
        let is_value = (a & 0xf8 == 0xb8) & (d | e == 0);
        *flag = (is_jump | is_relative | is_long | is_value) as u8;
    }
    gathered(&flags)
}

#[inline(always)]
fn part(bytes: &[u8; GLANCE_SIGHT], by: usize) -> [u8; GLANCE_LEN] {
    let bytes = bytes.get(by..).and_then(|bytes| bytes.first_chunk());
    bytes.copied().unwrap_or([0; GLANCE_LEN])
}

/// The lowest bits of bytes.
#[inline(always)]
fn gathered(flags: &[u8; GLANCE_LEN]) -> u32 {
    let mut mask = 0u32;
    for (at, flags) in flags.as_chunks::<8>().0.iter().enumerate() {
        let bits = u64::from_le_bytes(*flags).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= (bits as u32) << (8 * at);
    }
    mask
}

/// How far there is no reference that does not lead home.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    /// Where one may start.
    stop: usize,
    /// Where the last one that does lead home ends, and how many units there are before.
    start: usize,
    units: usize,
}

impl Found {
    /// A field of an instruction of `len` bytes that starts at `at` leads home.
    fn pass(&mut self, at: usize, len: usize) {
        // Bytes without a field are cut by the four from the last one on; what is left of them goes
        // with the bytes in front of the field.
        self.units += at.wrapping_sub(self.start) / PLAIN_LEN + 2;
        self.start = at.wrapping_add(len);
    }
}

fn find(
    site: &Site<'_>,
    most: usize,
    home: Home,
    pending: Option<&Field>,
    globals: &Globals,
    are_values_passed: bool,
) -> Found {
    match site.class.content {
        _ if pending.is_some() || site.class.big_endian => Found::default(),
        Content::X86_64 => scan(site, most, home, are_values_passed),
        Content::I386 => scan_32(site, most, home, globals),
        _ => Found::default(),
    }
}

/// Bytes from the site on, at most `most`, among which no reference starts, but such as lead to
/// `home`; may be fewer than there are.
pub(super) fn plain_len(
    site: &Site<'_>,
    most: usize,
    home: Home,
    pending: Option<&Field>,
    globals: &Globals,
) -> usize {
    find(site, most, home, pending, globals, true).stop
}

/// The same in whole units, values not among them; how many bytes, and how many units.
pub(super) fn plain_units(
    site: &Site<'_>,
    most: usize,
    home: Home,
    pending: Option<&Field>,
    globals: &Globals,
) -> (usize, u64) {
    let Found { stop, start, units } = find(site, most, home, pending, globals, false);
    let rest = stop.saturating_sub(start) / PLAIN_LEN;
    (start.wrapping_add(PLAIN_LEN * rest), (units + rest) as u64)
}

/// Goes to where a reference may start that does not lead to `home`, or a value unless
/// `are_values_passed`.
#[inline(never)]
fn scan(site: &Site<'_>, most: usize, home: Home, are_values_passed: bool) -> Found {
    let bytes = site.ahead(most);
    let (mut found, mut len) = (Found::default(), 0usize);
    // Short of a whole glance every position is looked at.
    while let Some(rest) = bytes.get(len..).filter(|rest| rest.len() >= 6) {
        let mut mask = rest.first_chunk().map_or(1, glance);
        let end = if rest.len() < GLANCE_SIGHT { 1 } else { GLANCE_LEN };
        let start = len;
        while mask != 0 {
            len = start.wrapping_add(mask.trailing_zeros() as usize);
            let Some(window) = bytes.get(len..).and_then(|rest| rest.first_chunk::<6>()) else {
                return Found { stop: len, ..found };
            };
            match passed(window, site.addr.wrapping_add(len as u64), home) {
                0 => return Found { stop: len, ..found },
                VALUE_LEN if !are_values_passed && is_value(window) => {
                    return Found { stop: len, ..found };
                }
                1 => len = len.wrapping_add(1),
                by => {
                    found.pass(len, by);
                    len = len.wrapping_add(by);
                }
            }
            let done = len.wrapping_sub(start);
            mask = if done < end { mask >> done << done } else { 0 };
        }
        len = len.max(start.wrapping_add(end));
    }
    Found { stop: len, ..found }
}

/// The same of 32-bit code, where there are no values.
#[inline(never)]
fn scan_32(site: &Site<'_>, most: usize, home: Home, globals: &Globals) -> Found {
    let bytes = site.ahead(most);
    let look = Look32::new(site, globals);
    let (mut found, mut len) = (Found::default(), 0usize);
    while let Some(rest) = bytes.get(len..).filter(|rest| rest.len() >= 6) {
        let mut mask = rest.first_chunk().map_or(1, |bytes| look.glance(bytes));
        let end = if rest.len() < GLANCE_SIGHT { 1 } else { GLANCE_LEN };
        let start = len;
        while mask != 0 {
            len = start.wrapping_add(mask.trailing_zeros() as usize);
            len = match field_at(site, len, globals) {
                None => len.wrapping_add(1),
                Some((by, field)) => {
                    let whole = (by as usize).wrapping_add(4);
                    let is_home = field.kind == Kind::X86Rel32
                        && !sets_global(field.aux)
                        && home.contains(field.target);
                    if !is_home || len.wrapping_add(whole) > bytes.len() {
                        return Found { stop: len, ..found };
                    }
                    found.pass(len, whole);
                    len.wrapping_add(whole)
                }
            };
            let done = len.wrapping_sub(start);
            mask = if done < end { mask >> done << done } else { 0 };
        }
        len = len.max(start.wrapping_add(end));
    }
    Found { stop: len, ..found }
}

/// What may start a field of 32-bit code.
struct Look32 {
    /// Upper half of the lowest address of the module, and how many such halves follow.
    near: (u16, u16),
    has_addresses: bool,
    has_table: bool,
    /// Highest byte of the way from the table to the start of the module, and how many follow.
    reach: (u8, u8),
}

impl Look32 {
    fn new(site: &Site<'_>, globals: &Globals) -> Self {
        let table = globals.old;
        let (low, high) = site.bounds.near32();
        let near = ((low >> 16) as u16, (high >> 16).saturating_sub(low >> 16) as u16);
        let (has_addresses, has_table) = (site.bounds.low != 0, table != 0);
        let by = |addr: u64| (addr.wrapping_sub(table) as u32 >> 24) as u8;
        let first = by(site.bounds.low);
        let len = site.bounds.high.saturating_sub(site.bounds.low);
        let more = if len >> 31 == 0 { by(site.bounds.high).wrapping_sub(first) } else { 255 };
        Self { near, has_addresses, has_table, reach: (first, more) }
    }

    /// Where a field's instruction may start, a bit for each position, as in [`glance`].
    #[inline(always)]
    fn glance(&self, bytes: &[u8; GLANCE_SIGHT]) -> u32 {
        let [a, b, c, d, f] = [0, 1, 2, 3, 5].map(|by| part(bytes, by));
        let ((low, more), (first, reach)) = (self.near, self.reach);
        let (has_addresses, has_table) = (u8::from(self.has_addresses), u8::from(self.has_table));
        let mut flags = [0u8; GLANCE_LEN];
        let windows = a.iter().zip(&b).zip(c.iter().zip(&d)).zip(&f);
        for (flag, (((a, b), (c, d)), f)) in flags.iter_mut().zip(windows) {
            let is_jump = (a & 0xfe == 0xe8) | ((*a == 0x0f) & (b & 0xf0 == 0x80));
            let is_add = (*a == 0x05) | ((*a == 0x81) & (b & 0xf8 == 0xc0));
            // A displacement of 32 bits, from another register than EBP, that leads to the module;
            // or behind a second byte of the operation or of the address.
            let is_operation = (a & 0xc4 == 0) | (a & 0xf0 == 0x80) | (a & 0xc0 == 0xc0);
            let is_modrm = (b & 0xc0 == 0x80) & (b & 7 != 5) & (is_operation | (a & 0xf5 == 0x61));
            let leads = (f.wrapping_sub(first) <= reach) | (b & 7 == 4);
            let is_based = is_modrm & leads | ((*a == 0x0f) & (c & 0xc0 == 0x80));
            let upper = u16::from(*d) << 8 | u16::from(*c);
            let is_near = upper.wrapping_sub(low) <= more;
            *flag = (is_jump | is_add) as u8
                | is_based as u8 & has_table
                | is_near as u8 & has_addresses;
        }
        gathered(&flags)
    }
}

/// Bytes at the front of `window`, at `addr`, that are passed over; 0 if a reference may start.
#[inline(always)]
fn passed(window: &[u8; 6], addr: u64, home: Home) -> usize {
    let leads_home = |by: u64, field: [u8; 4]| {
        home.contains(target(u32::from_le_bytes(field), addr.wrapping_add(by), 0))
    };
    match *window {
        [0xe8 | 0xe9, a, b, c, d, _] if leads_home(1, [a, b, c, d]) => 5,
        [0xe8 | 0xe9, ..] => 0,
        [0x0f, 0x80..=0x8f, a, b, c, d] if leads_home(2, [a, b, c, d]) => 6,
        [0x0f, 0x80..=0x8f, ..] => 0,
        [0x0f, _, a, ..] if a & 0xc7 == 0x05 => 0,
        // A value, which no reference starts in.
        _ if is_value(window) => VALUE_LEN,
        [0xff, 0x15 | 0x25 | 0x35, ..] => 0,
        [op, a, ..] if op != 0x0f && a & 0xc7 == 0x05 && has_modrm(op) => 0,
        _ => 1,
    }
}

/// MOV of a value of 16 bits.
const fn is_value(window: &[u8; 6]) -> bool {
    matches!(window, [0xb8..=0xbf, _, _, 0, 0, _])
}
