//! Two authorities and the certificates that they issue: made once a process.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use sealwire::crypto::Provider;
use sealwire::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer,
};
use sealwire::{Credential, TrustAnchors};

/// What kind of key a certificate has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::P256, Self::P384, Self::Ed25519, Self::Rsa];

    /// A key of this kind: new, except that ring cannot make RSA keys, so that one lies in `vectors/keys-test`.
    fn key(self) -> KeyPair {
        match self {
            Self::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            Self::Rsa => KeyPair::from_pem(include_str!("../../vectors/keys-test/rsa2048.pem")),
        }
        .unwrap()
    }
}

/// A chain, leaf first, and its private key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// As a credential whose key is in this process.
    pub fn credential(&self, provider: &Provider) -> Arc<Credential> {
        Arc::new(self.bare(provider))
    }

    /// The same, to be added to.
    pub fn bare(&self, provider: &Provider) -> Credential {
        Credential::new(provider, self.chain.clone(), &self.key).unwrap()
    }

    /// Its key alone, without the chain.
    pub fn raw(&self, provider: &Provider) -> Arc<Credential> {
        Arc::new(Credential::raw_public_key(provider, &self.key).unwrap())
    }

    /// Its public key.
    pub fn spki(&self) -> SubjectPublicKeyInfoDer<'static> {
        let credential = self.raw(&super::seeded(0));
        credential.spki().unwrap().clone()
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

/// `root` signs `intermediate`, which signs every leaf but those of the `other` root.
pub struct Pki {
    root: Authority,
    intermediate: Authority,
    other: Authority,
    servers: BTreeMap<Kind, Identity>,
    clients: BTreeMap<Kind, Identity>,
    /// For the name `other.test`.
    pub other_server: Identity,
    /// A client's, from the other root.
    pub other_client: Identity,
}

/// The one there is.
pub fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(Pki::new)
}

impl Pki {
    fn new() -> Self {
        let root = CertifiedIssuer::self_signed(authority("Sealwire test root"), Kind::P256.key());
        let root = root.unwrap();
        let params = authority("Sealwire test intermediate");
        let intermediate = CertifiedIssuer::signed_by(params, Kind::P256.key(), &root).unwrap();
        let other = CertifiedIssuer::self_signed(authority("Another root"), Kind::P256.key());
        let other = other.unwrap();
        let leaves = |name: &str| {
            let each = Kind::ALL.into_iter();
            each.map(|kind| (kind, leaf(name, kind, &intermediate, true))).collect()
        };
        Self {
            servers: leaves("server.test"),
            clients: leaves("client.test"),
            other_server: leaf("other.test", Kind::P256, &intermediate, true),
            other_client: leaf("client.test", Kind::P256, &other, false),
            root,
            intermediate,
            other,
        }
    }

    pub fn server(&self, kind: Kind) -> &Identity {
        &self.servers[&kind]
    }

    pub fn client(&self, kind: Kind) -> &Identity {
        &self.clients[&kind]
    }

    /// The root that everything but [`Pki::other_client`] leads to.
    pub fn anchors(&self) -> TrustAnchors {
        anchors(&self.root)
    }

    /// The other root alone.
    pub fn other_anchors(&self) -> TrustAnchors {
        anchors(&self.other)
    }

    /// The certificate of the usual root.
    pub fn root_certificate(&self) -> CertificateDer<'static> {
        self.root.der().clone()
    }

    /// The certificate of the other root.
    pub fn other_root_certificate(&self) -> CertificateDer<'static> {
        self.other.der().clone()
    }

    /// A CRL of the intermediate with these certificates of its in it.
    pub fn crl(&self, revoked: &[&CertificateDer<'static>]) -> Vec<u8> {
        let each = revoked.iter().map(|certificate| {
            let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
            rcgen::RevokedCertParams {
                serial_number: parsed.tbs_certificate.raw_serial().to_vec().into(),
                revocation_time: rcgen::date_time_ymd(2026, 9, 1),
                reason_code: None,
                invalidity_date: None,
            }
        });
        let params = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2026, 9, 1),
            next_update: rcgen::date_time_ymd(2027, 9, 1),
            crl_number: vec![1].into(),
            issuing_distribution_point: None,
            revoked_certs: each.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params.signed_by(&self.intermediate).unwrap().der().to_vec()
    }

    /// Another leaf below the intermediate, for this name.
    pub fn issue(&self, name: &str, kind: Kind) -> Identity {
        leaf(name, kind, &self.intermediate, true)
    }

    /// One that expires when this day begins: year, month, day.
    pub fn issue_until(&self, name: &str, (year, month, day): (i32, u8, u8)) -> Identity {
        let until = |params: &mut CertificateParams| {
            params.not_after = rcgen::date_time_ymd(year, month, day);
        };
        leaf_with(name, Kind::P256, &self.intermediate, true, until)
    }
}

fn anchors(authority: &Authority) -> TrustAnchors {
    TrustAnchors::from_certificates([authority.der().clone()])
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(name: &str, kind: Kind, issuer: &Authority, with_issuer: bool) -> Identity {
    leaf_with(name, kind, issuer, with_issuer, |_| {})
}

fn leaf_with(
    name: &str,
    kind: Kind,
    issuer: &Authority,
    with_issuer: bool,
    change: impl FnOnce(&mut CertificateParams),
) -> Identity {
    let key = kind.key();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, format!("{name} {kind:?}"));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    let mut chain = vec![params.signed_by(&key, issuer).unwrap().der().clone()];
    if with_issuer {
        chain.push(issuer.der().clone());
    }
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Identity { chain, key }
}
