//! Old bytes as they would stand in new: references led to where their targets have moved.

use super::layout::Content;
use super::leg::Leg;
use super::map::Listed;
use super::reference;
use super::space::{Bounds, Space, Stretch};
use super::unit::{Home, Kind, LOOK_AHEAD, Site, UNIT_LEN_MAX, Unit, store};
use super::walk::Walker;
use super::{data, riscv, thumb};
use crate::error::Result;
use crate::state::Visit;

/// Bytes from the start of a unit that must be in view.
pub const SIGHT: u64 = (UNIT_LEN_MAX + LOOK_AHEAD) as u64;

/// Old bytes in memory.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Position in old of the first.
    pub start: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// What is left of a cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stand {
    /// Position in old.
    pub old_pos: u64,
    /// Position in new.
    pub new_pos: u64,
    /// Bytes.
    pub left: u64,
}

impl Stand {
    fn advance(&mut self, len: usize) {
        self.old_pos = self.old_pos.wrapping_add(len as u64);
        self.new_pos = self.new_pos.wrapping_add(len as u64);
        self.left = self.left.saturating_sub(len as u64);
    }
}

/// Units without a reference.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain {
    /// How many bytes.
    pub len: usize,
    /// How many of them there are.
    pub units: u64,
    /// Whether they are words of data.
    pub are_words: bool,
    /// Whether there may be more, which were not looked at.
    pub is_cut: bool,
}

/// Both images, and the way through old.
#[derive(Debug)]
pub struct Projection<'w> {
    /// Both images.
    pub space: Space<'w>,
    pub(crate) walker: Walker,
    here: Stretch,
    /// The cover at hand, where whole covers are projected.
    cover: Listed,
    home: Home,
    /// Whether `home` is that of another cover.
    is_away: bool,
    /// Whether home is the cover itself, whatever the map says.
    is_own: bool,
}

impl<'w> Projection<'w> {
    /// Before the first cover.
    #[must_use]
    #[inline(always)]
    pub fn new(space: Space<'w>) -> Self {
        let (here, cover, home) = (Stretch::default(), Listed::default(), Home::default());
        Self { space, walker: Walker::default(), here, cover, home, is_away: false, is_own: false }
    }

    /// Goes through the images and what was seen of old.
    pub(crate) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        self.space.state(visit)?;
        self.walker.state(visit)?;
        let Listed { old_pos, new_pos, len } = &mut self.cover;
        [old_pos, new_pos, len].into_iter().try_for_each(|number| visit.u32(number))?;
        visit.flag(&mut self.is_own)?;
        // They are found again from the position.
        (self.here, self.is_away) = (Stretch::default(), true);
        Ok(())
    }

    /// A cover begins that will be projected.
    pub fn start_projection(&mut self, cover: &Listed) {
        self.walker.start();
        (self.cover, self.is_away, self.is_own) = (*cover, true, false);
    }

    /// A cover begins that is predicted: old bytes that lead to others of it lead there in new.
    pub fn start_cover(&mut self, stand: &Stand) {
        let cover = Listed {
            old_pos: stand.old_pos as u32,
            new_pos: stand.new_pos as u32,
            len: stand.left as u32,
        };
        self.start_projection(&cover);
        self.is_own = true;
    }

    /// Whether the unit at hand leads by its distance to where that stays the same.
    #[must_use]
    pub fn is_home(&self, unit: &Unit) -> bool {
        unit.kind.is_by_distance() && self.home.contains(unit.target)
    }

    /// The unit of old at `old_pos`, which stands at `at` in `view`; `left` bytes of the cover are
    /// left.
    pub fn unit(&mut self, view: &[u8], at: usize, old_pos: u64, left: u64) -> Unit {
        self.settle(old_pos);
        self.walker.unit(&site(&self.here, self.space.bounds(), view, at, old_pos, left))
    }

    /// Units where `stand` is, in the first of `most` bytes and at most the second of them, that
    /// are no references; words of data count only if `are_words_plain`. May be fewer than there
    /// are.
    pub fn plain(
        &mut self,
        view: &[u8],
        at: usize,
        stand: &Stand,
        most: (usize, u64),
        are_words_plain: bool,
    ) -> Plain {
        let Stand { old_pos, left, .. } = *stand;
        self.settle(old_pos);
        let site = site(&self.here, self.space.bounds(), view, at, old_pos, left);
        let content = site.content();
        let are_words = content == Content::Data;
        let (least, is_looked_at) = match content {
            Content::A64 | Content::A32 | Content::Mips => (4, true),
            Content::Thumb | Content::RiscV | Content::X86_64 | Content::I386 => (2, true),
            Content::Data => (4, are_words_plain && old_pos & 3 == 0),
            _ => (1, false),
        };
        if !is_looked_at {
            return Plain::default();
        }
        let most_by_count = usize::try_from(most.1.saturating_mul(least)).unwrap_or(usize::MAX);
        let most = most.0.min(most_by_count) & !3;
        if matches!(content, Content::X86_64 | Content::I386) {
            let (len, units) = self.walker.skip_units(&site, most, self.home);
            return Plain { len, units, are_words, is_cut: false };
        }
        let len = self.walker.skip_len(&site, most, self.home);
        let len = if are_words { len & !3 } else { len };
        Plain { len, units: units(content, &site, len), are_words, is_cut: len == most }
    }

    /// Whether words of the unit at hand have their most significant byte first.
    #[must_use]
    pub const fn is_big_endian(&self) -> bool {
        self.here.class.big_endian
    }

    /// Takes the stretch around `old_pos` into view.
    fn arrive(&mut self, old_pos: u64) {
        let len = self.here.end.wrapping_sub(self.here.start);
        if old_pos.wrapping_sub(self.here.start) >= len {
            self.here = self.space.old_stretch(old_pos);
            self.is_away = true;
        }
    }

    /// The same, and what is home there.
    fn settle(&mut self, old_pos: u64) {
        self.arrive(old_pos);
        if self.is_away {
            self.home = match self.is_own {
                true => self.space.own_home(&self.cover, &self.here),
                false => self.space.home(&self.cover, &self.here),
            };
            self.is_away = false;
        }
    }

    /// Projects bytes of a cover into `out`, as long as whole units fit and `view` shows enough
    /// around them; gives how many bytes.
    pub fn project(&mut self, view: View<'_>, stand: &mut Stand, out: &mut [u8]) -> usize {
        let at = stand.old_pos.wrapping_sub(view.start) as usize;
        let ahead = view.bytes.get(at..).unwrap_or(&[]);
        let sight = ahead.len().saturating_sub(SIGHT as usize);
        let left = usize::try_from(stand.left).unwrap_or(usize::MAX);
        // No unit reaches beyond the cover: only where that does not fit one may not fit.
        let room = if left <= out.len() { left } else { out.len().saturating_sub(UNIT_LEN_MAX) };
        let most = sight.min(room);
        if let (Some(out), Some(old)) = (out.get_mut(..most), ahead.get(..most)) {
            // INVARIANT: both were just cut to the same length.
            out.copy_from_slice(old);
        }
        let mut done = 0usize;
        while done < most {
            self.settle(stand.old_pos);
            let stretch_left = self.here.end.saturating_sub(stand.old_pos);
            let until = usize::try_from(stretch_left).unwrap_or(usize::MAX);
            let until = most.min(done.saturating_add(until));
            let bounds = *self.space.bounds();
            let at = at.wrapping_add(done);
            let Stand { old_pos, left, .. } = *stand;
            let site = site(&self.here, &bounds, view.bytes, at, old_pos, left);
            // Behind the end of home, in new as well, nothing is as far away as it was.
            let home_left = usize::try_from(self.home.left(site.addr)).unwrap_or(usize::MAX);
            let (home, until) = match home_left {
                0 => (Home::default(), until),
                _ => (self.home, until.min(done.saturating_add(home_left))),
            };
            let lead = self.space.new_addr(stand.new_pos).wrapping_sub(site.addr);
            let new_left = self.space.new_end().saturating_sub(stand.new_pos);
            let new_left = usize::try_from(new_left).unwrap_or(usize::MAX);
            let until = until.min(done.saturating_add(new_left));
            let mut leg = Leg { site, lead, home, out: &mut *out, done, until, most };
            let end = match leg.site.content() {
                Content::A64 => self.pass_a64(&mut leg),
                Content::A32 => self.pass(Content::A32, &mut leg),
                Content::Thumb => self.pass(Content::Thumb, &mut leg),
                Content::X86_64 => self.pass(Content::X86_64, &mut leg),
                Content::I386 => self.pass(Content::I386, &mut leg),
                Content::RiscV => self.pass(Content::RiscV, &mut leg),
                Content::Data => self.pass(Content::Data, &mut leg),
                content => self.pass(content, &mut leg),
            };
            stand.advance(end.saturating_sub(done));
            done = end;
        }
        done
    }

    /// Projects one unit: its bytes in new, and how many. A unit that is not all in the view
    /// is as if the image ended there.
    pub fn project_unit(
        &mut self,
        view: View<'_>,
        stand: &mut Stand,
    ) -> ([u8; UNIT_LEN_MAX], usize) {
        let at = stand.old_pos.wrapping_sub(view.start) as usize;
        let unit = self.unit(view.bytes, at, stand.old_pos, stand.left);
        let old = view.bytes.get(at..).unwrap_or(&[]);
        let new_addr = self.space.new_addr(stand.new_pos);
        let bytes = self.projected(&unit, old, new_addr);
        stand.advance(unit.len.into());
        (bytes, unit.len.into())
    }

    /// The bytes of `unit`, which stands at the front of `old`, at `new_addr`.
    pub(super) fn projected(
        &mut self,
        unit: &Unit,
        old: &[u8],
        new_addr: u64,
    ) -> [u8; UNIT_LEN_MAX] {
        if unit.kind.is_reference() {
            let word = self.led(unit, new_addr);
            return store(word, unit.len, self.is_big_endian());
        }
        let mut bytes = [0; UNIT_LEN_MAX];
        for (to, from) in bytes.iter_mut().zip(old) {
            *to = *from;
        }
        bytes
    }

    /// The word of `unit`, a reference, at `new_addr` when it leads to where its target is in new.
    fn led(&mut self, unit: &Unit, new_addr: u64) -> u64 {
        let base = match unit.kind {
            Kind::Based => self.space.led(unit.aux),
            kind => self.walker.base(kind),
        };
        let to = self.space.led(unit.target);
        if unit.sets_global() {
            let is_narrow = unit.target >> 32 == 0;
            let global = if is_narrow { to & 0xffff_ffff } else { to };
            self.walker.globals.follow(unit.target, global);
        }
        reference::write(unit, new_addr, to, base)
    }
}

/// How many units the `len` bytes are that were just found to be plain.
fn units(content: Content, site: &Site<'_>, len: usize) -> u64 {
    let bytes = site.ahead(len);
    match content {
        Content::Thumb => thumb::count(bytes),
        Content::RiscV => riscv::count(bytes),
        Content::Data => data::count(site, bytes),
        _ => bytes.len() as u64 / 4,
    }
}

fn site<'a>(
    here: &Stretch,
    bounds: &'a Bounds,
    view: &'a [u8],
    at: usize,
    old_pos: u64,
    left: u64,
) -> Site<'a> {
    Site {
        view,
        at,
        pos: old_pos,
        addr: old_pos.wrapping_add(here.shift),
        run_addr: here.run_addr,
        left: left.min(here.end.saturating_sub(old_pos)),
        class: here.class,
        bounds,
        is_mapped: here.is_mapped,
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::{Class, Content, Run, Segment};
    use super::super::map::{COVER_LEN, CoverMap, ENTRY_LEN, Index, ORDER_LEN};
    use super::super::space::{RUN_LEN, SEGMENT_LEN, Segments};
    use super::super::targets::{self, Targets};
    use super::*;

    const LEN: u64 = 0x4000;

    /// Noise with many small numbers, among which short branches and pointers are common.
    fn image(mut state: u32) -> [u8; LEN as usize] {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        core::array::from_fn(|_| match next() & 3 {
            0 => 0,
            1 => (next() >> 8 & 7) as u8,
            _ => (next() >> 8) as u8,
        })
    }

    /// Covers that move by different amounts, one of them outside of the map.
    const COVERS: [(Listed, bool); 4] = [
        (Listed { old_pos: 0, new_pos: 0, len: 0x1000 }, false),
        (Listed { old_pos: 0x1002, new_pos: 0x1042, len: 0x0ffe }, false),
        (Listed { old_pos: 0x800, new_pos: 0x2100, len: 0x123 }, true),
        (Listed { old_pos: 0x2000, new_pos: 0x2246, len: 0x2000 }, false),
    ];

    /// Covers over the tables that a decoder has, and those that only save time if there `is_more`.
    fn with_projection(
        class: Class,
        base: u64,
        is_more: bool,
        each: impl FnOnce(&mut Projection<'_>),
    ) {
        let span = LEN + 0x100;
        let segment = Segment { pos: 0, len: LEN, addr: base, span, module: 0 };
        let (mut old, mut new) = ([[0; SEGMENT_LEN]], [[0; SEGMENT_LEN]; 2]);
        let (mut runs, mut covers) = ([[0; RUN_LEN]], [[0; COVER_LEN]; 4]);
        let (mut order, mut ends) = ([[0; ORDER_LEN]; 4], [[0; ORDER_LEN]; 5]);
        let mut entries = [[0; ENTRY_LEN]; 4];
        let index = match is_more {
            true => Index::new(&mut entries, &mut ends),
            false => Index::default(),
        };
        let map = CoverMap::with_index(&mut covers, &mut order, index);
        let (old, new) = (Segments::new(&mut old), Segments::new(&mut new));
        let mut entries = [[0; targets::ENTRY_LEN]; targets::ENTRY_COUNT];
        let targets = match is_more {
            true => Targets::new(&mut entries),
            false => Targets::default(),
        };
        let mut space = Space::new(old, new, &mut runs, map).with_targets(targets);
        assert!(space.old.push(&segment) && space.push_run(Run { pos: 0, class }));
        // Loaded in two parts, so that a cover leads from one to the other.
        let (first, second) = (0x1a00, 2 * LEN - 0x1a00);
        assert!(space.new.push(&Segment { len: first, span: first, ..segment }));
        let (pos, addr) = (first, base + 0x1_2340);
        assert!(space.new.push(&Segment { pos, addr, len: second, span: second, ..segment }));
        assert!(COVERS.iter().all(|(cover, is_hidden)| space.map.push(*cover, *is_hidden)));
        space.map.seal();
        each(&mut Projection::new(space));
    }

    fn stand(cover: &Listed) -> Stand {
        let (old_pos, new_pos) = (cover.old_pos.into(), cover.new_pos.into());
        Stand { old_pos, new_pos, left: cover.len.into() }
    }

    /// Both ways through all covers.
    fn both_ways(image: &[u8], class: Class, base: u64, mut check: impl FnMut(&[u8], &[u8])) {
        let mut made = [[0; 0x5000]; 2];
        let mut lens = [0; 2];
        for (way, (made, len)) in made.iter_mut().zip(&mut lens).enumerate() {
            with_projection(class, base, way == 0, |projection| {
                let view = View { start: 0, bytes: image };
                for (cover, _) in COVERS {
                    let mut stand = stand(&cover);
                    projection.start_projection(&cover);
                    let mut room = 1;
                    while stand.left > 0 {
                        room = (room * 7 + 9) % 1000;
                        let out = &mut made[*len..][..room.min(0x5000 - *len)];
                        let mut done =
                            if way == 0 { projection.project(view, &mut stand, out) } else { 0 };
                        if done == 0 {
                            let (bytes, unit_len) = projection.project_unit(view, &mut stand);
                            made[*len..*len + unit_len].copy_from_slice(&bytes[..unit_len]);
                            done = unit_len;
                        }
                        *len += done;
                    }
                }
            });
        }
        check(&made[0][..lens[0]], &made[1][..lens[1]]);
    }

    /// Where units of a cover end, and whether they stay as they are; how many there are.
    fn ends_of(
        image: &[u8],
        projection: &mut Projection<'_>,
        cover: &Listed,
    ) -> ([(u64, bool); LEN as usize], usize) {
        let (mut ends, mut count) = ([(0, false); LEN as usize], 0);
        let mut stand = stand(cover);
        projection.start_cover(&stand);
        while stand.left > 0 {
            let at = stand.old_pos as usize;
            let unit = projection.unit(image, at, stand.old_pos, stand.left);
            let is_fixed = !unit.kind.is_reference() && unit.kind != Kind::X86Imm32;
            let is_plain = is_fixed || projection.is_home(&unit);
            stand.advance(unit.len.into());
            ends[count] = (stand.old_pos, is_plain);
            count += 1;
        }
        (ends, count)
    }

    /// x86 code: NOPs among calls, jumps and values, most of which lead to or stay near where they
    /// are, and displacements from a table that 32-bit code calls for.
    fn fill_with_calls(image: &mut [u8], mut state: u32) {
        let mut at = 0;
        while at + 24 < image.len() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (choice, by) = (state >> 29, (state >> 8 & 0x3ff) as u8);
            let program: &[u8] = match choice {
                0 => &[0xb8, by, 0, 0, 0],
                1 | 2 => &[0xe8, by, 0, 0, 0],
                3 => &[0xe9, by, 0xff, 0xff, 0xff],
                4 | 5 => &[0x0f, 0x84, by, 1, 0, 0],
                6 if by & 1 != 0 => &[0x48, 0x8b, 0x05, by, 0, 0, 0],
                6 => &[0x8b, 0x83, by, 0xe0, 0xff, 0xff],
                _ if by & 1 != 0 => &[0x0f, 0xb6, 0x84, 0x83, by, 0x10, 0, 0],
                _ => &[0x8b, 0x83, by, 0x10, 0, 0],
            };
            let nops = usize::from(by % 13);
            image[at..at + nops].fill(0x90);
            image[at + nops..][..program.len()].copy_from_slice(program);
            at += nops + program.len();
        }
        // call .+5; add ebx, 0x2000.
        let program = [0xe8, 0, 0, 0, 0, 0x81, 0xc3, 0, 0x20, 0, 0];
        image[0x420..][..program.len()].copy_from_slice(&program);
        // The same from elsewhere, to the same table.
        image[0x440..][..program.len()].copy_from_slice(&program);
        (image[0x447], image[0x448]) = (0xe0, 0x1f);
    }

    #[test]
    fn units_that_stay_are_counted_as_they_are_cut() {
        let mut counted = 0;
        for (seed, content) in (20..).zip(Content::ALL) {
            let mut image = image(seed);
            image[0x2000..0x2100].fill(0xff);
            if matches!(content, Content::X86_64 | Content::I386) {
                fill_with_calls(&mut image, seed);
            }
            let class = Class { content, wide: seed & 1 == 0, ..Class::default() };
            let cover = Listed { old_pos: 0x400, new_pos: 0x440, len: 0x3000 };
            with_projection(class, 0x8000_0000, true, |projection| {
                let (ends, count) = ends_of(&image, projection, &cover);
                let (mut stand, mut passed) = (stand(&cover), 0);
                projection.walker = Walker::default();
                projection.start_cover(&stand);
                while stand.left > 0 {
                    let at = stand.old_pos as usize;
                    let most = (100 + passed % 300, 1 + passed as u64 % 50);
                    let plain = projection.plain(&image, at, &stand, most, true);
                    assert!(plain.len <= most.0 && plain.units <= most.1, "{class:?}");
                    if plain.len > 0 {
                        stand.advance(plain.len);
                        let ends = &ends[passed..][..plain.units as usize];
                        assert!(ends.iter().all(|(_, is_plain)| *is_plain), "{class:?}");
                        let end = ends.last().map(|(end, _)| *end);
                        assert_eq!(end, Some(stand.old_pos), "{class:?} at {at:x}");
                        (passed, counted) = (passed + ends.len(), counted + ends.len());
                    } else {
                        let unit = projection.unit(&image, at, stand.old_pos, stand.left);
                        stand.advance(unit.len.into());
                        assert_eq!(ends[passed].0, stand.old_pos, "{class:?} at {at:x}");
                        passed += 1;
                    }
                }
                assert_eq!(passed, count, "{class:?}");
            });
        }
        assert!(counted > 1000, "{counted}");
    }

    #[test]
    fn offsets_from_global_pointers_move_with_them() {
        // lui gp, 0; addiu gp, gp, 0x1000; addu gp, gp, t9; lw t9, -16(gp): at 0x100, so the
        // pointer is at 0x1100 and what is loaded at 0x10f0, both of which move by 0x40.
        let words = [0x3c1c_0000u32, 0x279c_1000, 0x0399_e021, 0x8f99_fff0];
        let mut image = [0; LEN as usize];
        let room = image[0x100..0x110].as_chunks_mut().0.iter_mut();
        room.zip(words).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        let class = Class { content: Content::Mips, ..Class::default() };
        both_ways(&image, class, 0x8000_0000, |pieces, units| {
            for made in [pieces, units] {
                let words = made[0x100..0x110].as_chunks().0.iter();
                let made = words.map(|bytes| u32::from_le_bytes(*bytes));
                assert!(made.eq([0x3c1c_0000, 0x279c_1040, 0x0399_e021, 0x8f99_fff0]));
            }
        });
    }

    #[test]
    fn zeroed_data_moves_with_the_end_of_its_segment() {
        with_projection(Class::default(), 0x8000_0000, true, |projection| {
            let image = image(1);
            projection.unit(&image, 0, 0, LEN);
            let end = 0x8000_0000 + LEN;
            let last = projection.space.led(end - 1);
            assert_ne!(last, end - 1);
            assert_eq!(projection.space.led(end + 8), last + 9);
            assert_eq!(projection.space.led(end + 0x100), end + 0x100, "nothing is there");
        });
    }

    #[test]
    fn pieces_are_as_unit_by_unit() {
        for (seed, content) in (1..).zip(Content::ALL) {
            for (wide, big_endian) in [(false, false), (true, false), (false, true)] {
                let is_little = matches!(content, Content::X86_64 | Content::I386);
                let class = Class { content, wide, big_endian: big_endian && !is_little };
                let bases = [0x1_0000, 0x8000_0000, 0xff_ffff_ffff_c000, 0xffff_8000_0800_0000];
                for base in bases.into_iter().chain([u64::MAX - 0x2_0000]) {
                    let image = image(seed);
                    both_ways(&image, class, base, |pieces, units| {
                        let same = pieces.iter().zip(units).take_while(|(a, b)| a == b).count();
                        assert_eq!(same, units.len(), "{class:?} at {base:x}");
                    });
                }
            }
        }
    }
}
