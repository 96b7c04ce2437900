//! A delta applied in the most obvious way, to compare the real applier with.

/// One step of a decoded delta; steps follow each other in the new image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bytes that stand in the new image as they are.
    Literal(Vec<u8>),
    /// Bytes of the old image, each plus a residual, modulo 256.
    Cover {
        /// First byte in the old image.
        old_pos: u64,
        /// Bytes covered.
        len: u64,
        /// One byte for each byte covered.
        residual: Vec<u8>,
    },
}

/// Why a list of steps makes no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NaiveError {
    /// Step number `step` reads outside the old image.
    OutsideOld {
        /// Counted from 0.
        step: usize,
    },
    /// Step number `step` has another number of residual bytes than its length.
    ResidualLen {
        /// Counted from 0.
        step: usize,
    },
}

/// The new image that `steps` make of `old`.
///
/// # Errors
/// When a cover leaves `old` or its residual does not fit.
pub fn apply(old: &[u8], steps: &[Step]) -> Result<Vec<u8>, NaiveError> {
    let mut new = Vec::new();
    for (step, what) in steps.iter().enumerate() {
        match what {
            Step::Literal(bytes) => new.extend_from_slice(bytes),
            Step::Cover { old_pos, len, residual } => {
                let covered =
                    covered(old, *old_pos, *len).ok_or(NaiveError::OutsideOld { step })?;
                if residual.len() != covered.len() {
                    return Err(NaiveError::ResidualLen { step });
                }
                for (old_byte, residual_byte) in covered.iter().zip(residual) {
                    new.push(old_byte.wrapping_add(*residual_byte));
                }
            }
        }
    }
    Ok(new)
}

fn covered(old: &[u8], pos: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(pos).ok()?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    old.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover(old_pos: u64, len: u64, residual: &[u8]) -> Step {
        Step::Cover { old_pos, len, residual: residual.to_vec() }
    }

    #[test]
    fn literals_and_covers_follow_each_other() {
        let steps = [
            Step::Literal(b"new ".to_vec()),
            cover(4, 3, &[0, 0, 0]),
            cover(0, 3, &[1, 255, 0]),
            Step::Literal(Vec::new()),
            cover(7, 0, &[]),
        ];
        assert_eq!(apply(b"abc def", &steps).unwrap(), b"new defbac");
        assert_eq!(apply(b"abc", &[]).unwrap(), b"");
    }

    #[test]
    fn a_cover_outside_the_old_image_is_refused() {
        for (pos, len) in [(2, 2), (4, 0), (u64::MAX, 1), (1, u64::MAX)] {
            let steps = [Step::Literal(vec![1]), cover(pos, len, &[0, 0])];
            assert_eq!(apply(b"abc", &steps), Err(NaiveError::OutsideOld { step: 1 }));
        }
        let short = [cover(0, 2, &[0])];
        assert_eq!(apply(b"abc", &short), Err(NaiveError::ResidualLen { step: 0 }));
    }
}
