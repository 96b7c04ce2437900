//! Where packages come from: an in-toto statement with SLSA provenance, for those who check
//! releases without knowing our formats.
//!
//! Statement: in-toto attestation framework, `https://in-toto.io/Statement/v1`. Predicate: SLSA
//! version 1, `https://slsa.dev/provenance/v1`. It is not signed here; sign the file with whatever
//! signs the other attestations of the release.

use serde_json::{Map, Value, json};

use crate::core::hash::Sha256Digest;
use crate::hex::hex;
use crate::package::SecretKey;
use crate::package::build::BuildOptions;

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// What `externalParameters` mean: docs/interoperability.md.
const BUILD_TYPE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/build/v1");

/// A file, or an image in one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Artifact {
    /// Its name, without folders: a statement must not depend on where it was made.
    pub name: String,
    /// Its SHA-256.
    pub digest: Sha256Digest,
}

/// What there is to say.
#[derive(Clone, Debug)]
pub struct Provenance<'p> {
    /// What was made: packages and their payloads.
    pub subjects: Vec<Artifact>,
    /// What it was made of: images, release file, bill of materials.
    pub inputs: Vec<Artifact>,
    /// How it was made.
    pub options: &'p BuildOptions,
    /// Who signed.
    pub keys: &'p [SecretKey],
    /// Who vouches for the machine it was made on, as a URI; the program itself if that is not
    /// said.
    pub builder_id: Option<&'p str>,
    /// Seconds since 1970; none keeps the statement the same whenever it is made.
    pub made_at: Option<u64>,
}

/// The statement. The same inputs, options and keys give the same bytes.
#[must_use]
pub fn statement(provenance: &Provenance<'_>) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let program = concat!(env!("CARGO_PKG_REPOSITORY"), "/releases/v", env!("CARGO_PKG_VERSION"));
    let mut run = json!({
        "builder": {
            "id": provenance.builder_id.unwrap_or(program),
            "version": { env!("CARGO_PKG_NAME"): version },
        },
    });
    if let Some(seconds) = provenance.made_at {
        run["metadata"] = json!({ "startedOn": date_time(seconds) });
    }
    json!({
        "_type": STATEMENT_TYPE,
        "subject": descriptors(&provenance.subjects),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters(provenance),
                "resolvedDependencies": descriptors(&provenance.inputs),
            },
            "runDetails": run,
        },
    })
}

/// Each once, in the order of names: several packages share images.
fn descriptors(artifacts: &[Artifact]) -> Value {
    let mut artifacts: Vec<_> = artifacts.iter().collect();
    artifacts.sort();
    artifacts.dedup();
    let describe =
        |it: &&Artifact| json!({ "name": it.name, "digest": { "sha256": hex(&it.digest) } });
    artifacts.iter().map(describe).collect()
}

/// What decides about the bytes of the package; the number of threads does not.
fn parameters(provenance: &Provenance<'_>) -> Value {
    let BuildOptions { diff, chunk_len, sequence, requirement, detached, without_text, .. } =
        provenance.options;
    let mut said = Map::new();
    let mut say = |name: &str, value: Value| {
        if !value.is_null() {
            said.insert(name.to_owned(), value);
        }
    };
    say("sequence", json!(sequence));
    say("profile", json!(format!("{:?}", diff.profile).to_lowercase()));
    say("ram", json!(diff.device_memory_len));
    say("memory", json!(diff.memory_max));
    say("streamsOnly", json!(diff.is_streamed.then_some(true)));
    say("arch", json!(diff.hints.content.map(|content| format!("{content:?}").to_lowercase())));
    say("base", json!(diff.hints.base));
    say("inPlace", json!(diff.in_place.map(|place| format!("{place:?}"))));
    say("chunkLen", json!(chunk_len));
    let operators = |list: &Vec<_>| list.iter().map(ToString::to_string).collect::<Vec<String>>();
    say("require", json!(requirement.as_ref().map(operators)));
    say("detached", json!(detached.as_ref().map(|it| &it.base_uri)));
    say("text", json!(!without_text));
    let signers = provenance.keys.iter().map(|key| hex(&key.public().kid()));
    say("signers", signers.collect());
    Value::Object(said)
}

/// RFC 3339, in UTC.
fn date_time(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March, so that the day that comes and goes is their last; 719,468 days lie
    // between that of the year 0 and 1970-01-01.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (400 * era + year, month + 3),
        _ => (400 * era + year + 1, month - 9),
    };
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339() {
        let known = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, text) in known {
            assert_eq!(date_time(seconds), text);
        }
    }

    #[test]
    fn artifacts_stand_once_and_in_order_and_without_a_time_there_is_none() {
        let artifact = |name: &str, byte| Artifact { name: name.to_owned(), digest: [byte; 32] };
        let options = BuildOptions { sequence: 7, ..BuildOptions::default() };
        let keys = [SecretKey::from_seed(&[7; 32])];
        let mut provenance = Provenance {
            subjects: vec![artifact("b", 2), artifact("a", 1), artifact("b", 2)],
            inputs: vec![artifact("main/new", 3)],
            options: &options,
            keys: &keys,
            builder_id: None,
            made_at: None,
        };
        let said = statement(&provenance);
        let names: Vec<_> =
            said["subject"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(said["subject"][1]["digest"]["sha256"], hex(&[2; 32]));
        let run = &said["predicate"]["runDetails"];
        assert!(run.get("metadata").is_none());
        let set = &said["predicate"]["buildDefinition"]["externalParameters"];
        assert_eq!((&set["sequence"], &set["profile"]), (&json!(7), &json!("small")));
        assert_eq!(set["signers"], json!([hex(&keys[0].public().kid())]));
        assert!(set.get("ram").is_none());
        provenance.made_at = Some(951_782_400);
        provenance.builder_id = Some("https://builds.example/line/3");
        let said = statement(&provenance);
        let run = &said["predicate"]["runDetails"];
        assert_eq!(run["metadata"]["startedOn"], "2000-02-29T00:00:00Z");
        assert_eq!(run["builder"]["id"], "https://builds.example/line/3");
    }
}
