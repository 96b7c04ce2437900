//! The rules of CONTRIBUTING.md that a program can check. Each takes a file and gives findings.

use crate::source::Source;

pub(crate) const LINE_LEN_MAX: usize = 100;
/// Above this a file says why it is that long.
pub(crate) const FILE_LEN_EXPLAIN: usize = 600;
pub(crate) const FILE_LEN_MAX: usize = 1000;

const INVARIANT: &str = "INVARIANT:";

/// Modules of core by floor, bottom first: a module imports from lower floors only.
pub(crate) const CORE_FLOORS: &[&[&str]] = &[
    &["error"],
    &["crc", "limits", "storage", "state"],
    &["hash"],
    &["exec", "format"],
    &["codec"],
    &["apply"],
    &["verify"],
];

/// The same for the host library; `core` is the device half.
pub(crate) const HOST_FLOORS: &[&[&str]] = &[
    &["core", "error"],
    &["hex", "progress"],
    &["cbor", "image"],
    &["release"],
    &["matching"],
    &["exec"],
    &["codec"],
    &["diff"],
    &["descriptor", "package"],
    &["plan"],
    &["cli"],
];

/// What lib.rs re-exports, by module: either path means the same.
const FACADE: &[(&str, &[&str])] =
    &[("error", &["Category", "Detail", "Error", "Result"]), ("limits", &["Limits"])];

fn is_core(source: &Source) -> bool {
    source.path.starts_with("crates/fwdelta-core/src/")
}

fn is_host(source: &Source) -> bool {
    source.path.starts_with("src/")
}

/// Path below the crate's src.
fn below_src(source: &Source) -> &str {
    source.path.split_once("src/").map_or("", |(_, path)| path)
}

/// Characters, as an editor counts columns.
pub(crate) fn lines_are_short(source: &Source) -> Vec<String> {
    let long = |line: &str| line.chars().count() > LINE_LEN_MAX;
    let numbered = source.lines.iter().enumerate().filter(|(_, line)| long(line));
    let remedy = format!("break the line at {LINE_LEN_MAX} columns");
    numbered.map(|(i, _)| source.finding(i + 1, &remedy)).collect()
}

/// Tables and vectors are exempt: they are read by looking up, not from top to bottom.
pub(crate) fn files_are_short(source: &Source) -> Vec<String> {
    let exempt = ["testdata/", "vectors", "tables"].iter().any(|part| source.path.contains(part));
    let len = source.lines.len();
    let explained = source.lines.iter().any(|line| line.contains("// Long because"));
    if exempt || len <= FILE_LEN_EXPLAIN || (explained && len <= FILE_LEN_MAX) {
        return Vec::new();
    }
    let remedy = if len > FILE_LEN_MAX { "split it" } else { "split it, or say `// Long because`" };
    vec![format!("{}:{len}: {len} lines: {remedy}", source.path)]
}

/// Imports go down only; peers on one floor do not know each other either.
pub(crate) fn imports_go_down(source: &Source) -> Vec<String> {
    let floors = if is_core(source) { CORE_FLOORS } else { HOST_FLOORS };
    let path = below_src(source);
    if !(is_core(source) || is_host(source)) || ["lib.rs", "main.rs"].contains(&path) {
        return Vec::new();
    }
    let own = path.split('/').next().unwrap_or("").trim_end_matches(".rs");
    let floor = |name: &str| floors.iter().position(|names| names.contains(&name));
    let mut findings = Vec::new();
    let Some(own_floor) = floor(own) else {
        return vec![format!("{}:1: `{own}` has no floor: give it one in tests/tidy", source.path)];
    };
    for (number, name) in crate_imports(source) {
        let name = module_of(name);
        let allowed = name == own || floor(&name).is_some_and(|other| other < own_floor);
        if !allowed {
            let remedy = format!("`{own}` may not use `{name}`: imports go down only");
            findings.push(source.finding(number, &remedy));
        }
    }
    findings
}

fn module_of(name: String) -> String {
    let facade = FACADE.iter().find(|(_, names)| names.contains(&name.as_str()));
    facade.map_or(name, |(module, _)| (*module).to_owned())
}

/// What follows `crate::`, or as many `super::` as lead to the top, in shipped code.
fn crate_imports(source: &Source) -> Vec<(usize, String)> {
    let path = below_src(source).trim_end_matches(".rs").trim_end_matches("/mod");
    let to_top = "super::".repeat(path.split('/').count());
    let mut imports = Vec::new();
    for prefix in ["crate::", &to_top] {
        for (number, name) in paths_after(source, prefix) {
            imports.push((number, name));
        }
    }
    imports
}

/// First segments after every `prefix`, looking into `{...}` groups.
fn paths_after(source: &Source, prefix: &str) -> Vec<(usize, String)> {
    let code: Vec<_> = source.shipped().collect();
    let mut found = Vec::new();
    for (i, (number, line)) in code.iter().enumerate() {
        for (at, _) in line.match_indices(prefix) {
            let before = line[..at].chars().next_back().unwrap_or(' ');
            if before.is_alphanumeric() || "_:$".contains(before) {
                continue;
            }
            let rest = line[at + prefix.len()..].to_owned();
            let names = if rest.starts_with('{') {
                let more = code.iter().skip(i + 1).map(|(_, line)| *line);
                group(&std::iter::once(rest.as_str()).chain(more).collect::<String>())
            } else {
                vec![rest]
            };
            let name = |path: String| first_name(path.trim());
            found.extend(names.into_iter().filter_map(name).map(|name| (*number, name)));
        }
    }
    found
}

/// The members of `{a::b, c::{d, e}}...`.
fn group(text: &str) -> Vec<String> {
    let (mut depth, mut members) = (0usize, vec![String::new()]);
    for c in text.chars() {
        match c {
            '{' if depth == 0 => depth = 1,
            ',' if depth == 1 => members.push(String::new()),
            '}' if depth <= 1 => break,
            _ => {
                depth = if c == '{' { depth + 1 } else { depth - usize::from(c == '}') };
                members.iter_mut().last().into_iter().for_each(|member| member.push(c));
            }
        }
    }
    members
}

/// `None` for a macro of the crate and for a group's end.
fn first_name(path: &str) -> Option<String> {
    let name: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let is_macro = path[name.len()..].starts_with('!');
    (!name.is_empty() && name != "self" && !is_macro).then_some(name)
}

/// Only the command line prints, reads the environment and the clock, or touches files.
pub(crate) fn only_cli_touches_the_world(source: &Source) -> Vec<String> {
    let path = below_src(source);
    let is_cli = is_host(source) && (path.starts_with("cli/") || path == "main.rs");
    let is_library = source.path.starts_with("crates/") || is_host(source);
    if is_cli || !is_library {
        return Vec::new();
    }
    let world = [
        ["println!", "eprintln!", "print!", "eprint!", "dbg!"].as_slice(),
        &["Instant::now", "SystemTime", "File::open", "File::create", "OpenOptions"],
    ]
    .concat();
    let mut findings = Vec::new();
    for (number, code) in source.shipped() {
        if world.iter().any(|word| has_word(code, word)) {
            findings.push(source.finding(number, "only src/cli prints, opens and reads clocks"));
        }
    }
    for (number, name) in paths_after(source, "std::") {
        // A file that the caller opened is as good as bytes; a duration is a number.
        let harmless = ["fs::File;", "time::Duration;"];
        let is_harmless = harmless.iter().any(|path| source.code[number - 1].contains(path));
        let outside = ["env", "fs", "process", "time"].contains(&name.as_str());
        if outside && !is_harmless {
            let remedy = format!("only src/cli uses std::{name}: take it as an argument");
            findings.push(source.finding(number, &remedy));
        }
    }
    findings
}

/// Core uses neither the standard library nor an allocator.
pub(crate) fn core_stands_alone(source: &Source) -> Vec<String> {
    let outside = ["std::", "alloc::", "extern crate", "fwdelta::", "fwdelta_sim"];
    let lines = source.shipped().filter(|_| is_core(source));
    let found = lines.filter(|(_, code)| outside.iter().any(|word| has_word(code, word)));
    found.map(|(number, _)| source.finding(number, "core uses `core::` and itself only")).collect()
}

/// `unsafe extern "C" fn(...)` without a name is a type; its calls are what must be explained.
fn without_pointer_types(code: &str) -> String {
    let mut rest = code.to_owned();
    while let Some(start) = rest.find("unsafe extern \"") {
        let Some(len) = rest[start..].find(" fn(") else { break };
        rest.replace_range(start..start + len + " fn(".len(), "");
    }
    rest
}

/// No `unsafe` in core; elsewhere each one says why it is sound.
pub(crate) fn unsafe_is_explained(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, code) in source.code.iter().enumerate().map(|(i, code)| (i + 1, code)) {
        // An attribute, as in `#[unsafe(no_mangle)]`, and the type of a C function are not code.
        let code = code.replace("unsafe(", "");
        if !has_word(&without_pointer_types(&code), "unsafe") {
            continue;
        }
        let sound = source.explained(number, "SAFETY:") || source.documented(number, "# Safety");
        if is_core(source) {
            findings.push(source.finding(number, "core has no unsafe code"));
        } else if !sound {
            findings.push(source.finding(number, "say why it is sound: `// SAFETY: ...` above"));
        }
    }
    findings
}

/// What panics on wrong input is an error value instead, or an invariant with its proof.
pub(crate) fn nothing_panics(source: &Source) -> Vec<String> {
    let calls = [".unwrap()", ".expect(\"", ".expect(&format!", ".unwrap_err()"];
    let macros = ["panic!", "todo!", "unimplemented!", "unreachable!", "assert!", "assert_eq!"];
    let panics = |code: &str| {
        calls.iter().any(|call| code.contains(call))
            || macros.iter().any(|word| has_word(code, word))
    };
    let mut findings = Vec::new();
    for (number, code) in source.shipped().filter(|_| is_core(source) || is_host(source)) {
        let is_const = code.trim_start().starts_with("const _: ()");
        if panics(code) && !is_const && !source.explained(number, INVARIANT) {
            let remedy = "give an error, or prove above: `// INVARIANT: ...`";
            findings.push(source.finding(number, remedy));
        }
    }
    findings
}

/// Core never indexes: the panic of a wrong index must not exist in a device.
pub(crate) fn core_does_not_index(source: &Source) -> Vec<String> {
    let calls = [
        ".copy_from_slice(",
        ".clone_from_slice(",
        ".split_at(",
        ".split_at_mut(",
        ".swap(",
        ".copy_within(",
    ];
    let mut findings = Vec::new();
    for (number, code) in source.shipped().filter(|_| is_core(source)) {
        let chars: Vec<char> = code.chars().collect();
        let indexes = chars.windows(2).any(|pair| {
            let is_value = pair[0].is_alphanumeric() || "_)]?\"".contains(pair[0]);
            is_value && pair[1] == '['
        });
        let panics = indexes || calls.iter().any(|call| code.contains(call));
        if panics && !source.explained(number, INVARIANT) {
            let remedy = "use get, iter or zip; or prove above: `// INVARIANT: ...`";
            findings.push(source.finding(number, remedy));
        }
    }
    findings
}

/// `word` in `code`, not as the end of a longer name.
fn has_word(code: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let starts = !code[..at].chars().next_back().is_some_and(part_of_name);
        let open = word.ends_with(part_of_name);
        let ends = !open || !code[at + word.len()..].chars().next().is_some_and(part_of_name);
        starts && ends
    })
}
