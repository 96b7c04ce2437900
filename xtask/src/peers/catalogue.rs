//! The rivals, where they come from, and the commands that get their best out of them.

use super::code::Code;

/// Something to install, by the registry's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Package {
    Debian(&'static str),
    Python(&'static str),
    /// A library of crates.io, or one of our own around one, with a small program (`rivals/`).
    Crate(&'static str),
}

/// A way to make and apply a delta. The words of a command are split at spaces before names in
/// braces are replaced: `{old}`, `{new}`, `{patch}`, `{out}` and `{mid}` (an intermediate file);
/// `{log}` and `{window}` are sizes that cover both images; `{python}` is the interpreter with its
/// script, `crate:NAME` a small program.
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    /// The first one's version is the rival's.
    pub(crate) packages: &'static [Package],
    pub(crate) make: &'static [&'static str],
    pub(crate) apply: &'static [&'static str],
    /// The only code it makes sense for.
    pub(crate) only_for: Option<Code>,
}

const BSDIFF: Package = Package::Debian("bsdiff");
const XDELTA3: Package = Package::Debian("xdelta3");
const ZSTD: Package = Package::Debian("zstd");
const HDIFFPATCH: Package = Package::Python("hdiffpatch");
const DETOOLS: Package = Package::Python("detools");
const BSDIFF4: Package = Package::Python("bsdiff4");
const RECODE: Package = Package::Crate("recode");

const ZSTD_APPLY: &[&str] =
    &["zstd -d -q -f --long=31 --memory=2048MB --patch-from={old} {patch} -o {out}"];

/// A rival that has one command for each direction.
const fn simple(
    name: &'static str,
    packages: &'static [Package],
    make: &'static [&'static str],
    apply: &'static [&'static str],
) -> Rival {
    Rival { name, packages, make, apply, only_for: None }
}

/// All of them. What was tried and is not here is named in docs/benchmarks.md.
pub(crate) const RIVALS: &[Rival] = &[
    simple("bsdiff", &[BSDIFF], &["bsdiff {old} {new} {patch}"], &["bspatch {old} {out} {patch}"]),
    simple(
        "bsdiff+xz",
        &[BSDIFF, RECODE],
        &["bsdiff {old} {new} {mid}", "crate:recode recode {mid} {patch}"],
        &["crate:recode patch {old} {patch} {out}"],
    ),
    // -D and -R: it would unpack what looks compressed, and pack it again differently.
    simple(
        "xdelta3",
        &[XDELTA3],
        &["xdelta3 -e -f -9 -S lzma -D -R -B {window} -s {old} {new} {patch}"],
        &["xdelta3 -d -f -D -R -B {window} -s {old} {patch} {out}"],
    ),
    simple(
        "xdelta3+xz",
        &[XDELTA3, RECODE],
        &[
            "xdelta3 -e -f -9 -S none -D -R -B {window} -s {old} {new} {mid}",
            "crate:recode xz {mid} {patch}",
        ],
        &[
            "crate:recode unxz {patch} {mid}",
            "xdelta3 -d -f -D -R -B {window} -s {old} {mid} {out}",
        ],
    ),
    simple(
        "zstd-19",
        &[ZSTD],
        &["zstd -q -f -19 --long={log} --patch-from={old} {new} -o {patch}"],
        ZSTD_APPLY,
    ),
    simple(
        "zstd-22",
        &[ZSTD],
        &["zstd -q -f --ultra -22 --long={log} --patch-from={old} {new} -o {patch}"],
        ZSTD_APPLY,
    ),
    simple(
        "hdiffpatch-zstd",
        &[HDIFFPATCH],
        &["{python} hdiffpatch:zstd diff {old} {new} {patch}"],
        &["{python} hdiffpatch:zstd patch {old} {patch} {out}"],
    ),
    simple(
        "hdiffpatch-lzma",
        &[HDIFFPATCH],
        &["{python} hdiffpatch:lzma diff {old} {new} {patch}"],
        &["{python} hdiffpatch:lzma patch {old} {patch} {out}"],
    ),
    simple(
        "hdiffpatch-brotli",
        &[HDIFFPATCH],
        &["{python} hdiffpatch:brotli diff {old} {new} {patch}"],
        &["{python} hdiffpatch:brotli patch {old} {patch} {out}"],
    ),
    simple(
        "detools",
        &[DETOOLS],
        &["{python} detools:sequential diff {old} {new} {patch}"],
        &["{python} detools:sequential patch {old} {patch} {out}"],
    ),
    simple(
        "detools-hdiffpatch",
        &[DETOOLS],
        &["{python} detools:hdiffpatch diff {old} {new} {patch}"],
        &["{python} detools:hdiffpatch patch {old} {patch} {out}"],
    ),
    Rival {
        name: "detools-m4",
        packages: &[DETOOLS],
        make: &["{python} detools:arm-cortex-m4 diff {old} {new} {patch}"],
        apply: &["{python} detools:arm-cortex-m4 patch {old} {patch} {out}"],
        only_for: Some(Code::Thumb),
    },
    Rival {
        name: "detools-aarch64",
        packages: &[DETOOLS],
        make: &["{python} detools:aarch64 diff {old} {new} {patch}"],
        apply: &["{python} detools:aarch64 patch {old} {patch} {out}"],
        only_for: Some(Code::AArch64),
    },
    simple(
        "bsdiff4",
        &[BSDIFF4],
        &["{python} bsdiff4 diff {old} {new} {patch}"],
        &["{python} bsdiff4 patch {old} {patch} {out}"],
    ),
    simple(
        "qbsdiff",
        &[Package::Crate("qbsdiff")],
        &["crate:qbsdiff diff {old} {new} {patch}"],
        &["crate:qbsdiff patch {old} {patch} {out}"],
    ),
    simple(
        "bidiff+xz",
        &[Package::Crate("bidiff")],
        &["crate:bidiff diff {old} {new} {patch}"],
        &["crate:bidiff patch {old} {patch} {out}"],
    ),
    simple(
        "aehobak+xz",
        &[Package::Crate("aehobak")],
        &["crate:aehobak diff {old} {new} {patch}"],
        &["crate:aehobak patch {old} {patch} {out}"],
    ),
    simple(
        "zucchini+xz",
        &[Package::Crate("zucchini")],
        &["crate:zucchini diff {old} {new} {patch}"],
        &["crate:zucchini patch {old} {patch} {out}"],
    ),
];

/// A program of `rivals/`: its source and what its Cargo.toml depends on.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
    pub(crate) dependencies: &'static str,
    /// Parts of it are C++23.
    pub(crate) needs_cxx23: bool,
}

const fn program(
    name: &'static str,
    source: &'static str,
    dependencies: &'static str,
    needs_cxx23: bool,
) -> Program {
    Program { name, source, dependencies, needs_cxx23 }
}

/// Versions below 1 are exact enough in Cargo's reading; the lock file says what was built.
pub(crate) const PROGRAMS: &[Program] = &[
    program("recode", include_str!("rivals/recode.rs"), "bzip2 = \"0.6\"\n", false),
    program("qbsdiff", include_str!("rivals/qbsdiff.rs"), "qbsdiff = \"1.4\"\n", false),
    program("bidiff", include_str!("rivals/bidiff.rs"), "bidiff = \"1\"\nbipatch = \"1\"\n", false),
    program("aehobak", include_str!("rivals/aehobak.rs"), "aehobak = \"0.0.18\"\n", false),
    program("zucchini", include_str!("rivals/zucchini.rs"), "zucchini = \"0.1\"\n", true),
];

/// What every program has in common.
pub(crate) const COMMON: &str = include_str!("rivals/common.rs");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_program_has_a_source() {
        let mut names: Vec<_> = RIVALS.iter().map(|rival| rival.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RIVALS.len());
        let packages = RIVALS.iter().flat_map(|rival| rival.packages);
        for package in packages {
            if let Package::Crate(name) = package {
                assert!(PROGRAMS.iter().any(|program| program.name == *name), "{name}");
            }
        }
    }

    #[test]
    fn commands_name_their_files() {
        for rival in RIVALS {
            let (make, apply) = (rival.make.join(" "), rival.apply.join(" "));
            assert!(["{old}", "{new}", "{patch}"].iter().all(|name| make.contains(name)));
            assert!(["{old}", "{patch}", "{out}"].iter().all(|name| apply.contains(name)));
            assert!(!apply.contains("{new}"), "{} must not see the answer", rival.name);
        }
    }
}
