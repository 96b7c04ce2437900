//! How much a display shows, and how a prompt is broken into its lines.
//!
//! A cell is the room of one Latin letter; wide characters take two, combining marks none (Unicode
//! Standard Annex 11, by the crate `unicode-width`). Lines are broken as simple displays do: at
//! blanks, else beside wide characters, else where the line is full, never before a mark.

use serde::{Deserialize, Serialize};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A display that prompts must fit on. What is not said does not limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Display {
    /// Cells of a line.
    pub columns: Option<u16>,
    /// Lines; only with columns.
    pub lines: Option<u16>,
    /// Characters of a prompt, as Unicode counts them.
    pub chars: Option<u16>,
}

/// Which way a text runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Left to right.
    Ltr,
    /// Right to left.
    Rtl,
}

/// Blocks of scripts that run from right to left: Hebrew to Arabic Extended-A, presentation forms,
/// and the right-to-left part of the supplementary plane (Unicode, DerivedBidiClass.txt).
const RIGHT_TO_LEFT: [(u32, u32); 4] =
    [(0x0590, 0x08ff), (0xfb1d, 0xfdff), (0xfe70, 0xfeff), (0x1_0800, 0x1_0fff)];
/// The same further up, for Adlam and its neighbours.
const RIGHT_TO_LEFT_2: (u32, u32) = (0x1_e800, 0x1_efff);

/// The direction of the first letter (Unicode Standard Annex 9, rules P2 and P3).
#[must_use]
pub fn direction(text: &str) -> Direction {
    let is_rtl = |c: char| {
        let code = u32::from(c);
        let blocks = RIGHT_TO_LEFT.iter().chain([&RIGHT_TO_LEFT_2]);
        blocks.into_iter().any(|(first, last)| (*first..=*last).contains(&code))
    };
    match text.chars().find(|c| c.is_alphabetic()) {
        Some(letter) if is_rtl(letter) => Direction::Rtl,
        _ => Direction::Ltr,
    }
}

/// Cells that `text` takes on one line.
#[must_use]
pub fn cells(text: &str) -> usize {
    text.width()
}

impl Display {
    /// Checks what the release file says of a display.
    ///
    /// # Errors
    /// What is wrong and how to mend it, as a sentence.
    pub fn check(&self) -> Result<(), &'static str> {
        let is_zero = [self.columns, self.lines, self.chars].contains(&Some(0));
        match self {
            _ if is_zero => Err("0 shows nothing; leave the entry out"),
            // A wide character would fit on no line.
            Display { columns: Some(1), .. } => Err("a display has at least 2 columns"),
            Display { columns: None, lines: Some(_), .. } => Err("lines need columns; add them"),
            Display { columns: None, lines: None, chars: None } => Err("say columns or chars"),
            _ => Ok(()),
        }
    }

    /// `text` as the display breaks it: one line where it has no columns.
    #[must_use]
    pub fn wrapped(&self, text: &str) -> Vec<String> {
        self.columns.map_or_else(|| vec![text.to_owned()], |columns| wrap(text, columns.into()))
    }

    /// Whether `text` fits.
    ///
    /// # Errors
    /// By how much it does not, as a sentence.
    pub fn fits(&self, text: &str) -> Result<(), String> {
        let chars = text.chars().count();
        if let Some(most) = self.chars.filter(|most| usize::from(*most) < chars) {
            return Err(format!("has {chars} characters, the display shows {most}"));
        }
        let lines = self.wrapped(text).len();
        match (self.lines, self.columns) {
            (Some(most), Some(columns)) if usize::from(most) < lines => {
                Err(format!("takes {lines} lines of {columns} cells, the display has {most}"))
            }
            (None, Some(columns)) if lines > 1 => {
                Err(format!("takes {} cells, the display has {columns}", cells(text)))
            }
            _ => Ok(()),
        }
    }
}

fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text.trim_matches(' ');
    while !rest.is_empty() {
        let (line, after) = rest.split_at(line_len(rest, columns));
        lines.push(line.trim_end_matches(' ').to_owned());
        rest = after.trim_start_matches(' ');
    }
    lines
}

/// Bytes of `text` on the first line: at least one character.
fn line_len(text: &str, columns: usize) -> usize {
    let (mut used, mut breakable, mut full) = (0, None, None);
    let mut before = None;
    for (at, c) in text.char_indices() {
        let width = c.width().unwrap_or(0);
        let joined = before.is_some_and(is_joiner);
        if at > 0 && width > 0 && !joined {
            let wide = width == 2 || before.is_some_and(|c: char| c.width() == Some(2));
            if before == Some(' ') || wide {
                breakable = Some(at);
            }
            full = Some(at);
        }
        // A blank at the end of a line takes no room.
        if c == ' ' && used >= columns {
            return at;
        }
        if used + width > columns {
            return breakable.or(full).unwrap_or(at + c.len_utf8());
        }
        used += width;
        before = Some(c);
    }
    text.len()
}

/// What binds the character after it to the one before it.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{a0}' | '\u{2060}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn display(columns: u16, lines: Option<u16>) -> Display {
        Display { columns: Some(columns), lines, chars: None }
    }

    #[test]
    fn lines_are_broken_as_displays_do() {
        let wrapped = |text: &str, columns| display(columns, None).wrapped(text);
        assert_eq!(wrapped("Jetzt neu starten?", 10), ["Jetzt neu", "starten?"]);
        assert_eq!(wrapped("Jetzt neue Firmware", 10), ["Jetzt neue", "Firmware"]);
        assert_eq!(wrapped("Donaudampfschiff", 6), ["Donaud", "ampfsc", "hiff"]);
        // Wide characters take two cells and can be parted from their neighbours.
        assert_eq!(wrapped("今すぐ更新しますか", 7), ["今すぐ", "更新し", "ますか"]);
        assert_eq!(wrapped("更新 OK?", 6), ["更新", "OK?"]);
        // Marks stay with their letter, and blanks that do not break do not.
        assert_eq!(wrapped("e\u{301}e\u{301}e\u{301}", 2), ["e\u{301}e\u{301}", "e\u{301}"]);
        assert_eq!(wrapped("ab c\u{a0}d", 4), ["ab", "c\u{a0}d"]);
        assert_eq!(wrapped("عربي نص", 4), ["عربي", "نص"]);
        assert_eq!(wrapped("", 4), Vec::<String>::new());
        assert_eq!(Display::default().wrapped("one line"), ["one line"]);
    }

    #[test]
    fn every_line_fits_and_nothing_is_lost() {
        for text in ["a bb ccc dddd eeeee ffffff", "今a日b本 c語 テスト", "x\u{300}\u{301}y z 中"]
        {
            for columns in 2..12 {
                let lines = display(columns, None).wrapped(text);
                assert!(lines.iter().all(|line| cells(line) <= columns.into()), "{lines:?}");
                let letters = |text: &str| text.replace(' ', "");
                assert_eq!(letters(&lines.concat()), letters(text));
            }
        }
    }

    #[test]
    fn limits_are_in_characters_or_cells() {
        assert!(display(10, Some(2)).fits("Jetzt neu starten?").is_ok());
        let error = display(10, Some(1)).fits("Jetzt neu starten?").unwrap_err();
        assert_eq!(error, "takes 2 lines of 10 cells, the display has 1");
        let error = display(7, None).fits("更新します").unwrap_err();
        assert_eq!(error, "takes 10 cells, the display has 7");
        let chars = Display { chars: Some(5), ..Display::default() };
        assert!(chars.fits("更新します").is_ok() && chars.fits("update").is_err());
        for bad in [
            Display::default(),
            display(0, None),
            display(1, None),
            Display { lines: Some(2), ..Display::default() },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
        assert!(chars.check().is_ok() && display(2, Some(1)).check().is_ok());
    }

    #[test]
    fn the_first_letter_gives_the_direction() {
        for (text, expected) in [
            ("Jetzt?", Direction::Ltr),
            ("2.1: هل تريد؟", Direction::Rtl),
            ("«שלום» X1", Direction::Rtl),
            ("X1 שלום", Direction::Ltr),
            ("ދިވެހި", Direction::Rtl),
            ("𞤀𞤣", Direction::Rtl),
            ("123", Direction::Ltr),
        ] {
            assert_eq!(direction(text), expected, "{text}");
        }
    }
}
