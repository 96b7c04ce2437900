//! Deltas of predicted content: describe, match in rounds, choose the map, encode.

use std::sync::mpsc;

use fwdelta_core::Detail;
use fwdelta_core::apply::in_place::excerpts_len;
use fwdelta_core::exec::map::Listed;
use fwdelta_core::format::delta::{Coder, DeltaHeader};
use fwdelta_core::format::shape::Shape;
use rayon::prelude::*;

use super::create::{Encoded, Options};
use super::profile::{self, Profile};
use super::trial::Trial;
use super::ways::Way;
use crate::codec::noise::Noise;
use crate::codec::pages::Schedule;
use crate::codec::predict::{self, Plan};
use crate::error::Result;
use crate::exec::describe::{Description, describe_pair};
use crate::exec::views::{self, Masked};
use crate::exec::{chain, votes};
use crate::matching::{self, Costs, Cover, MatchOptions, View};
use crate::progress::{Progress, Stage, checkpoint};

/// Matching rounds after the first.
const ROUNDS: usize = 2;
/// Coder 6 has a second one if the first moved more than `.0` of a thousand bytes to another place
/// and less than `.1`. With less, the map was right before; with more, most of what is wrong is
/// new, and no map helps. It takes a tenth to a third of the time.
const ROUNDS_PAY: (u64, u64) = (20, 125);
/// Sizes of tables that are tried, and for how long an image: longer ones hardly have too little
/// to learn from.
const TRIED_COUNT: usize = 3;
const TRIED_LEN_MAX: usize = 1 << 20;

/// Where up to so many bytes have changed, most of a payload may be description: that of a file
/// with a name and a number changed is 70 bytes, the change 40.
const UNDESCRIBED_LEN_MAX: u64 = 4096;

/// An image that is noise all over, compressed or encrypted, is stored where no more than one of so
/// many bytes is covered: a compressed kernel has a head that is not compressed, 1 % of it.
const STORED_SHARE: u64 = 1024;

/// Where the pieces of a payload go.
pub(super) type Sink<'a> = &'a mut dyn FnMut(Vec<u8>);

/// A pair of images and what is known of them.
pub(super) struct Pair<'a> {
    old: &'a [u8],
    pub(super) new: &'a [u8],
    old_description: Description,
    new_description: Description,
    matching: MatchOptions,
    /// Whether it is for coder 6.
    is_projected: bool,
    /// Of the rounds after the first.
    costs: &'static Costs,
    pub(super) progress: &'a dyn Progress,
}

/// A pair with its covers, ready to be encoded in several ways.
pub(super) struct Matched<'a> {
    pair: Pair<'a>,
    covers: Vec<Cover>,
    options: Options,
}

/// Matches for a profile that predicts; `None` for noise.
///
/// # Errors
/// [`crate::Error::Cancelled`].
pub(super) fn matched<'a>(
    old: &'a [u8],
    new: &'a [u8],
    options: &Options,
    progress: &'a dyn Progress,
) -> Result<Option<Matched<'a>>> {
    let (mut old_description, mut new_description) = describe_pair(old, new, &options.hints);
    if let Some(len) = device_memory_len(options) {
        profile::simplify(&mut old_description, len);
        profile::simplify(&mut new_description, len);
    }
    let is_projected = is_projected(options, new.len());
    let matching = MatchOptions { memory_max: options.memory_max, is_thorough: !is_projected };
    let costs = if is_projected { &Costs::PROJECTED_LATER } else { &Costs::MAX_LATER };
    let pair = Pair {
        old,
        new,
        old_description,
        new_description,
        matching,
        is_projected,
        costs,
        progress,
    };
    let covers = pair.covers()?;
    let covered: u64 = covers.iter().map(|cover| cover.len).sum();
    let (len, noise_len) = (new.len() as u64, || Noise::of(new, &covers).len());
    if covered < len / STORED_SHARE && covered + noise_len() == len {
        return Ok(None);
    }
    Ok(Some(Matched { pair, covers, options: *options }))
}

impl Matched<'_> {
    /// Encodes, in place if told to; else what can be tried meanwhile is. `header` knows both
    /// images.
    ///
    /// # Errors
    /// As the encoder, and the trial.
    pub(super) fn encode(&self, way: Option<&Way>, header: &DeltaHeader) -> Result<Encoded> {
        let Self { pair, covers, options } = self;
        let Some(way) = way else {
            return match pair.streamed(covers, options, header) {
                // Addresses are farther apart than numbers of the format reach.
                Err(error) if error.detail() == Detail::BadStream => {
                    pair.undescribed().streamed(covers, options, header)
                }
                made => made,
            };
        };
        let schedule = way.schedule(pair.old, pair.new, covers);
        let readable = schedule.readable(covers);
        let options = &with_excerpts(options, way);
        let tables = pair.sized(&readable, options, way.smaller);
        let (coder, payload) = pair.in_place(&readable, &tables, &schedule)?;
        let made = schedule.is_ordered().then(|| schedule.made(pair.new));
        Ok(Encoded { made, ..Encoded::new(coder, payload) })
    }

    /// The coder with the tables for one way, and the order of pages.
    pub(super) fn plan(&self, way: &Way) -> (Coder, Vec<u64>) {
        let Self { pair, covers, options } = self;
        let schedule = way.schedule(pair.old, pair.new, covers);
        let readable = schedule.readable(covers);
        let options = &with_excerpts(options, way);
        let shape = pair.sized(&readable, options, way.smaller).0;
        (Coder::Predicted(shape), schedule.order())
    }
}

/// Whether coder 6 is made: not in place, nor without room for a decompressor, nor of short
/// images.
fn is_projected(options: &Options, new_len: usize) -> bool {
    let has_room = options.device_memory_len.is_none_or(|len| len >= profile::STREAM_LEN_MIN);
    let is_long = options.is_streamed || new_len > profile::FAST_SHORT_LEN;
    options.profile == Profile::Fast && has_room && is_long && options.in_place.is_none()
}

/// Memory for the table of excerpts is not there for the coder.
fn with_excerpts(options: &Options, way: &Way) -> Options {
    let excerpts_len = excerpts_len(&way.in_place);
    let known = way.memory_len.or_else(|| device_memory_len(options));
    let len = match known {
        Some(len) => len.saturating_sub(excerpts_len),
        None => memory_len(options),
    };
    Options { device_memory_len: Some(len), ..*options }
}

/// Working memory for tables in place.
pub(super) fn memory_len(options: &Options) -> u64 {
    device_memory_len(options).unwrap_or(profile::SMALL_LEN)
}

/// How many sizes of tables are tried.
pub(super) fn table_count(options: &Options, new_len: usize) -> usize {
    let is_small = matches!(options.profile, Profile::Tiny | Profile::Small | Profile::Fast);
    if is_small && new_len <= TRIED_LEN_MAX { TRIED_COUNT } else { 1 }
}

/// What a small device has.
fn device_memory_len(options: &Options) -> Option<u64> {
    match options.profile {
        Profile::Tiny => Some(options.device_memory_len.unwrap_or(profile::TINY_LEN)),
        Profile::Small => Some(options.device_memory_len.unwrap_or(profile::SMALL_LEN)),
        _ => options.device_memory_len,
    }
}

/// The covers that a delta would use, for accounts of where bytes go.
///
/// # Errors
/// None.
pub fn covers(
    old: &[u8],
    new: &[u8],
    old_description: &Description,
    new_description: &Description,
) -> Result<Vec<Cover>> {
    let (old_description, new_description) = (old_description.clone(), new_description.clone());
    let (matching, progress) =
        (MatchOptions { is_thorough: true, ..MatchOptions::default() }, &crate::progress::Silent);
    let (is_projected, costs) = (false, &Costs::MAX_LATER);
    Pair { old, new, old_description, new_description, matching, is_projected, costs, progress }
        .covers()
}

impl Pair<'_> {
    pub(super) fn plan<'a>(&'a self, covers: &'a [Cover], map: &'a [Listed]) -> Plan<'a> {
        Plan {
            old: self.old,
            new: self.new,
            covers,
            map,
            old_segments: &self.old_description.segments,
            new_segments: &self.new_description.segments,
            runs: &self.old_description.runs,
        }
    }

    /// The tables of coders 4 and 5, so many steps smaller than there is room for, and the covers
    /// that serve as the map.
    fn tables(
        &self,
        covers: &[Cover],
        options: &Options,
        smaller: usize,
    ) -> Option<(Shape, Vec<Listed>)> {
        let shape = profile::shape(
            options.profile,
            options.device_memory_len,
            smaller,
            &self.old_description,
            &self.new_description,
            (self.old.len() as u64, self.new.len() as u64),
            covers.len(),
        )?;
        let map = chain::select(covers, shape.covers as usize);
        Some((self.plan(covers, &map).counted(shape), map))
    }

    /// The same, as many steps smaller as there are.
    pub(super) fn sized(
        &self,
        covers: &[Cover],
        options: &Options,
        smaller: usize,
    ) -> (Shape, Vec<Listed>) {
        let sizes = (0..=smaller).rev();
        sizes.filter_map(|smaller| self.tables(covers, options, smaller)).next().unwrap_or_default()
    }

    /// The tables with which a delta becomes smallest. Small ones learn faster and leave room for
    /// covers; which are best shows when they are tried.
    fn best_tables(&self, covers: &[Cover], options: &Options) -> Result<(Shape, Vec<Listed>)> {
        let count = table_count(options, self.new.len());
        let tables = |smaller| self.tables(covers, options, smaller);
        let mut tables: Vec<_> = (0..count).map_while(tables).collect();
        if tables.len() <= 1 {
            return Ok(tables.pop().unwrap_or_default());
        }
        let len = |(shape, map): &(Shape, Vec<Listed>)| -> Result<usize> {
            let mut len = 0;
            let mut sink = |piece: Vec<u8>| len += piece.len();
            predict::encode(&self.plan(covers, map), shape, false, &mut sink)?;
            Ok(len)
        };
        let lens: Vec<usize> = tables.par_iter().map(len).collect::<Result<_>>()?;
        let best = (0..lens.len()).min_by_key(|at| lens[*at]).unwrap_or(0);
        Ok(tables.swap_remove(best))
    }

    /// How many bytes of new are not what `covers` copy.
    fn changed_len(&self, covers: &[Cover]) -> u64 {
        let equal_len = |cover: &Cover| {
            let [old_pos, new_pos, len] =
                [cover.old_pos, cover.new_pos, cover.len].map(|number| number as usize);
            let old = &self.old[old_pos..old_pos + len];
            let pairs = old.iter().zip(&self.new[new_pos..new_pos + len]);
            pairs.filter(|(old, new)| old == new).count() as u64
        };
        self.new.len() as u64 - covers.par_iter().map(equal_len).sum::<u64>()
    }

    /// The same images, of which nothing is known.
    fn undescribed(&self) -> Self {
        let (old_description, new_description) = Default::default();
        Self { old_description, new_description, ..*self }
    }

    /// For a coder that is not told an order: tried already, unless the payload is too short to be
    /// tried in pieces.
    fn streamed(
        &self,
        covers: &[Cover],
        options: &Options,
        header: &DeltaHeader,
    ) -> Result<Encoded> {
        if self.changed_len(covers) > UNDESCRIBED_LEN_MAX {
            let trial = Trial { old: self.old, new: self.new, header: *header };
            let (coder, payload) = self.encode(covers, options, Some(trial))?;
            let is_tried = !payload.is_empty();
            return Ok(Encoded { is_tried, ..Encoded::new(coder, payload) });
        }
        // The same covers, with and without a word of what the images are.
        let described = || self.encode(covers, options, None);
        let other = || self.undescribed().encode(covers, options, None);
        let (described, other) = match self.has_room_twice(covers, options) {
            true => rayon::join(described, other),
            false => (described(), other()),
        };
        let (described, other) = (described?, other?);
        let is_shorter = other.1.len() < described.1.len();
        let (coder, payload) = if is_shorter { other } else { described };
        Ok(Encoded::new(coder, payload))
    }

    /// Whether the tables of two encoders, the largest that are tried, fit.
    fn has_room_twice(&self, covers: &[Cover], options: &Options) -> bool {
        let tables = || self.tables(covers, options, 0);
        is_projected(options, self.new.len())
            || tables().is_none_or(|(shape, _)| self.fits_twice(&shape, options))
    }

    /// Whether such tables do.
    pub(super) fn fits_twice(&self, shape: &Shape, options: &Options) -> bool {
        let lens = (self.old.len() as u64, self.new.len() as u64);
        profile::fits_twice(shape, options.profile, lens)
    }

    fn encode(
        &self,
        covers: &[Cover],
        options: &Options,
        trial: Option<Trial<'_>>,
    ) -> Result<(Coder, Vec<u8>)> {
        match is_projected(options, self.new.len()) {
            true => self.projected(covers.to_vec(), options, trial),
            false => self.predicted(covers, options, trial),
        }
    }

    /// For coders 4 and 5.
    fn predicted(
        &self,
        covers: &[Cover],
        options: &Options,
        trial: Option<Trial<'_>>,
    ) -> Result<(Coder, Vec<u8>)> {
        let is_max = options.profile == Profile::Max;
        let covers = if is_max { self.worthy(covers, options)? } else { covers.into() };
        let (shape, map) = self.best_tables(&covers, options)?;
        let plan = self.plan(&covers, &map);
        let coder = if is_max { Coder::PredictedMax(shape) } else { Coder::Predicted(shape) };
        let has_room = self.fits_twice(&shape, options);
        let encode = |sink: Sink<'_>| Ok(predict::encode(&plan, &shape, is_max, sink)?);
        Ok((coder, self.tried(coder, trial, has_room, encode)?))
    }

    /// The payload that `encode` makes; in a trial it is applied meanwhile if there is room, or
    /// afterwards.
    pub(super) fn tried(
        &self,
        coder: Coder,
        trial: Option<Trial<'_>>,
        has_room: bool,
        encode: impl FnOnce(Sink<'_>) -> Result<()> + Send,
    ) -> Result<Vec<u8>> {
        checkpoint(self.progress, Stage::Encode, 0, self.new.len() as u64)?;
        let Some(trial) = trial else {
            let mut payload = Vec::new();
            encode(&mut |piece| payload.extend_from_slice(&piece))?;
            return Ok(payload);
        };
        let (sender, pieces) = mpsc::channel();
        let encode = move || {
            // Where it ends, the payload does.
            let sender = sender;
            // A trial that failed does not listen any more, and says why.
            encode(&mut |piece| drop(sender.send(piece)))
        };
        let attempt = move || trial.run(coder, &pieces);
        let (encoded, tried) = match has_room {
            true => rayon::join(encode, attempt),
            false => (encode(), attempt()),
        };
        encoded?;
        // What was encoded without an error is applied without one, or one of the two is wrong: no
        // reason to encode it in another way.
        tried.map_err(|_| Detail::Bug.into())
    }

    /// For coder 4 in place.
    fn in_place(
        &self,
        covers: &[Cover],
        (shape, map): &(Shape, Vec<Listed>),
        schedule: &Schedule,
    ) -> Result<(Coder, Vec<u8>)> {
        let payload = predict::encode_in_place(&self.plan(covers, map), shape, schedule)?;
        Ok((Coder::Predicted(*shape), payload))
    }

    fn covers(&self) -> Result<Vec<Cover>> {
        let (old, new) = rayon::join(
            || views::masked(self.old, &self.old_description),
            || views::masked(self.new, &self.new_description),
        );
        fn view<'a>(image: &'a [u8], masked: &'a Masked) -> View<'a> {
            View { seek: &masked.code, exact: image, soft: &masked.all }
        }
        let views = (view(self.old, &old), view(self.new, &new));
        let quick = MatchOptions { is_thorough: false, ..self.matching };
        let (costs, progress) = (&Costs::MAX, self.progress);
        let mut covers = matching::covers(&views.0, &views.1, &[], &[], costs, &quick, progress)?;
        // Labels take the place of code without references, and its memory.
        let soft = (old.all, new.all);
        drop((old.code, new.code));
        for round in 1..=ROUNDS {
            let options = if round < ROUNDS { &quick } else { &self.matching };
            let again = self.again(&covers, (&soft.0, &soft.1), options)?;
            let before = std::mem::replace(&mut covers, again);
            if self.is_projected && !self.rounds_pay(&before, &covers) {
                break;
            }
        }
        Ok(covers)
    }

    /// Whether coder 6 gains by another round.
    fn rounds_pay(&self, before: &[Cover], after: &[Cover]) -> bool {
        let moved = 1000 * moved_len(before, after);
        let (least, most) = ROUNDS_PAY;
        let len = self.new.len() as u64;
        (least * len..most * len).contains(&moved)
    }

    /// Matches once more, with labels of where references lead by `covers`.
    fn again(
        &self,
        covers: &[Cover],
        soft: (&[u8], &[u8]),
        options: &MatchOptions,
    ) -> Result<Vec<Cover>> {
        let segments = &self.new_description.segments;
        let ((map, old_labels), new_labels) = rayon::join(
            || {
                let map: Vec<Listed> = chain::select(covers, usize::MAX);
                let to_new = Some((segments.as_slice(), map.as_slice()));
                let labels = views::labelled(self.old, &self.old_description, to_new);
                (map, labels)
            },
            || views::labelled(self.new, &self.new_description, None),
        );
        let votes = || {
            let (old, new, old_description) = (self.old, self.new, &self.old_description);
            let pair = votes::Pair {
                old,
                new,
                old_description,
                new_segments: segments,
                map: &map,
                has_relocations: !self.is_projected,
            };
            let votes = votes::collect(&pair, covers);
            // From here on the images themselves are not looked at.
            self.progress.report(Stage::Match, 0, self.new.len() as u64);
            votes
        };
        let views = (
            View { seek: &old_labels, exact: &old_labels, soft: soft.0 },
            View { seek: &new_labels, exact: &new_labels, soft: soft.1 },
        );
        let (costs, progress) = (self.costs, self.progress);
        matching::covers_with(&views.0, &views.1, covers, votes, costs, options, progress)
    }
}

/// Bytes of new that both cover, from different places.
fn moved_len(before: &[Cover], after: &[Cover]) -> u64 {
    let new_end = |cover: &Cover| cover.new_pos + cover.len;
    let diagonal = |cover: &Cover| cover.old_pos.wrapping_sub(cover.new_pos);
    let (mut rest, mut moved) = (before, 0);
    for cover in after {
        let passed = rest.iter().take_while(|before| new_end(before) <= cover.new_pos).count();
        rest = &rest[passed..];
        let met = rest.iter().take_while(|before| before.new_pos < new_end(cover));
        let from_elsewhere = met.filter(|before| diagonal(before) != diagonal(cover));
        moved += from_elsewhere
            .map(|before| new_end(before).min(new_end(cover)) - before.new_pos.max(cover.new_pos))
            .sum::<u64>();
    }
    moved
}
