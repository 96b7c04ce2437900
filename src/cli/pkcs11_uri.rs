//! PKCS#11 URIs (RFC 7512): which token, which key, which module, where the PIN is.

use super::token::shown;
use crate::error::{Error, Result};

/// What a URI says; what it leaves out fits anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uri {
    /// Label of the token.
    pub(super) token: Option<String>,
    /// Serial number of the token.
    pub(super) serial: Option<String>,
    /// Label of the key.
    pub(super) object: Option<String>,
    /// Id of the key.
    pub(super) id: Option<Vec<u8>>,
    /// The library that speaks to the token.
    pub(super) module_path: Option<String>,
    /// File with the PIN.
    pub(super) pin_source: Option<String>,
}

impl Uri {
    /// Reads a URI.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| Error::input(shown(text), what);
        let rest = text.strip_prefix("pkcs11:").ok_or_else(|| wrong("not a pkcs11: URI"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        let attributes = path.split(';').chain(query.split('&')).filter(|part| !part.is_empty());
        for attribute in attributes {
            let (name, value) =
                attribute.split_once('=').ok_or_else(|| wrong("an attribute is not NAME=VALUE"))?;
            let bytes = decoded(value).ok_or_else(|| wrong("% is followed by two digits"))?;
            uri.set(name, bytes).map_err(|what| wrong(&what))?;
        }
        Ok(uri)
    }

    fn set(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), String> {
        if name == "id" {
            return once(&mut self.id, bytes, name);
        }
        let field = match name {
            "token" => &mut self.token,
            "serial" => &mut self.serial,
            "object" => &mut self.object,
            "module-path" => &mut self.module_path,
            "pin-source" => &mut self.pin_source,
            // Says what is meant anyway.
            "type" if bytes == b"private" => return Ok(()),
            "pin-value" => {
                return Err("other users of this machine can see a PIN that is an argument; \
                            give ?pin-source=FILE, or FWDELTA_PKCS11_PIN in the environment"
                    .to_owned());
            }
            _ => {
                let known = "token, serial, object, id, type=private, module-path, pin-source";
                return Err(format!("attribute \"{name}\" is not one of {known}"));
            }
        };
        let text = String::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8"))?;
        once(field, text, name)
    }
}

fn once<T>(field: &mut Option<T>, value: T, name: &str) -> Result<(), String> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{name} is given twice")),
    }
}

/// Percent-decoding (RFC 3986, section 2.1).
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?);
        rest = after;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rfc_7512_writes_is_read() {
        let uri = Uri::parse(
            "pkcs11:token=The%20token;serial=0001;object=my-key;id=%01%ffx;type=private\
             ?module-path=/usr/lib/x.so&pin-source=/run/pin",
        );
        let expected = Uri {
            token: Some("The token".to_owned()),
            serial: Some("0001".to_owned()),
            object: Some("my-key".to_owned()),
            id: Some(b"\x01\xffx".to_vec()),
            module_path: Some("/usr/lib/x.so".to_owned()),
            pin_source: Some("/run/pin".to_owned()),
        };
        assert_eq!(uri.unwrap(), expected);
        assert_eq!(Uri::parse("pkcs11:").unwrap(), Uri::default());
    }

    #[test]
    fn what_would_name_another_key_is_refused() {
        for (text, what) in [
            ("pkcs11:token", "NAME=VALUE"),
            ("pkcs11:token=a;token=b", "twice"),
            ("pkcs11:label=a", "not one of"),
            ("pkcs11:type=public", "not one of"),
            ("pkcs11:object=%4", "two digits"),
            ("pkcs11:object=%+1", "two digits"),
            ("pkcs11:object=%ff", "UTF-8"),
            ("pkcs12:object=a", "not a pkcs11"),
        ] {
            let error = Uri::parse(text).unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
        let error = Uri::parse("pkcs11:token=a?pin-value=987654").unwrap_err().to_string();
        assert!(error.contains("FWDELTA_PKCS11_PIN"), "{error}");
    }

    /// However it is mistyped, a PIN is not repeated.
    #[test]
    fn no_error_shows_a_pin() {
        for query in [
            "pin-value=987654",
            "PIN-Value=987654",
            "pin%2Dvalue=987654",
            "pin-value:987654",
            "pin-value=987654%",
            "pin-value=987654&object",
            "pinvalue=987654&pin-source=/run/pin",
        ] {
            for start in ["pkcs11:token=a?", "pkcs11:token=a;", "pkcs11:"] {
                let error = Uri::parse(&format!("{start}{query}")).unwrap_err().to_string();
                assert!(!error.contains("987654") && error.contains("pkcs11:"), "{error}");
            }
        }
    }
}
