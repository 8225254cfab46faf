//! What went wrong, told to people: what happened, whose fault it is, and what to do.

use std::fmt;
use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::sync::Arc;

use sealwire::codepoints::Alert;
use sealwire::{CertificateError, CertificateReason, CertificateReport, Error, Misuse};
use serde_json::{Value, json};

use crate::report::printable;
use crate::verdict;

/// The exit status. `sealwire --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Good,
    Io,
    Usage,
    Tls,
    NotVerified,
    Truncated,
}

impl Status {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Io => 1,
            Self::Usage => 2,
            Self::Tls => 3,
            Self::NotVerified => 4,
            Self::Truncated => 5,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}

/// A failure: what happened, and what to do about it if we know.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    what: String,
    hint: Option<&'static str>,
    /// Which paths were tried, if it is about a certificate.
    report: Option<Arc<CertificateReport>>,
}

impl Failure {
    pub(crate) fn new(status: Status, what: impl Into<String>) -> Self {
        Self { status, what: what.into(), hint: None, report: None }
    }

    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Status::Usage, what)
    }

    pub(crate) fn io(doing: &str, error: &io::Error) -> Self {
        Self::new(Status::Io, format!("{doing}: {error}"))
    }

    pub(crate) fn hint(mut self, hint: impl Into<Option<&'static str>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The stream ended without close_notify.
    pub(crate) fn truncated() -> Self {
        Self::new(
            Status::Truncated,
            "the stream was cut off: the peer ended the connection without close_notify",
        )
        .hint("What was received may be incomplete. Either the peer skips close_notify, or the connection broke.")
    }

    /// What a [`sealwire::adapter::io::Stream`] says of its handshake.
    pub(crate) fn handshake(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::new(
                Status::Tls,
                "the peer ended the connection during the handshake, and did not say why",
            ),
            _ => Self::stream("the handshake", error),
        }
    }

    /// What a [`sealwire::adapter::io::Stream`] says: TLS, a truncation, or the network.
    pub(crate) fn stream(doing: &str, error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        match (inner, error.kind()) {
            (_, ErrorKind::UnexpectedEof) => Self::truncated(),
            (_, ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Self::new(Status::Io, format!("{doing}: the peer took too long"))
            }
            (Some(error), _) => Self::from(error),
            (None, _) => Self::io(doing, error),
        }
    }

    pub(crate) fn print(&self) {
        let mut text = format!("error: {}\n", self.what);
        if let Some(report) = &self.report {
            text.push_str(&format!("\n{}", verdict::tree(report, &io::stderr())));
        }
        if let Some(hint) = self.hint {
            text.push_str(&format!("hint: {hint}\n"));
        }
        crate::report::say(&text);
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "message": self.what,
            "details": self.report.as_ref().map(|report| report.to_string()),
            "hint": self.hint,
            "status": self.status.code(),
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.hint.map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let text = printable(&error.to_string());
        match error {
            Error::Certificate(error) => Self::from(error),
            Error::NoOverlap(_) => Self::new(Status::Tls, text)
                .hint("The two sides have no value in common: see --suites, --groups and --alpn, and what the peer supports. Sealwire speaks TLS 1.3 only."),
            Error::PeerAlert(alert) => {
                let text = format!("the peer ended the connection with the alert {alert}");
                Self { hint: alert_hint(*alert), ..Self::new(Status::Tls, text) }
            }
            Error::Violation(_) | Error::Decode(_) | Error::UnexpectedMessage { .. } => {
                Self::new(Status::Tls, text)
                    .hint("The peer does not keep to TLS 1.3: is that port a TLS port?")
            }
            Error::BadRecordMac => Self::new(Status::Tls, text)
                .hint("The data was changed on its way, or the peer encrypts it wrongly."),
            Error::Misuse(Misuse::NotInProvider(_) | Misuse::Config(_)) => {
                Self::new(Status::Usage, text)
            }
            _ => Self::new(Status::Tls, text),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&CertificateError> for Failure {
    fn from(error: &CertificateError) -> Self {
        Self {
            hint: reason_hint(&error.reason),
            report: Some(error.report.clone()).filter(|report| !report.to_string().is_empty()),
            ..Self::new(
                Status::NotVerified,
                format!("the peer's certificate was not accepted: {}", error.reason),
            )
        }
    }
}

/// Which option helps with a certificate that was not accepted; the reason itself says the rest.
fn reason_hint(reason: &CertificateReason) -> Option<&'static str> {
    match reason {
        CertificateReason::UnknownIssuer { .. } | CertificateReason::SelfSigned { .. } => {
            Some("--ca FILE names trusted root certificates (for clients: --client-ca FILE).")
        }
        CertificateReason::NameMismatch { .. } => {
            Some("--servername NAME asks for another name, if the certificate's is the right one.")
        }
        CertificateReason::Expired { .. } | CertificateReason::NotYetValid { .. } => {
            Some("The other possibility is that this computer's clock is wrong.")
        }
        _ => None,
    }
}

/// What an alert of the peer's most often means, and what to do.
fn alert_hint(alert: Alert) -> Option<&'static str> {
    Some(match alert {
        Alert::handshake_failure | Alert::insufficient_security => {
            "It shares no cipher suite, group or signature algorithm with us, or wants a client certificate (--cert, --key)."
        }
        Alert::protocol_version => "It does not speak TLS 1.3, and Sealwire speaks nothing else.",
        Alert::certificate_required => "It wants a client certificate: give --cert and --key.",
        Alert::unknown_ca | Alert::bad_certificate | Alert::certificate_unknown => {
            "It does not accept our certificate: it must trust the CA that issued it."
        }
        Alert::certificate_expired => "It says that our certificate has expired.",
        Alert::unrecognized_name => "It does not serve that name: try --servername NAME.",
        Alert::no_application_protocol => "It speaks none of the protocols offered: see --alpn.",
        Alert::internal_error => "Something failed on its side.",
        Alert::decode_error | Alert::decrypt_error | Alert::illegal_parameter => {
            "One of the two sides breaks the protocol."
        }
        _ => return None,
    })
}
