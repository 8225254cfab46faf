//! A server's request for a certificate, and the client's answer to it (RFC 9846 §4.4.2, §4.5.1), in the handshake and later.

use std::sync::Arc;

use crate::codepoints::{CertificateType, SignatureScheme};
use crate::config::Common;
use crate::credential::Credential;
use crate::decision::{Answer, CredentialRequest, Question};
use crate::error::{Error, NoOverlap};
use crate::handshake::Effects;
use crate::handshake::auth::{
    Along, PendingSignature, Side, Wishes, choose_credential, send_certificate,
};
use crate::message::CertificateRequest;
use crate::transcript::Transcript;

/// What the server wants to see of us.
pub(crate) struct Request {
    context: Vec<u8>,
    kind: CertificateType,
    wishes: Wishes,
    along: Along,
}

impl Request {
    /// `kind` is what was negotiated (RFC 7250 §4.2).
    pub(crate) fn new(message: &CertificateRequest<'_>, kind: CertificateType) -> Self {
        let certificate_schemes = message.certificate_schemes;
        let wishes = Wishes {
            types: vec![kind],
            schemes: message.schemes.iter().map(SignatureScheme).collect(),
            certificate_schemes: certificate_schemes
                .map(|list| list.iter().map(SignatureScheme).collect()),
            authorities: message.authorities.iter().map(|name| name.to_vec()).collect(),
            name: None,
        };
        let along = Along::of_request(message);
        Self { context: message.context.to_vec(), kind, wishes, along }
    }

    /// For the application.
    pub(crate) fn question(&self) -> Question {
        Question::Credential(CredentialRequest {
            certificate_type: self.kind,
            schemes: self.wishes.schemes.clone(),
            certificate_schemes: self.wishes.certificate_schemes.clone(),
            authorities: self.wishes.authorities.clone(),
        })
    }

    /// Sends the certificate that the application names, or that of ours that suits the request, or none; says what is to be
    /// signed then.
    pub(crate) fn answer(
        self,
        common: &Common,
        credentials: &[Arc<Credential>],
        transcript: &mut Transcript,
        answer: Answer,
        fx: &mut Effects<'_>,
    ) -> Result<Option<PendingSignature>, Error> {
        let choice = match answer {
            Answer::Refuse(alert) => return Err(Error::Refused(alert)),
            Answer::Credential(None) => None,
            Answer::Credential(Some(named)) => {
                // Whoever is named is shown, or nobody: an anonymous connection is not what was asked for.
                if named.certificate_type() != self.kind {
                    return Err(NoOverlap::CertificateType(vec![self.kind]).into());
                }
                let choice = choose_credential(common, &[named], &self.wishes);
                Some(choice.ok_or(NoOverlap::SignatureScheme(self.wishes.schemes))?)
            }
            _ => choose_credential(common, credentials, &self.wishes),
        };
        let credential = choice.as_ref().map(|(credential, ..)| &**credential);
        send_certificate(common, transcript, &self.context, credential, &self.along, fx)?;
        Ok(choice.map(|(credential, scheme, _)| {
            PendingSignature::new(Side::Client, credential, scheme, transcript)
        }))
    }
}
