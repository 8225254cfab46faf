//! Why a test fails, in the words that `config.json` looks for.

use std::fmt;
use std::io;

use sealwire::Error;

use crate::flags::Unsupported;

/// Why the shim does not succeed.
pub(crate) enum Failure {
    /// The test wants something that the library does not have.
    Unsupported(Unsupported),
    /// The library ended the connection, or refused a call.
    Tls(Error),
    /// The library refused the configuration.
    Setup(Error),
    /// A callback of the test refused, under this name; `Error` is what became of it.
    Callback(&'static str, Error),
    /// Something is not as the test expects it.
    Expected(String),
    /// The socket failed.
    Io(io::Error),
}

impl Failure {
    pub(crate) fn setup(error: Error) -> Self {
        match error {
            Error::Misuse(sealwire::Misuse::NotInProvider(what)) => {
                Self::Unsupported(Unsupported(what.to_owned()))
            }
            error => Self::Setup(error),
        }
    }
}

impl From<Unsupported> for Failure {
    fn from(what: Unsupported) -> Self {
        Self::Unsupported(what)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Tls(error)
    }
}

/// The error map of `config.json` looks for parts of these lines: the names of variants, which are one for each rule.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(Unsupported(what)) => write!(f, "unsupported: {what}"),
            Self::Tls(Error::Certificate(error)) => {
                write!(f, "TLS: Certificate({}): {error}", error.reason.code())
            }
            Self::Tls(error) => write!(f, "TLS: {error:?}: {error}"),
            Self::Setup(error) => write!(f, "setup: {error:?}: {error}"),
            Self::Callback(name, error) => write!(f, "{name}: {error:?}"),
            Self::Expected(what) => write!(f, "{what}"),
            Self::Io(error) => write!(f, "socket: {error}"),
        }
    }
}
