//! What was negotiated, as text, JSON and table rows; and what may be shown of strings that a peer chose.

use std::io::{self, Write};

use sealwire::pki_types::{CertificateDer, ServerName};
use sealwire::{EarlyData, Summary};
use serde_json::{Value, json};
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

/// A negotiated connection in words: one row a property.
pub(crate) fn rows(summary: &Summary) -> Vec<(&'static str, String)> {
    let peer = Peer::of(&summary.peer_chain);
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".into());
    vec![
        ("Version", version(summary)),
        ("Cipher suite", summary.suite.to_string()),
        ("Key exchange", or_none(summary.group.map(|g| g.to_string()))),
        ("Post-quantum", yes_no(summary.is_post_quantum())),
        ("Peer's signature", or_none(summary.peer_scheme.map(|s| s.to_string()))),
        ("Our signature", or_none(summary.own_scheme.map(|s| s.to_string()))),
        ("Protocol (ALPN)", or_none(alpn(summary))),
        ("Server name (SNI)", or_none(server_name(summary))),
        ("Peer's subject", or_none(peer.as_ref().map(|p| p.subject.clone()))),
        (
            "Peer's names",
            or_none(peer.as_ref().map(|p| p.names.join(", ")).filter(|n| !n.is_empty())),
        ),
        ("Peer's issuer", or_none(peer.as_ref().map(|p| p.issuer.clone()))),
        ("Peer's validity", or_none(peer.map(|p| format!("{} to {}", p.not_before, p.not_after)))),
        ("Resumed", yes_no(summary.resumed)),
        ("Early data", early_data(summary).into()),
        ("Pre-shared key", or_none(summary.external_psk.as_deref().map(lossy))),
        ("Retried (HelloRetryRequest)", yes_no(summary.retried)),
    ]
}

/// The same for programs. Absent values are null.
pub(crate) fn negotiated(summary: &Summary) -> Value {
    json!({
        "version": version(summary),
        "cipher_suite": summary.suite.to_string(),
        "group": summary.group.map(|g| g.to_string()),
        "post_quantum": summary.is_post_quantum(),
        "peer_signature_scheme": summary.peer_scheme.map(|s| s.to_string()),
        "own_signature_scheme": summary.own_scheme.map(|s| s.to_string()),
        "alpn": alpn(summary),
        "server_name": server_name(summary),
        "peer": Peer::of(&summary.peer_chain).map(|p| p.json()),
        "peer_chain_length": summary.peer_chain.len(),
        "ocsp_response_bytes": summary.peer_ocsp.len(),
        "certificate_timestamps": summary.peer_scts.len(),
        "resumed": summary.resumed,
        "early_data": early_data(summary),
        "external_psk": summary.external_psk.as_deref().map(lossy),
        "retried": summary.retried,
    })
}

/// Rows as aligned lines.
pub(crate) fn table(rows: &[(&'static str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("  {name:width$}  {value}\n")).collect()
}

fn version(summary: &Summary) -> String {
    match summary.version.name() {
        Some("TLSv1_3") => "TLSv1.3".into(),
        _ => summary.version.to_string(),
    }
}

/// What became of early data.
pub(crate) fn early_data(summary: &Summary) -> &'static str {
    match summary.early_data {
        EarlyData::Accepted => "accepted",
        EarlyData::Rejected => "rejected",
        _ => "not offered",
    }
}

fn lossy(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(bytes))
}

fn alpn(summary: &Summary) -> Option<String> {
    summary.alpn.as_deref().map(lossy)
}

fn server_name(summary: &Summary) -> Option<String> {
    summary.server_name.as_ref().map(name_text)
}

/// A name as people write it.
pub(crate) fn name_text(name: &ServerName<'_>) -> String {
    match name {
        ServerName::DnsName(name) => printable(name.as_ref()),
        ServerName::IpAddress(address) => std::net::IpAddr::from(*address).to_string(),
        _ => "unknown kind of name".into(),
    }
}

fn yes_no(yes: bool) -> String {
    if yes { "yes".into() } else { "no".into() }
}

/// What a leaf certificate says of its owner. Every string is printable.
pub(crate) struct Peer {
    pub(crate) subject: String,
    pub(crate) names: Vec<String>,
    issuer: String,
    not_before: String,
    not_after: String,
}

impl Peer {
    /// Of the first certificate, if it parses.
    pub(crate) fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (_, leaf) = X509Certificate::from_der(chain.first()?).ok()?;
        let names = leaf.subject_alternative_name().ok().flatten();
        let names = names.map(|names| names.value.general_names.iter().filter_map(subject_name));
        Some(Self {
            subject: printable(&leaf.subject().to_string()),
            names: names.into_iter().flatten().collect(),
            issuer: printable(&leaf.issuer().to_string()),
            not_before: time_text(leaf.validity().not_before),
            not_after: time_text(leaf.validity().not_after),
        })
    }

    fn json(&self) -> Value {
        json!({
            "subject": self.subject,
            "names": self.names,
            "issuer": self.issuer,
            "not_before": self.not_before,
            "not_after": self.not_after,
        })
    }
}

/// As RFC 3339 has it.
fn time_text(time: ASN1Time) -> String {
    let time = time.to_datetime();
    let (hour, minute, second) = time.to_hms();
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", time.date())
}

fn subject_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some(printable(name))
        }
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from);
            v4.or_else(|_| v6()).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// `text` without what would control a terminal: a peer chose it. No more than 1,000 characters.
pub(crate) fn printable(text: &str) -> String {
    let visible = |c: char| if c.is_control() || is_bidi_control(c) { '\u{fffd}' } else { c };
    text.chars().take(1000).map(visible).collect()
}

/// The characters that reorder text, with which a name can look like another.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes to standard error. If nobody listens there, there is nobody to tell.
pub(crate) fn say(text: &str) {
    let _nobody = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a line to standard output, at once.
pub(crate) fn print_line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_control_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\r\n\u{202e}c"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}c");
        assert_eq!(printable(&"x".repeat(5000)).len(), 1000);
    }

    #[test]
    fn tables_are_aligned() {
        let rows = [("A", "1".to_owned()), ("Long", "2".to_owned())];
        assert_eq!(table(&rows), "  A     1\n  Long  2\n");
    }
}
