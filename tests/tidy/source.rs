//! A source file seen twice: as written, and as code alone, without comments, texts and tests.

/// One Rust file, cut up for the rules.
#[derive(Debug)]
pub(crate) struct Source {
    /// Path from the top of the repository, with `/`.
    pub(crate) path: String,
    /// Lines as written.
    pub(crate) lines: Vec<String>,
    /// The same lines with comments blanked, and the content of literals too.
    pub(crate) code: Vec<String>,
    /// Whether the line belongs to a test.
    pub(crate) is_test: Vec<bool>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let blanked = blank(text);
        let code: Vec<String> = blanked.lines().map(str::to_owned).collect();
        let mut is_test = test_lines(&blanked);
        if path.contains("/tests/") || path.starts_with("tests/") || path.ends_with("/tests.rs") {
            is_test.fill(true);
        }
        let lines = text.lines().map(str::to_owned).collect();
        Self { path: path.to_owned(), lines, code, is_test }
    }

    /// Line numbers from 1 and code of what is not test.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code.iter().zip(&self.is_test).enumerate();
        lines.filter(|(_, (_, test))| !**test).map(|(i, (code, _))| (i + 1, code.as_str()))
    }

    /// Whether `word` stands on the line, up to two lines above it, or in the comment above.
    pub(crate) fn explained(&self, number: usize, word: &str) -> bool {
        let first = number.saturating_sub(3);
        let near = self.lines.iter().take(number).skip(first).any(|line| line.contains(word));
        near || self.documented(number, word)
    }

    /// Whether `word` stands in the comments and attributes right above the line.
    pub(crate) fn documented(&self, number: usize, word: &str) -> bool {
        let above = self.lines.iter().take(number.saturating_sub(1)).rev();
        above
            .map(|line| line.trim_start())
            .take_while(|line| line.starts_with("//") || line.starts_with("#["))
            .any(|line| line.contains(word))
    }

    /// What a rule says about a line.
    pub(crate) fn finding(&self, number: usize, remedy: &str) -> String {
        let line = self.lines.get(number - 1).map_or("", |line| line.trim());
        format!("{}:{number}: `{line}`: {remedy}", self.path)
    }
}

/// Replaces comments and the content of literals by blanks; positions and line ends stay.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut pos = 0;
    while pos < chars.len() {
        let end = skip_from(&chars, pos);
        if end == pos {
            out.push(chars[pos]);
            pos += 1;
            continue;
        }
        // A literal keeps its quotes, so that rules can see that one is there.
        let is_literal = chars[pos] != '/';
        for (at, c) in chars[pos..end].iter().enumerate() {
            let is_edge = is_literal && (at == 0 || at + 1 == end - pos);
            out.push(if *c == '\n' || is_edge { *c } else { ' ' });
        }
        pos = end;
    }
    out
}

/// The end of the comment or literal that starts at `pos`; `pos` itself if none does.
fn skip_from(chars: &[char], pos: usize) -> usize {
    let rest = &chars[pos..];
    let before = pos.checked_sub(1).map_or(' ', |at| chars[at]);
    let in_word = before.is_alphanumeric() || before == '_';
    match rest {
        ['/', '/', ..] => pos + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => pos + block_comment_len(rest),
        ['"', ..] => pos + quoted_len(rest, '"'),
        ['\'', '\\', ..] => pos + quoted_len(rest, '\''),
        ['\'', _, '\'', ..] => pos + 3,
        ['r', '"' | '#', ..] if !in_word || before == 'b' => pos + raw_len(rest).unwrap_or(0),
        _ => pos,
    }
}

fn block_comment_len(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted_len(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// `r"..."`, `r#"..."#` and so on; `None` for a raw identifier such as `r#type`.
fn raw_len(rest: &[char]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let mut at = 2 + hashes;
    while at < rest.len() {
        let closes = rest[at] == '"'
            && rest[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
        if closes {
            return Some(at + 1 + hashes);
        }
        at += 1;
    }
    Some(rest.len())
}

/// Marks the lines of items behind `#[cfg(test)]` and `#[test]`.
fn test_lines(code: &str) -> Vec<bool> {
    let mut marks = vec![false; code.lines().count()];
    for attribute in ["#[cfg(test)]", "#[cfg(all(test", "#[test]"] {
        for (start, _) in code.match_indices(attribute) {
            let first = code[..start].matches('\n').count();
            let last = first + code[start..start + item_len(&code[start..])].matches('\n').count();
            marks.iter_mut().take(last + 1).skip(first).for_each(|mark| *mark = true);
        }
    }
    marks
}

/// Length of an item with its attributes: to its `;` or to the brace that closes its first one.
fn item_len(code: &str) -> usize {
    let (mut braces, mut brackets) = (0usize, 0usize);
    for (at, c) in code.char_indices() {
        match c {
            '[' | '(' => brackets += 1,
            ']' | ')' => brackets = brackets.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return at,
            '{' => braces += 1,
            '}' if braces <= 1 => return at,
            '}' => braces -= 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn comments_and_literals_are_blanked() {
    let text = "a(\"x[0] // no\"); // b[1]\nlet c = '\"'; /* d /* e */ f */ g<'h>(r#\"i\"j\"#);";
    let source = Source::new("src/a.rs", text);
    assert_eq!(source.code[0], "a(\"          \");        ");
    assert_eq!(source.code[1].trim_end(), "let c = ' ';                   g<'h>(r      #);");
    assert_eq!(source.code[1].chars().count(), source.lines[1].chars().count());
}

#[test]
fn tests_are_told_from_shipped_code() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { {} }\n}\nfn c() {}\n\
        #[cfg(test)]\nuse d;\nfn e() {}\n";
    let source = Source::new("src/a.rs", text);
    let shipped: Vec<_> = source.shipped().map(|(number, _)| number).collect();
    assert_eq!(shipped, [1, 6, 9]);
    assert_eq!(Source::new("src/a/tests.rs", "fn a() {}").shipped().count(), 0);
}
