//! Changes to `trust.toml` that leave people's comments and order alone (docs/trust-file.md).

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use crate::core::format::auth::Kid;
use crate::core::format::plmn::Plmn;
use crate::error::{Error, Result, in_line};
use crate::hex::hex;
use crate::package::trust_file::LoadKey;

/// A new trust file: version 1, these vendor keys by the names of their files.
#[must_use]
pub fn initial(vendor_keys: &[String], threshold: u8, vendor_domain: Option<&str>) -> String {
    let mut document = DocumentMut::new();
    document["version"] = value(1);
    let mut vendor = Table::new();
    vendor["threshold"] = value(i64::from(threshold));
    vendor["keys"] = value(vendor_keys.iter().collect::<Array>());
    document["vendor"] = Item::Table(vendor);
    if let Some(domain) = vendor_domain {
        let mut device = Table::new();
        device["vendor_domain"] = value(domain);
        document["device"] = Item::Table(device);
    }
    format!("# Whom devices trust: docs/trust-file.md\n{document}")
}

/// What is said of an operator; empty lists leave an entry as it is.
#[derive(Clone, Debug)]
pub struct OperatorChange {
    /// The operator.
    pub plmn: Plmn,
    /// Files of keys that may sign.
    pub keys: Vec<String>,
    /// Files of keys that may attach strings.
    pub attach_keys: Vec<String>,
    /// Names of the accepted modes.
    pub modes: Vec<String>,
    /// Whether an approval must carry a string.
    pub string_required: bool,
}

fn open(text: &str, subject: &str) -> Result<DocumentMut> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        Error::input(subject, in_line(text, error.span(), &error.message()))
    })
}

fn wrong(subject: &str, what: impl std::fmt::Display) -> Error {
    Error::input(subject, what)
}

/// The array of names at `table[entry]`, made if it is not there.
fn names<'t>(table: &'t mut Table, entry: &str, subject: &str) -> Result<&'t mut Array> {
    let item = table.entry(entry).or_insert_with(|| value(Array::new()));
    item.as_array_mut().ok_or_else(|| wrong(subject, format!("{entry} is not a list")))
}

fn push_new(array: &mut Array, new: &[String]) {
    for name in new {
        if !array.iter().any(|there| there.as_str() == Some(name)) {
            array.push(name.as_str());
        }
    }
}

/// Adds vendor keys, and sets how many must sign if that is given.
///
/// # Errors
/// When the text is no trust file.
pub fn add_vendor(
    text: &str,
    subject: &str,
    keys: &[String],
    threshold: Option<u8>,
) -> Result<String> {
    let mut document = open(text, subject)?;
    let vendor = document.get_mut("vendor").and_then(Item::as_table_mut);
    let vendor = vendor.ok_or_else(|| wrong(subject, "there is no [vendor]"))?;
    push_new(names(vendor, "keys", subject)?, keys);
    if let Some(threshold) = threshold {
        vendor["threshold"] = value(i64::from(threshold));
    }
    Ok(document.to_string())
}

/// Adds an operator, or to what is said of it.
///
/// # Errors
/// When the text is no trust file.
pub fn add_operator(text: &str, subject: &str, change: &OperatorChange) -> Result<String> {
    let mut document = open(text, subject)?;
    let all = document.entry("operator").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let all = all.as_array_of_tables_mut();
    let all = all.ok_or_else(|| wrong(subject, "operator is not a list of tables"))?;
    let is_it =
        |table: &Table| table.get("plmn").and_then(Item::as_str) == Some(change.plmn.as_str());
    if !all.iter().any(is_it) {
        let mut table = Table::new();
        table["plmn"] = value(change.plmn.as_str());
        table["keys"] = value(Array::new());
        all.push(table);
    }
    let table = all.iter_mut().find(|table| is_it(table));
    let table = table.ok_or_else(|| wrong(subject, "an operator was not added"))?;
    push_new(names(table, "keys", subject)?, &change.keys);
    if !change.attach_keys.is_empty() {
        push_new(names(table, "attach_keys", subject)?, &change.attach_keys);
    }
    if !change.modes.is_empty() {
        table["modes"] = value(change.modes.iter().collect::<Array>());
    }
    if change.string_required {
        table["string"] = value("required");
    }
    Ok(document.to_string())
}

/// Takes the key with this id out of every list, notes it as revoked, and counts the version up.
///
/// # Errors
/// When the text is no trust file, a key file cannot be read, or no list has the key.
pub fn revoke(text: &str, subject: &str, kid: &Kid, load: &mut LoadKey<'_>) -> Result<String> {
    let mut document = open(text, subject)?;
    let mut found = false;
    let mut clean = |table: &mut Table| -> Result<()> {
        for entry in ["keys", "attach_keys"] {
            let Some(array) = table.get_mut(entry).and_then(Item::as_array_mut) else { continue };
            let mut at = 0;
            while let Some(name) = array.get(at).and_then(|name| name.as_str()) {
                if load(name)?.kid() == *kid {
                    array.remove(at);
                    found = true;
                } else {
                    at += 1;
                }
            }
        }
        Ok(())
    };
    document.get_mut("vendor").and_then(Item::as_table_mut).map_or(Ok(()), &mut clean)?;
    let operators = document.get_mut("operator").and_then(Item::as_array_of_tables_mut);
    for table in operators.into_iter().flat_map(ArrayOfTables::iter_mut) {
        clean(table)?;
    }
    if !found {
        return Err(wrong(subject, format!("no list has a key with id {}", hex(kid))));
    }
    let version = document.get("version").and_then(Item::as_integer);
    let version = version.and_then(|version| version.checked_add(1));
    document["version"] = value(version.ok_or_else(|| wrong(subject, "there is no version"))?);
    push_new(names(document.as_table_mut(), "revoked", subject)?, &[hex(kid)]);
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::format::trust::Trust;
    use crate::package::keys::{PublicKey, SecretKey};
    use crate::package::trust_file::compile;

    fn load(name: &str) -> Result<PublicKey> {
        Ok(SecretKey::from_seed(&crate::core::hash::sha256(name.as_bytes())).public())
    }

    fn change(plmn: &str, keys: &[&str]) -> OperatorChange {
        OperatorChange {
            plmn: Plmn::parse(plmn).unwrap(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            attach_keys: Vec::new(),
            modes: Vec::new(),
            string_required: false,
        }
    }

    #[test]
    fn a_file_grows_and_keeps_its_comments() {
        let text = initial(&["a.pub".to_owned()], 1, Some("example.com"));
        let text = text.replace("[vendor]", "# who builds\n[vendor]");
        let text = add_vendor(&text, "t", &["b.pub".to_owned()], Some(2)).unwrap();
        let text = add_operator(&text, "t", &change("26201", &["op.pub"])).unwrap();
        let again = OperatorChange {
            attach_keys: vec!["attach.pub".to_owned()],
            modes: vec!["signed".to_owned(), "string".to_owned()],
            string_required: true,
            ..change("26201", &["op.pub", "op2.pub"])
        };
        let text = add_operator(&text, "t", &again).unwrap();
        assert!(text.contains("# who builds\n[vendor]"), "{text}");
        let bytes = compile(&text, "t", &mut load).unwrap();
        let trust = Trust::parse(&bytes).unwrap();
        assert_eq!((trust.version, trust.threshold, trust.vendor_keys.len()), (1, 2, 2));
        let operator = trust.operator(Plmn::parse("26201").unwrap()).unwrap();
        assert_eq!((operator.keys.len(), operator.attach_keys.len()), (2, 1));
        assert_eq!((operator.modes, operator.string_required), (5, true));
    }

    #[test]
    fn a_revoked_key_is_gone_and_does_not_come_back() {
        let text = initial(&["a.pub".to_owned(), "b.pub".to_owned()], 1, None);
        let kid = load("b.pub").unwrap().kid();
        let revoked = revoke(&text, "t", &kid, &mut load).unwrap();
        let bytes = compile(&revoked, "t", &mut load).unwrap();
        let trust = Trust::parse(&bytes).unwrap();
        assert_eq!((trust.version, trust.vendor_keys.len()), (2, 1));
        assert!(!trust.knows(&kid));
        let back = add_vendor(&revoked, "t", &["b.pub".to_owned()], None).unwrap();
        let error = compile(&back, "t", &mut load).unwrap_err().to_string();
        assert!(error.contains("revoked"), "{error}");
        assert!(revoke(&revoked, "t", &kid, &mut load).is_err());
    }
}
