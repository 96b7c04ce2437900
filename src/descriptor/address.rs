//! Addresses of published files.

use crate::error::{Error, Result};
use crate::release::Uri;

/// The address of `file_name` under `base_uri`, which may or may not end in a slash; everything
/// but unreserved characters of the name is percent-encoded (RFC 3986, section 2.3).
///
/// # Errors
/// Input errors for a base that is not http or https, has a query or fragment, or makes the address
/// too long, and for a name that is empty, `.`, `..` or contains a separator.
pub fn join(base_uri: &str, file_name: &str) -> Result<String> {
    let base = Uri::new(base_uri).map_err(|message| Error::input("base URI", message))?;
    if base.as_str().contains(['?', '#']) {
        let message = format!("\"{base}\" has a query or fragment; give the directory only");
        return Err(Error::input("base URI", message));
    }
    if matches!(file_name, "" | "." | "..") || file_name.contains(['/', '\\']) {
        let message = format!("\"{}\" is not a plain file name", file_name.escape_debug());
        return Err(Error::input("file name", message));
    }
    let slash = if base.as_str().ends_with('/') { "" } else { "/" };
    let address = format!("{base}{slash}{}", percent_encoded(file_name));
    let checked = Uri::new(&address).map_err(|message| Error::input("base URI", message))?;
    Ok(checked.to_string())
}

fn percent_encoded(name: &str) -> String {
    let encode = |byte: u8| {
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if unreserved { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    name.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_with_and_without_a_slash() {
        for base in ["https://e.com/dl", "https://e.com/dl/"] {
            assert_eq!(join(base, "a.suit").unwrap(), "https://e.com/dl/a.suit");
        }
        assert_eq!(join("http://e.com", "ä b&c?.d").unwrap(), "http://e.com/%C3%A4%20b%26c%3F.d");
    }

    #[test]
    fn refuses_what_would_lead_elsewhere() {
        for base in ["", "e.com", "ftp://e.com/", "https://e.com/?a=", "https://e.com/#a"] {
            assert!(join(base, "a.suit").is_err(), "{base}");
        }
        for name in ["", ".", "..", "a/b", "a\\b"] {
            assert!(join("https://e.com/", name).is_err(), "{name}");
        }
        assert!(join("https://e.com/", &"a".repeat(250)).is_err());
    }
}
