//! Release notes: one file per language, Markdown or TOML, or the same entries in the release file.
//!
//! Markdown, line by line: the first `# ` heading is the name, the first paragraph after it the
//! description, the rest the notes. A section `## Prompts` holds the prompts as list items
//! `- before_download: Text` (or another moment) and is no part of the notes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Name;
use super::file::{FILE_LEN_MAX, at_line, from_toml};
use super::plain::{Body, Line};
use super::prompts::{Moment, Prompt, PromptSet, Prompts};
use super::tag::Tag;
use crate::error::{Error, Result};

/// Longest description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 1024;
/// Longest release notes of one language, in characters.
pub const NOTES_CHARS_MAX: usize = 16 * 1024;

/// One sentence or two about the release.
pub type Description = Line<DESCRIPTION_CHARS_MAX>;
/// Release notes of one language.
pub type NotesBody = Body<NOTES_CHARS_MAX>;

/// What was written in one language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageNotes {
    /// Name of the release.
    pub name: Option<Name>,
    /// One sentence or two about it.
    pub description: Option<Description>,
    /// What changed.
    pub notes: Option<NotesBody>,
    /// The prompts.
    #[serde(default)]
    pub prompts: PromptSet,
}

/// The texts of all languages, with fallbacks. There is always at least the default language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notes {
    default_language: Tag,
    languages: BTreeMap<Tag, LanguageNotes>,
}

impl Notes {
    pub(super) fn new(default: Tag, mut languages: BTreeMap<Tag, LanguageNotes>) -> Self {
        languages.entry(default.clone()).or_default();
        Self { default_language: default, languages }
    }

    /// The language used when no other fits.
    #[must_use]
    pub const fn default_language(&self) -> &Tag {
        &self.default_language
    }

    /// All languages, sorted.
    pub fn languages(&self) -> impl Iterator<Item = &Tag> + Clone {
        self.languages.keys()
    }

    /// What `get` finds for `language`: `de-AT`, then `de`, then the default language.
    pub fn find<'a, T>(
        &'a self,
        language: &Tag,
        get: impl Fn(&'a LanguageNotes) -> Option<&'a T>,
    ) -> Option<&'a T> {
        let by_name = |name: &str| self.languages.iter().find(|(tag, _)| tag.as_str() == name);
        let chain = language.chain().chain(self.default_language.chain());
        chain.filter_map(by_name).find_map(|(_, notes)| get(notes))
    }

    /// The prompt of `moment` in `language`; the built-in English one when nobody wrote any.
    #[must_use]
    pub fn prompt(&self, language: &Tag, moment: Moment) -> &str {
        let written = self.find(language, |notes| notes.prompts.get(moment));
        written.map_or(moment.english(), Prompt::as_str)
    }

    /// All four prompts in every language, fallbacks filled in.
    ///
    /// # Errors
    /// Those of [`Prompts::new`]: too long in sum.
    pub(super) fn prompts(&self) -> Result<Prompts> {
        Prompts::new(self.languages().map(|tag| (tag.clone(), self.filled(tag))).collect())
    }

    fn filled(&self, language: &Tag) -> PromptSet {
        let mut set = PromptSet::default();
        for moment in Moment::ALL {
            // Written prompts were checked; a test checks the built-in ones.
            *set.slot(moment) = Prompt::new(self.prompt(language, moment)).ok();
        }
        set
    }
}

/// Reads a notes file; TOML when `subject` ends in `.toml`, otherwise Markdown.
pub(super) fn parse(text: &str, subject: &str) -> Result<LanguageNotes> {
    if subject.to_ascii_lowercase().ends_with(".toml") {
        return from_toml(text, subject);
    }
    if text.len() > FILE_LEN_MAX {
        let message = format!("longer than {FILE_LEN_MAX} bytes; move release notes to the web");
        return Err(Error::input(subject, message));
    }
    let mut markdown = Markdown::default();
    for (line, number) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().zip(1..) {
        markdown.line(line.trim_end(), number);
    }
    markdown.finish(subject)
}

/// Text collected from one or more lines, and the first of them.
#[derive(Default)]
struct Piece {
    text: String,
    line: usize,
}

impl Piece {
    fn push(&mut self, text: &str, between: char, number: usize) {
        if self.line == 0 {
            self.line = number;
        } else {
            self.text.push(between);
        }
        self.text.push_str(text);
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Description,
    Notes,
    Prompts,
}

#[derive(Default)]
struct Markdown {
    part: Part,
    name: Option<Piece>,
    description: Piece,
    notes: Piece,
    prompts: Vec<Piece>,
}

impl Markdown {
    fn line(&mut self, line: &str, number: usize) {
        if self.name.is_none()
            && self.part != Part::Prompts
            && let Some(name) = line.strip_prefix("# ")
        {
            self.name = Some(Piece { text: name.to_owned(), line: number });
            return;
        }
        if line.starts_with("# ") || line.starts_with("## ") {
            let prompts = line.trim_start_matches('#').trim().eq_ignore_ascii_case("prompts");
            self.part = if prompts { Part::Prompts } else { Part::Notes };
            if prompts {
                return;
            }
        }
        match self.part {
            Part::Prompts => self.prompt_line(line, number),
            Part::Description if starts_block(line) => {
                self.part = Part::Notes;
                self.notes.push(line, '\n', number);
            }
            Part::Description if !line.trim().is_empty() => {
                self.description.push(line.trim(), ' ', number);
            }
            Part::Description if self.description.line == 0 => {}
            Part::Description => self.part = Part::Notes,
            Part::Notes => self.notes.push(line, '\n', number),
        }
    }

    fn prompt_line(&mut self, line: &str, number: usize) {
        if line.trim().is_empty() {
            return;
        }
        let item = line.strip_prefix("- ").or(line.strip_prefix("* "));
        match (item, self.prompts.last_mut()) {
            (None, Some(open)) => open.push(line.trim(), ' ', number),
            (item, _) => {
                let text = item.unwrap_or(line).trim().to_owned();
                self.prompts.push(Piece { text, line: number });
            }
        }
    }

    fn finish(self, subject: &str) -> Result<LanguageNotes> {
        let fail = |line: usize, message: String| at_line(subject, line, message);
        let mut found = LanguageNotes::default();
        if let Some(Piece { text, line }) = self.name {
            found.name = Some(Name::new(&text).map_err(|message| fail(line, message))?);
        }
        let Piece { text, line } = self.description;
        if line > 0 {
            found.description =
                Some(Description::new(&text).map_err(|message| fail(line, message))?);
        }
        let Piece { text, line } = self.notes;
        if !text.trim().is_empty() {
            found.notes = Some(NotesBody::new(&text).map_err(|message| fail(line, message))?);
        }
        for Piece { text, line } in self.prompts {
            add_prompt(&mut found.prompts, &text).map_err(|message| fail(line, message))?;
        }
        Ok(found)
    }
}

/// A list, quotation, table, code or lower heading is not a description.
fn starts_block(line: &str) -> bool {
    ["- ", "* ", "+ ", "> ", "|", "```", "#"].iter().any(|mark| line.starts_with(mark))
}

fn add_prompt(set: &mut PromptSet, item: &str) -> Result<(), String> {
    let form = "a prompt is a list item \"- before_download: Text\", or after_download, \
                before_update, after_update";
    let (key, text) = item.split_once(':').ok_or(form)?;
    let named = |moment: &Moment| moment.name() == key.trim();
    let moment = Moment::ALL.into_iter().find(named).ok_or(form)?;
    let slot = set.slot(moment);
    if slot.is_some() {
        return Err(format!("{} is given twice; remove one", moment.name()));
    }
    *slot = Some(Prompt::new(text)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "\
# Router X1, release 2.1\r
\r
Faster roaming and\r
fewer restarts.\r
\r
Read on:\r
\r
## Changes\r
- Roaming is faster.\r
\r
## Prompts\r
- before_download: Load 3 MB now:\r
  it takes a minute?\r
- after_update: Done.\r
\r
## Known issues\r
None.\r
";

    #[test]
    fn markdown_is_split_into_its_parts() {
        let notes = parse(FULL, "en.md").unwrap();
        let name = notes.name.as_ref().map(Name::as_str);
        assert_eq!(name, Some("Router X1, release 2.1"));
        let description = notes.description.as_ref().map(Description::as_str);
        assert_eq!(description, Some("Faster roaming and fewer restarts."));
        let body = notes.notes.as_ref().map(NotesBody::as_str).unwrap();
        assert!(body.starts_with("Read on:\n\n## Changes\n- Roaming"), "{body}");
        assert!(body.ends_with("## Known issues\nNone."), "{body}");
        assert!(!body.contains("before_download"), "{body}");
        let prompt = |moment| notes.prompts.get(moment).map(Prompt::as_str);
        let asked = Some("Load 3 MB now: it takes a minute?");
        assert_eq!(prompt(Moment::BeforeDownload), asked);
        assert_eq!(prompt(Moment::AfterUpdate), Some("Done."));
        assert_eq!(prompt(Moment::BeforeUpdate), None);
    }

    #[test]
    fn markdown_without_some_parts() {
        assert_eq!(parse("", "a.md").unwrap(), LanguageNotes::default());
        let notes = parse("# N\n- a\n- b\n", "a.md").unwrap();
        assert_eq!((notes.description, notes.notes.unwrap().as_str()), (None, "- a\n- b"));
        let notes = parse("Only this.", "a.md").unwrap();
        assert_eq!(notes.description.unwrap().as_str(), "Only this.");
    }

    #[test]
    fn errors_name_the_line() {
        for (text, line) in [
            ("# \u{202e}evil\n", "line 1: "),
            ("# N\n\nDesc\u{7}\n", "line 3: "),
            ("# N\n\nD\n\nA\u{1b}[1m\n", "line 5: "),
            ("# N\n## Prompts\n- before_lunch: Hm?\n", "line 3: a prompt is a list item"),
            ("# N\n## Prompts\nno list\n", "line 3: a prompt is a list item"),
            ("## Prompts\n- after_update: a\n- after_update: b\n", "line 3: after_update is given"),
            ("## Prompts\n- after_update:\n", "line 2: the text is empty"),
        ] {
            let error = parse(text, "notes/de.md").unwrap_err().to_string();
            assert!(error.starts_with("notes/de.md: ") && error.contains(line), "{text}: {error}");
        }
    }
}
