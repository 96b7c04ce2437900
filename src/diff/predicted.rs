//! Deltas of predicted content: describe, match in rounds, choose the map, encode.

use fwdelta_core::exec::map::Listed;
use fwdelta_core::format::delta::Coder;
use fwdelta_core::format::shape::Shape;

use crate::codec::predict::{Plan, encode};
use crate::error::Result;
use crate::exec::describe::{Description, Hints, describe_pair};
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
    progress: &'a dyn Progress,
}

/// Encodes with the tables of `shape`, whose counts are ignored.
///
/// # Errors
/// [`crate::Error::Cancelled`].
pub(super) fn create(
    old: &[u8],
    new: &[u8],
    hints: &Hints,
    shape: Shape,
    is_max: bool,
    progress: &dyn Progress,
) -> Result<(Coder, Vec<u8>)> {
    let (old_description, new_description) = describe_pair(old, new, hints);
    let pair = Pair { old, new, old_description, new_description, progress };
    let covers = pair.covers()?;
    let map = chain::select(&covers, shape.covers as usize);
    let plan = Plan {
        old,
        new,
        covers: &covers,
        map: &map,
        old_segments: &pair.old_description.segments,
        new_segments: &pair.new_description.segments,
        runs: &pair.old_description.runs,
    };
    let shape = plan.counted(shape);
    let payload = encode(&plan, &shape, is_max)?;
    Ok((if is_max { Coder::PredictedMax(shape) } else { Coder::Predicted(shape) }, payload))
}

/// The covers that [`create`] would use, for accounts of where bytes go.
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
    Pair { old, new, old_description, new_description, progress: &crate::progress::Silent }.covers()
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
        let options = MatchOptions::default();
        let mut covers =
            matching::covers(&views.0, &views.1, &[], &Costs::MAX, &options, self.progress)?;
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
        let options = MatchOptions::default();
        matching::covers(&views.0, &views.1, &votes, &costs, &options, self.progress)
    }
}
