//! What the application says to each question of the connection.

use std::sync::Arc;

use sealwire::codepoints::Alert;
use sealwire::pki_types::UnixTime;
use sealwire::{
    Answer, Choice, ClientHelloView, CredentialRequest, FixedOutput, PeerCertificates, Purpose,
    Question, ReplayStore, Tickets,
};

use crate::credential::{Misfit, Owned, choose};
use crate::exchange::Exchange;
use crate::expectation::{expect, missing};
use crate::failure::Failure;
use crate::setup::{expected_chain, names, prefixed};

impl Exchange<'_> {
    pub(crate) fn answer(&mut self, now: UnixTime) -> Result<(), Failure> {
        let answer = match self.question.take() {
            Some(Question::ClientHello(hello)) => self.choose(&hello)?,
            Some(Question::Verdict(peer)) => self.judge(&peer, now)?,
            Some(Question::Credential(request)) => self.show(&request)?,
            Some(Question::Signature(request)) => {
                let signs = |owned: &&Owned| {
                    [&owned.credential, &owned.unstapled]
                        .iter()
                        .any(|one| Arc::ptr_eq(one, &request.credential))
                };
                let owned = self.setup.credentials.iter().find(signs);
                let key = owned.and_then(|owned| owned.key.as_ref());
                let key = key.ok_or_else(|| missing("the key"))?;
                let rng = &*self.setup.provider.rng;
                let signature = key.sign(request.scheme, &request.message, rng);
                Answer::Signature(signature.map_err(|e| Failure::Tls(e.into()))?)
            }
            // The stores are asked in place of the library, except for keys, whose wire names it makes.
            Some(Question::Psk(_)) if self.flags.has_psks() => Answer::UseConfig,
            Some(Question::Psk(identities)) => {
                let redeem = |ticket: &Vec<u8>| self.setup.tickets.redeem(ticket, now);
                let opened = identities.iter().map(redeem).enumerate();
                let mut opened = opened.filter_map(|(index, ticket)| Some((index, ticket?)));
                match opened.next() {
                    Some((index, ticket)) => Answer::Ticket(index, Arc::new(ticket)),
                    None => Answer::NoPsk,
                }
            }
            Some(Question::EarlyData(flight)) => match self.setup.replay.is_first(&flight, now) {
                true => Answer::Accept,
                false => Answer::Decline,
            },
            _ => return Err(missing("the question")),
        };
        let mut out = FixedOutput::new(&mut []);
        self.connection()?.answer(now, answer, &mut out)?;
        self.flush()?;
        self.events(now)
    }

    /// A server's choices, and what a test expects of the ClientHello.
    fn choose(&mut self, hello: &ClientHelloView) -> Result<Answer, Failure> {
        let flags = self.flags;
        if let Some(expected) = &flags.expect_advertised_alpn {
            let expected = prefixed(expected).unwrap_or_default();
            expect("advertised ALPN", &hello.alpn(), &expected)?;
        }
        if !flags.expect_peer_verify_pref.is_empty() {
            let schemes: Vec<u16> = hello.schemes().iter().map(|scheme| scheme.0).collect();
            expect("peer's verify preferences", &schemes, &flags.expect_peer_verify_pref)?;
        }
        if flags.select_empty_alpn {
            let refusal = Choice::default().with_alpn(&[b""]).err();
            let refusal = refusal.ok_or_else(|| missing("the refusal of an empty protocol"))?;
            expect("is fatal", &refusal.is_fatal(), &false)?;
            self.refused_by = Some("empty protocol");
            return Ok(Answer::Refuse(Alert::internal_error));
        }
        let mut choice = Choice::default();
        if flags.reject_alpn {
            choice = choice.with_alpn(&[b"nobody speaks this"])?;
        }
        if flags.decline_alpn {
            choice = choice.with_alpn(&[])?;
        }
        if flags.use_ocsp_callback && flags.fail_ocsp_callback {
            self.refused_by = Some("OCSP callback");
            return Ok(Answer::Refuse(Alert::internal_error));
        }
        if !flags.curves_flags.is_empty() {
            choice = choice.with_config(self.setup.with_equal_groups(flags, &hello.groups())?);
        }
        let (types, schemes) = (hello.server_certificate_types(), hello.schemes());
        let found = choose(&self.setup.credentials, &types, &schemes, &hello.authorities());
        match found {
            Err(Misfit::Issuer) => {
                self.refused_by = Some("no matching issuer");
                return Ok(Answer::Refuse(Alert::handshake_failure));
            }
            // The library says which it is that does not fit.
            Err(Misfit::Type | Misfit::Scheme) => {}
            Ok(owned) => {
                self.selected = Some(owned.index);
                if let Some(config) = self.setup.without_psks(flags, owned.index) {
                    choice = choice.with_config(config);
                }
                let staple = !flags.decline_ocsp_callback;
                let credential = if staple { &owned.credential } else { &owned.unstapled };
                // A credential that was chosen in sight of the client's name acknowledges it (RFC 6066 §3).
                let acknowledge = hello.server_name().is_some() && !flags.no_server_name_ack;
                let several = self.setup.credentials.len() > 1;
                if flags.use_ocsp_callback || acknowledge || several {
                    choice = choice.with_credential(credential.clone());
                }
            }
        }
        Ok(Answer::Choose(choice))
    }

    /// A client's credential, and what a test expects of the CertificateRequest.
    fn show(&mut self, request: &CredentialRequest) -> Result<Answer, Failure> {
        let flags = self.flags;
        if !flags.expect_peer_verify_pref.is_empty() {
            let schemes: Vec<u16> = request.schemes.iter().map(|scheme| scheme.0).collect();
            expect("peer's verify preferences", &schemes, &flags.expect_peer_verify_pref)?;
        }
        if let Some(list) = &flags.expect_client_ca_list {
            expect("authorities", &request.authorities, &names(list)?)?;
        }
        let all = &self.setup.credentials;
        let types = [request.certificate_type];
        match choose(all, &types, &request.schemes, &request.authorities) {
            Ok(owned) => {
                self.selected = Some(owned.index);
                Ok(Answer::Credential(Some(owned.credential.clone())))
            }
            Err(Misfit::Issuer) => {
                self.refused_by = Some("no matching issuer");
                Ok(Answer::Refuse(Alert::handshake_failure))
            }
            Err(Misfit::Type) if !all.is_empty() => {
                self.refused_by = Some("no credential of this type");
                Ok(Answer::Refuse(Alert::handshake_failure))
            }
            // Who has a credential means to show it: with the wrong one the library ends the connection.
            Err(Misfit::Type | Misfit::Scheme) => {
                Ok(Answer::Credential(all.first().map(|owned| owned.credential.clone())))
            }
        }
    }

    /// The verdict on the peer's certificates.
    pub(crate) fn judge(
        &mut self,
        peer: &PeerCertificates,
        now: UnixTime,
    ) -> Result<Answer, Failure> {
        let flags = self.flags;
        if !flags.expect_ocsp_response.is_empty() {
            expect("OCSP response", &peer.ocsp, &flags.expect_ocsp_response)?;
        }
        self.accepted = Some(!flags.verify_fail);
        let judged = flags.verify_peer
            || (flags.server && flags.require_any_client_certificate)
            || peer.raw_public_key.is_some();
        if judged && flags.verify_fail {
            self.refused_by = Some("verify callback");
            return Ok(Answer::Refuse(match flags.use_custom_verify_callback {
                true => Alert::certificate_unknown,
                false => Alert::handshake_failure,
            }));
        }
        if flags.use_ocsp_callback && flags.fail_ocsp_callback {
            self.refused_by = Some("OCSP callback");
            return Ok(Answer::Refuse(Alert::bad_certificate_status_response));
        }
        if let Some(verifier) = &self.setup.verifier {
            let purpose = if flags.server { Purpose::Client } else { Purpose::Server };
            let provider = &self.setup.provider;
            let evidence = peer.evidence();
            if let Err(error) = verifier.verify(provider, &peer.chain, purpose, None, now, evidence)
            {
                // A test that changes the certificate names the one that it expects, and trusts the other.
                let expected = flags.expect_peer_cert_file.as_deref().map(expected_chain);
                let named = expected.transpose()?.is_some_and(|chain| chain == peer.chain);
                if flags.verify_peer || !named {
                    return Ok(Answer::Reject(error));
                }
            }
        }
        Ok(Answer::Accept)
    }
}
