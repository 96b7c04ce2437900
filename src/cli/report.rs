//! What a command has to say, for people and for programs.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::core::verify::codes::{Codes, SUCCESS, codes_of};
use crate::core::verify::stages::Stage;
use crate::error::{Error, Result};

/// The outcome of a command.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Lines for people, without a trailing line break.
    pub text: String,
    /// An object for programs; `"ok": true` is added.
    pub json: Value,
}

impl Report {
    /// A report of both forms.
    pub(crate) fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json }
    }

    /// Prints the chosen form.
    ///
    /// # Errors
    /// [`Error::Io`] where standard output takes nothing more, except from one who stopped reading.
    pub(crate) fn print(mut self, as_json: bool) -> Result<()> {
        if !as_json {
            return print_line(self.text);
        }
        if let Some(object) = self.json.as_object_mut() {
            object.insert("ok".to_owned(), true.into());
        }
        print_json(&self.json)
    }
}

/// A path for programs: JSON is UTF-8, which file names need not be; what is not is replaced.
pub(crate) fn path(path: &Path) -> Value {
    path.to_string_lossy().into()
}

fn print_json(value: &Value) -> Result<()> {
    // Pretty, with sorted keys: the same outcome prints the same bytes.
    print_line(format_args!("{value:#}"))
}

/// `println!` panics where nobody reads, as behind `| head`.
fn print_line(line: impl Display) -> Result<()> {
    let mut output = io::stdout().lock();
    match writeln!(output, "{line}").and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::io("write", Path::new("standard output"), error))
        }
        _ => Ok(()),
    }
}

/// The three protocols' codes of success.
pub(crate) fn success_codes() -> Value {
    codes(SUCCESS)
}

fn codes(codes: Codes) -> Value {
    json!({
        "fumo": codes.fumo,
        "install_notify": codes.install_notify,
        "lwm2m": codes.lwm2m,
    })
}

/// Where an update stands, in the words of two protocols.
pub(crate) fn states(stage: Stage) -> Value {
    json!({ "fumo": stage.fumo(), "lwm2m": stage.lwm2m() })
}

/// Prints an error to standard error and, as JSON, to standard output.
pub(crate) fn print_error(error: &Error, as_json: bool) {
    // There is nobody else to tell.
    let _ = writeln!(io::stderr(), "error: {error}");
    if as_json {
        print_error_json(error, error.exit_code());
    }
}

/// The same as JSON alone, where the exit code is another one.
pub(crate) fn print_error_json(error: &Error, exit_code: u8) {
    let detail = error.detail();
    let pos = match error {
        Error::Core { error, .. } if error.pos > 0 => Value::from(error.pos),
        _ => Value::Null,
    };
    let _ = print_json(&json!({
        "ok": false,
        "error": {
            "number": error.category() as u8,
            "category": format!("{:?}", error.category()),
            "detail": detail as u16,
            "name": detail.name(),
            "message": error.to_string(),
            "pos": pos,
            "old_intact": error.old_intact(),
        },
        "exit_code": exit_code,
        "codes": codes(codes_of(detail)),
        "states": states(Stage::left_by(detail)),
    }));
}
