//! Diagonals worth trying, and from where in new.

use std::ops::Range;

use super::covers::Task;
use super::windows::Cursor;

/// Farthest that a match is extended backwards over differing bytes.
const BACK_LEN_MAX: usize = 4096;
/// Bytes looked at backwards per byte of new, on average: keeps near-periodic data linear.
const BACK_LEN_MEAN: usize = 64;
/// What a byte adds to the score of an extension.
const EQUAL_SCORE: i64 = 5;
const DIFFERING_SCORE: i64 = -7;
/// How far the score may fall below its best before the extension stops.
const BACK_DROP: i64 = 40 * EQUAL_SCORE;
/// By what part of its length a match must end later than one that is still open.
const SLACK: u64 = 64;
/// Recent diagonals whose last match is remembered.
const RECENT_COUNT: usize = 8;

/// From `new_pos` on, new may follow old on `diagonal` (old minus new position).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) new_pos: usize,
    pub(super) diagonal: i64,
}

/// Finds candidates from a position of new on, block by block.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    task: &'a Task<'a>,
    /// Nothing is extended to before this.
    start: usize,
    /// Where to look on.
    at: usize,
    matches: Cursor<'a>,
    /// The first vote not looked at.
    next_vote: usize,
    /// Where in new the match last taken ends.
    last_end: u64,
    /// Bytes that may still be looked at backwards.
    budget: usize,
    /// Where the latest diagonals were last met, in a ring.
    recent: [(i64, usize); RECENT_COUNT],
    recent_count: usize,
    /// Those of the current block, before those of later ones.
    found: Vec<Candidate>,
    given: usize,
}

impl<'a> Candidates<'a> {
    pub(super) fn new(task: &'a Task<'a>, start: usize) -> Self {
        Self {
            task,
            start,
            at: start,
            matches: task.matches.from(start),
            next_vote: task.votes.partition_point(|vote| vote.new_pos < start as u64),
            last_end: 0,
            budget: BACK_LEN_MEAN,
            recent: [(i64::MIN, 0); RECENT_COUNT],
            recent_count: 0,
            found: Vec::new(),
            given: 0,
        }
    }

    /// The candidates on `block`, ascending, each once.
    ///
    /// Blocks come one behind the other.
    pub(super) fn on(&mut self, block: &Range<usize>) -> &[Candidate] {
        self.found.drain(..self.given);
        let end = self.task.new.len().min(block.end + BACK_LEN_MAX);
        while self.at < end {
            self.take_votes();
            let next = self.take_match();
            let vote =
                self.task.votes.get(self.next_vote).map_or(end, |vote| vote.new_pos as usize);
            let next = next.min(vote).min(end).max(self.at + 1);
            self.budget += BACK_LEN_MEAN * (next - self.at);
            self.at = next;
        }
        self.found.sort_unstable();
        self.found.dedup();
        self.given = self.found.partition_point(|candidate| candidate.new_pos < block.end);
        &self.found[..self.given]
    }

    /// Takes the votes on the current position.
    fn take_votes(&mut self) {
        let task = self.task;
        while let Some(vote) = task.votes.get(self.next_vote) {
            if vote.new_pos > self.at as u64 {
                break;
            }
            self.next_vote += 1;
            if let Some(old_pos) = vote.old_pos(task.old.len()) {
                self.propose(old_pos);
            }
        }
    }

    /// Takes the longest match at the current position, unless it is short or nothing new; gives
    /// where to look next.
    fn take_match(&mut self) -> usize {
        let at = self.at as u64;
        // Ends never fall. A match with the end of the last is only the rest of it; a long one
        // that ends a little later is not worth it before the last has ended: in near-periodic
        // data there is one at every byte.
        let rest = self.last_end.saturating_sub(at);
        let len_min = self.task.costs.match_len_min.max(rest + 1);
        let (longest, next) = self.matches.at(self.at, len_min);
        if let Some(longest) = longest
            && (rest == 0 || longest.len > rest + longest.len / SLACK)
        {
            self.last_end = at + longest.len;
            self.propose(longest.old_pos as usize);
        }
        next
    }

    /// The diagonal of `old_pos` and the current position, from here and from as far before as
    /// both are alike.
    fn propose(&mut self, old_pos: usize) {
        let (at, Task { old, new, .. }) = (self.at, self.task);
        let diagonal = old_pos as i64 - at as i64;
        let floor = self.floor(diagonal);
        let (back_len, looked) = backwards(&old.soft[..old_pos], &new.soft[floor..at]);
        self.budget -= looked;
        self.found.push(Candidate { new_pos: at - back_len, diagonal });
        if back_len > 0 {
            self.found.push(Candidate { new_pos: at, diagonal });
        }
    }

    /// How far back a match on `diagonal` is extended: the last match on it did the rest.
    fn floor(&mut self, diagonal: i64) -> usize {
        let farthest = self.at - self.budget.min(BACK_LEN_MAX).min(self.at - self.start);
        if let Some(met) = self.recent.iter_mut().find(|(of, _)| *of == diagonal) {
            let last = std::mem::replace(&mut met.1, self.at);
            return farthest.max(last);
        }
        self.recent[self.recent_count % RECENT_COUNT] = (diagonal, self.at);
        self.recent_count += 1;
        farthest
    }
}

/// How many bytes before both ends belong to the match although some differ: where the score,
/// five for an equal byte and minus seven for another, is highest. Also how many were looked at.
fn backwards(old: &[u8], new: &[u8]) -> (usize, usize) {
    let len_max = old.len().min(new.len());
    let (old, new) = (&old[old.len() - len_max..], &new[new.len() - len_max..]);
    let ((old_head, old_words), (new_head, new_words)) = (old.as_rchunks(), new.as_rchunks());
    let mut extension = Extension::default();
    for (a, b) in old_words.iter().rev().zip(new_words.iter().rev()) {
        if !extension.take_word(u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b)) {
            return (extension.best_len, extension.len);
        }
    }
    for (a, b) in old_head.iter().rev().zip(new_head.iter().rev()) {
        if !extension.take(a == b) {
            break;
        }
    }
    (extension.best_len, extension.len)
}

/// Which bytes of `word` are not zero, one bit for each.
const fn differing(word: u64) -> u8 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let highest = (((word & LOW) + LOW) | word) & !LOW;
    (highest >> 7).wrapping_mul(0x0102_0408_1020_4080).wrapping_shr(56) as u8
}

/// What eight bytes add to the score of an extension, and where on the way it is highest and
/// lowest.
#[derive(Clone, Copy)]
struct Word {
    sum: i64,
    most: i64,
    /// After how many bytes.
    most_len: usize,
    least: i64,
}

/// By which bytes differ.
static WORDS: [Word; 256] = {
    let mut words = [Word { sum: 0, most: 0, most_len: 0, least: 0 }; 256];
    let mut mask = 0;
    while mask < words.len() {
        let word = &mut words[mask];
        let mut len = 0;
        while len < 8 {
            let is_equal = mask >> (7 - len) & 1 == 0;
            len += 1;
            word.sum += if is_equal { EQUAL_SCORE } else { DIFFERING_SCORE };
            if word.sum > word.most {
                (word.most, word.most_len) = (word.sum, len);
            }
            if word.sum < word.least {
                word.least = word.sum;
            }
        }
        mask += 1;
    }
    words
};

/// A backward extension on its way.
#[derive(Debug, Default)]
struct Extension {
    score: i64,
    best: i64,
    best_len: usize,
    len: usize,
}

impl Extension {
    /// Takes eight bytes, the last first, of which the differing ones are not zero; whether to go
    /// on.
    fn take_word(&mut self, difference: u64) -> bool {
        let word = &WORDS[usize::from(differing(difference))];
        // Far enough above where it would stop, bytes need no look one by one.
        if self.score + word.least < self.best.max(self.score + word.most) - BACK_DROP {
            return difference.to_be_bytes().iter().all(|byte| self.take(*byte == 0));
        }
        if self.score + word.most > self.best {
            (self.best, self.best_len) = (self.score + word.most, self.len + word.most_len);
        }
        self.score += word.sum;
        self.len += 8;
        true
    }

    fn take(&mut self, is_equal: bool) -> bool {
        self.len += 1;
        self.score += if is_equal { EQUAL_SCORE } else { DIFFERING_SCORE };
        if self.score > self.best {
            (self.best, self.best_len) = (self.score, self.len);
        }
        self.score >= self.best - BACK_DROP
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::noise;
    use super::super::windows::Matches;
    use super::super::{Costs, View};
    use super::*;

    /// Byte by byte.
    fn plain(old: &[u8], new: &[u8]) -> (usize, usize) {
        let (mut score, mut best, mut best_len, mut len) = (0, 0, 0, 0);
        for (a, b) in old.iter().rev().zip(new.iter().rev()) {
            len += 1;
            score += if a == b { 5 } else { -7 };
            if score > best {
                (best, best_len) = (score, len);
            }
            if score < best - 200 {
                break;
            }
        }
        (best_len, len)
    }

    /// Candidates of a whole image, and bytes that were looked at backwards.
    fn work(old: &[u8], new: &[u8]) -> (usize, usize) {
        let matches = Matches::whole(old, new).unwrap();
        let (old, new) = (View::plain(old), View::plain(new));
        let costs = &Costs { match_len_min: 4, ..Costs::MAX };
        let task = Task { old: &old, new: &new, matches: &matches, votes: &[], costs };
        let mut candidates = Candidates::new(&task, 0);
        let mut count = 0;
        for start in (0..new.len()).step_by(1000) {
            let block = start..new.len().min(start + 1000);
            let found = candidates.on(&block);
            assert!(found.is_sorted() && found.iter().all(|found| block.contains(&found.new_pos)));
            count += found.len();
        }
        (count, (new.len() + 1) * BACK_LEN_MEAN - candidates.budget)
    }

    #[test]
    fn repetitive_images_are_little_work() {
        let len = 60_000;
        let mut pairs = vec![(vec![0; len / 20], vec![0; len]), (vec![0; len], vec![0; len])];
        for period in [1, 2, 3, 7, 64, 255, 999] {
            let image: Vec<u8> = noise(1, period).into_iter().cycle().take(len).collect();
            let mut edited = image.clone();
            edited.iter_mut().step_by(1013).for_each(|byte| *byte ^= 1);
            pairs.extend([(image.clone(), image[1..].to_vec()), (image, edited)]);
        }
        let image = noise(1, len);
        pairs.push((image.clone(), [&[7], &image[..]].concat()));
        let mut sorted = image;
        sorted.sort_unstable();
        pairs.push((sorted.clone(), sorted[3000..].to_vec()));
        for (case, (old, new)) in pairs.iter().enumerate() {
            let (count, looked) = work(old, new);
            assert!(count * 40 < new.len(), "case {case}: {count} candidates");
            assert!(looked < 4 * new.len(), "case {case}: looked at {looked}");
        }
    }

    #[test]
    fn words_extend_as_bytes_do() {
        let mut state = 1u32;
        for case in 0..2000 {
            let mut byte = |of: u32| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                u8::from((state >> 16).is_multiple_of(of))
            };
            let of = [1, 2, 3, 9][case % 4];
            let old: Vec<u8> = (0..case % 301).map(|_| byte(of)).collect();
            let new: Vec<u8> = (0..case % 211).map(|_| byte(of)).collect();
            assert_eq!(backwards(&old, &new), plain(&old, &new), "case {case}");
        }
    }
}
