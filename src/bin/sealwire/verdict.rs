//! A verdict on a certificate chain, for people and for programs.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;
use sealwire::{CertificateReason, CertificateReport, ReportedCertificate};
use serde_json::{Value, json};

use crate::moment;
use crate::report::printable;

/// When there is colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// In any case
    Always,
    /// Not at all
    Never,
}

/// What the command line says of colour.
static COLOR: OnceLock<Color> = OnceLock::new();

impl Color {
    /// From now on, everywhere. The first call counts.
    pub(crate) fn choose(self) {
        let _first = COLOR.set(self);
    }

    fn is_for(stream: &impl IsTerminal) -> bool {
        match COLOR.get().copied().unwrap_or_default() {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                // https://no-color.org
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                stream.is_terminal() && !refused
            }
        }
    }
}

/// The verdict and the paths, in colour if `stream`, for which it is, has any.
pub(crate) fn told(report: &CertificateReport, stream: &impl IsTerminal) -> String {
    let name = report.name.as_deref().map_or_else(
        || " (for whom was not asked: --name NAME)".to_owned(),
        |name| format!(" for {}", printable(name)),
    );
    let first = match &report.reason {
        None => format!("✓ verified{name}"),
        Some(reason) if report.certificates.is_empty() => format!("✗ not verified{name}: {reason}"),
        Some(reason) => format!("✗ not verified{name}: {}", reason.code()),
    };
    let text = format!("{first}\n\n{report}");
    if Color::is_for(stream) { paint(&text) } else { text }
}

/// Just the paths and hints.
pub(crate) fn tree(report: &CertificateReport, stream: &impl IsTerminal) -> String {
    let text = report.to_string();
    if Color::is_for(stream) { paint(&text) } else { text }
}

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Colours the marks, what is at fault, and hints. Nothing in the text itself controls a terminal.
fn paint(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let end = line.find(|c| !" │├└─".contains(c)).unwrap_or(line.len());
        let (lines, rest) = line.split_at(end);
        let painted = match rest.chars().next() {
            Some('✓') => match rest.strip_prefix('✓') {
                Some(what) => format!("{GREEN}✓{PLAIN}{BOLD}{what}{PLAIN}"),
                None => rest.to_owned(),
            },
            Some('✗') => format!("{RED}{rest}{PLAIN}"),
            _ => match rest.split_once(": ") {
                Some((what @ ("hint" | "note"), text)) => format!("{YELLOW}{what}:{PLAIN} {text}"),
                _ => format!("{DIM}{rest}{PLAIN}"),
            },
        };
        let _never_fails = writeln!(out, "{DIM}{lines}{PLAIN}{painted}");
    }
    out
}

/// The report for programs: `sealwire verify --help` describes it.
pub(crate) fn json(report: &CertificateReport) -> Value {
    let reason = report.reason.as_ref();
    let paths = report.attempts.iter().map(|attempt| {
        json!({
            "certificates": attempt.path,
            "code": attempt.end.as_ref().map(CertificateReason::code),
            "reason": attempt.end.as_ref().map(CertificateReason::to_string),
            "at": attempt.end.as_ref().map(|_| attempt.at),
        })
    });
    let faults = report.faults.iter();
    let hints = report.hints.iter();
    json!({
        "verified": report.is_accepted(),
        "code": reason.map(CertificateReason::code),
        "reason": reason.map(CertificateReason::to_string),
        "name": report.name,
        "time": moment::rfc3339(report.now),
        "certificates": report.certificates.iter().map(certificate).collect::<Vec<_>>(),
        "paths": paths.collect::<Vec<_>>(),
        "omitted": report.omitted,
        "faults": faults.map(|f| json!({ "code": f.code(), "reason": f.to_string() }))
            .collect::<Vec<_>>(),
        "notes": report.notes,
        "hints": hints.map(|h| json!({ "code": h.code, "text": h.text })).collect::<Vec<_>>(),
    })
}

fn certificate(certificate: &ReportedCertificate) -> Value {
    json!({
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "sha256": certificate.fingerprint,
        "subject_key_id": certificate.subject_key_id,
        "authority_key_id": certificate.authority_key_id,
        "key": certificate.key,
        "signed_with": certificate.signed_with,
        "not_before": certificate.validity.map(|(from, _)| moment::rfc3339(from)),
        "not_after": certificate.validity.map(|(_, until)| moment::rfc3339(until)),
        "names": certificate.names,
        "issuer_addresses": certificate.issuer_addresses,
        "is_ca": certificate.is_ca,
        "is_anchor": certificate.is_anchor,
        "position": certificate.position,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_painted_and_names_are_not() {
        let text = "✗ CN=✓\n│   names    DNS:a\n└─✓ CN=b\nhint: do it (x)\n";
        let expected = "\
            \x1b[2m\x1b[0m\x1b[31m✗ CN=✓\x1b[0m\n\
            \x1b[2m│   \x1b[0m\x1b[2mnames    DNS:a\x1b[0m\n\
            \x1b[2m└─\x1b[0m\x1b[32m✓\x1b[0m\x1b[1m CN=b\x1b[0m\n\
            \x1b[2m\x1b[0m\x1b[33mhint:\x1b[0m do it (x)\n";
        assert_eq!(paint(text), expected);
    }
}
