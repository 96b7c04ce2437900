//! Traces: what was seen in a context, in one byte.
//!
//! A trace is how many zeros and ones were seen, the last ones counting most, and which came last.
//! What it says of the next bit is learnt elsewhere, for all contexts of a kind together: few
//! sightings are enough then. Source: M. Mahoney, "The ZPAQ Open Standard Format for Highly
//! Compressed Data", 2.04, where traces are called bit histories.

/// Number of traces.
pub(super) const TRACE_COUNT: usize = 256;
/// Most that is counted of the value seen more often, by the count of the other one.
const COUNT_MAX: [u8; 6] = [48, 21, 12, 8, 6, 5];
/// What is left of the count of one value when the other one is seen.
const KEPT: [u8; 10] = [0, 1, 2, 2, 3, 3, 4, 4, 5, 5];

/// Zeros, ones, and the last value seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace {
    zeros: u8,
    ones: u8,
    last: bool,
}

const fn is_counted(a: u8, b: u8) -> bool {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    // INVARIANT: compared with the length just before; runs when compiling only.
    (low as usize) < COUNT_MAX.len() && high <= COUNT_MAX[low as usize]
}

/// All traces, fewest values first.
pub(super) const TRACES: [Trace; TRACE_COUNT] = traces();

const fn traces() -> [Trace; TRACE_COUNT] {
    let mut all = [Trace { zeros: 0, ones: 0, last: false }; TRACE_COUNT];
    let (mut at, mut sum) = (1, 1);
    // INVARIANT: there are six; runs when compiling only.
    while sum <= COUNT_MAX[0] + COUNT_MAX[1] {
        let mut ones = 0;
        while ones <= sum {
            let zeros = sum - ones;
            let mut last = 0;
            while last < 2 {
                let seen = if last == 1 { ones } else { zeros };
                if is_counted(zeros, ones) && seen > 0 {
                    // INVARIANT: runs when compiling only, which would fail.
                    all[at] = Trace { zeros, ones, last: last == 1 };
                    at += 1;
                }
                last += 1;
            }
            ones += 1;
        }
        sum += 1;
    }
    all
}

/// What a trace becomes when 0 or 1 is seen.
pub(super) const NEXT: [[u8; 2]; TRACE_COUNT] = nexts();

const fn nexts() -> [[u8; 2]; TRACE_COUNT] {
    let mut all = [[0; 2]; TRACE_COUNT];
    let mut at = 0;
    while at < TRACE_COUNT {
        // INVARIANT: below the length; runs when compiling only.
        all[at] = [find(grown(TRACES[at], false)), find(grown(TRACES[at], true))];
        at += 1;
    }
    all
}

const fn grown(trace: Trace, bit: bool) -> Trace {
    let (mut seen, other) = if bit { (trace.ones, trace.zeros) } else { (trace.zeros, trace.ones) };
    // INVARIANT: at most the last one; runs when compiling only.
    let other = KEPT[if other > 9 { 9 } else { other as usize }];
    seen += 1;
    while !is_counted(seen, other) {
        seen -= 1;
    }
    let (zeros, ones) = if bit { (other, seen) } else { (seen, other) };
    Trace { zeros, ones, last: bit }
}

const fn find(trace: Trace) -> u8 {
    let mut at = 1;
    while at < TRACE_COUNT {
        // INVARIANT: below the length; runs when compiling only.
        let Trace { zeros, ones, last } = TRACES[at];
        if zeros == trace.zeros && ones == trace.ones && last == trace.last {
            return at as u8;
        }
        at += 1;
    }
    // INVARIANT: runs when compiling only.
    panic!("every trace that grows is counted")
}

/// The probability of 1, of 2^22, that a trace suggests before anything is learnt.
pub(super) fn suggested(trace: u8) -> u32 {
    let counts = TRACES.get(usize::from(trace)).map(|trace| (trace.zeros, trace.ones));
    let (zeros, ones) = counts.unwrap_or_default();
    let all = 2 * (u32::from(zeros) + u32::from(ones)) + 2;
    ((2 * u32::from(ones) + 1) << 22).checked_div(all).unwrap_or(1 << 21)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_found_again_and_count_what_was_seen() {
        for (at, trace) in TRACES.iter().enumerate().take_while(|(at, _)| *at < 255) {
            for (bit, next) in [false, true].into_iter().zip(NEXT[at]) {
                let Trace { zeros, ones, last } = TRACES[usize::from(next)];
                let (seen, was) = if bit { (ones, trace.ones) } else { (zeros, trace.zeros) };
                assert!(last == bit && seen > 0 && seen <= was + 1, "{at} {bit}");
            }
        }
        let ones = (0..60).fold(0, |trace, _| NEXT[usize::from(trace)][1]);
        assert!(suggested(ones) > (1 << 22) / 64 * 63);
        assert_eq!(suggested(0), 1 << 21);
    }
}
