//! The certificates of the simulation: the same bytes in every process, so that a seed means the same everywhere.

use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SerialNumber,
};
use sealwire::codepoints::NamedGroup;
use sealwire::crypto::Provider;
use sealwire::crypto::deterministic::{ScriptedRng, SeededRng, provider};
use sealwire::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer,
};
use sealwire::{Credential, SignatureRequest, TrustAnchors};

/// A chain of one certificate, and its key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Identity {
    pub fn credential(&self, provider: &Provider) -> Arc<Credential> {
        Arc::new(Credential::new(provider, self.chain.clone(), &self.key()).unwrap())
    }

    /// Its key alone, without a certificate (RFC 7250).
    pub fn raw(&self, provider: &Provider) -> Arc<Credential> {
        Arc::new(Credential::raw_public_key(provider, &self.key()).unwrap())
    }

    /// What to trust if it shows its key alone.
    pub fn spki(&self) -> SubjectPublicKeyInfoDer<'static> {
        let key = (provider(Arc::new(SeededRng::new(0))).load_key)(&self.key()).unwrap();
        key.spki().to_vec().into()
    }

    /// A signature that is made elsewhere.
    pub fn sign(&self, provider: &Provider, request: &SignatureRequest) -> Vec<u8> {
        let key = (provider.load_key)(&self.key()).unwrap();
        key.sign(request.scheme, &request.message, &*provider.rng).unwrap()
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

pub struct Pki {
    root: CertificateDer<'static>,
    other_root: CertificateDer<'static>,
    /// With an Ed25519 and a P-256 key.
    pub servers: [Identity; 2],
    pub clients: [Identity; 2],
    /// A client's, from the other root.
    pub stranger: Identity,
}

impl Pki {
    pub fn anchors(&self, other: bool) -> TrustAnchors {
        let root = if other { &self.other_root } else { &self.root };
        TrustAnchors::from_certificates([root.clone()])
    }
}

/// The one there is.
pub static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let root = authority("Simulated root", 1);
    let other = authority("Another root", 2);
    let both = |name: &str, byte: u8| {
        [leaf(name, ed25519(byte), &root), leaf(name, p256(byte + 1), &root)]
    };
    Pki {
        servers: both("server.test", 10),
        clients: both("client.test", 20),
        stranger: leaf("stranger.test", ed25519(30), &other),
        root: root.der().clone(),
        other_root: other.der().clone(),
    }
});

type Authority = CertifiedIssuer<'static, KeyPair>;

/// Signs with Ed25519, which leaves nothing to chance.
fn authority(name: &str, byte: u8) -> Authority {
    let mut params = params(byte);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, key_pair(&ed25519(byte))).unwrap()
}

fn leaf(name: &str, key: Vec<u8>, issuer: &Authority) -> Identity {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.serial_number = Some(SerialNumber::from(u64::from(key[key.len() - 1])));
    let certificate = params.signed_by(&key_pair(&key), issuer).unwrap();
    Identity { chain: vec![certificate.der().clone()], key }
}

fn params(byte: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from(u64::from(byte)));
    params
}

fn key_pair(pkcs8: &[u8]) -> KeyPair {
    let algorithm = match pkcs8.len() {
        48 => &rcgen::PKCS_ED25519,
        _ => &rcgen::PKCS_ECDSA_P256_SHA256,
    };
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), algorithm).unwrap()
}

/// RFC 8410 §7
fn ed25519(byte: u8) -> Vec<u8> {
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    [&head[..], &[byte; 32]].concat()
}

/// RFC 5915 §3, in PKCS#8.
fn p256(byte: u8) -> Vec<u8> {
    let scalar = vec![byte; 32];
    let rng = ScriptedRng::new(vec![scalar.clone()], 0);
    let provider = provider(Arc::new(SeededRng::new(0)));
    let pair = provider.group(NamedGroup::secp256r1).unwrap().generate(&rng).unwrap();
    let tlv = |tag: u8, parts: &[&[u8]]| {
        let body = parts.concat();
        let len = u8::try_from(body.len()).unwrap();
        let len = if len < 0x80 { vec![len] } else { vec![0x81, len] };
        [vec![tag], len, body].concat()
    };
    let point = tlv(3, &[&[0], pair.share()]);
    let private = tlv(0x30, &[&[2, 1, 1], &tlv(4, &[&scalar]), &tlv(0xa1, &[&point])]);
    let algorithm = [
        0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d,
        3, 1, 7,
    ];
    tlv(0x30, &[&[2, 1, 0], &algorithm, &tlv(4, &[&private])])
}
