//! What there is to say of a connection and of the peer, for people and for programs.

use std::net::SocketAddr;

use sealwire::pki_types::{CertificateDer, ServerName};
use sealwire::{CertificateError, CertificateReport, EarlyData, Summary};
use serde_json::{Value, json};

use super::Options;
use crate::failure::Failure;
use crate::pattern::length;
use crate::pem::pem;
use crate::report::{early_data, name_text, negotiated, printable, rows, say, table};
use crate::verdict;

/// What is known so far.
#[derive(Default)]
pub(super) struct Report {
    pub(super) address: Option<SocketAddr>,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) verdict: Option<Result<(), CertificateError>>,
    /// How the peer was verified, if it was and has certificates.
    pub(super) path: Option<CertificateReport>,
    pub(super) summary: Option<Summary>,
    pub(super) sent: u64,
    pub(super) received: u64,
    /// The peer's close_notify has come.
    pub(super) closed: bool,
    pub(super) early: Early,
}

/// What became of the file that was to go as early data.
#[derive(Default)]
pub(super) struct Early {
    pub(super) data: Vec<u8>,
    /// How much of it went as early data.
    pub(super) offered: usize,
    /// How much went after the handshake.
    pub(super) resent: usize,
}

impl Early {
    /// What the server has not got, as far as we know.
    pub(super) fn unsent(&self, summary: &Summary) -> &[u8] {
        let taken = if summary.early_data == EarlyData::Accepted { self.offered } else { 0 };
        self.data.get(taken..).unwrap_or_default()
    }

    fn json(&self, summary: Option<&Summary>) -> Value {
        let unsent = summary.map(|summary| length(self.unsent(summary)));
        json!({
            "bytes": length(&self.data),
            "offered": self.offered,
            "resent": self.resent,
            "not_sent": unsent.map(|unsent| if self.resent > 0 { 0 } else { unsent }),
        })
    }
}

impl Report {
    pub(super) fn json(&self, result: &Result<(), Failure>, options: &Options) -> Value {
        let verdict = self.verdict.as_ref().map(|verdict| match verdict {
            Ok(()) => {
                json!({ "verified": true, "report": self.path.as_ref().map(verdict::json) })
            }
            Err(error) => json!({
                "verified": false,
                "code": error.reason.code(),
                "reason": printable(&error.reason.to_string()),
                "report": verdict::json(&error.report),
            }),
        });
        let certificates: Option<Vec<_>> =
            options.showcerts.then(|| self.chain.iter().map(|der| pem(der)).collect());
        json!({
            "ok": result.is_ok(),
            "status": result.as_ref().map_or_else(|failure| failure.status.code(), |()| 0),
            "target": options.target,
            "address": self.address.map(|a| a.to_string()),
            "verdict": verdict,
            "negotiated": self.summary.as_ref().map(negotiated),
            "resumed": self.summary.as_ref().map(|summary| summary.resumed),
            "early_data": self.summary.as_ref().map(early_data),
            "early_data_file":
                options.early_data.as_ref().map(|_| self.early.json(self.summary.as_ref())),
            "certificates": certificates,
            "bytes_sent": self.sent,
            "bytes_received": self.received,
            "peer_closed": self.closed,
            "error": result.as_ref().err().map(Failure::json),
        })
    }

    /// For people, once the connection stands.
    pub(super) fn print_connected(&self, name: &ServerName<'_>) {
        let address = self.address.map_or_else(String::new, |a| a.to_string());
        let verdict = match &self.verdict {
            Some(Ok(())) => {
                let how = match &self.summary {
                    Some(summary) if summary.external_psk.is_some() => "by the pre-shared key",
                    Some(summary) if summary.resumed => {
                        "when the session began, the certificate was good for"
                    }
                    _ => "the certificate is good for",
                };
                format!("verified: {how} {}", name_text(name))
            }
            Some(Err(error)) => format!("NOT verified: {}", printable(&error.reason.to_string())),
            None => "NOT verified".to_owned(),
        };
        let rows = self.summary.as_ref().map(rows).unwrap_or_default();
        say(&format!("connected to {address}\n{}  {verdict}\n", table(&rows)));
        for hint in self.path.iter().flat_map(|report| &report.hints) {
            say(&format!("warning: {}\n", hint.text));
        }
    }
}
