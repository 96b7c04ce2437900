//! How long two byte strings agree, a word at a time.

/// Bytes in which `a` and `b` agree from the start.
pub(super) fn common(a: &[u8], b: &[u8]) -> usize {
    let (words_a, words_b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    for (i, (x, y)) in words_a.iter().zip(words_b).enumerate() {
        let difference = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if difference != 0 {
            return i * 8 + difference.trailing_zeros() as usize / 8;
        }
    }
    let done = words_a.len().min(words_b.len()) * 8;
    done + a[done..].iter().zip(&b[done..]).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_bytes() {
        for len in 0..40 {
            for at in 0..=len {
                let a = vec![7u8; len];
                let mut b = a.clone();
                b.extend([7, 7]);
                if let Some(byte) = a.get(at).and(b.get_mut(at)) {
                    *byte = 8;
                }
                assert_eq!(common(&a, &b), at);
                b.truncate(len);
                assert_eq!(common(&b, &a), at);
            }
        }
    }
}
