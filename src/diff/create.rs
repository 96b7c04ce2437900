//! Making a delta: match, encode, apply, compare.

use fwdelta_core::apply::in_place::Areas;
use fwdelta_core::apply::{Applier, memory_len};
use fwdelta_core::format::delta::{Coder, DeltaHeader, ImageId, InPlace, PREDICTED_LEN_MAX};
use fwdelta_core::{Detail, Limits};

use super::delta::{Delta, header_bytes, image_id};
use super::in_place::{self, Place};
use super::media::Comparison;
use super::predicted::{self, Matched};
use super::profile::{FAST_WINDOW_LOG_MAX, Profile};
use super::ways::{Way, Work};
use crate::codec::{self, Script};
use crate::error::{Error, Result};
use crate::exec::describe::Hints;
use crate::matching::{self, Costs, Cover, MatchOptions, View};
use crate::progress::{Progress, Stage, checkpoint};

/// Model entries of profile `plain`: 2,048, that is 4 KiB.
const PLAIN_MODEL_LOG: u8 = 11;
/// Block of profiles `fast` and `bsdiff`, in bytes.
const BLOCK_LEN: u32 = 1 << 18;

/// How to make a delta.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What the delta is made for.
    pub profile: Profile,
    /// Threads to work with; 0 takes one per processor. The result does not depend on it.
    pub threads: usize,
    /// What the caller knows of the images.
    pub hints: Hints,
    /// Working memory of the device, in bytes; `None`: what the profile allows.
    pub device_memory_len: Option<u64>,
    /// How the old image is rewritten in place; `None`: new has a slot of its own.
    pub in_place: Option<Place>,
    /// Memory that matching may use, in bytes; `None`: as much as the images need.
    pub memory_max: Option<u64>,
    /// Profile `fast` makes streams (coder 6) of short images as well: the device was built without
    /// the decoder of `small`, or has no time for it.
    pub is_streamed: bool,
    /// It leads from one release to another, and says from which even if it needs nothing of that,
    /// as deltas in packages and in place do. Otherwise it is a full image if that is smaller.
    pub is_bound: bool,
}

/// Images up to this length are tried as full images as well where the delta is not far smaller
/// than new: in unrelated images of few bytes no cover pays, nor does saying which image is old.
const ALONE_LEN_MAX: usize = 64 << 10;
/// Deltas that have one byte of so many, behind the first of new, are far smaller.
const ALONE_SHARE: usize = 16;
/// See [`ALONE_SHARE`].
const ALONE_LEN_MIN: usize = 8 << 10;

/// Bytes that making a delta takes for each byte of the images: the image itself, its views in
/// three readings, and what is known of references and covers.
const IMAGE_SHARE: u64 = 5;
/// What it takes besides: tables of the coder, the program.
const FIXED_LEN: u64 = 64 << 20;

impl Options {
    /// Whether old is named even where it is of no use.
    const fn names_old(&self) -> bool {
        self.is_bound || self.in_place.is_some()
    }

    /// Bytes of memory that making a delta of images of these lengths stays below, images included.
    #[must_use]
    pub fn memory_bound(&self, old_len: u64, new_len: u64) -> u64 {
        let matching = MatchOptions { memory_max: self.memory_max, ..MatchOptions::default() };
        let images = old_len.saturating_add(new_len).saturating_mul(IMAGE_SHARE);
        images.saturating_add(matching.memory_bound(old_len, new_len)).saturating_add(FIXED_LEN)
    }
}

/// Makes a delta that turns `old` into `new`; a full image if `old` is empty, and, unless the delta
/// is bound to `old`, if that is smaller: a file has at most 0.1 % and 64 bytes more than `new`.
///
/// The delta has been applied by core's interpreter and its result compared with `new`.
///
/// # Errors
/// [`Error::Cancelled`], [`Error::Input`] when it cannot be applied in the memory that the device
/// has, and `Bug` when the result differs.
pub fn create(old: &[u8], new: &[u8], options: &Options, progress: &dyn Progress) -> Result<Delta> {
    with_threads(options.threads, || {
        let (delta, is_tried) = smallest(old, new, options, progress)?;
        check_memory(&delta.header, options)?;
        if !is_tried {
            check(old, new, &delta, progress)?;
        }
        checkpoint(progress, Stage::Check, new.len() as u64, new.len() as u64)?;
        Ok(delta)
    })
}

/// Whether the device has the memory to apply it.
fn check_memory(header: &DeltaHeader, options: &Options) -> Result<()> {
    let needed = header.workspace_len;
    let Some(len) = options.device_memory_len.filter(|len| *len < needed) else { return Ok(()) };
    let name = header.coder.name();
    let message = format!(
        "{len} bytes are too few to apply {name} with the smallest tables, {needed} are needed; \
         give more, or take a smaller profile"
    );
    Err(Error::input("memory of the device (--ram)", message))
}

/// Does `work` with `count` threads, 0 for one per processor.
pub(super) fn with_threads<T: Send>(
    count: usize,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
    pool.map_err(|error| {
        let message = format!("{error}; ask for fewer, 0 for one per processor");
        Error::input("--threads", message)
    })?
    .install(work)
}

/// A delta, or a full image, and whether it was applied already.
fn smallest(
    old: &[u8],
    new: &[u8],
    options: &Options,
    progress: &dyn Progress,
) -> Result<(Delta, bool)> {
    let made = encode(old, new, options, progress)?;
    let len = made.0.len();
    let is_far_smaller = len < new.len().saturating_sub(ALONE_LEN_MIN) / ALONE_SHARE;
    let is_asked = !is_far_smaller && !old.is_empty() && new.len() <= ALONE_LEN_MAX;
    if options.names_old() || !is_asked {
        return Ok(made);
    }
    let alone = encode(&[], new, options, progress)?;
    Ok(if alone.0.len() < len { alone } else { made })
}

/// A delta, and whether it was applied already.
fn encode(
    old: &[u8],
    new: &[u8],
    options: &Options,
    progress: &dyn Progress,
) -> Result<(Delta, bool)> {
    let is_long = old.len().max(new.len()) as u64 >= PREDICTED_LEN_MAX;
    if options.in_place.is_some() && matches!(options.profile, Profile::Max | Profile::Bsdiff) {
        let remedy = "in place go `tiny`, `small`, `plain` and `fast`; `max` and `bsdiff` need a \
                      slot for the new image";
        return Err(Error::from(Detail::NotBuiltIn).about("profile").remedy(remedy));
    }
    let content = match options.profile {
        Profile::Plain => plain(old, new, options, progress)?,
        Profile::Tiny | Profile::Small | Profile::Fast | Profile::Max if is_long => {
            unpredicted(old, new, options, progress)?
        }
        Profile::Tiny | Profile::Small | Profile::Fast | Profile::Max => {
            match predicted::matched(old, new, options, progress)? {
                Some(matched) => Content::Predicted(Box::new(matched)),
                None => Content::Coded(Coder::Stored, new.to_vec()),
            }
        }
        Profile::Bsdiff => packed(codec::bsdiff::raw(old, new)?, |window_log| Coder::Bsdiff {
            window_log,
            block_len: BLOCK_LEN,
        })?,
    };
    let (old_id, new_id) = rayon::join(|| image_id(old), || image_id(new));
    let full = full_image(new_id)?;
    let mut header = DeltaHeader { old: Some(old_id).filter(|old| old.len > 0), ..full };
    let known = header;
    let encode = |way: Option<&Way>| match content.encode((old, new), way, &known) {
        // Addresses are farther apart than numbers of the format reach.
        Err(error) if error.detail() == Detail::BadStream => {
            unpredicted(old, new, options, progress)?.encode((old, new), way, &known)
        }
        made => made,
    };
    let mut is_tried = false;
    let payload = match &options.in_place {
        Some(place) => {
            let work = Work {
                place,
                page_count: place.page_count(new.len() as u64),
                may_excerpt: matches!(options.profile, Profile::Small | Profile::Fast),
                table_count: predicted::table_count(options, new.len()),
                encode: |way: &Way| encode(Some(way)).map(|it| it.parts()),
                plan: |way: &Way| content.plan((old, new), way),
                memory_len: predicted::memory_len(options),
                areas: |in_place, coder| areas(header, in_place, coder, place.write_len),
            };
            let chosen = work.choose()?;
            (header.in_place, header.coder) = (Some(chosen.in_place), chosen.coder);
            chosen.payload
        }
        None => {
            let encoded = encode(None)?;
            (header.coder, is_tried) = (encoded.coder, encoded.is_tried);
            encoded.payload
        }
    };
    checkpoint(progress, Stage::Encode, new.len() as u64, new.len() as u64)?;
    header.payload_len = payload.len() as u64;
    header.workspace_len = memory_len(&header)?;
    let delta = Delta { header, payload };
    if options.names_old() || delta.len() < header_bytes(&full).len() + new.len() {
        return Ok((delta, is_tried));
    }
    // New itself needs no old image, and does not say which.
    let payload = if header.coder == Coder::Stored { delta.payload } else { new.to_vec() };
    Ok((Delta { header: full, payload }, false))
}

/// The header of a full image that is stored.
fn full_image(new: ImageId) -> Result<DeltaHeader> {
    let header = DeltaHeader {
        coder: Coder::Stored,
        old: None,
        new,
        workspace_len: 0,
        payload_len: new.len,
        chain: None,
        in_place: None,
        undoes: None,
    };
    Ok(DeltaHeader { workspace_len: memory_len(&header)?, ..header })
}

/// Where things are in the scratch flash for a way to encode.
fn areas(
    mut header: DeltaHeader,
    in_place: InPlace,
    coder: Coder,
    write_len: u16,
) -> Result<Areas> {
    (header.in_place, header.coder) = (Some(in_place), coder);
    header.workspace_len = memory_len(&header)?;
    let mut work = vec![0; Applier::workspace(&header)? as usize];
    Ok(Areas::of(&header, write_len, &mut work)?)
}

/// What is known before it is decided how to encode.
enum Content<'a> {
    Plain(Vec<Cover>),
    Predicted(Box<Matched<'a>>),
    Coded(Coder, Vec<u8>),
}

/// A payload.
pub(super) struct Encoded {
    pub(super) coder: Coder,
    pub(super) payload: Vec<u8>,
    /// New in the order in which it is made, if that is not its own.
    pub(super) made: Option<Vec<u8>>,
    /// Whether it was applied while it was made.
    pub(super) is_tried: bool,
}

impl Encoded {
    pub(super) const fn new(coder: Coder, payload: Vec<u8>) -> Self {
        Self { coder, payload, made: None, is_tried: false }
    }

    fn parts(self) -> (Coder, Vec<u8>, Option<Vec<u8>>) {
        (self.coder, self.payload, self.made)
    }
}

impl Content<'_> {
    /// The coder with the tables for a way to encode, and the order of pages.
    fn plan(&self, (old, new): (&[u8], &[u8]), way: &Way) -> (Coder, Vec<u64>) {
        match self {
            Self::Predicted(matched) => matched.plan(way),
            Self::Plain(covers) => {
                let coder = Coder::Bits { model_log: PLAIN_MODEL_LOG };
                (coder, way.schedule(old, new, covers).order())
            }
            Self::Coded(coder, _) => (*coder, way.schedule(old, new, &[]).order()),
        }
    }

    /// Encodes; stored if nothing is smaller.
    fn encode(
        &self,
        (old, new): (&[u8], &[u8]),
        way: Option<&Way>,
        header: &DeltaHeader,
    ) -> Result<Encoded> {
        let encoded = match self {
            Self::Plain(covers) => plain_payload(old, new, covers, way)?,
            Self::Predicted(matched) => matched.encode(way, header)?,
            Self::Coded(coder, payload) => Encoded::new(*coder, payload.clone()),
        };
        match encoded.payload.len() < new.len() {
            true => Ok(encoded),
            false => Ok(Encoded::new(Coder::Stored, new.to_vec())),
        }
    }
}

fn plain_payload(old: &[u8], new: &[u8], covers: &[Cover], way: Option<&Way>) -> Result<Encoded> {
    let (model_log, mut made) = (PLAIN_MODEL_LOG, None);
    let payload = match way {
        Some(way) => {
            let schedule = way.schedule(old, new, covers);
            let covers = &schedule.readable(covers);
            made = schedule.is_ordered().then(|| schedule.made(new));
            codec::bits::encode_in_place(&Script { old, new, covers }, model_log, &schedule)?
        }
        None => codec::bits::encode(&Script { old, new, covers }, model_log)?,
    };
    Ok(Encoded { made, ..Encoded::new(Coder::Bits { model_log }, payload) })
}

fn plain<'a>(
    old: &[u8],
    new: &[u8],
    options: &Options,
    progress: &dyn Progress,
) -> Result<Content<'a>> {
    plain_covers(old, new, &Costs::SMALL, options, progress).map(Content::Plain)
}

/// For what prediction does not hold.
fn unpredicted<'a>(
    old: &[u8],
    new: &[u8],
    options: &Options,
    progress: &dyn Progress,
) -> Result<Content<'a>> {
    match options.profile {
        Profile::Fast | Profile::Max if options.in_place.is_none() => {
            streams(old, new, options, progress)
        }
        _ => plain(old, new, options, progress),
    }
}

fn streams<'a>(
    old: &[u8],
    new: &[u8],
    options: &Options,
    progress: &dyn Progress,
) -> Result<Content<'a>> {
    let covers = plain_covers(old, new, &Costs::FAST, options, progress)?;
    let content = codec::streams::content(&Script { old, new, covers: &covers }, BLOCK_LEN);
    packed(content, |window_log| Coder::Streams { window_log, block_len: BLOCK_LEN })
}

fn plain_covers(
    old: &[u8],
    new: &[u8],
    costs: &Costs,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Vec<Cover>> {
    let (old, new) = (View::plain(old), View::plain(new));
    let options = MatchOptions { memory_max: options.memory_max, is_thorough: true };
    matching::covers(&old, &new, &[], &[], costs, &options, progress)
}

/// Compresses with a window that holds the content, as far as allowed.
fn packed<'a>(content: Vec<u8>, coder: impl Fn(u8) -> Coder) -> Result<Content<'a>> {
    let window_log = codec::zstd::window_log(content.len()).min(FAST_WINDOW_LOG_MAX);
    Ok(Content::Coded(coder(window_log), codec::zstd::compress(&content, window_log)?))
}

fn check(old: &[u8], new: &[u8], delta: &Delta, progress: &dyn Progress) -> Result<()> {
    let unlimited = Limits {
        image_len: u64::MAX,
        workspace_len: Applier::workspace(&delta.header)?.max(delta.header.workspace_len),
        ..Limits::LINUX
    };
    checkpoint(progress, Stage::Check, 0, new.len() as u64)?;
    if delta.header.in_place.is_some() {
        return in_place::check(old, new, delta, &unlimited);
    }
    let mut target = Comparison::new(new);
    super::apply_to(
        &mut { old },
        &delta.header,
        &delta.payload,
        &mut target,
        &unlimited,
        progress,
    )?;
    if target.is_same() { Ok(()) } else { Err(Detail::Bug.into()) }
}
