//! A verdict on a certificate chain, for people and for programs.

use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;
use console::Term;
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
    let name = report.name.as_deref().map(|name| format!(" for {}", printable(name)));
    let name = name.unwrap_or_default();
    let first = match &report.reason {
        None if name.is_empty() => {
            "✓ verified, but whom it is for was not looked at: --name NAME does".to_owned()
        }
        None => format!("✓ verified{name}"),
        Some(reason) if report.certificates.is_empty() => format!("✗ not verified{name}: {reason}"),
        Some(reason) => format!("✗ not verified{name}: {}", reason.code()),
    };
    dress(&format!("{first}\n\n{report}"), stream)
}

/// Just the paths and hints.
pub(crate) fn tree(report: &CertificateReport, stream: &impl IsTerminal) -> String {
    dress(&report.to_string(), stream)
}

/// Lines as long as a terminal is wide, and colours, if `stream` has such things.
fn dress(text: &str, stream: &impl IsTerminal) -> String {
    let width = stream.is_terminal().then(terminal_width);
    let lines = text.lines().map(|line| match width {
        Some(width) => wrap(line, width),
        None => vec![line.to_owned()],
    });
    let color = Color::is_for(stream);
    let mut out = String::new();
    for lines in lines {
        // What goes on in a second line has the colour of the first.
        let mut before = None;
        for line in lines {
            let painted = if color { paint(&line, &mut before) } else { line };
            out.push_str(&painted);
            out.push('\n');
        }
    }
    out
}

/// How many characters a line of the terminal has. One of the two streams may be a file.
fn terminal_width() -> usize {
    let size = Term::stdout().size_checked().or_else(|| Term::stderr().size_checked());
    size.map_or(80, |(_, columns)| usize::from(columns))
}

/// A line in pieces that are at most `width` characters wide, if its words are. Each goes on below where it began.
fn wrap(line: &str, width: usize) -> Vec<String> {
    let (lines, rest) = split(line);
    let go_on: String = lines.chars().map(|c| if "│├".contains(c) { '│' } else { ' ' }).collect();
    let mut pieces = Vec::new();
    let mut piece = lines.to_owned();
    let (mut length, mut empty) = (lines.chars().count(), true);
    for word in rest.split(' ') {
        let word_length = word.chars().count();
        if !empty && length + 1 + word_length > width {
            pieces.push(std::mem::replace(&mut piece, format!("{go_on}  ")));
            (length, empty) = (go_on.chars().count() + 2, true);
        }
        if !empty {
            piece.push(' ');
            length += 1;
        }
        piece.push_str(word);
        (length, empty) = (length + word_length, false);
    }
    pieces.push(piece);
    pieces
}

/// The lines of the tree, and what is written behind them.
fn split(line: &str) -> (&str, &str) {
    line.split_at(line.find(|c| !" │├└─".contains(c)).unwrap_or(line.len()))
}

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Colours marks, what is at fault, and hints. Nothing in the text itself controls a terminal. `style` is that of the line
/// which this one continues, and becomes its own.
fn paint(line: &str, style: &mut Option<&'static str>) -> String {
    let (lines, rest) = split(line);
    let (mark, mark_style, own) = match rest.chars().next() {
        _ if style.is_some() => (0, "", ""),
        Some('✓') => ('✓'.len_utf8(), GREEN, BOLD),
        Some('✗') => (0, "", RED),
        _ if rest.starts_with("hint: ") || rest.starts_with("note: ") => (5, YELLOW, ""),
        _ => (0, "", DIM),
    };
    let own = *style.get_or_insert(own);
    let (mark, rest) = rest.split_at_checked(mark).unwrap_or(("", rest));
    format!("{DIM}{lines}{PLAIN}{mark_style}{mark}{PLAIN}{own}{rest}{PLAIN}")
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
        "purposes": certificate.purposes,
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
        let paint = |line| paint(line, &mut None).replace('\x1b', "");
        assert_eq!(paint("✗ CN=✓"), "[2m[0m[0m[31m✗ CN=✓[0m");
        assert_eq!(paint("│   names  DNS:a"), "[2m│   [0m[0m[2mnames  DNS:a[0m");
        assert_eq!(paint("└─✓ CN=b"), "[2m└─[0m[32m✓[0m[1m CN=b[0m");
        assert_eq!(paint("hint: do it"), "[2m[0m[33mhint:[0m do it[0m");
    }

    #[test]
    fn long_lines_go_on_below() {
        let lines = wrap("├─✗ one two three four", 12);
        assert_eq!(lines, ["├─✗ one two", "│   three", "│   four"]);
        assert_eq!(wrap("hint: averylongword b", 5), ["hint:", "  averylongword", "  b"]);
        assert_eq!(wrap("", 5), [""]);
        let mut style = None;
        paint("✗ one", &mut style);
        assert_eq!(style, Some(RED));
        assert!(paint("  two", &mut style).contains(RED));
    }
}
