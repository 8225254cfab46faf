//! Certificate revocation lists (RFC 5280 §5 and §6.3): read once, indexed, and asked about one certificate at a time.
//!
//! A list speaks for a certificate if the same CA issued both, under the same key, and the certificate is in the list's
//! scope: its kind, its distribution point, and the reasons for which it is listed. Lists that cover different reasons add
//! up. Lists that speak for other CAs (indirect) and lists of changes (delta) are refused by name when they are read.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pki_types::CertificateRevocationListDer;
use pki_types::pem::PemObject;

use super::der::{self, Der};
use super::distribution::{ALL_REASONS, Point, Scope};
use super::evidence::{CLOCK_TOLERANCE, Judge, Link, Status, Times};
use super::signature::{Signed, Stop};
use super::{directory, key};
use crate::crypto::Provider;
use crate::error::{CertificateReason as Reason, Error, Misuse};

/// Certificate revocation lists (RFC 5280 §5), to judge certificates by. Cheap to clone: all clones share one set, which
/// never changes. Reading a list of 100,000 entries takes some tens of milliseconds, asking it less than a microsecond.
#[derive(Clone, Default)]
pub struct Crls {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    lists: Vec<Crl>,
    /// Where the lists of this issuer are, by [`directory::key`].
    by_issuer: HashMap<Vec<u8>, Vec<usize>>,
    fingerprint: OnceLock<[u8; 32]>,
}

impl Crls {
    /// Takes these lists. Signatures are checked later, when it is known by whose key.
    ///
    /// # Errors
    /// [`Misuse::Crl`] says which list cannot be used and why: it is not DER, not of version 2 with a CRL number
    /// (RFC 5280 §5.2.3), an indirect CRL or a delta CRL, or has a critical extension that is not understood.
    pub fn from_der<'a>(
        lists: impl IntoIterator<Item = CertificateRevocationListDer<'a>>,
    ) -> Result<Self, Error> {
        let mut inner = Inner::default();
        for (index, der) in lists.into_iter().enumerate() {
            let list = Crl::parse(&der).map_err(|what| Misuse::Crl { number: index + 1, what })?;
            let same_issuer = inner.by_issuer.entry(directory::key(&list.issuer)).or_default();
            same_issuer.push(index);
            inner.lists.push(list);
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes the lists in PEM text; anything else in it is skipped.
    ///
    /// # Errors
    /// [`Misuse::Config`] if the text is not PEM, or holds no list; otherwise as [`Crls::from_der`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let lists = CertificateRevocationListDer::pem_slice_iter(pem);
        let lists = lists.collect::<Result<Vec<_>, _>>();
        let lists = lists.map_err(|_| Misuse::Config("the CRLs are not PEM"))?;
        if lists.is_empty() {
            return Err(Misuse::Config("there is no CRL in the PEM text").into());
        }
        Self::from_der(lists)
    }

    /// How many lists there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.lists.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.lists.is_empty()
    }

    /// 32 bytes that stand for this set of lists, whatever their order.
    pub(super) fn fingerprint(&self, provider: &Provider) -> [u8; 32] {
        *self.inner.fingerprint.get_or_init(|| {
            let each = self.inner.lists.iter().map(|list| {
                // The list says itself where it ends.
                provider.digest(&[&list.tbs, &list.signature]).unwrap_or_default()
            });
            let mut each: Vec<[u8; 32]> = each.collect();
            each.sort_unstable();
            provider.fingerprint(each.as_flattened())
        })
    }

    /// What the lists say of a certificate (RFC 5280 §6.3.3).
    pub(super) fn status(
        &self,
        link: &Link<'_>,
        times: Times,
        judge: &mut Judge<'_, '_>,
    ) -> Result<Status, Stop> {
        let certificate = link.certificate;
        let mut found = Findings::default();
        let mut points = None;
        for list in self.candidates(link) {
            let points = points.get_or_insert_with(|| Point::all_of(certificate));
            let reasons = list.scope.reasons(certificate, points);
            if reasons == 0 {
                let what = "the CRLs of its issuer that are at hand are for other certificates";
                found.trouble(1, || link.unknown(what));
                continue;
            }
            let entry = list.find(certificate.serial);
            if entry.is_none() && found.reasons == ALL_REASONS {
                continue; // Nothing that it could say would change anything.
            }
            // RFC 5280 §6.3.3 (f)
            if !link.may_sign_crls() {
                found.trouble(2, || link.unknown(MAY_NOT_SIGN_CRLS));
                continue;
            }
            // RFC 5280 §6.3.3 (g)
            if !list.is_signed_by(link.issuer_key, judge)? {
                let what = match key::weak_algorithm(&list.algorithm) {
                    Some(_) => "the CRL of its issuer is signed with too weak an algorithm",
                    None => "the CRL of its issuer is not signed by that issuer's key",
                };
                found.trouble(3, || link.unknown(what));
                continue;
            }
            // A list that has expired does not say who is good, but it still says who is revoked.
            if let Some(entry) = entry {
                let reason = reason_name(entry.reason);
                return Ok(Status::Revoked(link.revoked(entry.date, reason, times.now)));
            }
            if list.this_update > times.now.saturating_add(CLOCK_TOLERANCE) {
                let issuer = directory::display(link.issuer);
                let (this_update, now) = (list.this_update, times.now);
                found.trouble(4, || Reason::CrlNotYetValid { issuer, this_update, now });
            } else if times.now > list.next_update.saturating_add(times.grace) {
                let issuer = directory::display(link.issuer);
                let (next_update, now) = (list.next_update, times.now);
                found.trouble(5, || Reason::CrlExpired { issuer, next_update, now });
            } else {
                found.reasons |= reasons;
                found.until = found.until.min(list.next_update.saturating_add(times.grace));
            }
        }
        Ok(found.into_status(link))
    }

    /// The lists under the name of the certificate's issuer, those that name its key first.
    fn candidates(&self, link: &Link<'_>) -> Vec<&Crl> {
        let places = self.inner.by_issuer.get(&directory::key(link.issuer));
        let lists = places.into_iter().flatten().filter_map(|i| self.inner.lists.get(*i));
        let mut lists: Vec<_> = lists.collect();
        let named = |list: &&Crl| match (&list.authority_key_id, link.issuer_key_id()) {
            (Some(a), Some(b)) => a.as_slice() == b,
            _ => false,
        };
        lists.sort_by_key(|list| Reverse(named(list)));
        lists
    }
}

impl fmt::Debug for Crls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: usize = self.inner.lists.iter().map(|list| list.entries.len()).sum();
        f.debug_struct("Crls").field("len", &self.len()).field("entries", &entries).finish()
    }
}

/// What the lists have said so far.
struct Findings {
    /// The reasons for which the certificate would be listed.
    reasons: u16,
    /// When the first of the lists that say so expires.
    until: i64,
    /// The most telling reason why a list says nothing.
    trouble: Option<(u8, Reason)>,
}

impl Default for Findings {
    fn default() -> Self {
        Self { reasons: 0, until: i64::MAX, trouble: None }
    }
}

impl Findings {
    fn trouble(&mut self, rank: u8, reason: impl FnOnce() -> Reason) {
        if self.trouble.as_ref().is_none_or(|(old, _)| rank > *old) {
            self.trouble = Some((rank, reason()));
        }
    }

    fn into_status(self, link: &Link<'_>) -> Status {
        if self.reasons == ALL_REASONS {
            return Status::Good { until: self.until };
        }
        Status::Unknown(match self.trouble {
            Some((_, reason)) => reason,
            None if self.reasons != 0 => {
                link.unknown("the CRLs at hand do not cover all reasons for a revocation")
            }
            None => link.unknown("there is no CRL of its issuer at hand"),
        })
    }
}

/// One list.
struct Crl {
    /// The TBSCertList with its tag, the signature over it and the contents of its AlgorithmIdentifier.
    tbs: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    /// The issuer's Name with its tag.
    issuer: Vec<u8>,
    this_update: i64,
    next_update: i64,
    scope: Scope,
    /// Which key of the issuer: a hint, never a proof.
    authority_key_id: Option<Vec<u8>>,
    /// All serial numbers, one after the other.
    serials: Vec<u8>,
    /// Sorted by serial number.
    entries: Vec<Entry>,
    /// What is known of the signature: by this key, as checked by the provider with verifiers at this address.
    checked: Mutex<Vec<Checked>>,
}

struct Checked {
    provider: usize,
    spki: Vec<u8>,
    good: bool,
}

/// A certificate that is revoked.
#[derive(Clone, Copy)]
struct Entry {
    /// Where its serial number is in [`Crl::serials`].
    start: u32,
    len: u8,
    /// The reason code (RFC 5280 §5.3.1).
    reason: u8,
    /// Since when, in seconds since 1970.
    date: i64,
}

impl Crl {
    /// Reads a list.
    ///
    /// # Errors
    /// What is wrong, in a few words.
    fn parse(der: &[u8]) -> Result<Self, &'static str> {
        const BAD: &str = "its fields are not those of a CRL";
        if !der::is_strict(der) {
            return Err("it is not DER");
        }
        let (mut this, [version, revoked, extensions]) = Self::read_fields(der).ok_or(BAD)?;
        // RFC 5280 §5.1.2.1 and §5.2.3
        if version != Some(&[1]) || extensions.is_none() {
            return Err("it is not version 2 with a CRL number, as RFC 5280 wants it");
        }
        let extensions = Der::new(extensions.unwrap_or_default()).only(der::SEQUENCE);
        this.read_extensions(extensions.ok_or(BAD)?)?;
        this.read_entries(revoked.unwrap_or_default())?;
        Ok(this)
    }

    /// RFC 5280 §5.1: CertificateList and TBSCertList. What is optional comes apart: version, revokedCertificates,
    /// crlExtensions.
    fn read_fields(bytes: &[u8]) -> Option<(Self, [Option<&[u8]>; 3])> {
        let mut outer = Der::new(Der::new(bytes).only(der::SEQUENCE)?);
        let tbs = outer.next().filter(|e| e.tag == der::SEQUENCE)?;
        let algorithm = outer.expect(der::SEQUENCE)?;
        let signature = der::bytes_of_bit_string(outer.only(der::BIT_STRING)?)?;

        let mut fields = Der::new(tbs.value);
        let version = fields.optional(der::INTEGER)?;
        let inner_algorithm = fields.expect(der::SEQUENCE)?;
        let issuer = fields.next().filter(|e| e.tag == der::SEQUENCE)?.raw;
        let this_update = der::time(fields.next()?)?;
        // RFC 5280 §5.1.2.5: nextUpdate is always there.
        let next_update = der::time(fields.next()?)?;
        let revoked = fields.optional(der::SEQUENCE)?;
        let extensions = fields.optional(der::context_constructed(0))?;
        // RFC 5280 §5.1.1.2: the algorithm that is signed over is the algorithm that signs.
        if !fields.is_empty() || inner_algorithm != algorithm {
            return None;
        }

        let this = Self {
            tbs: tbs.raw.to_vec(),
            algorithm: algorithm.to_vec(),
            signature: signature.to_vec(),
            issuer: issuer.to_vec(),
            this_update,
            next_update,
            scope: Scope::default(),
            authority_key_id: None,
            serials: Vec::new(),
            entries: Vec::new(),
            checked: Mutex::default(),
        };
        Some((this, [version, revoked, extensions]))
    }

    /// RFC 5280 §5.2
    fn read_extensions(&mut self, list: &[u8]) -> Result<(), &'static str> {
        let mut number = false;
        der::each_extension(list, |oid, critical, value| {
            match oid {
                oids::CRL_NUMBER => {
                    // RFC 5280 §5.2.3: not critical, not negative, at most 20 octets.
                    let digits = Der::new(value).only(der::INTEGER).filter(|n| der::is_integer(n));
                    let sound = |n: &&[u8]| n.len() <= 20 && n.first().is_some_and(|b| *b < 0x80);
                    if critical || digits.filter(sound).is_none() {
                        return Err("its CRL number is malformed or critical (RFC 5280 §5.2.3)");
                    }
                    number = true;
                }
                oids::DELTA_CRL => {
                    return Err("it is a delta CRL, which is not supported: use the complete one");
                }
                oids::ISSUING_DISTRIBUTION_POINT => {
                    self.scope = Scope::parse(value, &self.issuer)?;
                }
                oids::AUTHORITY_KEY_ID => {
                    const BAD: &str = "its authorityKeyIdentifier does not parse";
                    let mut fields = Der::new(Der::new(value).only(der::SEQUENCE).ok_or(BAD)?);
                    let id = fields.optional(der::context(0)).ok_or(BAD)?;
                    self.authority_key_id = id.map(<[u8]>::to_vec);
                }
                // RFC 5280 §5.2: such a list says nothing.
                _ if critical => return Err("it has a critical extension that is not understood"),
                _ => {}
            }
            Ok(())
        })?;
        if number { Ok(()) } else { Err("it has no CRL number (RFC 5280 §5.2.3)") }
    }

    /// RFC 5280 §5.1.2.6: revokedCertificates, into an index.
    fn read_entries(&mut self, list: &[u8]) -> Result<(), &'static str> {
        const BAD: &str = "its entries do not parse";
        let mut list = Der::new(list);
        while !list.is_empty() {
            let mut fields = Der::new(list.expect(der::SEQUENCE).ok_or(BAD)?);
            let serial = fields.expect(der::INTEGER).filter(|s| der::is_integer(s)).ok_or(BAD)?;
            let date = fields.next().and_then(der::time).ok_or(BAD)?;
            let extensions = fields.optional(der::SEQUENCE).ok_or(BAD)?;
            if !fields.is_empty() {
                return Err(BAD);
            }
            let reason = extensions.map_or(Ok(0), entry_reason)?;
            let start = u32::try_from(self.serials.len()).map_err(|_| "it is too large")?;
            let len = u8::try_from(serial.len()).map_err(|_| BAD)?;
            self.serials.extend_from_slice(serial);
            self.entries.push(Entry { start, len, reason, date });
        }
        let serials = &self.serials;
        self.entries.sort_unstable_by(|a, b| a.serial(serials).cmp(b.serial(serials)));
        Ok(())
    }

    /// The entry of this certificate, if it is listed. RFC 5280 §6.3.3 (j): by its serial number, since the issuer is the
    /// list's.
    fn find(&self, serial: &[u8]) -> Option<Entry> {
        let place = self.entries.binary_search_by(|e| e.serial(&self.serials).cmp(serial)).ok()?;
        self.entries.get(place).copied()
    }

    /// Whether the list is signed by this key. What was found out is kept with the list, which may be megabytes long.
    fn is_signed_by(&self, spki: &[u8], judge: &mut Judge<'_, '_>) -> Result<bool, Stop> {
        if key::weak_algorithm(&self.algorithm).is_some() {
            return Ok(false);
        }
        let provider = judge.provider.verifiers.as_ptr().addr();
        let checked = || self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |c: &&Checked| c.provider == provider && c.spki == spki;
        if let Some(known) = checked().iter().find(same) {
            return Ok(known.good);
        }
        let (message, algorithm, signature) = (&self.tbs, &self.algorithm, &self.signature);
        let signed = Signed { message, algorithm, signature };
        let good = judge.signatures.check_anew(judge.budget, spki, signed)?;
        let mut checked = checked();
        if checked.len() >= MAX_CHECKED {
            checked.remove(0);
        }
        checked.push(Checked { provider, spki: spki.to_vec(), good });
        Ok(good)
    }
}

impl Entry {
    fn serial(self, serials: &[u8]) -> &[u8] {
        let start = usize::try_from(self.start).unwrap_or(usize::MAX);
        serials.get(start..).and_then(|s| s.get(..usize::from(self.len))).unwrap_or_default()
    }
}

/// RFC 5280 §5.3: the reason code among the extensions of an entry.
fn entry_reason(list: &[u8]) -> Result<u8, &'static str> {
    let mut reason = 0;
    der::each_extension(list, |oid, critical, value| {
        match oid {
            oids::REASON_CODE => match Der::new(value).only(der::ENUMERATED) {
                // RFC 5280 §5.3.1: removeFromCRL is for delta CRLs.
                Some([REMOVE_FROM_CRL]) => {
                    return Err("an entry says removeFromCRL, which only a delta CRL may");
                }
                Some([code]) => reason = *code,
                _ => return Err("an entry has a reason code that does not parse"),
            },
            // RFC 5280 §5.3.3: only indirect CRLs have entries for other issuers.
            oids::CERTIFICATE_ISSUER => {
                return Err("an entry names another issuer: it is an indirect CRL, not supported");
            }
            // RFC 5280 §5.3: such a list says nothing, not even of others.
            _ if critical => {
                return Err("an entry has a critical extension that is not understood");
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(reason)
}

/// A CRLReason for people (RFC 5280 §5.3.1).
pub(super) fn reason_name(code: u8) -> &'static str {
    match code {
        0 => "no reason given",
        1 => "keyCompromise",
        2 => "cACompromise",
        3 => "affiliationChanged",
        4 => "superseded",
        5 => "cessationOfOperation",
        6 => "certificateHold",
        9 => "privilegeWithdrawn",
        10 => "aACompromise",
        _ => "a reason that is not known",
    }
}

const REMOVE_FROM_CRL: u8 = 8;
/// A CA has one key or two; more than that is somebody who makes CAs of the same name.
const MAX_CHECKED: usize = 16;

/// Contents octets of object identifiers (RFC 5280 §5.2, §5.3).
mod oids {
    pub(super) const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
    pub(super) const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
    pub(super) const DELTA_CRL: &[u8] = &[0x55, 0x1d, 27];
    pub(super) const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
    pub(super) const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
    pub(super) const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
}

/// RFC 5280 §4.2.1.3: why a CRL is not believed whose issuer has no right to it.
pub(super) const MAY_NOT_SIGN_CRLS: &str = "its issuer has a CRL, but a keyUsage without cRLSign";
