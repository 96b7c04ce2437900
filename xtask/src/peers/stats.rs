//! The two averages that the tables use.

/// The geometric mean of ratios, all positive: the mean for which a half and a double cancel out.
pub(crate) fn geometric_mean(ratios: &[f64]) -> Option<f64> {
    if ratios.is_empty() || ratios.iter().any(|ratio| *ratio <= 0.0) {
        return None;
    }
    let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    Some((sum / ratios.len() as f64).exp())
}

/// The middle value; of an even number of values the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-12), "{found:?}");
    }

    #[test]
    fn half_and_double_cancel_out() {
        close(geometric_mean(&[0.5, 2.0]), 1.0);
        close(geometric_mean(&[1.0, 10.0, 100.0]), 10.0);
        close(geometric_mean(&[0.3]), 0.3);
        assert_eq!(geometric_mean(&[]), None);
        assert_eq!(geometric_mean(&[1.0, 0.0]), None);
    }

    #[test]
    fn median_is_the_middle_in_any_order() {
        close(median(&[9.0, 1.0, 5.0]), 5.0);
        close(median(&[4.0, 1.0, 2.0, 100.0]), 3.0);
        close(median(&[7.0]), 7.0);
        assert_eq!(median(&[]), None);
    }
}
