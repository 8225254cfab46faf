//! One certificate, read once: the slices and the extensions that a verifier needs (RFC 5280 §4.1 and §4.2).
//!
//! Everything is borrowed from the DER. What is malformed is refused here, so that the rules of `step` and `path` only
//! meet values that mean something.

use x509_parser::extensions::{
    AuthorityInfoAccess, AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyIdentifier,
    KeyUsage,
};
use x509_parser::prelude::FromDer;

use super::der::{self, Der};
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
    /// Seconds since 1970, inclusive.
    pub(super) not_before: i64,
    /// Seconds since 1970, inclusive.
    pub(super) not_after: i64,
    /// The SubjectPublicKeyInfo with its tag.
    pub(super) spki: &'a [u8],
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        if !der::is_strict(der) {
            return Err("it is not DER");
        }
        let (mut this, extensions) = Self::read_fields(der).ok_or("its fields are not X.509's")?;
        if let Some(list) = extensions {
            // RFC 5280 §4.1.2.9: extensions only exist in version 3.
            if this.version != V3 {
                return Err("it has extensions but is not version 3");
            }
            this.extensions = Extensions::parse(list)?;
        }
        Ok(this)
    }

    /// RFC 5280 §4.1: Certificate and TBSCertificate, and the list of extensions if there is one.
    fn read_fields(bytes: &'a [u8]) -> Option<(Self, Option<&'a [u8]>)> {
        let mut outer = Der::new(Der::new(bytes).only(der::SEQUENCE)?);
        let tbs = outer.next().filter(|e| e.tag == der::SEQUENCE)?;
        let algorithm = outer.expect(der::SEQUENCE)?;
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
        let issuer = fields.next().filter(|e| e.tag == der::SEQUENCE)?.raw;
        let mut validity = Der::new(fields.expect(der::SEQUENCE)?);
        let not_before = der::time(validity.next()?)?;
        let not_after = der::time(validity.next()?)?;
        let subject = fields.next().filter(|e| e.tag == der::SEQUENCE)?.raw;
        let spki = fields.next().filter(|e| e.tag == der::SEQUENCE)?.raw;
        fields.optional(der::context(1))?; // issuerUniqueID
        fields.optional(der::context(2))?; // subjectUniqueID
        let extensions = fields.optional(der::context_constructed(3))?;
        // RFC 5280 §4.1.1.2: the algorithm that is signed over is the algorithm that signs.
        if !validity.is_empty() || !fields.is_empty() || inner_algorithm != algorithm {
            return None;
        }

        let this = Self {
            der: bytes,
            signed: Signed { message: tbs.raw, algorithm, signature },
            serial,
            version,
            issuer,
            subject,
            not_before,
            not_after,
            spki,
            extensions: Extensions::default(),
        };
        Some((this, extensions))
    }

    /// Whether issuer and subject are the same name (RFC 5280 §6.1).
    pub(super) fn is_self_issued(&self) -> bool {
        super::directory::same(self.issuer, self.subject)
    }

    /// Whether basicConstraints says that this is a CA.
    pub(super) fn is_ca(&self) -> bool {
        self.extensions.basic_constraints.is_some_and(|(ca, _)| ca)
    }
}

impl<'a> Extensions<'a> {
    fn parse(list: &'a [u8]) -> Result<Self, &'static str> {
        let list = Der::new(list).only(der::SEQUENCE).ok_or("its extensions do not parse")?;
        let mut this = Self::default();
        der::each_extension(list, |oid, critical, value| this.add(oid, critical, value))?;
        Ok(this)
    }

    /// RFC 5280 §4.2: a critical extension that is not processed refuses the certificate. Some that we know are in that
    /// class on purpose: key identifiers and access locations must not be critical, and nothing here acts on them.
    fn add(&mut self, oid: &'a [u8], critical: bool, value: &'a [u8]) -> Result<(), &'static str> {
        let mut processed = true;
        match oid {
            oids::BASIC_CONSTRAINTS => {
                let v: BasicConstraints = read(value).ok_or("its basicConstraints do not parse")?;
                self.basic_constraints = Some((v.ca, v.path_len_constraint));
            }
            oids::KEY_USAGE => {
                let usage: KeyUsage = read(value).ok_or("its keyUsage does not parse")?;
                self.key_usage = Some(usage);
            }
            oids::EXTENDED_KEY_USAGE => {
                const BAD: &str = "its extendedKeyUsage does not parse";
                // SIZE (1..MAX)
                Der::new(value).only(der::SEQUENCE).filter(|l| !l.is_empty()).ok_or(BAD)?;
                let v: ExtendedKeyUsage<'_> = read(value).ok_or(BAD)?;
                self.extended_key_usage = Some(Purposes {
                    server: v.server_auth,
                    client: v.client_auth,
                    any: v.any,
                    ocsp_signing: v.ocsp_signing,
                });
            }
            oids::SUBJECT_ALT_NAME => {
                const BAD: &str = "its subjectAltName does not parse";
                self.subject_alt_name = Some(GeneralNames::parse(value).ok_or(BAD)?);
            }
            oids::NAME_CONSTRAINTS => {
                const BAD: &str = "its nameConstraints do not parse";
                let contents = Der::new(value).only(der::SEQUENCE).ok_or(BAD)?;
                if !der::is_strict(value) || !super::constraint::is_well_formed(contents) {
                    return Err(BAD);
                }
                self.name_constraints = Some(contents);
            }
            oids::CERTIFICATE_POLICIES => {
                const BAD: &str = "its certificatePolicies do not parse";
                self.policies.read_policies(value).ok_or(BAD)?;
            }
            oids::POLICY_MAPPINGS => {
                const BAD: &str = "its policyMappings do not parse, or map anyPolicy";
                self.policies.read_mappings(value).ok_or(BAD)?;
            }
            oids::POLICY_CONSTRAINTS => {
                const BAD: &str = "its policyConstraints do not parse, or are not critical";
                // RFC 5280 §4.2.1.11: critical. Whoever does not mark it has a demand that most do not see.
                self.policies.read_constraints(value).filter(|()| critical).ok_or(BAD)?;
            }
            oids::INHIBIT_ANY_POLICY => {
                const BAD: &str = "its inhibitAnyPolicy does not parse";
                self.policies.read_inhibit_any(value).ok_or(BAD)?;
            }
            oids::AUTHORITY_KEY_ID => {
                const BAD: &str = "its authorityKeyIdentifier does not parse";
                let v: AuthorityKeyIdentifier<'a> = read(value).ok_or(BAD)?;
                self.authority_key_id = v.key_identifier.map(|id| id.0);
                processed = false;
            }
            oids::SUBJECT_KEY_ID => {
                const BAD: &str = "its subjectKeyIdentifier does not parse";
                let v: KeyIdentifier<'a> = read(value).ok_or(BAD)?;
                self.subject_key_id = Some(v.0);
                processed = false;
            }
            oids::AUTHORITY_INFO_ACCESS => {
                const BAD: &str = "its authorityInfoAccess does not parse";
                let v: AuthorityInfoAccess<'_> = read(value).ok_or(BAD)?;
                if v.accessdescs.is_empty() {
                    return Err(BAD);
                }
                processed = false;
            }
            // What does not parse is for no CRL: `distribution` sees to that.
            oids::CRL_DISTRIBUTION_POINTS => self.crl_distribution_points = Some(value),
            oids::TLS_FEATURE => {
                self.tls_features =
                    read_features(value).ok_or("its TLS features do not parse (RFC 7633)")?;
            }
            oids::NO_REV_AVAIL => self.no_revocation = true,
            oids::OCSP_NOCHECK => self.ocsp_nocheck = true,
            // What does not parse is no timestamp.
            super::sct::TIMESTAMPS => self.timestamps = Der::new(value).only(der::OCTET_STRING),
            _ => processed = false,
        }
        if critical && !processed && self.unknown_critical.is_none() {
            self.unknown_critical = Some(oid);
        }
        Ok(())
    }
}

/// The whole of an extension's value, by x509-parser, after a check that it is DER.
fn read<'a, T: FromDer<'a, x509_parser::error::X509Error>>(value: &'a [u8]) -> Option<T> {
    if !der::is_strict(value) {
        return None;
    }
    T::from_der(value).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, v)| v)
}

/// RFC 7633 §4: Features.
fn read_features(value: &[u8]) -> Option<Vec<u16>> {
    let mut list = Der::new(Der::new(value).only(der::SEQUENCE)?);
    let mut features = Vec::new();
    while !list.is_empty() {
        features.push(match list.expect(der::INTEGER)? {
            [low @ 0..=0x7f] => u16::from(*low),
            [0, low @ 0x80..=0xff] => u16::from(*low),
            [high @ 1..=0x7f, low] | [0, high @ 0x80..=0xff, low] => {
                u16::from_be_bytes([*high, *low])
            }
            _ => return None,
        });
    }
    Some(features)
}

/// Version 3, as it is encoded.
pub(super) const V3: u8 = 2;
/// Contents octets of object identifiers (RFC 5280 §A.2).
mod oids {
    pub(super) const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 14];
    pub(super) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
    pub(super) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
    pub(super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
    pub(super) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
    pub(super) const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
    pub(super) const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 32];
    pub(super) const POLICY_MAPPINGS: &[u8] = &[0x55, 0x1d, 33];
    pub(super) const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
    pub(super) const POLICY_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 36];
    pub(super) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
    pub(super) const INHIBIT_ANY_POLICY: &[u8] = &[0x55, 0x1d, 54];
    pub(super) const NO_REV_AVAIL: &[u8] = &[0x55, 0x1d, 56];
    pub(super) const TLS_FEATURE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 24];
    pub(super) const OCSP_NOCHECK: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 5];
    pub(super) const AUTHORITY_INFO_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
}
