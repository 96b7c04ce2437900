//! What a command has to say, for people and for programs.

use serde_json::Value;

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
    pub(crate) fn print(mut self, as_json: bool) {
        if !as_json {
            println!("{}", self.text);
            return;
        }
        if let Some(object) = self.json.as_object_mut() {
            object.insert("ok".to_owned(), true.into());
        }
        println!("{:#}", self.json);
    }
}
