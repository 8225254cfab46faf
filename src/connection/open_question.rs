//! What the application was asked, and which answers suit it.

use crate::credential::Key;
use crate::decision::{Answer, Question, Waiting};

/// What the application was asked.
pub(super) struct OpenQuestion {
    pub(super) kind: Waiting,
    /// Whether the configuration can answer in its place.
    has_default: bool,
}

impl OpenQuestion {
    pub(super) fn new(question: &Question) -> Self {
        match question {
            Question::ClientHello(_) => Self { kind: Waiting::ClientHello, has_default: true },
            Question::Credential(_) => Self { kind: Waiting::Credential, has_default: true },
            Question::Verdict(_) => Self { kind: Waiting::Verdict, has_default: true },
            Question::Psk(_) => Self { kind: Waiting::Psk, has_default: true },
            Question::EarlyData(_) => Self { kind: Waiting::EarlyData, has_default: true },
            Question::Signature(request) => Self {
                kind: Waiting::Signature,
                has_default: matches!(request.credential.key(), Key::Local(_)),
            },
        }
    }

    pub(super) fn accepts(&self, answer: &Answer) -> bool {
        match answer {
            Answer::UseConfig => self.has_default,
            Answer::Refuse(_) => true,
            Answer::Choose(_) => self.kind == Waiting::ClientHello,
            Answer::Credential(_) => self.kind == Waiting::Credential,
            Answer::Signature(_) => self.kind == Waiting::Signature,
            Answer::Accept => matches!(self.kind, Waiting::Verdict | Waiting::EarlyData),
            Answer::Reject(_) => self.kind == Waiting::Verdict,
            Answer::Decline => self.kind == Waiting::EarlyData,
            Answer::Ticket(..) | Answer::ExternalPsk(..) | Answer::NoPsk => {
                self.kind == Waiting::Psk
            }
        }
    }
}
