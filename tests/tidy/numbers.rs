//! Numbers in docs/format*.md and in the code are the same.

use std::collections::BTreeMap;

use crate::source::Source;

/// Constants by name; a name that is defined twice has two entries.
pub(crate) type Constants = BTreeMap<String, Vec<Constant>>;

/// A constant of the code.
#[derive(Debug)]
pub(crate) struct Constant {
    pub(crate) path: String,
    pub(crate) expression: String,
}

/// Every `const NAME: T = expression;` of the sources.
pub(crate) fn constants(sources: &[Source]) -> Constants {
    let mut all = Constants::new();
    for source in sources {
        let code: String = source
            .shipped()
            .flat_map(|(number, _)| {
                [source.lines[number - 1].split("//").next().unwrap_or(""), "\n"]
            })
            .collect();
        for (at, _) in code.match_indices("const ") {
            let rest = &code[at + "const ".len()..];
            let parts = rest.split_once(':').and_then(|(name, rest)| {
                let (_, expression) = rest.split_once('=')?;
                Some((name, expression.split_once(';')?.0))
            });
            let Some((name, expression)) = parts else { continue };
            if is_constant_name(name) {
                let (path, expression) = (source.path.clone(), expression.trim().to_owned());
                all.entry(name.to_owned()).or_default().push(Constant { path, expression });
            }
        }
    }
    all
}

fn is_constant_name(name: &str) -> bool {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    name.chars().all(is_name) && name.starts_with(|c: char| c.is_ascii_uppercase())
}

/// Rows `| NAME | value | ...` under a heading that contains "Constants": line, name, value.
pub(crate) fn documented_constants(document: &str) -> Vec<(usize, String, String)> {
    let mut in_section = false;
    let mut rows = Vec::new();
    for (i, line) in document.lines().enumerate() {
        if line.starts_with('#') {
            in_section = line.to_lowercase().contains("constants");
        }
        let cells = cells(line);
        if let (true, [name, value, ..]) = (in_section, cells.as_slice()) {
            let name = name.trim_matches('`');
            if is_constant_name(name) {
                rows.push((i + 1, name.to_owned(), value.trim_matches('`').to_owned()));
            }
        }
    }
    rows
}

fn cells(line: &str) -> Vec<&str> {
    let row = line.trim().strip_prefix('|').and_then(|row| row.strip_suffix('|'));
    row.map_or(Vec::new(), |row| row.split('|').map(str::trim).collect())
}

/// What is wrong with the constants of one document.
pub(crate) fn check_constants(path: &str, document: &str, constants: &Constants) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, name, value) in documented_constants(document) {
        let Some(found) = constants.get(&name) else {
            findings.push(format!("{path}:{line}: {name} is no constant of the code"));
            continue;
        };
        for constant in found.iter().filter(|constant| !equal(&value, constant, constants)) {
            let Constant { path: file, expression } = constant;
            findings.push(format!("{path}:{line}: {name} is {value}, in {file} `{expression}`"));
        }
    }
    findings
}

fn equal(value: &str, constant: &Constant, constants: &Constants) -> bool {
    match (evaluate(value, constants, 0), evaluate(&constant.expression, constants, 0)) {
        (Some(a), Some(b)) => a == b,
        _ => plain(value) == plain(&constant.expression),
    }
}

/// Texts and byte strings are compared by their content.
fn plain(text: &str) -> &str {
    text.trim_start_matches(['*', 'b']).trim_matches('"')
}

/// Integers with `+ - * / << >> | ( )`, suffixes, `as` casts and names of other constants.
pub(crate) fn evaluate(text: &str, constants: &Constants, depth: u8) -> Option<i128> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, constants, depth: depth.checked_add(1)? };
    if depth > 8 {
        return None;
    }
    let value = parser.binary(0)?;
    parser.tokens.is_empty().then_some(value)
}

fn tokens(text: &str) -> Option<Vec<String>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let len = if is_name(first) || (first == ',' && !tokens.is_empty()) {
            // A document may write 16,384.
            rest.find(|c: char| !(is_name(c) || c == ',')).unwrap_or(rest.len())
        } else if rest.starts_with("<<") || rest.starts_with(">>") {
            2
        } else if "+-*/|()".contains(first) {
            1
        } else {
            return None;
        };
        tokens.push(rest[..len].to_owned());
        rest = rest[len..].trim_start();
    }
    Some(tokens)
}

struct Parser<'a> {
    tokens: &'a [String],
    constants: &'a Constants,
    depth: u8,
}

/// Operators from loosest to tightest, as in Rust.
const OPERATORS: [&[&str]; 4] = [&["|"], &["<<", ">>"], &["+", "-"], &["*", "/"]];

impl Parser<'_> {
    fn next(&mut self) -> Option<String> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    fn binary(&mut self, level: usize) -> Option<i128> {
        let Some(operators) = OPERATORS.get(level) else { return self.unary() };
        let mut value = self.binary(level + 1)?;
        while self.tokens.first().is_some_and(|token| operators.contains(&token.as_str())) {
            let operator = self.next()?;
            let right = self.binary(level + 1)?;
            value = match operator.as_str() {
                "|" => value | right,
                "<<" => value.checked_shl(right.try_into().ok()?)?,
                ">>" => value.checked_shr(right.try_into().ok()?)?,
                "+" => value.checked_add(right)?,
                "-" => value.checked_sub(right)?,
                "*" => value.checked_mul(right)?,
                _ => value.checked_div(right)?,
            };
        }
        Some(value)
    }

    fn unary(&mut self) -> Option<i128> {
        let value = match self.next()?.as_str() {
            "-" => -self.unary()?,
            "(" => {
                let value = self.binary(0)?;
                (self.next()? == ")").then_some(value)?
            }
            name => number(name).or_else(|| self.constant(name))?,
        };
        while self.tokens.first().is_some_and(|token| token == "as") {
            self.next()?;
            self.next()?;
        }
        Some(value)
    }

    fn constant(&self, name: &str) -> Option<i128> {
        let last = name.rsplit("::").next()?;
        let constant = self.constants.get(last)?.first()?;
        evaluate(&constant.expression, self.constants, self.depth)
    }
}

fn number(text: &str) -> Option<i128> {
    let plain = text.replace(['_', ','], "");
    let (radix, digits) = match plain.get(..2) {
        Some("0x") => (16, &plain[2..]),
        Some("0b") => (2, &plain[2..]),
        _ => (10, plain.as_str()),
    };
    let suffix = ["usize", "u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "isize"];
    let digits = suffix.iter().find_map(|suffix| digits.strip_suffix(suffix)).unwrap_or(digits);
    i128::from_str_radix(digits, radix).ok()
}

/// Lines `Name = 101, ...` of core's error table.
pub(crate) fn code_details(source: &str) -> BTreeMap<String, u16> {
    let row = |line: &str| {
        let (name, rest) = line.trim().split_once(" = ")?;
        let number = rest.split(',').next()?.parse().ok().filter(|number| *number > 100)?;
        Some((name.to_owned(), number))
    };
    source.lines().filter_map(row).collect()
}

/// Rows `| 101 | Name | ...` of the document.
pub(crate) fn documented_details(document: &str) -> BTreeMap<String, u16> {
    let row = |line: &str| {
        let cells = cells(line);
        let [number, name, _] = cells.as_slice() else { return None };
        let number = number.parse().ok().filter(|number| *number > 100)?;
        Some((name.trim_matches('`').to_owned(), number))
    };
    document.lines().filter_map(row).collect()
}

/// What one side has and the other has not, or differently.
pub(crate) fn check_details(
    code: &BTreeMap<String, u16>,
    document: &BTreeMap<String, u16>,
) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, number) in code {
        if document.get(name) != Some(number) {
            findings.push(format!("docs/format.md: add | {number} | {name} | to the details"));
        }
    }
    for (name, number) in document {
        if !code.contains_key(name) {
            let file = "crates/fwdelta-core/src/error.rs";
            findings
                .push(format!("{file}: docs/format.md has {name} = {number}, the code has not"));
        }
    }
    findings
}
