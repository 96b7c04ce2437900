//! The logistic function and its inverse, on integers.
//!
//! Source: M. Mahoney, "Adaptive Weighing of Context Models for Lossless Data Compression", 2005:
//! probabilities are mixed as logarithms of their odds.

/// Units of logarithmic odds to one nat.
pub const NAT: i32 = 256;
/// Odds are cut off here: 12 nats.
pub const ODDS_MAX: i32 = 12 * NAT;
/// Logarithmic odds between two entries of the table.
const STEP_LOG: u32 = 5;
/// Probabilities, of 65,536, at 0, 32, 64, ... units: 65536 / (1 + exp(-x / 256)), rounded.
const TABLE: [u16; 97] = [
    32_768, 34_813, 36_843, 38_841, 40_793, 42_687, 44_511, 46_254, 47_911, 49_474, 50_941, 52_310,
    53_581, 54_754, 55_834, 56_822, 57_724, 58_544, 59_287, 59_959, 60_565, 61_109, 61_598, 62_036,
    62_428, 62_778, 63_090, 63_368, 63_615, 63_835, 64_030, 64_203, 64_357, 64_494, 64_614, 64_721,
    64_816, 64_900, 64_974, 65_039, 65_097, 65_149, 65_194, 65_234, 65_269, 65_300, 65_328, 65_352,
    65_374, 65_393, 65_410, 65_425, 65_438, 65_449, 65_459, 65_468, 65_476, 65_483, 65_489, 65_495,
    65_500, 65_504, 65_508, 65_511, 65_514, 65_517, 65_519, 65_521, 65_523, 65_524, 65_526, 65_527,
    65_528, 65_529, 65_530, 65_530, 65_531, 65_532, 65_532, 65_533, 65_533, 65_533, 65_534, 65_534,
    65_534, 65_534, 65_535, 65_535, 65_535, 65_535, 65_535, 65_535, 65_535, 65_535, 65_535, 65_535,
    65_535,
];
/// Entries of the inverse, one for 16 probabilities of 65,536.
const STRETCH: [i16; 4096] = stretched();

/// The probability, of 65,536, of logarithmic odds.
#[must_use]
#[inline]
pub const fn squash(odds: i32) -> u32 {
    let magnitude = odds.unsigned_abs();
    let at = (magnitude >> STEP_LOG) as usize;
    let p = if at + 1 >= TABLE.len() {
        65_535
    } else {
        // INVARIANT: compared with the length just above.
        let (low, high) = (TABLE[at] as u32, TABLE[at + 1] as u32);
        low + (((high - low) * (magnitude & ((1 << STEP_LOG) - 1))) >> STEP_LOG)
    };
    if odds < 0 { 65_536 - p } else { p }
}

/// The logarithmic odds of a probability, of 4,096.
#[must_use]
#[inline]
pub fn stretch(p: u32) -> i16 {
    STRETCH.get(p as usize).copied().unwrap_or(i16::MAX)
}

const fn stretched() -> [i16; 4096] {
    let mut table = [0; 4096];
    let mut odds = -ODDS_MAX;
    let mut at = 0;
    while at < table.len() {
        while odds < ODDS_MAX && squash(odds) < at as u32 * 16 + 8 {
            odds += 1;
        }
        // INVARIANT: less than the length; runs when compiling only.
        table[at] = odds as i16;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_logistic_function() {
        for odds in -ODDS_MAX..=ODDS_MAX {
            let exact = 65_536.0 / (1.0 + (-f64::from(odds) / 256.0).exp());
            let error = (f64::from(squash(odds)) - exact).abs();
            assert!(error < 16.0 && error < 0.02 * exact.min(65_536.0 - exact) + 1.5, "{odds}");
        }
        for p in 1..4096 {
            assert!(squash(stretch(p).into()).abs_diff(p * 16 + 8) < 80, "{p}");
        }
    }
}
