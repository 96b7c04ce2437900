//! What matching sees of an image, and what it is told about a pair.

/// Three readings of one image, all of the image's length; may be the same slice.
///
/// A reading may replace what depends on addresses (branch offsets, pointers) by something that
/// does not, so that the same code at another place is the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What is searched: equal runs here propose diagonals.
    pub seek: &'a [u8],
    /// The image itself: equal bytes here cost next to nothing.
    pub exact: &'a [u8],
    /// What a prediction may repair: equal here and different in `exact` costs little.
    pub soft: &'a [u8],
}

impl<'a> View<'a> {
    /// An image of which nothing is known.
    #[must_use]
    pub const fn plain(image: &'a [u8]) -> Self {
        Self { seek: image, exact: image, soft: image }
    }

    /// Bytes of the image.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.exact.len()
    }

    /// Whether the image has no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.exact.is_empty()
    }

    /// Whether all readings have the same length.
    pub(super) const fn is_consistent(&self) -> bool {
        self.seek.len() == self.exact.len() && self.soft.len() == self.exact.len()
    }
}

/// Evidence from elsewhere that old at `new_pos + diagonal` has become new at `new_pos`.
///
/// Ordered by position, then diagonal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vote {
    /// Position in new.
    pub new_pos: u64,
    /// Position in old minus position in new.
    pub diagonal: i64,
    /// How many references say so.
    pub weight: u32,
}

impl Vote {
    /// Where in old, if it is inside.
    pub(super) fn old_pos(&self, old_len: usize) -> Option<usize> {
        let old_pos = self.new_pos.checked_add_signed(self.diagonal)?;
        usize::try_from(old_pos).ok().filter(|pos| *pos < old_len)
    }
}
