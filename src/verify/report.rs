//! The story of a search, so that a verdict can be explained: every path that ended, and the reason that decides.
//!
//! While the search goes on, only places are noted down. Names, key identifiers and dates are put into words once
//! somebody is to read them: when the search has failed, or when a report was asked for.

use std::sync::Arc;

use pki_types::{CertificateDer, UnixTime};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::cause::Cause;
use super::certificate::Certificate;
use super::der::{self, Der};
use super::key::{self, KeyKind};
use super::{Purpose, Rules, directory, hint};
use crate::crypto::Provider;
use crate::error::{
    CertificateError, CertificateReason, CertificateReport, Limit, PathAttempt, ReportedCertificate,
};

/// What a search has met so far. It costs nothing while a search succeeds at once.
#[derive(Default)]
pub(super) struct Record<'a> {
    attempts: Vec<Attempt<'a>>,
    best: Option<(Rank, Cause<'a>)>,
    omitted: usize,
    /// Which certificates of the chain do not parse, and why.
    unusable: Vec<(usize, &'static str)>,
}

/// A path that ended.
struct Attempt<'a> {
    path: Vec<Place<'a>>,
    /// How far it came, and why no further; `None` if it was accepted.
    end: Option<(Stage, Cause<'a>)>,
}

/// Where a certificate on a path is from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// From the chain: its number among the certificates of the search.
    Sent(usize),
    /// An anchor that is this certificate.
    Anchor(&'a [u8]),
    /// An anchor that is a name and a key.
    Key { subject: &'a [u8], spki: &'a [u8] },
}

/// How telling a failure is. The greatest decides, and of equals the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// How far the path came.
    pub(super) stage: Stage,
    /// How many certificates are on it.
    pub(super) depth: usize,
}

/// How far a path came before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// There is nobody with the name of the issuer.
    NoIssuer,
    /// Somebody has the name, but the signature is not by that key, or cannot be checked.
    Signature,
    /// The signature is right; the issuer breaks a rule.
    Issuer,
    /// The path reached an anchor, and broke a rule there or as a whole.
    Anchor,
    /// The path is in order, but it is revoked, or not known not to be, or in no log.
    Evidence,
    /// The path is in order, but the peer's certificate is not.
    Leaf,
    /// The search was cut short: nothing that was found says what else there was.
    Exhausted,
}

/// What a report tells of, beside what the search has met.
pub(super) struct Case<'a, 'c> {
    pub(super) provider: &'c Provider,
    /// The certificates of the search, the peer's own first, and where each is in the chain.
    pub(super) certificates: &'c [Certificate<'a>],
    pub(super) positions: &'c [usize],
    pub(super) inputs: &'c super::chain::Inputs<'a>,
    /// What is wrong with the peer's own certificate by itself.
    pub(super) faults: &'c [CertificateReason],
}

impl<'a> Record<'a> {
    /// A path that ended, and is `depth` certificates long without the last candidate.
    pub(super) fn fail(&mut self, rank: Rank, path: Vec<Place<'a>>, end: Cause<'a>) {
        if self.best.as_ref().is_none_or(|(best, _)| rank > *best) {
            self.best = Some((rank, end.clone()));
        }
        self.push(Attempt { path, end: Some((rank.stage, end)) });
    }

    /// The path that is accepted.
    pub(super) fn accept(&mut self, path: Vec<Place<'a>>) {
        self.best = None;
        // It is what one wants to see, so it always has a place.
        if self.attempts.len() >= MAX_ATTEMPTS {
            self.attempts.pop();
            self.omitted += 1;
        }
        self.push(Attempt { path, end: None });
    }

    fn push(&mut self, attempt: Attempt<'a>) {
        if self.attempts.len() < MAX_ATTEMPTS {
            self.attempts.push(attempt);
        } else {
            self.omitted += 1;
        }
    }

    /// A certificate of the chain that cannot be used.
    pub(super) fn unusable(&mut self, position: usize, what: &'static str) {
        if self.unusable.len() < MAX_ATTEMPTS {
            self.unusable.push((position, what));
        }
    }

    /// The reason that decides, once nothing is left to try.
    pub(super) fn reason(&self, certificates: &[Certificate<'a>]) -> CertificateReason {
        let none = CertificateReason::BudgetExhausted { limit: Limit::Candidates };
        self.best.as_ref().map_or(none, |(_, cause)| cause.reason(certificates))
    }

    /// All of it, in words.
    pub(super) fn tell(&self, case: &Case<'a, '_>) -> CertificateReport {
        let failed = self.attempts.iter().all(|a| a.end.is_some());
        let mut report = CertificateReport {
            reason: failed.then(|| self.reason(case.certificates)),
            name: case.inputs.name.map(|name| name.to_str().into_owned()),
            now: case.inputs.now,
            omitted: self.omitted,
            faults: case.faults.to_vec(),
            ..Default::default()
        };
        let mut places: Vec<Place<'a>> = vec![Place::Sent(0)];
        for attempt in &self.attempts {
            let path = attempt.path.iter().map(|p| number(&mut places, *p)).collect();
            let end = attempt.end.as_ref().map(|(_, cause)| cause.reason(case.certificates));
            report.attempts.push(PathAttempt::new(path, 0, end));
        }
        report.certificates = places.iter().map(|place| case.describe(*place)).collect();
        for (told, attempt) in report.attempts.iter_mut().zip(&self.attempts) {
            if let (Some((stage, _)), Some(reason)) = (&attempt.end, &told.end) {
                let path = std::mem::take(&mut told.path);
                (told.path, told.at) = locate(*stage, reason, path, &report.certificates);
            }
        }
        for (position, what) in &self.unusable {
            let number = position + 1;
            report.notes.push(format!("certificate {number} of the chain cannot be used: {what}"));
        }
        report.hints = hint::of(&report, case);
        report
    }
}

/// What there is to say of a leaf that is of no use at any time, under any root. Nothing was hashed, and no time is known.
pub(super) fn of_leaf(leaf: &Certificate<'_>, reason: CertificateReason) -> CertificateReport {
    let leaf = ReportedCertificate { validity: None, position: Some(0), ..describe(leaf, None) };
    CertificateReport {
        hints: vec![hint::cannot_sign(&leaf, "peer")],
        certificates: vec![leaf],
        attempts: vec![PathAttempt::new(vec![0], 0, Some(reason.clone()))],
        faults: vec![reason.clone()],
        reason: Some(reason),
        ..Default::default()
    }
}

/// What there is to say of a chain that was refused before a path was looked for.
pub(super) fn of_chain(
    rules: &Rules,
    provider: &Provider,
    chain: &[CertificateDer<'_>],
    purpose: Purpose,
    now: UnixTime,
    reason: CertificateReason,
) -> CertificateError {
    let mut report = CertificateReport {
        now: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
        reason: Some(reason.clone()),
        ..Default::default()
    };
    let leaf = chain.first().and_then(|leaf| Certificate::parse(leaf).ok());
    if let Some(leaf) = &leaf {
        let described = describe(leaf, Some(provider));
        report.certificates = vec![ReportedCertificate { position: Some(0), ..described }];
        report.attempts = vec![PathAttempt::new(vec![0], 0, Some(reason.clone()))];
    }
    if !chain.is_empty() {
        report.hints = hint::of_leaf(&report, rules, purpose, leaf.as_ref());
    }
    CertificateError { reason, report: Arc::new(report) }
}

/// What there is to say of a raw public key that was refused.
pub(super) fn of_raw_key(reason: CertificateReason) -> CertificateError {
    let hints = match &reason {
        CertificateReason::UntrustedKey { sha256 } => vec![hint::trust_raw_key(sha256)],
        _ => Vec::new(),
    };
    let report = CertificateReport { reason: Some(reason.clone()), hints, ..Default::default() };
    CertificateError { reason, report: Arc::new(report) }
}

/// The path of an attempt as it is to be shown, and which place on it is at fault.
fn locate(
    stage: Stage,
    reason: &CertificateReason,
    mut path: Vec<usize>,
    certificates: &[ReportedCertificate],
) -> (Vec<usize>, usize) {
    use CertificateReason as R;
    let last = path.len().saturating_sub(1);
    let at = match (stage, reason) {
        (Stage::Leaf, _) => 0,
        (_, R::UnknownIssuer { .. }) => path.len(),
        // No signature was looked at, so nothing is known of the one who may have made it.
        (_, R::WeakAlgorithm { .. } | R::UnsupportedAlgorithm { .. }) => {
            path.pop();
            last.saturating_sub(1)
        }
        (
            _,
            R::NameConstraint { certificate: named, .. }
            | R::Revoked { certificate: named, .. }
            | R::RevocationUnknown { certificate: named, .. }
            | R::Policy { certificate: named }
            | R::Spiffe { certificate: named, .. }
            | R::CrlExpired { issuer: named, .. }
            | R::CrlNotYetValid { issuer: named, .. }
            | R::TlsFeature { certificate: named, .. },
        ) => {
            let subject = |i: &usize| certificates.get(*i).map(|c| &c.subject);
            path.iter().position(|i| subject(i) == Some(named)).unwrap_or(last)
        }
        // Staples and timestamps are about the peer's own certificate, and pins about nobody's in particular.
        (
            _,
            R::NotPinned { .. }
            | R::BadStaple { .. }
            | R::StapleExpired { .. }
            | R::StapleNotYetValid { .. }
            | R::MissingStaple { .. }
            | R::NotLogged { .. },
        ) => 0,
        _ => last,
    };
    (path, at)
}

/// Where `place` is among `places`, to which it is added if it is new.
fn number<'a>(places: &mut Vec<Place<'a>>, place: Place<'a>) -> usize {
    places.iter().position(|known| *known == place).unwrap_or_else(|| {
        places.push(place);
        places.len() - 1
    })
}

impl Case<'_, '_> {
    fn describe(&self, place: Place<'_>) -> ReportedCertificate {
        match place {
            Place::Sent(index) => match self.certificates.get(index) {
                Some(certificate) => ReportedCertificate {
                    position: self.positions.get(index).copied(),
                    ..describe(certificate, Some(self.provider))
                },
                None => ReportedCertificate::default(),
            },
            Place::Anchor(der) => {
                let described = Certificate::parse(der).ok();
                let described = described.map(|c| describe(&c, Some(self.provider)));
                ReportedCertificate { is_anchor: true, ..described.unwrap_or_default() }
            }
            Place::Key { subject, spki } => ReportedCertificate {
                subject: directory::display(subject),
                key: key_name(spki),
                is_ca: true,
                is_anchor: true,
                ..Default::default()
            },
        }
    }
}

/// What a report says of a certificate; its fingerprint, if there is a provider to make one.
fn describe(certificate: &Certificate<'_>, provider: Option<&Provider>) -> ReportedCertificate {
    let extensions = &certificate.extensions;
    // x509-parser reads what no verifier needs.
    let parsed = X509Certificate::from_der(certificate.der).ok().map(|(_, parsed)| parsed);
    ReportedCertificate {
        subject: subject(certificate),
        issuer: Some(directory::display(certificate.issuer)),
        serial: parsed.as_ref().map(|parsed| hex(parsed.raw_serial())),
        fingerprint: provider.map(|provider| hex(&provider.fingerprint(certificate.der))),
        subject_key_id: extensions.subject_key_id.map(hex),
        authority_key_id: extensions.authority_key_id.map(hex),
        key: key_name(certificate.spki),
        signed_with: Some(algorithm_name(certificate.signed.algorithm)),
        validity: Some((certificate.not_before, certificate.not_after)),
        purposes: parsed.as_ref().map(purposes).unwrap_or_default(),
        names: extensions.subject_alt_name.map(|names| names.display()).unwrap_or_default(),
        issuer_addresses: parsed.as_ref().map(issuer_addresses).unwrap_or_default(),
        is_ca: certificate.is_ca(),
        is_anchor: false,
        position: None,
    }
}

/// What extendedKeyUsage names (RFC 5280 §4.2.1.12), at most twelve.
fn purposes(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Some(usage) = certificate.extended_key_usage().ok().flatten() else { return Vec::new() };
    let usage = usage.value;
    let known = [
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
        (usage.any, "anyExtendedKeyUsage"),
    ];
    let known = known.iter().filter(|(has, _)| *has).map(|(_, name)| (*name).to_owned());
    let others = usage.other.iter().map(|o| directory::printable(o.to_id_string().as_bytes()));
    known.chain(others.take(5)).collect()
}

/// The addresses under caIssuers (RFC 5280 §4.2.2.1), at most three.
fn issuer_addresses(certificate: &X509Certificate<'_>) -> Vec<String> {
    let access = certificate.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => Some(access),
        _ => None,
    });
    let descriptions = access.iter().flat_map(|access| access.iter());
    let issuers = descriptions.filter(|d| d.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS);
    let addresses = issuers.filter_map(|d| match &d.access_location {
        GeneralName::URI(uri) => Some(directory::printable(uri.as_bytes())),
        _ => None,
    });
    addresses.take(3).collect()
}

/// The subject of a certificate, for people. Leaves often have no subject; then the first of their other names stands in.
pub(super) fn subject(certificate: &Certificate<'_>) -> String {
    if directory::is_empty(certificate.subject)
        && let Some(name) = certificate.extensions.subject_alt_name.and_then(|n| n.iter().next())
    {
        return name.to_string();
    }
    directory::display(certificate.subject)
}

/// An object identifier in dotted form.
pub(super) fn dotted(oid: &[u8]) -> String {
    x509_parser::der_parser::oid::Oid::new(oid.into()).to_id_string()
}

/// At most 64 bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let mut out: String = bytes.iter().take(SHOWN).map(|b| format!("{b:02x}")).collect();
    if bytes.len() > SHOWN {
        out.push('…');
    }
    out
}

fn key_name(spki: &[u8]) -> String {
    match KeyKind::of(spki) {
        KeyKind::Rsa(bits) => format!("RSA {bits}"),
        KeyKind::RsaPss(bits) => format!("RSA-PSS {bits}"),
        KeyKind::P256 => "ECDSA P-256".into(),
        KeyKind::P384 => "ECDSA P-384".into(),
        KeyKind::P521 => "ECDSA P-521".into(),
        KeyKind::Ed25519 => "Ed25519".into(),
        KeyKind::Ed448 => "Ed448".into(),
        KeyKind::MlDsa44 => "ML-DSA-44".into(),
        KeyKind::MlDsa65 => "ML-DSA-65".into(),
        KeyKind::MlDsa87 => "ML-DSA-87".into(),
        KeyKind::Other => "of a kind that TLS 1.3 has no use for".into(),
    }
}

/// The name of a signature algorithm, from the contents of its AlgorithmIdentifier.
fn algorithm_name(algorithm: &[u8]) -> String {
    let oid = Der::new(algorithm).expect(der::OID).unwrap_or_default();
    let known = ALGORITHMS.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name);
    known.or_else(|| key::weak_algorithm(algorithm)).map_or_else(|| dotted(oid), str::to_owned)
}

/// Contents octets of object identifiers, and what people call them.
const ALGORITHMS: &[(&[u8], &str)] = &[
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2], "ECDSA with SHA-256"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3], "ECDSA with SHA-384"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4], "ECDSA with SHA-512"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10], "RSA-PSS"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11], "RSA with SHA-256"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12], "RSA with SHA-384"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13], "RSA with SHA-512"),
    (&[0x2b, 0x65, 112], "Ed25519"),
    (&[0x2b, 0x65, 113], "Ed448"),
];

const MAX_ATTEMPTS: usize = 16;
