//! One certificate, read once: the slices and the extensions that a verifier needs (RFC 5280 §4.1 and §4.2).
//!
//! Everything is borrowed from the DER. What is malformed is refused here, so that the rules of `step` and `path` only
//! meet values that mean something.

use super::der::{self, Der};
use super::directory;
use super::extension::{self, KeyUsage};
use super::key::KeyKind;
use super::name::GeneralNames;
use super::policy::Policies;
use super::signature::Signed;

/// A parsed certificate.
#[derive(Clone)]
pub(super) struct Certificate<'a> {
    /// All of it.
    pub(super) der: &'a [u8],
    /// The TBSCertificate, its signature, and the algorithm.
    pub(super) signed: Signed<'a>,
    /// The contents of the serial number's INTEGER.
    pub(super) serial: &'a [u8],
    /// The version: 0 is v1, 2 is v3.
    pub(super) version: u8,
    /// The issuer's Name with its tag.
    pub(super) issuer: &'a [u8],
    /// The subject's Name with its tag.
    pub(super) subject: &'a [u8],
    /// What equal names have in common ([`directory::hash`]).
    pub(super) issuer_hash: u64,
    pub(super) subject_hash: u64,
    /// Seconds since 1970, inclusive.
    pub(super) not_before: i64,
    /// Seconds since 1970, inclusive.
    pub(super) not_after: i64,
    /// The SubjectPublicKeyInfo with its tag.
    pub(super) spki: &'a [u8],
    /// What kind of key that is.
    pub(super) key: KeyKind,
    pub(super) extensions: Extensions<'a>,
}

/// The extensions that decide something (RFC 5280 §4.2.1).
#[derive(Clone, Default)]
pub(super) struct Extensions<'a> {
    /// basicConstraints: cA, and pathLenConstraint.
    pub(super) basic_constraints: Option<(bool, Option<u32>)>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Option<Purposes>,
    pub(super) subject_alt_name: Option<GeneralNames<'a>>,
    /// The contents of the NameConstraints SEQUENCE.
    pub(super) name_constraints: Option<&'a [u8]>,
    pub(super) policies: Policies<'a>,
    /// The value of cRLDistributionPoints.
    pub(super) crl_distribution_points: Option<&'a [u8]>,
    /// The TLS extensions that whoever shows this certificate has promised to answer (RFC 7633).
    pub(super) tls_features: Vec<u16>,
    /// Whether there is no revocation information about this certificate (noRevAvail, RFC 9608).
    pub(super) no_revocation: bool,
    /// Whether the certificate of an OCSP responder says that nobody need ask about it (RFC 6960 §4.2.2.2.1).
    pub(super) ocsp_nocheck: bool,
    /// A SignedCertificateTimestampList (RFC 6962 §3.3).
    pub(super) timestamps: Option<&'a [u8]>,
    /// keyIdentifier of authorityKeyIdentifier: a hint, never a proof.
    pub(super) authority_key_id: Option<&'a [u8]>,
    /// subjectKeyIdentifier: a hint, never a proof.
    pub(super) subject_key_id: Option<&'a [u8]>,
    /// The OID (contents octets) of the first critical extension that we do not process.
    pub(super) unknown_critical: Option<&'a [u8]>,
}

/// What an extendedKeyUsage extension allows (RFC 5280 §4.2.1.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Purposes {
    pub(super) server: bool,
    pub(super) client: bool,
    pub(super) any: bool,
    pub(super) ocsp_signing: bool,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate.
    ///
    /// # Errors
    /// What is wrong, in a few words.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self, &'static str> {
        let mut extensions = None;
        let mut this = Self::read_fields(der, &mut extensions).ok_or_else(|| {
            if der::is_strict(der) { "its fields are not X.509's" } else { "it is not DER" }
        })?;
        if let Some(list) = extensions {
            // RFC 5280 §4.1.2.9: extensions only exist in version 3.
            if this.version != V3 {
                return Err("it has extensions but is not version 3");
            }
            this.extensions.read(list)?;
        }
        Ok(this)
    }

    /// RFC 5280 §4.1: Certificate and TBSCertificate, and the list of extensions if there is one.
    fn read_fields(bytes: &'a [u8], list: &mut Option<&'a [u8]>) -> Option<Self> {
        let mut outer = Der::new(Der::new(bytes).only(der::SEQUENCE)?);
        let tbs = outer.next().filter(|e| e.tag == der::SEQUENCE)?;
        let algorithm = outer.expect(der::SEQUENCE).filter(|a| der::is_strict(a))?;
        let signature = der::bytes_of_bit_string(outer.only(der::BIT_STRING)?)?;

        let mut fields = Der::new(tbs.value);
        let version = match fields.optional(der::context_constructed(0))? {
            None => 0,
            Some(version) => match Der::new(version).only(der::INTEGER)? {
                [version @ 0..=2] => *version,
                _ => return None,
            },
        };
        // RFC 5280 §4.1.2.2: zero, negative and over-long numbers exist and are borne; several encodings of one are not.
        let serial = fields.expect(der::INTEGER).filter(|serial| der::is_integer(serial))?;
        let inner_algorithm = fields.expect(der::SEQUENCE)?;
        let (issuer, issuer_hash) = name(&mut fields)?;
        let mut validity = Der::new(fields.expect(der::SEQUENCE)?);
        let not_before = der::time(validity.next()?)?;
        let not_after = der::time(validity.next()?)?;
        let (subject, subject_hash) = name(&mut fields)?;
        let key = fields.next().filter(|e| e.tag == der::SEQUENCE && der::is_strict(e.value))?;
        let spki = key.raw;
        fields.optional(der::context(1))?; // issuerUniqueID
        fields.optional(der::context(2))?; // subjectUniqueID
        *list = fields.optional(der::context_constructed(3))?;
        // RFC 5280 §4.1.1.2: the algorithm that is signed over is the algorithm that signs.
        if !validity.is_empty() || !fields.is_empty() || inner_algorithm != algorithm {
            return None;
        }

        Some(Self {
            der: bytes,
            signed: Signed { message: tbs.raw, algorithm, signature },
            serial,
            version,
            issuer,
            subject,
            issuer_hash,
            subject_hash,
            not_before,
            not_after,
            spki,
            key: KeyKind::of(spki),
            extensions: Extensions::default(),
        })
    }

    /// The same certificate with other slices in the place of its own, in an order that is always the same: whoever keeps
    /// one that was read ([`Stored`](super::anchor::Stored)) need not read it again.
    pub(super) fn map<'b>(&self, mut slice: impl FnMut(&'a [u8]) -> &'b [u8]) -> Certificate<'b> {
        let Signed { message, algorithm, signature } = self.signed;
        Certificate {
            der: slice(self.der),
            signed: Signed {
                message: slice(message),
                algorithm: slice(algorithm),
                signature: slice(signature),
            },
            serial: slice(self.serial),
            version: self.version,
            issuer: slice(self.issuer),
            subject: slice(self.subject),
            issuer_hash: self.issuer_hash,
            subject_hash: self.subject_hash,
            not_before: self.not_before,
            not_after: self.not_after,
            spki: slice(self.spki),
            key: self.key,
            extensions: self.extensions.map(slice),
        }
    }

    /// Whether issuer and subject are the same name (RFC 5280 §6.1).
    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer_hash == self.subject_hash && directory::same(self.issuer, self.subject)
    }

    /// Whether this is somebody by whose name `child` was issued (RFC 5280 §6.1.3 (a)(4)).
    pub(super) fn is_issuer_of(&self, child: &Self) -> bool {
        self.subject_hash == child.issuer_hash && directory::same(self.subject, child.issuer)
    }

    /// Whether basicConstraints says that this is a CA.
    pub(super) fn is_ca(&self) -> bool {
        self.extensions.basic_constraints.is_some_and(|(ca, _)| ca)
    }
}

impl<'a> Extensions<'a> {
    fn map<'b>(&self, mut slice: impl FnMut(&'a [u8]) -> &'b [u8]) -> Extensions<'b> {
        Extensions {
            basic_constraints: self.basic_constraints,
            key_usage: self.key_usage,
            extended_key_usage: self.extended_key_usage,
            subject_alt_name: self.subject_alt_name.map(|names| names.map(&mut slice)),
            name_constraints: self.name_constraints.map(&mut slice),
            policies: self.policies.map(&mut slice),
            crl_distribution_points: self.crl_distribution_points.map(&mut slice),
            tls_features: self.tls_features.clone(),
            no_revocation: self.no_revocation,
            ocsp_nocheck: self.ocsp_nocheck,
            timestamps: self.timestamps.map(&mut slice),
            authority_key_id: self.authority_key_id.map(&mut slice),
            subject_key_id: self.subject_key_id.map(&mut slice),
            unknown_critical: self.unknown_critical.map(&mut slice),
        }
    }

    fn read(&mut self, list: &'a [u8]) -> Result<(), &'static str> {
        let list = Der::new(list).only(der::SEQUENCE).ok_or("its extensions do not parse")?;
        der::each_extension(list, |oid, critical, value| self.add(oid, critical, value))
    }

    /// RFC 5280 §4.2: a critical extension that is not processed refuses the certificate. Some that we know are in that
    /// class on purpose: key identifiers and access locations must not be critical, and nothing here acts on them.
    fn add(&mut self, oid: &'a [u8], critical: bool, value: &'a [u8]) -> Result<(), &'static str> {
        let processed = match oid {
            [0x55, 0x1d, number] => self.add_standard(*number, critical, value)?,
            oids::AUTHORITY_INFO_ACCESS => {
                let sound = extension::is_authority_info_access(value);
                sound.then_some(false).ok_or("its authorityInfoAccess does not parse")?
            }
            oids::TLS_FEATURE => {
                const BAD: &str = "its TLS features do not parse (RFC 7633)";
                self.tls_features = extension::features(value).ok_or(BAD)?;
                true
            }
            oids::OCSP_NOCHECK => {
                self.ocsp_nocheck = true;
                true
            }
            super::sct::TIMESTAMPS => {
                // What does not parse is no timestamp.
                self.timestamps = Der::new(value).only(der::OCTET_STRING);
                true
            }
            _ => false,
        };
        if critical && !processed && self.unknown_critical.is_none() {
            self.unknown_critical = Some(oid);
        }
        Ok(())
    }

    /// One of the extensions id-ce (RFC 5280 §4.2.1), by the last number of its object identifier. Whether it is processed.
    fn add_standard(
        &mut self,
        number: u8,
        critical: bool,
        value: &'a [u8],
    ) -> Result<bool, &'static str> {
        match number {
            id_ce::SUBJECT_KEY_ID => {
                const BAD: &str = "its subjectKeyIdentifier does not parse";
                self.subject_key_id = Some(extension::subject_key_id(value).ok_or(BAD)?);
                return Ok(false);
            }
            id_ce::AUTHORITY_KEY_ID => {
                const BAD: &str = "its authorityKeyIdentifier does not parse";
                self.authority_key_id = extension::authority_key_id(value).ok_or(BAD)?;
                return Ok(false);
            }
            id_ce::KEY_USAGE => {
                const BAD: &str = "its keyUsage does not parse";
                self.key_usage = Some(KeyUsage::read(value).ok_or(BAD)?);
            }
            id_ce::BASIC_CONSTRAINTS => {
                const BAD: &str = "its basicConstraints do not parse";
                self.basic_constraints = Some(extension::basic_constraints(value).ok_or(BAD)?);
            }
            id_ce::EXTENDED_KEY_USAGE => {
                const BAD: &str = "its extendedKeyUsage does not parse";
                self.extended_key_usage = Some(extension::extended_key_usage(value).ok_or(BAD)?);
            }
            id_ce::SUBJECT_ALT_NAME => {
                const BAD: &str = "its subjectAltName does not parse";
                self.subject_alt_name = Some(GeneralNames::parse(value).ok_or(BAD)?);
            }
            id_ce::NAME_CONSTRAINTS => {
                const BAD: &str = "its nameConstraints do not parse";
                let contents = Der::new(value).only(der::SEQUENCE).ok_or(BAD)?;
                let sound = super::constraint::is_well_formed(contents);
                self.name_constraints = Some(sound.then_some(contents).ok_or(BAD)?);
            }
            id_ce::CERTIFICATE_POLICIES => {
                const BAD: &str = "its certificatePolicies do not parse";
                self.policies.read_policies(value).ok_or(BAD)?;
            }
            id_ce::POLICY_MAPPINGS => {
                const BAD: &str = "its policyMappings do not parse, or map anyPolicy";
                self.policies.read_mappings(value).ok_or(BAD)?;
            }
            id_ce::POLICY_CONSTRAINTS => {
                const BAD: &str = "its policyConstraints do not parse, or are not critical";
                // RFC 5280 §4.2.1.11: critical. Whoever does not mark it has a demand that most do not see.
                self.policies.read_constraints(value).filter(|()| critical).ok_or(BAD)?;
            }
            id_ce::INHIBIT_ANY_POLICY => {
                const BAD: &str = "its inhibitAnyPolicy does not parse";
                self.policies.read_inhibit_any(value).ok_or(BAD)?;
            }
            // What does not parse is for no CRL: `distribution` sees to that.
            id_ce::CRL_DISTRIBUTION_POINTS => self.crl_distribution_points = Some(value),
            id_ce::NO_REV_AVAIL => self.no_revocation = true,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The next element, which is a Name, and its hash. What is a SEQUENCE but no Name is only equal to itself.
fn name<'a>(fields: &mut Der<'a>) -> Option<(&'a [u8], u64)> {
    let name = fields.next().filter(|e| e.tag == der::SEQUENCE)?.raw;
    match directory::hash(name) {
        Some(hash) => Some((name, hash)),
        None => der::is_strict(name).then_some((name, 0)),
    }
}

/// Version 3, as it is encoded.
pub(super) const V3: u8 = 2;
/// The last numbers of the object identifiers under id-ce (RFC 5280 §A.2).
mod id_ce {
    pub(super) const SUBJECT_KEY_ID: u8 = 14;
    pub(super) const KEY_USAGE: u8 = 15;
    pub(super) const SUBJECT_ALT_NAME: u8 = 17;
    pub(super) const BASIC_CONSTRAINTS: u8 = 19;
    pub(super) const NAME_CONSTRAINTS: u8 = 30;
    pub(super) const CRL_DISTRIBUTION_POINTS: u8 = 31;
    pub(super) const CERTIFICATE_POLICIES: u8 = 32;
    pub(super) const POLICY_MAPPINGS: u8 = 33;
    pub(super) const AUTHORITY_KEY_ID: u8 = 35;
    pub(super) const POLICY_CONSTRAINTS: u8 = 36;
    pub(super) const EXTENDED_KEY_USAGE: u8 = 37;
    pub(super) const INHIBIT_ANY_POLICY: u8 = 54;
    pub(super) const NO_REV_AVAIL: u8 = 56;
}

/// Contents octets of other object identifiers.
mod oids {
    pub(super) const TLS_FEATURE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 24];
    pub(super) const OCSP_NOCHECK: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 5];
    pub(super) const AUTHORITY_INFO_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
}
