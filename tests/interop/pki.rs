//! Certificates for both ends: a root, an intermediate, and a leaf of each kind of key for each role.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType,
};
use sealwire::codepoints::SignatureScheme;
use sealwire::crypto::Provider;
use sealwire::{Credential, TrustAnchors};

/// What our side computes with in all cases: AWS-LC if that feature is on, ring otherwise.
pub(crate) fn provider() -> Provider {
    #[cfg(feature = "aws-lc")]
    return sealwire::crypto::aws_lc::provider();
    #[cfg(not(feature = "aws-lc"))]
    sealwire::crypto::ring::provider()
}

/// The kind of a leaf's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl Key {
    const ALL: [Self; 4] = [Self::P256, Self::P384, Self::Ed25519, Self::Rsa];

    /// Whether a CertificateVerify of `scheme` can come from such a key.
    pub(crate) fn makes(self, scheme: SignatureScheme) -> bool {
        match self {
            Self::P256 => scheme == SignatureScheme::ecdsa_secp256r1_sha256,
            Self::P384 => scheme == SignatureScheme::ecdsa_secp384r1_sha384,
            Self::Ed25519 => scheme == SignatureScheme::ed25519,
            Self::Rsa => [
                SignatureScheme::rsa_pss_rsae_sha256,
                SignatureScheme::rsa_pss_rsae_sha384,
                SignatureScheme::rsa_pss_rsae_sha512,
            ]
            .contains(&scheme),
        }
    }
}

/// One end's identity: PEM files for peers that are programs, and their contents for the others.
pub(crate) struct Identity {
    /// The leaf alone.
    pub(crate) leaf: PathBuf,
    /// Leaf and intermediate.
    pub(crate) chain: PathBuf,
    /// PKCS#8.
    pub(crate) key: PathBuf,
    /// The key's public half, as a SubjectPublicKeyInfo.
    pub(crate) public: PathBuf,
}

impl Identity {
    /// The same for our side.
    pub(crate) fn credential(&self, provider: &Provider) -> Arc<Credential> {
        let (chain, key) = (read(&self.chain), read(&self.key));
        Arc::new(Credential::from_pem(provider, &chain, &key).expect("our own credential"))
    }
}

/// Everything that the tests of this binary use, made once.
pub(crate) struct Pki {
    /// The root.
    pub(crate) root: PathBuf,
    /// The intermediate, for programs that take it apart from the leaf.
    pub(crate) intermediate: PathBuf,
    /// A root that nobody is to trust.
    pub(crate) other_root: PathBuf,
    servers: Vec<Identity>,
    clients: Vec<Identity>,
}

impl Pki {
    /// The one of this process, in a directory of its own.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Pki> = OnceLock::new();
        SHARED.get_or_init(|| {
            let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let directory = parent.join(format!("interop-{}", std::process::id()));
            fs::create_dir_all(&directory).unwrap();
            Self::generate(&directory)
        })
    }

    /// The server, which is `localhost`.
    pub(crate) fn server(&self, key: Key) -> &Identity {
        &self.servers[Key::ALL.iter().position(|k| *k == key).unwrap()]
    }

    /// The client.
    pub(crate) fn client(&self, key: Key) -> &Identity {
        &self.clients[Key::ALL.iter().position(|k| *k == key).unwrap()]
    }

    /// The root, for our side.
    pub(crate) fn anchors(&self) -> TrustAnchors {
        TrustAnchors::from_pem(&read(&self.root)).expect("our own root")
    }

    /// A root that issued nothing.
    pub(crate) fn other_anchors(&self) -> TrustAnchors {
        TrustAnchors::from_pem(&read(&self.other_root)).expect("our own root")
    }

    fn generate(directory: &Path) -> Self {
        let (root, root_pem) = authority("Interop root", None);
        let (_, other_pem) = authority("Another root", None);
        let (intermediate, intermediate_pem) = authority("Interop intermediate", Some(&root));
        let identities = |role: ExtendedKeyUsagePurpose, prefix: &str| {
            let leaf =
                |key: &Key| leaf(directory, prefix, *key, &role, &intermediate, &intermediate_pem);
            Key::ALL.iter().map(leaf).collect()
        };
        Self {
            root: write(directory, "root.pem", &root_pem),
            intermediate: write(directory, "intermediate.pem", &intermediate_pem),
            other_root: write(directory, "other.pem", &other_pem),
            servers: identities(ExtendedKeyUsagePurpose::ServerAuth, "server"),
            clients: identities(ExtendedKeyUsagePurpose::ClientAuth, "client"),
        }
    }
}

/// A file's contents.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path
}

type Authority = Issuer<'static, KeyPair>;

fn authority(name: &str, parent: Option<&Authority>) -> (Authority, String) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = parent.is_some();
    let certificate = match parent {
        Some(parent) => params.signed_by(&key, parent),
        None => params.self_signed(&key),
    };
    let pem = certificate.unwrap().pem();
    (Issuer::new(params, key), pem)
}

fn leaf(
    directory: &Path,
    role_name: &str,
    kind: Key,
    role: &ExtendedKeyUsagePurpose,
    issuer: &Authority,
    issuer_pem: &str,
) -> Identity {
    let key = match kind {
        Key::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        Key::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        Key::Ed25519 => KeyPair::generate_for(&PKCS_ED25519),
        // ring generates no RSA keys.
        Key::Rsa => KeyPair::from_pem(include_str!("../../vectors/interop/rsa2048.pem")),
    }
    .unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    params.distinguished_name.push(DnType::CommonName, format!("Interop {role_name} {kind:?}"));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![role.clone()];
    params.use_authority_key_identifier_extension = true;
    let pem = params.signed_by(&key, issuer).unwrap().pem();
    let file = |what: &str, text: &str| {
        write(directory, &format!("{role_name}-{kind:?}-{what}.pem").to_lowercase(), text)
    };
    Identity {
        leaf: file("leaf", &pem),
        chain: file("chain", &format!("{pem}{issuer_pem}")),
        key: file("key", &private_key(kind, &key)),
        public: file("public", &key.public_key_pem()),
    }
}

/// PKCS#8 as PEM. ring puts the public key into that of Ed25519 (RFC 5958), which neither OpenSSL 3.0 nor GnuTLS reads:
/// here is the older form, in which the private key is all (RFC 8410 §7).
fn private_key(kind: Key, key: &KeyPair) -> String {
    if kind != Key::Ed25519 {
        return key.serialize_pem();
    }
    let modern = key.serialize_der();
    let mut der = PKCS8_ED25519.to_vec();
    der.extend_from_slice(&modern[PKCS8_ED25519.len()..PKCS8_ED25519.len() + 32]);
    let base64 = base64(&der);
    format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
}

/// All of it but the 32 bytes of the key.
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let number = (0..3).fold(0, |n, i| n << 8 | usize::from(*group.get(i).unwrap_or(&0)));
        for digit in 0..4 {
            let known = digit <= group.len();
            text.push(if known { DIGITS[number >> (18 - 6 * digit) & 63] } else { b'=' }.into());
        }
    }
    text
}
