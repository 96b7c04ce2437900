//! The host's one error: core's error with the file it is about, or a host failure.

use std::fmt;
use std::path::{Path, PathBuf};

use fwdelta_core::{Category, Detail};

/// Shorthand for a result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Anything that can go wrong on the host.
#[derive(Debug)]
pub enum Error {
    /// Core refused something; `subject` names the file or structure.
    Core {
        /// What core said.
        error: fwdelta_core::Error,
        /// The file or structure it is about.
        subject: String,
        /// What to do about it, if anything is known.
        remedy: Option<String>,
    },
    /// The operating system failed.
    Io {
        /// What was tried, as in "read" or "create".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Input written by people (release file, trust file, key, hex image) is wrong.
    Input {
        /// The file or argument.
        subject: String,
        /// What is wrong and how to mend it.
        message: String,
        /// The number to report.
        detail: Detail,
    },
    /// The caller cancelled.
    Cancelled,
}

impl Error {
    /// A host I/O failure.
    #[must_use]
    pub fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Error::Io { action, path: path.to_owned(), source }
    }

    /// Wrong input by people: `subject` names the file, `message` the reason and the remedy.
    #[must_use]
    pub fn input(subject: impl fmt::Display, message: impl fmt::Display) -> Self {
        Error::Input {
            subject: subject.to_string(),
            message: message.to_string(),
            detail: Detail::BadArgument,
        }
    }

    /// The same error, said of `subject`.
    #[must_use]
    pub fn about(self, subject: impl fmt::Display) -> Self {
        match self {
            Error::Core { error, remedy, .. } => {
                Error::Core { error, subject: subject.to_string(), remedy }
            }
            other => other,
        }
    }

    /// Whether the error says what it is about.
    #[must_use]
    pub fn has_subject(&self) -> bool {
        !matches!(self, Error::Core { subject, .. } if subject.is_empty())
    }

    /// The same error with a remedy.
    #[must_use]
    pub fn remedy(self, text: impl fmt::Display) -> Self {
        match self {
            Error::Core { error, subject, .. } => {
                Error::Core { error, subject, remedy: Some(text.to_string()) }
            }
            other => other,
        }
    }

    /// The rule that was broken.
    #[must_use]
    pub fn detail(&self) -> Detail {
        match self {
            Error::Core { error, .. } => error.detail,
            Error::Input { detail, .. } => *detail,
            Error::Io { action: "read" | "open", .. } => Detail::ReadFailed,
            Error::Io { .. } => Detail::WriteFailed,
            Error::Cancelled => Detail::Cancelled,
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn category(&self) -> Category {
        self.detail().category()
    }

    /// The process exit code: 10 plus the error number.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        10 + self.category() as u8
    }

    /// The same error at a time when the old image may be overwritten in part.
    #[must_use]
    pub fn after_begin(self) -> Self {
        match self {
            Error::Core { error, subject, remedy } => {
                let error = fwdelta_core::Error { old_intact: false, ..error };
                Error::Core { error, subject, remedy }
            }
            other => other,
        }
    }

    /// Whether the old image still stands.
    #[must_use]
    pub fn old_intact(&self) -> bool {
        !matches!(self, Error::Core { error, .. } if !error.old_intact)
    }
}

/// What is wrong in which line of a text. The line itself is left out: who names a wrong file may
/// have named one with a secret in it.
pub(crate) fn in_line(
    text: &str,
    span: Option<std::ops::Range<usize>>,
    message: &dyn fmt::Display,
) -> String {
    let Some(span) = span else { return message.to_string() };
    let before = text.bytes().take(span.start).filter(|byte| *byte == b'\n').count();
    format!("line {}: {message}", 1 + before)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Core { error, subject, remedy } => {
                if !subject.is_empty() {
                    write!(f, "{subject}: ")?;
                }
                write!(f, "{}", error.detail.text())?;
                if error.pos > 0 {
                    write!(f, " (at byte {})", error.pos)?;
                }
                write!(f, " [{:?}/{}]", error.category(), error.detail.name())?;
                remedy.as_ref().map_or(Ok(()), |text| write!(f, "; {text}"))
            }
            Error::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
            Error::Input { subject, message, .. } => write!(f, "{subject}: {message}"),
            Error::Cancelled => write!(f, "cancelled; nothing was written"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Core { error, .. } => Some(error),
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<fwdelta_core::Error> for Error {
    fn from(error: fwdelta_core::Error) -> Self {
        Error::Core { error, subject: String::new(), remedy: None }
    }
}

impl From<Detail> for Error {
    fn from(detail: Detail) -> Self {
        fwdelta_core::Error::from(detail).into()
    }
}
