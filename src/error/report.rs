//! The story of a verdict on a certificate chain: what was met, which paths were tried, where each ended, and what may
//! cure it. Plain values for programs; `Display` draws them for people:
//!
//! ```text
//! ✗ CN=www.example.com                 the peer's own certificate, and what is wrong with it
//! │   valid …                          its details
//! └─✓ CN=Intermediate                  who issued it: the signature is right, and it keeps the rules
//!   ├─✗ CN=Root (trusted)              who may have issued that, and why not
//!   └─✗ …                              and the next to be tried
//! ```
//!
//! Whoever makes these values escapes control characters first, and bounds lengths and counts.

use std::fmt;

use super::certificate::CertificateReason;
use super::words::{Date, Span};

/// How a verdict came about. `Display` draws the paths as a tree, from the peer's certificate to the trusted roots, with
/// hints below.
///
/// There is nothing secret in it: certificates are public, and names are those that the peer sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateReport {
    /// What decided; `None` if a path was accepted.
    pub reason: Option<CertificateReason>,
    /// What the certificate had to be good for: a name, if one was asked for.
    pub name: Option<String>,
    /// The time of the check, in seconds since 1970.
    pub now: i64,
    /// The certificates on the paths below, each once: the peer's own is the first.
    pub certificates: Vec<ReportedCertificate>,
    /// Every path that came to an end, in the order in which they were tried. If one was accepted, it is the last.
    pub attempts: Vec<PathAttempt>,
    /// How many more paths there were for which the report had no room.
    pub omitted: usize,
    /// What is wrong with the peer's own certificate, whatever the path above it.
    pub faults: Vec<CertificateReason>,
    /// What else was noticed: certificates of the chain that could not be used, for example.
    pub notes: Vec<String>,
    /// What may cure a failure, and what will expire within 30 days.
    pub hints: Vec<CertificateHint>,
}

/// One path from the peer's certificate upwards, and where it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathAttempt {
    /// Its certificates, the peer's own first: places in [`CertificateReport::certificates`].
    pub path: Vec<usize>,
    /// Which place on `path` is at fault: its length, if it is the issuer of the last that is missing.
    pub at: usize,
    /// What was wrong there; `None` if the path was accepted.
    pub end: Option<CertificateReason>,
}

/// A certificate in a report. What is text is escaped and bounded; hexadecimal digits are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportedCertificate {
    /// The subject, or the first of the other names if there is none.
    pub subject: String,
    /// The issuer. This and most of what follows is missing for anchors that are no certificates.
    pub issuer: Option<String>,
    /// The serial number, in hexadecimal.
    pub serial: Option<String>,
    /// SHA-256 of the certificate, in hexadecimal.
    pub fingerprint: Option<String>,
    /// subjectKeyIdentifier, in hexadecimal: what the issuer calls this key.
    pub subject_key_id: Option<String>,
    /// authorityKeyIdentifier, in hexadecimal: what it calls the key that signed it.
    pub authority_key_id: Option<String>,
    /// The kind of key: `ECDSA P-256`, `RSA 2048`.
    pub key: String,
    /// The algorithm of the signature.
    pub signed_with: Option<String>,
    /// First and last second in which it is valid, in seconds since 1970.
    pub validity: Option<(i64, i64)>,
    /// What it may be used for (extendedKeyUsage): `serverAuth`, or an identifier in dotted form; at most 12 of them. Empty
    /// if nothing is said, which means for anything.
    pub purposes: Vec<String>,
    /// The subjectAltName: `DNS:example.com`; at most 20 of them.
    pub names: Vec<String>,
    /// Where it says that its issuer's certificate can be had (authorityInfoAccess, caIssuers).
    pub issuer_addresses: Vec<String>,
    /// Whether it is a CA's.
    pub is_ca: bool,
    /// Whether it is a trust anchor.
    pub is_anchor: bool,
    /// Its place in what the peer sent, from 0; `None` if the peer did not send it.
    pub position: Option<usize>,
}

/// What may cure a failure, or what will be one soon.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateHint {
    /// A name for programs, which never changes; [`CertificateReason::code`] lists them all.
    pub code: &'static str,
    /// What to do, for people.
    pub text: String,
}

impl CertificateHint {
    /// A hint.
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl PathAttempt {
    /// A path, which of its places is at fault, and why.
    pub(crate) fn new(path: Vec<usize>, at: usize, end: Option<CertificateReason>) -> Self {
        Self { path, at, end }
    }
}

impl CertificateReport {
    /// Whether a path was accepted.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.reason.is_none()
    }

    /// Whether one of the paths led to a trust anchor.
    #[must_use]
    pub fn reached_anchor(&self) -> bool {
        let places = self.attempts.iter().flat_map(|attempt| &attempt.path);
        places.filter_map(|i| self.certificates.get(*i)).any(|c| c.is_anchor)
    }
}

impl fmt::Display for CertificateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tree = Tree { report: self, shown: vec![false; self.certificates.len()] };
        let all: Vec<_> = self.attempts.iter().filter(|a| !a.path.is_empty()).collect();
        if !all.is_empty() {
            tree.draw(f, &all, 0, "", "")?;
        }
        if self.omitted > 0 {
            writeln!(f, "and {} more paths, all in vain", self.omitted)?;
        }
        if !all.is_empty() && self.notes.len() + self.hints.len() > 0 {
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))?;
        self.hints.iter().try_for_each(|hint| writeln!(f, "hint: {} ({})", hint.text, hint.code))
    }
}

/// The attempts, as a tree whose root is the peer's certificate.
struct Tree<'a> {
    report: &'a CertificateReport,
    /// Which certificates have been described already.
    shown: Vec<bool>,
}

impl Tree<'_> {
    /// Draws what `attempts` have at `depth`: they have all before it in common, and are that long. `first` is before the
    /// first line, `rest` before the others.
    fn draw(
        &mut self,
        f: &mut fmt::Formatter<'_>,
        attempts: &[&PathAttempt],
        depth: usize,
        first: &str,
        rest: &str,
    ) -> fmt::Result {
        let Some(index) = attempts.first().and_then(|a| a.path.get(depth).copied()) else {
            return Ok(());
        };
        let Some(certificate) = self.report.certificates.get(index) else { return Ok(()) };
        let ends: Vec<_> =
            attempts.iter().filter(|a| a.at == depth).filter_map(|a| a.end.as_ref()).collect();
        let mut faults: Vec<&CertificateReason> = Vec::new();
        let own = self.report.faults.iter().filter(|_| depth == 0);
        for fault in ends.into_iter().chain(own) {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        let mark = if faults.is_empty() { '✓' } else { '✗' };
        let role = if certificate.is_anchor { " (trusted)" } else { "" };
        writeln!(f, "{first}{mark} {}{role}", certificate.subject)?;

        let children = Self::children(attempts, depth);
        let missing = attempts.iter().find(|a| a.at == a.path.len() && a.path.len() == depth + 1);
        let more = !children.is_empty() || missing.is_some();
        let bar = format!("{rest}{}   ", if more { '│' } else { ' ' });
        if let Some(shown) = self.shown.get_mut(index).filter(|shown| !**shown) {
            *shown = true;
            certificate.describe(f, &bar, self.report.now)?;
        }
        faults.iter().try_for_each(|fault| writeln!(f, "{bar}✗ {}: {fault}", fault.code()))?;

        if let Some(reason) = missing.and_then(|a| a.end.as_ref()) {
            let branch = if children.is_empty() { '└' } else { '├' };
            writeln!(f, "{rest}{branch}─✗ {}: {reason}", reason.code())?;
        }
        for (number, child) in children.iter().enumerate() {
            let (branch, below) = match number + 1 == children.len() {
                true => ("└─", "  "),
                false => ("├─", "│ "),
            };
            let (first, rest) = (format!("{rest}{branch}"), format!("{rest}{below}"));
            self.draw(f, child, depth + 1, &first, &rest)?;
        }
        Ok(())
    }

    /// The attempts that go on above `depth`, those with the same next certificate together.
    fn children<'b>(attempts: &[&'b PathAttempt], depth: usize) -> Vec<Vec<&'b PathAttempt>> {
        let mut children: Vec<Vec<&PathAttempt>> = Vec::new();
        for attempt in attempts.iter().filter(|a| a.path.len() > depth + 1) {
            let next = |a: &PathAttempt| a.path.get(depth + 1).copied();
            let same = |group: &&mut Vec<&PathAttempt>| {
                group.first().is_some_and(|a| next(a) == next(attempt))
            };
            match children.iter_mut().find(same) {
                Some(group) => group.push(attempt),
                None => children.push(vec![attempt]),
            }
        }
        children
    }
}

impl ReportedCertificate {
    /// One line for each thing that there is to say, after `bar`.
    fn describe(&self, f: &mut fmt::Formatter<'_>, bar: &str, now: i64) -> fmt::Result {
        const SHOWN: usize = 6;
        let id = |id: &Option<String>| match id {
            Some(id) => format!(", key id {id}"),
            None => String::new(),
        };
        if !self.names.is_empty() {
            let shown = self.names.iter().take(SHOWN).map(String::as_str);
            let names = shown.collect::<Vec<_>>().join(", ");
            let more = if self.names.len() > SHOWN { ", …" } else { "" };
            writeln!(f, "{bar}names    {names}{more}")?;
        }
        if !self.purposes.is_empty() {
            writeln!(f, "{bar}purpose  {}", self.purposes.join(", "))?;
        }
        if let Some((from, until)) = self.validity {
            let left = match (now < from, now > until) {
                (true, _) => format!("begins in {}", Span(from, now)),
                (_, true) => format!("ended {} ago", Span(now, until)),
                _ => format!("{} left", Span(until, now)),
            };
            writeln!(f, "{bar}valid    {} to {}, {left}", Date(from), Date(until))?;
        }
        if !self.key.is_empty() {
            writeln!(f, "{bar}key      {}{}", self.key, id(&self.subject_key_id))?;
        }
        if let Some(issuer) = &self.issuer {
            let with = self.signed_with.as_deref().unwrap_or("an unknown algorithm");
            match *issuer == self.subject {
                true => writeln!(f, "{bar}issuer   itself, by {with}")?,
                false => {
                    let id = id(&self.authority_key_id);
                    writeln!(f, "{bar}issuer   {issuer}{id}, by {with}")?;
                }
            }
        }
        if let Some(serial) = &self.serial {
            writeln!(f, "{bar}serial   {serial}")?;
        }
        if let Some(fingerprint) = &self.fingerprint {
            writeln!(f, "{bar}SHA-256  {fingerprint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(subject: &str) -> ReportedCertificate {
        ReportedCertificate { subject: subject.into(), ..Default::default() }
    }

    /// Two paths above one leaf, the second of which breaks off; and a fault of the leaf.
    #[test]
    fn a_report_reads_as_a_tree() {
        let unknown =
            CertificateReason::UnknownIssuer { certificate: "CN=b".into(), issuer: "CN=d".into() };
        let root = ReportedCertificate {
            is_anchor: true,
            key: "RSA 2048".into(),
            validity: Some((0, 86_400 * 10)),
            ..certificate("CN=c")
        };
        let report = CertificateReport {
            reason: Some(CertificateReason::Refused),
            certificates: vec![certificate("CN=a"), certificate("CN=b"), root],
            attempts: vec![
                PathAttempt::new(vec![0, 2], 1, Some(CertificateReason::Refused)),
                PathAttempt::new(vec![0, 1], 2, Some(unknown)),
            ],
            omitted: 2,
            faults: vec![CertificateReason::TooDeep { limit: 1 }],
            notes: vec!["certificate 3 was ignored".into()],
            hints: vec![CertificateHint::new("renew", "Renew it.")],
            ..Default::default()
        };
        let text = report.to_string();
        let expected = "\
✗ CN=a
│   ✗ too-deep: the path has more than 1 intermediates, which is the verifier's limit
├─✗ CN=c (trusted)
│     valid    1970-01-01 00:00:00 UTC to 1970-01-11 00:00:00 UTC, 10 days left
│     key      RSA 2048
│     ✗ refused: refused by the application
└─✓ CN=b
  └─✗ unknown-issuer: no path to a trusted root: the issuer of CN=b, which is CN=d, is neither trusted nor in the \
peer's chain; either the peer must send that intermediate, or its root has to be trusted here
and 2 more paths, all in vain

note: certificate 3 was ignored
hint: Renew it. (renew)
";
        assert_eq!(text, expected);
        assert!(report.reached_anchor() && !report.is_accepted());
    }
}
