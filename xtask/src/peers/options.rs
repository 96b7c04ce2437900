//! What `cargo xtask peers` was asked for.

use std::path::PathBuf;
use std::time::Duration;

use crate::tool::{root, target_dir};

/// One run of a tool that takes longer is given up.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) corpus: PathBuf,
    /// Names of pairs; all if empty.
    pub(crate) only: Vec<String>,
    /// Names of tools; all if empty.
    pub(crate) tools: Vec<String>,
    pub(crate) json: PathBuf,
    pub(crate) timeout: Duration,
    /// Measurements of rivals in `json` that still apply are kept.
    pub(crate) resume: bool,
}

impl Options {
    /// Reads the arguments behind `peers`.
    pub(crate) fn parse(args: &[&str]) -> Result<Self, String> {
        let mut options = Self {
            corpus: root().join("testdata/firmware"),
            only: Vec::new(),
            tools: Vec::new(),
            json: target_dir().join("peers/peers.json"),
            timeout: TIMEOUT_DEFAULT,
            resume: false,
        };
        let mut args = args.iter();
        while let Some(&name) = args.next() {
            if name == "--resume" {
                options.resume = true;
                continue;
            }
            let value = *args.next().ok_or(format!("{name} needs a value"))?;
            let list = || value.split(',').map(str::to_owned).collect();
            match name {
                "--corpus" => options.corpus = root().join(value),
                "--only" => options.only = list(),
                "--tools" => options.tools = list(),
                "--json" => options.json = root().join(value),
                "--timeout" => {
                    let seconds = value.parse().ok().filter(|seconds| *seconds > 0);
                    let seconds = seconds.ok_or("--timeout takes whole seconds")?;
                    options.timeout = Duration::from_secs(seconds);
                }
                _ => return Err(format!("peers has no option {name}")),
            }
        }
        Ok(options)
    }

    pub(crate) fn wants_pair(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }

    pub(crate) fn wants_tool(&self, name: &str) -> bool {
        self.tools.is_empty() || self.tools.iter().any(|wanted| wanted == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_options_and_refuses_others() {
        let args = ["--only", "a,b", "--timeout", "9", "--resume", "--tools", "bsdiff"];
        let options = Options::parse(&args).unwrap();
        assert!(options.wants_pair("b") && !options.wants_pair("c") && options.resume);
        assert!(options.wants_tool("bsdiff") && !options.wants_tool("fast"));
        assert_eq!(options.timeout, Duration::from_secs(9));
        let all = Options::parse(&[]).unwrap();
        assert!(all.wants_pair("any") && all.wants_tool("any"));
        for wrong in [["--timeout", "0"].as_slice(), &["--timeout", "x"], &["--only"], &["-x", "1"]]
        {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
