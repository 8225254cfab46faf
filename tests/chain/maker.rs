//! Certificates with any fault that a test wants: the DER is put together by hand, and signed by a real key.

use pki_types::CertificateDer;
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use sealwire::pki_types;

/// Somebody with a name and a key.
pub(crate) struct Entity {
    pub(crate) name: Vec<u8>,
    pub(crate) key: KeyPair,
}

/// Somebody with this common name and a new P-256 key.
pub(crate) fn entity(common_name: &str) -> Entity {
    Entity { name: name(common_name), key: KeyPair::generate().unwrap() }
}

/// A certificate that is not signed yet. Every field may be spoilt.
#[derive(Clone)]
pub(crate) struct Draft {
    /// As encoded: 2 is v3.
    pub(crate) version: u8,
    pub(crate) serial: Vec<u8>,
    /// The AlgorithmIdentifier inside; outside stands the one that fits the key.
    pub(crate) algorithm: Option<Vec<u8>>,
    pub(crate) issuer: Option<Vec<u8>>,
    pub(crate) subject: Vec<u8>,
    /// UTCTime if the year has two digits, GeneralizedTime otherwise.
    pub(crate) not_before: &'static str,
    pub(crate) not_after: &'static str,
    pub(crate) spki: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Draft {
    /// A good CA certificate.
    pub(crate) fn ca(who: &Entity) -> Self {
        Self {
            version: 2,
            serial: vec![1],
            algorithm: None,
            issuer: None,
            subject: who.name.clone(),
            not_before: "20200101000000Z",
            not_after: "20400101000000Z",
            spki: who.key.subject_public_key_info(),
            extensions: vec![basic(true, None), usage(KEY_CERT_SIGN)],
        }
    }

    /// A good certificate for a server and client of this name.
    pub(crate) fn leaf(who: &Entity, dns: &str) -> Self {
        Self {
            extensions: vec![
                usage(DIGITAL_SIGNATURE),
                purposes(&[SERVER_AUTH, CLIENT_AUTH]),
                alt_names(&[(DNS, dns.as_bytes())]),
            ],
            ..Self::ca(who)
        }
    }

    /// With this extension, in place of one of the same kind.
    pub(crate) fn with(self, extension: Vec<u8>) -> Self {
        let oid = oid_of(&extension).to_vec();
        let mut this = self.without(&oid);
        this.extensions.push(extension);
        this
    }

    pub(crate) fn without(mut self, oid: &[u8]) -> Self {
        self.extensions.retain(|e| oid_of(e) != oid);
        self
    }

    pub(crate) fn sign(self, issuer: &Entity) -> CertificateDer<'static> {
        let ecdsa_sha256 = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]));
        self.sign_as(issuer, &ecdsa_sha256)
    }

    /// Signs, and says that it was with this algorithm.
    pub(crate) fn sign_as(self, issuer: &Entity, algorithm: &[u8]) -> CertificateDer<'static> {
        self.sign_with(&issuer.name, algorithm, |tbs| issuer.key.sign(tbs).unwrap())
    }

    /// The same for a key that is not rcgen's.
    pub(crate) fn sign_with(
        self,
        issuer: &[u8],
        algorithm: &[u8],
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> CertificateDer<'static> {
        let time = |text: &str| tlv(if text.len() == 13 { 0x17 } else { 0x18 }, text.as_bytes());
        let mut tbs = Vec::new();
        if self.version > 0 {
            tbs.extend(tlv(0xa0, &tlv(2, &[self.version])));
        }
        tbs.extend(tlv(2, &self.serial));
        tbs.extend(self.algorithm.unwrap_or(algorithm.to_vec()));
        tbs.extend(self.issuer.unwrap_or(issuer.to_vec()));
        tbs.extend(tlv(0x30, &[time(self.not_before), time(self.not_after)].concat()));
        tbs.extend(self.subject);
        tbs.extend(self.spki);
        if !self.extensions.is_empty() {
            tbs.extend(tlv(0xa3, &tlv(0x30, &self.extensions.concat())));
        }
        let tbs = tlv(0x30, &tbs);
        let signature = [&[0], &sign(&tbs)[..]].concat();
        tlv(0x30, &[&tbs[..], algorithm, &tlv(3, &signature)].concat()).into()
    }
}

/// The OID of an extension, with its tag.
fn oid_of(extension: &[u8]) -> &[u8] {
    let header = if extension[1] < 0x80 { 2 } else { 2 + usize::from(extension[1] & 0x7f) };
    &extension[header..][..2 + usize::from(extension[header + 1])]
}

pub(crate) fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    tlv(0x30, &[oid, critical, &tlv(4, value)].concat())
}

pub(crate) fn basic(ca: bool, path_len: Option<u8>) -> Vec<u8> {
    let ca: &[u8] = if ca { &[1, 1, 0xff] } else { &[] };
    let len = path_len.map(|n| tlv(2, &[n])).unwrap_or_default();
    extension(BASIC_CONSTRAINTS, true, &tlv(0x30, &[ca, &len].concat()))
}

/// keyUsage with these bits of its first byte.
pub(crate) fn usage(bits: u8) -> Vec<u8> {
    let unused = u8::try_from(bits.trailing_zeros()).unwrap();
    extension(KEY_USAGE, true, &tlv(3, &[unused, bits]))
}

pub(crate) fn purposes(oids: &[&[u8]]) -> Vec<u8> {
    extension(EXTENDED_KEY_USAGE, false, &tlv(0x30, &oids.concat()))
}

pub(crate) fn alt_names(names: &[(u8, &[u8])]) -> Vec<u8> {
    extension(SUBJECT_ALT_NAME, false, &tlv(0x30, &general_names(names).concat()))
}

pub(crate) fn constraints(permitted: &[(u8, &[u8])], excluded: &[(u8, &[u8])]) -> Vec<u8> {
    let list = |tag, names: &[(u8, &[u8])]| {
        let subtrees = general_names(names).iter().map(|n| tlv(0x30, n)).collect::<Vec<_>>();
        if names.is_empty() { vec![] } else { tlv(tag, &subtrees.concat()) }
    };
    let value = tlv(0x30, &[list(0xa0, permitted), list(0xa1, excluded)].concat());
    extension(NAME_CONSTRAINTS, true, &value)
}

/// The SubjectPublicKeyInfo of an RSA key with these numbers.
pub(crate) fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = tlv(0x30, &[tlv(2, modulus), tlv(2, exponent)].concat());
    let oid = tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1]);
    let algorithm = tlv(0x30, &[oid, vec![5, 0]].concat());
    tlv(0x30, &[algorithm, tlv(3, &[&[0], &key[..]].concat())].concat())
}

fn general_names(names: &[(u8, &[u8])]) -> Vec<Vec<u8>> {
    names.iter().map(|(tag, value)| tlv(*tag, value)).collect()
}

/// A Name of one common name; empty for none.
pub(crate) fn name(common_name: &str) -> Vec<u8> {
    if common_name.is_empty() {
        return tlv(0x30, &[]);
    }
    let pair = [tlv(6, &[0x55, 4, 3]), tlv(12, common_name.as_bytes())].concat();
    tlv(0x30, &tlv(0x31, &tlv(0x30, &pair)))
}

pub(crate) fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let len = value.len();
    let mut out = vec![tag];
    match u8::try_from(len) {
        Ok(short @ 0..=0x7f) => out.push(short),
        Ok(byte) => out.extend([0x81, byte]),
        Err(_) => {
            out.push(0x82);
            out.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
    }
    out.extend(value);
    out
}

pub(crate) const DNS: u8 = 0x82;
pub(crate) const EMAIL: u8 = 0x81;
pub(crate) const URI: u8 = 0x86;
pub(crate) const IP: u8 = 0x87;
pub(crate) const DIRECTORY: u8 = 0xa4;
pub(crate) const OTHER: u8 = 0xa0;

pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(crate) const KEY_ENCIPHERMENT: u8 = 0x20;
pub(crate) const KEY_CERT_SIGN: u8 = 0x04;
pub(crate) const CRL_SIGN: u8 = 0x02;

pub(crate) const SUBJECT_KEY_ID: &[u8] = &[6, 3, 0x55, 0x1d, 14];
pub(crate) const KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1d, 15];
pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[6, 3, 0x55, 0x1d, 17];
pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[6, 3, 0x55, 0x1d, 19];
pub(crate) const NAME_CONSTRAINTS: &[u8] = &[6, 3, 0x55, 0x1d, 30];
pub(crate) const CERTIFICATE_POLICIES: &[u8] = &[6, 3, 0x55, 0x1d, 32];
pub(crate) const AUTHORITY_KEY_ID: &[u8] = &[6, 3, 0x55, 0x1d, 35];
pub(crate) const POLICY_CONSTRAINTS: &[u8] = &[6, 3, 0x55, 0x1d, 36];
pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1d, 37];
/// 1.3.6.1.4.1.99999.1
pub(crate) const UNKNOWN: &[u8] = &[6, 9, 0x2b, 6, 1, 4, 1, 0x86, 0x8d, 0x1f, 1];

pub(crate) const SERVER_AUTH: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
pub(crate) const CLIENT_AUTH: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2];
pub(crate) const CODE_SIGNING: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 3];
pub(crate) const ANY_PURPOSE: &[u8] = &[6, 4, 0x55, 0x1d, 37, 0];
