//! Guesses at whole bytes: what followed the same context before (docs/format-delta.md, section
//! 6.5).
//!
//! A table of bits as small as a microcontroller affords cannot hold contexts of several bytes;
//! a byte per context can. One well-predicted decision, "the guess is right", then stands for
//! eight. The idea is that of the match models of context-mixing coders, cut down to a byte.

/// Largest confidence: so many times in a row the guess was right.
pub(super) const CONFIDENCE_MAX: u8 = 7;

/// Byte and confidence for each hashed context.
#[derive(Debug)]
pub(super) struct Guesses<'m> {
    entries: &'m mut [[u8; 2]],
    shift: u32,
}

impl<'m> Guesses<'m> {
    /// Knows nothing: guesses zero without confidence. `entries` are `1 << log`.
    pub(super) fn new(entries: &'m mut [[u8; 2]], log: u32) -> Self {
        entries.fill([0; 2]);
        Self { entries, shift: 32u32.saturating_sub(log) }
    }

    fn index(&self, context: u32) -> usize {
        (super::model::hashed(context) >> (self.shift & 31)) as usize
    }

    /// The guess in `context`, and the confidence in it.
    pub(super) fn get(&self, context: u32) -> (u8, u8) {
        let [guess, confidence] = self.entries.get(self.index(context)).copied().unwrap_or([0; 2]);
        (guess, confidence)
    }

    /// Learns that `byte` came in `context`. A guess that was right `fragile` times or less is
    /// replaced, one held longer loses half its confidence.
    pub(super) fn learn(&mut self, context: u32, byte: u8, fragile: u8) {
        let index = self.index(context);
        let Some([guess, confidence]) = self.entries.get_mut(index) else { return };
        if *guess == byte {
            *confidence = (*confidence + 1).min(CONFIDENCE_MAX);
        } else if *confidence > fragile {
            *confidence /= 2;
        } else {
            (*guess, *confidence) = (byte, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_kept_as_long_as_it_is_mostly_right() {
        let mut entries = [[9; 2]; 16];
        let mut guesses = Guesses::new(&mut entries, 4);
        assert_eq!(guesses.get(5), (0, 0));
        guesses.learn(5, 7, 1);
        assert_eq!(guesses.get(5), (7, 0));
        for _ in 0..20 {
            guesses.learn(5, 7, 1);
        }
        assert_eq!(guesses.get(5), (7, CONFIDENCE_MAX));
        guesses.learn(5, 8, 1);
        assert_eq!(guesses.get(5), (7, 3));
        guesses.learn(5, 8, 1);
        guesses.learn(5, 8, 1);
        assert_eq!(guesses.get(5), (8, 0));
    }
}
