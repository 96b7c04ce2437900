//! Deltas of predicted content: describe, match in rounds, choose the map, encode.

use fwdelta_core::exec::map::Listed;
use fwdelta_core::format::delta::Coder;

use super::create::{Encoded, Options};
use super::in_place::Way;
use super::noise;
use super::profile::{self, Profile};
use crate::codec::predict::{Plan, encode, encode_in_place};
use crate::error::Result;
use crate::exec::describe::{Description, describe_pair};
use crate::exec::views::{self, Masked};
use crate::exec::{chain, votes};
use crate::matching::{self, Costs, Cover, MatchOptions, View};
use crate::progress::Progress;

/// Matching rounds after the first.
const ROUNDS: usize = 2;

/// A pair of images and what is known of them.
struct Pair<'a> {
    old: &'a [u8],
    new: &'a [u8],
    old_description: Description,
    new_description: Description,
    matching: MatchOptions,
    progress: &'a dyn Progress,
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
    let matching = MatchOptions { memory_max: options.memory_max };
    let pair = Pair { old, new, old_description, new_description, matching, progress };
    let covers = pair.covers()?;
    let covered: u64 = covers.iter().map(|cover| cover.len).sum();
    if covered < new.len() as u64 / 64 && noise::is_noise(new) {
        return Ok(None);
    }
    Ok(Some(Matched { pair, covers, options: *options }))
}

impl Matched<'_> {
    /// Encodes, in place if told to.
    ///
    /// # Errors
    /// As the encoder.
    pub(super) fn encode(&self, way: Option<&Way>) -> Result<Encoded> {
        let Self { pair, options, .. } = self;
        let Pair { old, new, .. } = *pair;
        let schedule = way.map(|way| way.schedule(old, new, &self.covers));
        let readable = schedule.as_ref().map(|schedule| schedule.readable(&self.covers));
        let covers = readable.as_ref().unwrap_or(&self.covers);
        let shape = profile::shape(
            options.profile,
            options.device_memory_len,
            &pair.old_description,
            &pair.new_description,
            new.len() as u64,
        );
        let map = chain::select(covers, shape.covers as usize);
        let plan = Plan {
            old,
            new,
            covers,
            map: &map,
            old_segments: &pair.old_description.segments,
            new_segments: &pair.new_description.segments,
            runs: &pair.old_description.runs,
        };
        let shape = plan.counted(shape);
        let is_max = options.profile == Profile::Max;
        let payload = match &schedule {
            Some(schedule) => encode_in_place(&plan, &shape, schedule)?,
            None => encode(&plan, &shape, is_max)?,
        };
        let coder = if is_max { Coder::PredictedMax(shape) } else { Coder::Predicted(shape) };
        let made = schedule.filter(|it| it.is_ordered()).map(|schedule| schedule.made(new));
        Ok(Encoded { coder, payload, made })
    }
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
    let (matching, progress) = (MatchOptions::default(), &crate::progress::Silent);
    Pair { old, new, old_description, new_description, matching, progress }.covers()
}

impl Pair<'_> {
    fn covers(&self) -> Result<Vec<Cover>> {
        let (old, new) = rayon::join(
            || views::masked(self.old, &self.old_description),
            || views::masked(self.new, &self.new_description),
        );
        fn view<'a>(image: &'a [u8], masked: &'a Masked) -> View<'a> {
            View { seek: &masked.code, exact: image, soft: &masked.all }
        }
        let views = (view(self.old, &old), view(self.new, &new));
        let mut covers =
            matching::covers(&views.0, &views.1, &[], &Costs::MAX, &self.matching, self.progress)?;
        for _ in 0..ROUNDS {
            covers = self.again(&covers, &old, &new)?;
        }
        Ok(covers)
    }

    /// Matches once more, with labels of where references lead by `covers`.
    fn again(&self, covers: &[Cover], old: &Masked, new: &Masked) -> Result<Vec<Cover>> {
        let map: Vec<Listed> = chain::select(covers, usize::MAX);
        let segments = &self.new_description.segments;
        let (labels, votes) = rayon::join(
            || {
                rayon::join(
                    || {
                        let to_new = Some((segments.as_slice(), map.as_slice()));
                        views::labelled(self.old, &self.old_description, to_new)
                    },
                    || views::labelled(self.new, &self.new_description, None),
                )
            },
            || {
                let description = &self.old_description;
                votes::collect(self.old, self.new, description, segments, covers, &map)
            },
        );
        fn view<'a>(labels: &'a [u8], masked: &'a Masked) -> View<'a> {
            View { seek: labels, exact: labels, soft: &masked.all }
        }
        let views = (view(&labels.0, old), view(&labels.1, new));
        let costs = Costs { soft: Costs::SOFT_LATER, ..Costs::MAX };
        matching::covers(&views.0, &views.1, &votes, &costs, &self.matching, self.progress)
    }
}
