//! What the application says to each question of the connection.

use std::sync::Arc;

use sealwire::codepoints::Alert;
use sealwire::pki_types::UnixTime;
use sealwire::{
    Answer, Choice, ClientHelloView, FixedOutput, PeerCertificates, Purpose, Question, ReplayStore,
    Tickets,
};

use crate::exchange::Exchange;
use crate::expectation::{expect, missing};
use crate::failure::Failure;
use crate::setup::{expected_chain, prefixed};

impl Exchange<'_> {
    pub(crate) fn answer(&mut self, now: UnixTime) -> Result<(), Failure> {
        let answer = match self.question.take() {
            Some(Question::ClientHello(hello)) => self.choose(&hello)?,
            Some(Question::Verdict(peer)) => self.judge(&peer, now)?,
            Some(Question::Signature(request)) => {
                let key = self.setup.key.as_ref().ok_or_else(|| missing("the key"))?;
                let rng = &*self.setup.provider.rng;
                let signature = key.sign(request.scheme, &request.message, rng);
                Answer::Signature(signature.map_err(|e| Failure::Tls(e.into()))?)
            }
            // The stores are asked in place of the library, except for keys, whose wire names it makes.
            Some(Question::Psk(_)) if !self.flags.psks.is_empty() => Answer::UseConfig,
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
        let staple = !flags.decline_ocsp_callback;
        let credential = if staple { &self.setup.credential } else { &self.setup.unstapled };
        // A credential that was chosen in sight of the client's name acknowledges it (RFC 6066 §3).
        let acknowledge = hello.server_name().is_some() && !flags.no_server_name_ack;
        if let Some(credential) = credential
            && (flags.use_ocsp_callback || acknowledge)
        {
            choice = choice.with_credential(credential.clone());
        }
        Ok(Answer::Choose(choice))
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
        let judged = flags.verify_peer || (flags.server && flags.require_any_client_certificate);
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
