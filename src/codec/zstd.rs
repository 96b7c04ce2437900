//! The zstd crate behind core's decompressor trait, and the compressor that goes with it.

use fwdelta_core::codec::{Decompressor, Flow};
use fwdelta_core::format::delta::WINDOW_LOG_MIN;
use fwdelta_core::{Detail, Result};
use zstd::stream::raw::{CParameter, DParameter, Decoder, Encoder, InBuffer, Operation, OutBuffer};

/// Compression level: stronger ones take longer and gain nothing on such symbols.
const LEVEL: i32 = 18;
/// Bytes of a frame that are handed out together.
const PIECE_LEN: usize = 1 << 16;
/// Content of so many bytes is compressed in two halves, each knowing what comes before it, side by
/// side if there are threads.
const HALVED_LEN: usize = 1 << 20;
/// Of longer content it is more than two parts: what the compressor takes.
const HALF_LEN_MAX: usize = 512 << 20;
/// For content of so many bytes the level has tables of its own.
const SHORT_LEN: usize = 256 << 10;

/// A zstd decompressor; the host's part of coders 2, 3 and 6.
#[derive(Default)]
pub struct Zstd {
    decoder: Option<Decoder<'static>>,
}

impl std::fmt::Debug for Zstd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zstd").field("started", &self.decoder.is_some()).finish()
    }
}

impl Decompressor for Zstd {
    fn start(&mut self, window_log: u8) -> Result<()> {
        let mut decoder = Decoder::new().map_err(|_| Detail::Bug)?;
        let window = DParameter::WindowLogMax(window_log.into());
        decoder.set_parameter(window).map_err(|_| Detail::NotBuiltIn)?;
        self.decoder = Some(decoder);
        Ok(())
    }

    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Flow> {
        let decoder = self.decoder.as_mut().ok_or(Detail::WrongState)?;
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around(output);
        let hint = decoder.run(&mut from, &mut to).map_err(|_| Detail::BadStream)?;
        Ok(Flow { consumed: from.pos(), produced: to.pos(), done: hint == 0 })
    }
}

/// Base-two logarithm of the smallest window that holds `len` bytes.
#[must_use]
pub fn window_log(len: usize) -> u8 {
    (len.next_power_of_two().ilog2() as u8).max(WINDOW_LOG_MIN)
}

/// Compresses `content` into one frame with a window of `1 << window_log` bytes.
///
/// # Errors
/// `Bug` when the compressor fails.
pub fn compress(content: &[u8], window_log: u8) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    compress_to(content, window_log, &mut |piece| out.extend_from_slice(&piece))?;
    Ok(out)
}

/// The same; what is ready of the frame goes to `sink`, piece by piece.
///
/// # Errors
/// As [`compress`].
pub fn compress_to(content: &[u8], window_log: u8, sink: &mut dyn FnMut(Vec<u8>)) -> Result<()> {
    let failed = |_| Detail::Bug;
    let mut encoder = Encoder::new(LEVEL).map_err(failed)?;
    let parameters = [
        CParameter::WindowLog(window_log.into()),
        CParameter::ContentSizeFlag(false),
        CParameter::ChecksumFlag(false),
    ];
    for parameter in parameters {
        encoder.set_parameter(parameter).map_err(failed)?;
    }
    // Its tables are then as large as the content needs, not the 650 MB that the level allows;
    // where it would take the largest, still smaller ones find the same, sooner.
    let len = content.len() as u64;
    if content.len() > SHORT_LEN {
        let log = u32::from(window_log).min(content.len().next_power_of_two().ilog2());
        encoder.set_parameter(CParameter::ChainLog(log)).map_err(failed)?;
        encoder.set_parameter(CParameter::HashLog(log - 2)).map_err(failed)?;
    }
    if content.len() >= HALVED_LEN {
        // For a single thread one works in its place: the frame must not depend on their number.
        let workers = rayon::current_num_threads().min(2) as u32;
        let half = content.len().div_ceil(2).min(HALF_LEN_MAX) as u32;
        encoder.set_parameter(CParameter::NbWorkers(workers)).map_err(failed)?;
        encoder.set_parameter(CParameter::JobSize(half)).map_err(failed)?;
    }
    encoder.set_pledged_src_size(Some(len)).map_err(failed)?;
    let mut from = InBuffer::around(content);
    let mut is_done = false;
    while !is_done {
        let mut piece = vec![0; PIECE_LEN];
        let mut to = OutBuffer::around(&mut piece);
        if from.pos() < content.len() {
            encoder.run(&mut from, &mut to).map_err(failed)?;
        } else {
            is_done = encoder.finish(&mut to, true).map_err(failed)? == 0;
        }
        let len = to.pos();
        piece.truncate(len);
        sink(piece);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_does_not_depend_on_threads() {
        let mut state = 1u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 28) as u8
        };
        let content: Vec<u8> = (0..HALVED_LEN + 12_345).map(next).collect();
        let frame = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| compress(&content, window_log(content.len()))).unwrap()
        };
        let one = frame(1);
        assert!(one.len() < content.len() * 6 / 10, "{}", one.len());
        assert_eq!(zstd::decode_all(&one[..]).unwrap(), content);
        assert!([2, 3, 7].into_iter().all(|threads| frame(threads) == one));
    }
}
