//! How the caller's working memory is laid out (docs/format-delta.md, section 10).

use super::in_place::{book_len, marks_len};
use crate::codec::bits::Bits;
use crate::codec::input::Input;
use crate::codec::predict;
use crate::error::{Detail, Result};
use crate::format::delta::{Coder, DeltaHeader};

/// Bytes of new collected before they are programmed: coders 0 and 1.
pub const OUTPUT_LEN_SMALL: u64 = 256;
/// The same for coders 2, 3 and 6.
pub const OUTPUT_LEN_LARGE: u64 = 64 << 10;

/// Lengths of the parts, in order.
pub(super) struct Parts {
    /// In place: a mark per page, and what the spare pages hold.
    marks_len: u64,
    book_len: u64,
    coder_len: u64,
    input_len: u64,
    output_len: u64,
    /// Held by the decompressor, not in the caller's buffer.
    window_len: u64,
}

impl Parts {
    pub(super) fn of(header: &DeltaHeader) -> Self {
        let (coder_len, output_len, window_len) = match header.coder {
            Coder::Stored => (0, OUTPUT_LEN_SMALL, 0),
            Coder::Bits { model_log } => (Bits::buf_len(model_log), OUTPUT_LEN_SMALL, 0),
            Coder::Streams { window_log, block_len } | Coder::Bsdiff { window_log, block_len } => {
                (u64::from(block_len), OUTPUT_LEN_LARGE, 1 << window_log.min(63))
            }
            Coder::Predicted(shape) | Coder::PredictedMax(shape) => {
                let is_max = matches!(header.coder, Coder::PredictedMax(_));
                let window_len = predict::window_len(&shape);
                (predict::tables_len(&shape, is_max) + window_len, window_len, 0)
            }
            Coder::Projected(shape) => {
                let buffers_len = 2 << (shape.buffer_log & 31);
                let coder_len =
                    predict::projection_len(&shape) + buffers_len + u64::from(shape.block_len);
                (coder_len, OUTPUT_LEN_LARGE, 1 << shape.window_log.min(63))
            }
        };
        let in_place = header.in_place.as_ref();
        Self {
            marks_len: in_place.map_or(0, |in_place| marks_len(in_place, header.new.len)),
            book_len: in_place.map_or(0, book_len),
            coder_len,
            input_len: Input::buf_len(header),
            output_len,
            window_len,
        }
    }

    pub(super) fn work_len(&self) -> Result<u64> {
        let Self { marks_len, book_len, coder_len, input_len, output_len, .. } = *self;
        let lens = [book_len, coder_len, input_len, output_len];
        let sum = lens.into_iter().try_fold(marks_len, u64::checked_add);
        sum.ok_or(Detail::WorkspaceTooSmall.into())
    }

    /// Cuts marks and book off `work`.
    pub(super) fn split_book<'w>(
        &self,
        work: &'w mut [u8],
    ) -> Result<(&'w mut [u8], &'w mut [u8], &'w mut [u8])> {
        let (marks, rest) = cut(work, self.marks_len)?;
        let (book, rest) = cut(rest, self.book_len)?;
        Ok((marks, book, rest))
    }

    /// Cuts `work` into coder, input and output buffers.
    pub(super) fn split<'w>(
        &self,
        work: &'w mut [u8],
    ) -> Result<(&'w mut [u8], &'w mut [u8], &'w mut [u8])> {
        let (coder, rest) = cut(work, self.coder_len)?;
        let (input, rest) = cut(rest, self.input_len)?;
        let (output, _) = cut(rest, self.output_len)?;
        Ok((coder, input, output))
    }
}

fn cut(work: &mut [u8], len: u64) -> Result<(&mut [u8], &mut [u8])> {
    let len = usize::try_from(len).map_err(|_| Detail::WorkspaceTooSmall)?;
    work.split_at_mut_checked(len).ok_or(Detail::WorkspaceTooSmall.into())
}

/// What header key 6 must state at least: the caller's buffer and the decompressor's window.
///
/// # Errors
/// `WorkspaceTooSmall` when the sum exceeds 64 bits.
pub fn memory_len(header: &DeltaHeader) -> Result<u64> {
    let parts = Parts::of(header);
    let len = parts.work_len()?.checked_add(parts.window_len);
    len.ok_or(Detail::WorkspaceTooSmall.into())
}
