//! Why a certificate or a path is refused, as it is noted down while a search goes on: a few words and slices. It is put
//! into a [`CertificateReason`](Reason) when somebody is to read it, so that a search that finds a path in the end has formatted
//! nothing.

use super::certificate::Certificate;
use super::der::{self, Der};
use super::directory;
use super::name::GeneralName;
use super::report::{Place, dotted, subject};
use crate::error::CertificateReason as Reason;

/// What is wrong with one certificate, or with a key that is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault<'a> {
    Malformed(&'static str),
    /// The field: 0 is v1.
    Version(u8),
    NotCa,
    PathLength(u32),
    /// The use that is missing.
    KeyUsage(&'static str),
    /// The purpose that is missing.
    ExtendedKeyUsage(&'static str),
    Expired {
        not_after: i64,
        now: i64,
    },
    NotYetValid {
        not_before: i64,
        now: i64,
    },
    /// The contents of its object identifier.
    UnknownCriticalExtension(&'a [u8]),
    /// The bits of the key.
    WeakKey(usize),
    WeakAlgorithm(&'static str),
    UnsupportedKey,
    /// The rule of the strict profile.
    Profile(&'static str),
    /// The intermediates that are allowed.
    TooDeep(usize),
}

impl Fault<'_> {
    /// In words, of the certificate or key of this name.
    pub(super) fn reason(self, certificate: String) -> Reason {
        match self {
            Self::Malformed(what) => Reason::Malformed { what },
            Self::Version(field) => Reason::Version { certificate, version: field + 1 },
            Self::NotCa => Reason::NotCa { certificate },
            Self::PathLength(allowed) => Reason::PathLength { certificate, allowed },
            Self::KeyUsage(missing) => Reason::KeyUsage { certificate, missing },
            Self::ExtendedKeyUsage(missing) => Reason::ExtendedKeyUsage { certificate, missing },
            Self::Expired { not_after, now } => Reason::Expired { certificate, not_after, now },
            Self::NotYetValid { not_before, now } => {
                Reason::NotYetValid { certificate, not_before, now }
            }
            Self::UnknownCriticalExtension(oid) => {
                Reason::UnknownCriticalExtension { certificate, oid: dotted(oid) }
            }
            Self::WeakKey(bits) => Reason::WeakKey { certificate, bits },
            Self::WeakAlgorithm(algorithm) => Reason::WeakAlgorithm { certificate, algorithm },
            Self::UnsupportedKey => Reason::UnsupportedKey { certificate },
            Self::Profile(rule) => Reason::Profile { certificate, rule },
            Self::TooDeep(limit) => Reason::TooDeep { limit },
        }
    }
}

/// Why a path has ended.
#[derive(Clone)]
pub(super) enum Cause<'a> {
    /// This one breaks a rule by itself.
    Fault(Place<'a>, Fault<'a>),
    /// Nobody has the name by which this was issued.
    NoIssuer(Place<'a>),
    /// Its signature is of a kind that the provider does not have.
    UnsupportedAlgorithm(Place<'a>),
    BadSignature {
        certificate: Place<'a>,
        issuer: &'a [u8],
    },
    NameConstraint {
        certificate: Place<'a>,
        issuer: &'a [u8],
        name: GeneralName<'a>,
    },
    /// No policy is left at this one.
    Policy(Place<'a>),
    /// What is in words already.
    Said(Reason),
}

impl<'a> Cause<'a> {
    /// In words. `certificates` are those of the search.
    pub(super) fn reason(&self, certificates: &[Certificate<'a>]) -> Reason {
        match self {
            Self::Fault(place, fault) => fault.reason(name_of(*place, certificates)),
            Self::NoIssuer(place) => with(*place, certificates, |it| match it.is_self_issued() {
                true => Reason::SelfSigned { certificate: subject(it) },
                false => {
                    let issuer = directory::display(it.issuer);
                    Reason::UnknownIssuer { certificate: subject(it), issuer }
                }
            }),
            Self::UnsupportedAlgorithm(place) => with(*place, certificates, |it| {
                let oid = Der::new(it.signed.algorithm).expect(der::OID);
                let algorithm = dotted(oid.unwrap_or_default());
                Reason::UnsupportedAlgorithm { certificate: subject(it), algorithm }
            }),
            Self::BadSignature { certificate, issuer } => Reason::BadSignature {
                certificate: name_of(*certificate, certificates),
                issuer: directory::display(issuer),
            },
            Self::NameConstraint { certificate, issuer, name } => Reason::NameConstraint {
                certificate: name_of(*certificate, certificates),
                issuer: directory::display(issuer),
                name: name.to_string(),
            },
            Self::Policy(place) => Reason::Policy { certificate: name_of(*place, certificates) },
            Self::Said(reason) => reason.clone(),
        }
    }
}

/// What people call the certificate or key at this place.
fn name_of(place: Place<'_>, certificates: &[Certificate<'_>]) -> String {
    match place {
        Place::Sent(number) => certificates.get(number).map(subject).unwrap_or_default(),
        Place::Anchor(der) => Certificate::parse(der).map(|it| subject(&it)).unwrap_or_default(),
        Place::Key { subject, .. } => directory::display(subject),
    }
}

/// What `tell` says of the certificate at this place.
fn with(
    place: Place<'_>,
    certificates: &[Certificate<'_>],
    tell: impl FnOnce(&Certificate<'_>) -> Reason,
) -> Reason {
    match place {
        Place::Sent(number) => certificates.get(number).map_or(Reason::Refused, tell),
        Place::Anchor(der) => Certificate::parse(der).map_or(Reason::Refused, |it| tell(&it)),
        Place::Key { .. } => Reason::Refused,
    }
}
