//! Logarithms in integers, so that every machine gets the same.

/// Bits behind the point of [`log2`].
pub(super) const FRACTION_BITS: u32 = 16;

/// The logarithm to base 2 of `value`, times 65,536, rounded down; 0 for 0.
///
/// Squares the mantissa once per bit of the fraction: what reaches two gives a one.
pub(super) fn log2(value: u64) -> u64 {
    let Some(whole) = value.checked_ilog2() else { return 0 };
    let mut mantissa = (u128::from(value) << 62) >> whole;
    let mut result = u64::from(whole);
    for _ in 0..FRACTION_BITS {
        mantissa = (mantissa * mantissa) >> 62;
        let bit = (mantissa >> 63) as u64;
        mantissa >>= bit;
        result = result << 1 | bit;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_close_to_the_real_one() {
        let mut values: Vec<u64> = (1..5000).collect();
        values.extend((0..64).flat_map(|bit| [1u64 << bit, (1u64 << bit) | 1, u64::MAX >> bit]));
        for value in values {
            let real = (value as f64).log2() * 65_536.0;
            let found = log2(value) as f64;
            assert!(found <= real + 0.01 && real < found + 1.01, "{value}: {found} of {real}");
        }
        assert_eq!(log2(0), 0);
    }
}
