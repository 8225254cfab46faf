//! What is not listed is illegal: each message in each state that has no row for it (RFC 9846 §4).

use std::collections::BTreeMap;

use sealwire::codepoints::HandshakeType as H;
use sealwire::{Error, Violation};

use super::duel::{Configs, Duel, Unit, mutual, retry, simple};
use super::edit::{compressed_certificate, key_update, message, ticket};
use super::psks::resumed;
use super::support::Role::{self, Client, Server};

/// One well-formed message of each kind, by the name that errors give it.
fn samples() -> BTreeMap<&'static str, Vec<u8>> {
    let mut samples = BTreeMap::from([
        ("NewSessionTicket", ticket(&[])),
        ("KeyUpdate", key_update(0)),
        ("EndOfEarlyData", message(H::end_of_early_data, &[])),
        // Nobody here has said that it may be compressed.
        ("CompressedCertificate", compressed_certificate(1, 4, &[0x78, 0x9c])),
    ]);
    for (attacker, configs) in [(Server, mutual()), (Client, mutual()), (Server, retry())] {
        Duel::new(attacker, configs).run(|unit| {
            let name = match unit.message_type() {
                H::client_hello => "ClientHello",
                H::server_hello if unit.is_retry() => "HelloRetryRequest",
                H::server_hello => "ServerHello",
                H::encrypted_extensions => "EncryptedExtensions",
                H::certificate_request => "CertificateRequest",
                H::certificate => "Certificate",
                H::certificate_verify => "CertificateVerify",
                H::finished => "Finished",
                _ => return vec![unit], // change_cipher_spec
            };
            samples.insert(name, unit.content.clone());
            vec![unit]
        });
    }
    assert_eq!(samples.len(), 12);
    samples
}

/// Types that TLS 1.3 does not have, or that nobody negotiates here: hello_request,
/// server_key_exchange, server_hello_done, certificate_url, message_hash, and nothing at all.
const UNKNOWN: [u8; 7] = [0, 12, 14, 16, 21, 99, 254];

/// A state, how the attacker leads the victim into it, and what may come there.
struct Row {
    state: &'static str,
    attacker: Role,
    configs: fn() -> Configs,
    /// In place of which message, of those that the attacker says; `None` is after the handshake.
    at: Option<(H, u32)>,
    legal: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row {
        state: "WAIT_SH",
        attacker: Server,
        configs: simple,
        at: Some((H::server_hello, 1)),
        legal: &["ServerHello", "HelloRetryRequest"],
    },
    Row {
        state: "WAIT_SH",
        attacker: Server,
        configs: retry,
        at: Some((H::server_hello, 2)),
        // The second HelloRetryRequest has a rule of its own.
        legal: &["ServerHello", "HelloRetryRequest"],
    },
    Row {
        state: "WAIT_EE",
        attacker: Server,
        configs: simple,
        at: Some((H::encrypted_extensions, 1)),
        legal: &["EncryptedExtensions"],
    },
    Row {
        state: "WAIT_CERT_CR",
        attacker: Server,
        configs: mutual,
        at: Some((H::certificate_request, 1)),
        legal: &["CertificateRequest", "Certificate"],
    },
    Row {
        state: "WAIT_CERT",
        attacker: Server,
        configs: mutual,
        at: Some((H::certificate, 1)),
        legal: &["Certificate"],
    },
    Row {
        state: "WAIT_CV",
        attacker: Server,
        configs: simple,
        at: Some((H::certificate_verify, 1)),
        legal: &["CertificateVerify"],
    },
    Row {
        state: "WAIT_FINISHED",
        attacker: Server,
        configs: mutual,
        at: Some((H::finished, 1)),
        legal: &["Finished"],
    },
    Row {
        state: "CONNECTED",
        attacker: Server,
        configs: simple,
        at: None,
        legal: &["NewSessionTicket", "KeyUpdate"],
    },
    Row {
        state: "START",
        attacker: Client,
        configs: simple,
        at: Some((H::client_hello, 1)),
        legal: &["ClientHello"],
    },
    Row {
        state: "WAIT_CH2",
        attacker: Client,
        configs: retry,
        at: Some((H::client_hello, 2)),
        legal: &["ClientHello"],
    },
    Row {
        state: "WAIT_CERT",
        attacker: Client,
        configs: mutual,
        at: Some((H::certificate, 1)),
        legal: &["Certificate"],
    },
    Row {
        state: "WAIT_CV",
        attacker: Client,
        configs: mutual,
        at: Some((H::certificate_verify, 1)),
        legal: &["CertificateVerify"],
    },
    Row {
        state: "WAIT_FINISHED",
        attacker: Client,
        configs: mutual,
        at: Some((H::finished, 1)),
        legal: &["Finished"],
    },
    Row {
        // Nobody asked for a certificate.
        state: "WAIT_FINISHED",
        attacker: Client,
        configs: simple,
        at: Some((H::finished, 1)),
        legal: &["Finished"],
    },
    Row {
        state: "WAIT_EOED",
        attacker: Client,
        configs: resumed,
        at: Some((H::end_of_early_data, 1)),
        legal: &["EndOfEarlyData"],
    },
    Row { state: "CONNECTED", attacker: Client, configs: simple, at: None, legal: &["KeyUpdate"] },
];

impl Row {
    /// The victim gets `message` in this state.
    fn say(&self, message: &[u8]) -> Duel {
        let Some((kind, mut countdown)) = self.at else {
            let mut duel = Duel::connected(self.attacker, (self.configs)());
            duel.inject([Unit::post(message)]);
            return duel;
        };
        let mut duel = Duel::new(self.attacker, (self.configs)());
        duel.run(|unit| {
            countdown = countdown.saturating_sub(unit.is(kind).into());
            match unit.is(kind) && countdown == 0 {
                true => vec![unit.with(message)],
                false => vec![unit],
            }
        });
        assert_eq!(countdown, 0, "{} was never reached", self.state);
        duel
    }
}

#[test]
fn each_message_without_a_row_is_refused() {
    let samples = samples();
    for row in ROWS {
        for (name, message) in samples.iter().filter(|(name, _)| !row.legal.contains(name)) {
            let (state, got) = (row.state, *name);
            row.say(message).assert_refused(Error::UnexpectedMessage { state, got });
        }
        for kind in UNKNOWN {
            for body in [&[][..], &[0; 8]] {
                let (state, got) = (row.state, "a message of unknown type");
                row.say(&message(H(kind), body))
                    .assert_refused(Error::UnexpectedMessage { state, got });
            }
        }
    }
}

/// A message that is left out makes the next one unexpected: nothing is optional but CertificateRequest.
#[test]
fn each_message_left_out_is_missed() {
    let after = [
        (Server, H::encrypted_extensions, "WAIT_EE", "CertificateRequest"),
        (Server, H::certificate, "WAIT_CERT", "CertificateVerify"),
        (Server, H::certificate_verify, "WAIT_CV", "Finished"),
        (Client, H::certificate, "WAIT_CERT", "CertificateVerify"),
        (Client, H::certificate_verify, "WAIT_CV", "Finished"),
    ];
    for (attacker, left_out, state, got) in after {
        let mut duel = Duel::new(attacker, mutual());
        duel.run(|unit| if unit.is(left_out) { Vec::new() } else { vec![unit] });
        duel.assert_refused(Error::UnexpectedMessage { state, got });
    }
    // Straight from EncryptedExtensions, or from our own flight, to Finished.
    let shortcuts = [(Server, "WAIT_CERT_CR"), (Client, "WAIT_CERT")];
    for (attacker, state) in shortcuts {
        let mut duel = Duel::new(attacker, mutual());
        duel.run(|unit| {
            let skipped = [H::certificate_request, H::certificate, H::certificate_verify];
            if skipped.iter().any(|kind| unit.is(*kind)) { Vec::new() } else { vec![unit] }
        });
        duel.assert_refused(Error::UnexpectedMessage { state, got: "Finished" });
    }
}

/// The other half of the alert's bargain: what does not parse is `decode_error`, in every message that a peer sends.
#[test]
fn each_message_with_something_behind_it_is_malformed() {
    for attacker in Role::BOTH {
        let mut kinds = Vec::new();
        Duel::new(attacker, mutual()).run(|unit| {
            kinds.extend(Some(unit.message_type()).filter(|kind| unit.is(*kind)));
            vec![unit]
        });
        for kind in kinds {
            let mut duel = Duel::new(attacker, mutual());
            duel.run(|unit| match unit.is(kind) {
                true => vec![unit.with(message(kind, &[&unit.content[4..], &[0]].concat()))],
                false => vec![unit],
            });
            // RFC 9846 §4.5.3: the whole of Finished is what has to be right.
            match kind {
                H::finished => duel.assert_refused(Violation::BadFinished),
                _ => duel.assert_malformed(),
            }
        }
    }
    for (attacker, whole) in
        [(Server, ticket(&[])), (Server, key_update(0)), (Client, key_update(1))]
    {
        let kind = H(whole[0]);
        for body in [[&whole[4..], &[0]].concat(), whole[4..whole.len() - 1].to_vec()] {
            let mut duel = Duel::connected(attacker, simple());
            duel.inject([Unit::post(&message(kind, &body))]);
            duel.assert_malformed();
        }
    }
}
