//! What both roles do to authenticate: Certificate, CertificateVerify and Finished (RFC 9846 §4.5).

use std::sync::Arc;

use pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer};

use super::compression::compress;
use super::{Effect, Effects, Summary, ensure};
use crate::codepoints::{
    CertificateCompressionAlgorithm, CertificateType, ExtensionType, SignatureScheme,
};
use crate::config::{Common, ServerConfig};
use crate::credential::{Credential, Key};
use crate::crypto::HashValue;
use crate::decision::{Answer, PeerCertificates, Question, SignatureRequest};
use crate::error::{CertificateError, CertificateReason, Error, Misuse, Violation};
use crate::key_schedule::finished_mac;
use crate::limits::Budget;
use crate::message::{
    Certificate, CertificateRequest, CertificateVerify, ClientHello, EntryExtensions, Finished,
    RequestFields, write_certificate, write_certificate_request, write_certificate_verify,
    write_finished,
};
use crate::secret::{Secret, constant_time_eq};
use crate::transcript::Transcript;
use crate::verify::{self, Purpose, TrustVersion, Verifier};

/// Which side a signature or MAC is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    /// RFC 9846 §4.5.2: the context string of its CertificateVerify.
    fn context(self) -> &'static [u8] {
        match self {
            Self::Client => b"TLS 1.3, client CertificateVerify",
            Self::Server => b"TLS 1.3, server CertificateVerify",
        }
    }

    /// What the other side checks of its certificate.
    fn purpose(self) -> Purpose {
        match self {
            Self::Client => Purpose::Client,
            Self::Server => Purpose::Server,
        }
    }
}

/// RFC 9846 §4.5.2: what CertificateVerify signs.
pub(crate) fn signed_content(side: Side, transcript: &HashValue) -> Vec<u8> {
    let mut content = vec![0x20; 64];
    content.extend_from_slice(side.context());
    content.push(0);
    content.extend_from_slice(transcript.as_ref());
    content
}

/// RFC 9846 §4.4.2: a CertificateRequest of ours, for a certificate of this type.
pub(crate) fn certificate_request(
    config: &ServerConfig,
    verifier: &Verifier,
    kind: CertificateType,
    context: &[u8],
) -> Result<Vec<u8>, Error> {
    let common = &config.common;
    // Nobody stands behind a raw public key, and there is no status of it.
    let chains = kind == CertificateType::X509;
    let authorities = match verifier.anchors() {
        Some(anchors) if config.send_authorities && chains => anchors.subjects(),
        _ => Vec::new(),
    };
    write_certificate_request(&RequestFields {
        context,
        schemes: &common.schemes,
        certificate_schemes: &common.certificate_schemes,
        authorities: &authorities,
        wants_status: config.request_status && chains,
        wants_scts: config.request_scts && chains,
        compression: common.compression_algorithms(),
        grease: common.draw_grease()?,
    })
}

/// Checks a Certificate message of the peer against the handshake, and takes out what there is to judge. `kind` is the
/// type that was negotiated (RFC 7250 §4.2).
pub(crate) fn on_certificate(
    budget: &mut Budget,
    message: &Certificate<'_>,
    context: &[u8],
    name: Option<ServerName<'static>>,
    kind: CertificateType,
    was_asked: impl Fn(ExtensionType) -> bool,
) -> Result<PeerCertificates, Error> {
    // RFC 9846 §4.5.1: that of the request, and empty in the handshake.
    ensure(message.context == context, Violation::CertificateContext)?;
    let bytes = message.entries.iter().map(|entry| entry.certificate.len()).sum();
    budget.chain(message.entries.len(), bytes)?;
    for entry in &message.entries {
        // RFC 9846 §4.5.1: extensions answer to those of the ClientHello or CertificateRequest.
        entry.extensions.ensure_solicited(&was_asked)?;
    }

    let asked_for_ocsp = was_asked(ExtensionType::status_request);
    let mut peer = PeerCertificates { name, asked_for_ocsp, ..PeerCertificates::default() };
    if kind == CertificateType::RawPublicKey {
        // RFC 9846 §4.5.1: not more than one.
        ensure(message.entries.len() <= 1, Violation::SeveralRawPublicKeys)?;
        for entry in &message.entries {
            // What may stand beside a certificate says something about its issuer, and there is none.
            ensure(entry.extensions.iter().next().is_none(), Violation::MisplacedExtension)?;
            let key = entry.certificate.to_vec();
            peer.raw_public_key = Some(SubjectPublicKeyInfoDer::from(key));
        }
        return Ok(peer);
    }
    for entry in &message.entries {
        peer.chain.push(CertificateDer::from(entry.certificate.to_vec()));
    }
    if let Some(leaf) = message.entries.first() {
        peer.ocsp = leaf.ocsp.to_vec();
        peer.scts = leaf.scts.iter().map(|sct| sct.to_vec()).collect();
    }
    Ok(peer)
}

/// What is left of a verdict that accepted a peer.
#[derive(Clone, Copy)]
pub(crate) struct Verdict {
    /// Which versions have judged it, if the verifier did.
    pub(crate) version: Option<TrustVersion>,
    /// The last second in which what the verifier went by is good; `u64::MAX` if it did not judge.
    pub(crate) until: u64,
}

impl Default for Verdict {
    fn default() -> Self {
        Self { version: None, until: u64::MAX }
    }
}

/// Takes the verdict on the peer's chain: by the application's answer, or by the verifier of the configuration, as it was
/// when the connection began.
pub(crate) fn judge(
    common: &Common,
    verifier: &Verifier,
    side: Side,
    peer: &PeerCertificates,
    answer: Answer,
    fx: &mut Effects<'_>,
) -> Result<Verdict, Error> {
    match answer {
        Answer::Accept => Ok(Verdict::default()),
        Answer::Reject(error) => Err(Error::Certificate(error)),
        Answer::Refuse(alert) => Err(Error::Refused(alert)),
        _ => {
            let (provider, name) = (&common.provider, peer.name.as_ref());
            if let Some(key) = &peer.raw_public_key {
                verifier.verify_raw_public_key(provider, key)?;
                return Ok(Verdict::default());
            }
            let (purpose, evidence) = (side.purpose(), peer.evidence());
            let (budget, now) = (&mut *fx.budget, fx.now);
            let chain = &peer.chain;
            let path =
                verifier.verify_within(budget, provider, chain, purpose, name, now, evidence)?;
            Ok(Verdict { version: verifier.version_for(chain), until: path.until })
        }
    }
}

/// The peer's key, once it is known that it may sign at all.
pub(crate) fn peer_key(peer: &PeerCertificates) -> Result<Vec<u8>, Error> {
    if let Some(key) = &peer.raw_public_key {
        verify::check_raw_public_key(key).map_err(or_undecodable)?;
        return Ok(key.to_vec());
    }
    match peer.chain.first() {
        Some(leaf) => {
            verify::leaf_may_sign(leaf).map_err(or_undecodable)?;
            let spki = verify::subject_public_key_info(leaf).map_err(or_undecodable)?;
            Ok(spki.to_vec())
        }
        None => Ok(Vec::new()),
    }
}

/// RFC 9846 §6: what is shown, but is nothing of the negotiated type, does not parse. (Certificates that stand behind it are
/// no matter of the protocol: a verifier that needs one of them calls it corrupt.)
fn or_undecodable(error: CertificateError) -> Error {
    match error.reason {
        CertificateReason::Malformed { .. } => Error::Decode("Certificate.cert_data"),
        _ => Error::Certificate(error),
    }
}

/// RFC 9846 §4.5.2: checks the peer's proof that it holds the key of its certificate.
pub(crate) fn on_certificate_verify(
    common: &Common,
    side: Side,
    message: &CertificateVerify<'_>,
    offered: &[SignatureScheme],
    spki: &[u8],
    transcript: &HashValue,
) -> Result<(), Error> {
    let scheme = message.scheme;
    // RFC 9846 §4.3.3: PKCS#1 v1.5 and SHA-1 are for certificates only, offered or not; but for RFC 9963 §3.
    let allowed = match side {
        Side::Client => scheme.is_for_client(),
        Side::Server => scheme.is_for_handshake(),
    };
    ensure(allowed && offered.contains(&scheme), Violation::UnofferedSignatureScheme)?;
    ensure(verify::key_fits(spki, scheme), Violation::SignatureSchemeMismatch)?;
    let content = signed_content(side, transcript);
    let verified = common.provider.verify_handshake(scheme, spki, &content, message.signature);
    ensure(verified.is_ok(), Violation::BadSignature)
}

/// RFC 9846 §4.5.3: checks the peer's MAC over everything before it.
pub(crate) fn check_finished(
    transcript: &Transcript,
    traffic_secret: &Secret,
    message: &Finished<'_>,
) -> Result<(), Error> {
    let expected = finished_mac(transcript.algorithm(), traffic_secret, &transcript.current());
    // RFC 9846 §4.5.3: incorrect contents are decrypt_error, those of another length than the hash's too.
    let genuine = constant_time_eq(expected.expose(), message.verify_data);
    ensure(genuine, Violation::BadFinished)
}

/// Sends our Finished.
pub(crate) fn send_finished(
    common: &Common,
    transcript: &mut Transcript,
    traffic_secret: &Secret,
    fx: &mut Effects<'_>,
) -> Result<(), Error> {
    let mac = finished_mac(transcript.algorithm(), traffic_secret, &transcript.current());
    fx.send(common, transcript, write_finished(mac.expose())?);
    Ok(())
}

/// What the peer says about the certificates that it wants to see (RFC 9846 §4.5.1.2).
#[derive(Default)]
pub(crate) struct Wishes {
    /// What it accepts at all (RFC 7250 §4).
    pub(crate) types: Vec<CertificateType>,
    /// For CertificateVerify.
    pub(crate) schemes: Vec<SignatureScheme>,
    /// For certificates, if that is something else.
    pub(crate) certificate_schemes: Option<Vec<SignatureScheme>>,
    /// DER names of authorities.
    pub(crate) authorities: Vec<Vec<u8>>,
    /// The name that the certificate should have.
    pub(crate) name: Option<ServerName<'static>>,
}

/// The credential that suits the peer best, with the scheme to sign with, and whether it has the wanted name.
///
/// It has to be of a type that the peer accepts, and able to sign with what the peer verifies. Between certificates and raw
/// public keys our order decides. Beyond that, in this order: it has the name; its chain is signed
/// with what the peer verifies; one of the wanted authorities stands behind it; it comes first. So there is always one, if
/// one is of any use: authorities are a hint (RFC 9846 §4.3.4) and may leave out an intermediate that the peer knows.
pub(crate) fn choose_credential(
    common: &Common,
    credentials: &[Arc<Credential>],
    wishes: &Wishes,
) -> Option<(Arc<Credential>, SignatureScheme, bool)> {
    let schemes = &wishes.schemes;
    let accepted = credentials.iter().filter(|c| wishes.types.contains(&c.certificate_type()));
    let mut usable: Vec<_> = accepted.filter_map(|c| Some((c, c.scheme_for(schemes)?))).collect();
    let kind = usable.first().map(|(credential, _)| credential.certificate_type());
    usable.retain(|(credential, _)| Some(credential.certificate_type()) == kind);
    if let [(credential, scheme)] = usable[..]
        && wishes.name.is_none()
    {
        return Some((credential.clone(), scheme, false));
    }
    let accepted = wishes.certificate_schemes.as_ref().unwrap_or(schemes);
    usable.reverse(); // Of equals max_by_key takes the last.
    let merits = |credential: &Credential| {
        let named = wishes.name.as_ref().is_some_and(|name| credential.is_for(name));
        let signed = credential.is_signed_with(&common.provider, accepted);
        (named, signed, credential.is_from(&wishes.authorities))
    };
    let judged =
        usable.into_iter().map(|(credential, scheme)| (merits(credential), credential, scheme));
    let ((named, ..), credential, scheme) = judged.max_by_key(|(merits, ..)| *merits)?;
    Some((credential.clone(), scheme, named))
}

/// What the peer takes along with a certificate.
pub(crate) struct Along {
    status: bool,
    scts: bool,
    /// RFC 8879 §3: how it may be compressed.
    compression: Vec<CertificateCompressionAlgorithm>,
}

impl Along {
    pub(crate) fn of_hello(hello: &ClientHello<'_>) -> Self {
        let compression = hello.compression.iter().map(CertificateCompressionAlgorithm).collect();
        Self { status: hello.wants_status, scts: hello.wants_scts, compression }
    }

    pub(crate) fn of_request(request: &CertificateRequest<'_>) -> Self {
        let compression = request.compression.iter().map(CertificateCompressionAlgorithm).collect();
        Self { status: request.wants_status, scts: request.wants_scts, compression }
    }
}

/// Sends our Certificate: of `credential`, or none (which only a client may).
pub(crate) fn send_certificate(
    common: &Common,
    transcript: &mut Transcript,
    context: &[u8],
    credential: Option<&Credential>,
    along: &Along,
    fx: &mut Effects<'_>,
) -> Result<(), Error> {
    let message = match credential {
        Some(credential) => {
            let leaf = EntryExtensions {
                ocsp: credential.ocsp().filter(|_| along.status),
                scts: credential.scts().filter(|_| along.scts),
            };
            let message = write_certificate(context, credential.entries(), leaf)?;
            compress(common, credential, message, &along.compression)?
        }
        None => write_certificate(context, std::iter::empty(), EntryExtensions::default())?,
    };
    fx.send(common, transcript, message);
    Ok(())
}

/// Our signature: what it takes, until it is there.
pub(crate) struct PendingSignature {
    pub(crate) request: SignatureRequest,
}

impl PendingSignature {
    pub(crate) fn new(
        side: Side,
        credential: Arc<Credential>,
        scheme: SignatureScheme,
        transcript: &Transcript,
    ) -> Self {
        let message = signed_content(side, &transcript.current());
        Self { request: SignatureRequest { credential, scheme, message } }
    }

    /// Whether somebody else has to sign.
    pub(crate) fn must_ask(&self, common: &Common) -> bool {
        common.ask.signature || matches!(self.request.credential.key(), Key::External(_))
    }

    /// Asks for it.
    pub(crate) fn ask(&self, fx: &mut Effects<'_>) {
        fx.push(Effect::Ask(Question::Signature(self.request.clone())));
    }

    /// Sends CertificateVerify with the signature that `answer` brings, or with one by our own key.
    pub(crate) fn finish(
        self,
        common: &Common,
        transcript: &mut Transcript,
        summary: &mut Summary,
        answer: Answer,
        fx: &mut Effects<'_>,
    ) -> Result<(), Error> {
        let SignatureRequest { credential, scheme, message } = self.request;
        let signature = match (answer, credential.key()) {
            (Answer::Signature(signature), _) => signature,
            (Answer::Refuse(alert), _) => return Err(Error::Refused(alert)),
            (_, Key::Local(key)) => key.sign(scheme, &message, &*common.provider.rng)?,
            // The connection does not let this answer through: there is no key here to use.
            (_, Key::External(_)) => return Err(Misuse::UnexpectedAnswer.into()),
        };
        fx.send(common, transcript, write_certificate_verify(scheme, &signature)?);
        summary.own_scheme = Some(scheme);
        Ok(())
    }
}
