//! Verifying a leaf and one intermediate to a root: Sealwire, rustls-webpki and OpenSSL on the same bytes, in one run.
//!
//! ```sh
//! cargo run --release --manifest-path benches/verify/Cargo.toml
//! ```
//!
//! Each parses the two certificates, finds the path, checks two signatures, validity, purpose and the name. The trusted
//! root is parsed before, by all three. Sealwire's cold verdicts are each by a verifier of its own that has met nobody, and
//! was made before: what it copies and allocates to remember the two signatures is part of the verdict. The warm ones are by
//! one that remembers them, and does all of the rest. After criterion's absolute figures a table tells the ratios, which are what
//! counts: for it all are measured in turns, and the best turn of each counts, since other work only makes one slower.
//!
//! For a profiler, `verify RSA 'Sealwire, warm' 1000` judges a thousand times and does nothing else; `verify RSA all 100`
//! lets each in its turn judge a hundred times, all of them the same chain. Instructions do not depend on what else the
//! machine does:
//!
//! ```sh
//! valgrind --tool=callgrind --callgrind-out-file=out target/release/verify ECDSA all 100
//! callgrind_annotate --inclusive=yes out | grep 'Chain::\(cold\|warm\|webpki\|openssl\)'
//! ```

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion};
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyParam;
use openssl::x509::{X509, X509PurposeId, X509StoreContext};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use sealwire::crypto::{Provider, ring};
use sealwire::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use sealwire::{Evidence, Purpose, TrustAnchors, Verifier};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

const NAME: &str = "www.example.com";
/// Verdicts in one turn, and turns. A turn is short, so that some are not disturbed.
const TURN: u32 = 10;
const ROUNDS: usize = 301;

const KINDS: [(&str, fn() -> KeyPair); 2] = [("ECDSA P-256", ecdsa), ("RSA 2048", rsa)];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [kind, who, times] = &arguments[..] {
        let (_, key) = KINDS.into_iter().find(|(name, _)| name.starts_with(kind)).unwrap();
        let chain = Chain::new(key);
        let judges = chain.judges();
        for (_, judge) in judges.iter().filter(|(name, _)| name == who || who == "all") {
            let strangers = (0..times.parse().unwrap()).map(|_: u32| chain.stranger());
            strangers.for_each(|stranger| judge(&stranger));
        }
        return;
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    let mut rows = Vec::new();
    for (kind, key) in KINDS {
        let chain = Chain::new(key);
        let mut group = criterion.benchmark_group(kind);
        for (name, judge) in chain.judges() {
            let judge = |stranger| {
                judge(&stranger);
                stranger
            };
            let made = || chain.stranger();
            group.bench_function(name, |b| b.iter_batched(made, judge, BatchSize::SmallInput));
        }
        group.finish();
        rows.push((kind, chain.turns()));
    }
    println!("\n{:<12} {:<16} {:>10} {:>22}", "", "", "best turn", "ratio to the first");
    for (kind, times) in rows {
        let (_, cold) = times[0];
        for (name, time) in times {
            let ratio = time.as_secs_f64() / cold.as_secs_f64();
            println!("{kind:<12} {name:<16} {:>7.1} µs {ratio:>22.3}", time.as_secs_f64() * 1e6);
        }
    }
}

fn ecdsa() -> KeyPair {
    KeyPair::generate().unwrap()
}

/// ring makes no RSA keys.
fn rsa() -> KeyPair {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let pem = String::from_utf8(key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    KeyPair::from_pem(&pem).unwrap()
}

/// A leaf and its intermediate, and the root, as each of the three wants it.
struct Chain {
    chain: [CertificateDer<'static>; 2],
    now: UnixTime,
    name: ServerName<'static>,
    provider: Provider,
    anchors: TrustAnchors,
    /// One that remembers this chain's signatures.
    sealwire: Verifier,
    webpki: TrustAnchor<'static>,
    openssl: X509Store,
}

/// Is given a verifier that has met nobody, and need not use it.
type Judge<'a> = Box<dyn Fn(&Verifier) + 'a>;

impl Chain {
    fn new(key: fn() -> KeyPair) -> Self {
        let root = CertifiedIssuer::self_signed(authority("Root"), key()).unwrap();
        let ica = CertifiedIssuer::signed_by(authority("Intermediate"), key(), &root).unwrap();
        let names = ["example.com", NAME, "mail.example.com"].map(str::to_owned);
        let mut leaf = CertificateParams::new(names).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, NAME);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        leaf.use_authority_key_identifier_extension = true;
        let leaf = leaf.signed_by(&key(), &ica).unwrap();

        let root = root.der().clone();
        let mut store = X509StoreBuilder::new().unwrap();
        store.add_cert(X509::from_der(&root).unwrap()).unwrap();
        let mut param = X509VerifyParam::new().unwrap();
        param.set_purpose(X509PurposeId::SSL_SERVER).unwrap();
        param.set_host(NAME).unwrap();
        store.set_param(&param).unwrap();
        let anchors = TrustAnchors::from_certificates([root.clone()]);
        Self {
            chain: [leaf.der().clone(), ica.der().clone()],
            now: UnixTime::now(),
            name: NAME.try_into().unwrap(),
            provider: ring::provider(),
            sealwire: Verifier::new(anchors.clone()),
            anchors,
            webpki: anchor_from_trusted_cert(&root).unwrap().to_owned(),
            openssl: store.build(),
        }
    }

    fn judges(&self) -> Vec<(&'static str, Judge<'_>)> {
        vec![
            ("Sealwire, cold", Box::new(|stranger| self.cold(stranger))),
            ("Sealwire, warm", Box::new(|_| self.warm())),
            ("rustls-webpki", Box::new(|_| self.webpki())),
            ("OpenSSL", Box::new(|_| self.openssl())),
        ]
    }

    /// A verifier that has met nobody.
    fn stranger(&self) -> Verifier {
        Verifier::new(self.anchors.clone())
    }

    #[inline(never)]
    fn cold(&self, stranger: &Verifier) {
        self.sealwire(stranger);
    }

    #[inline(never)]
    fn warm(&self) {
        self.sealwire(&self.sealwire);
    }

    fn sealwire(&self, verifier: &Verifier) {
        let chain = black_box(&self.chain);
        let (name, evidence) = (Some(&self.name), Evidence::default());
        let verdict =
            verifier.verify(&self.provider, chain, Purpose::Server, name, self.now, evidence);
        black_box(verdict.unwrap());
    }

    #[inline(never)]
    fn webpki(&self) {
        let [leaf, ica] = black_box(&self.chain);
        let leaf = EndEntityCert::try_from(leaf).unwrap();
        let path = leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            std::slice::from_ref(&self.webpki),
            std::slice::from_ref(ica),
            self.now,
            KeyUsage::server_auth(),
            None,
            None,
        );
        black_box(path.unwrap());
        leaf.verify_is_valid_for_subject_name(&self.name).unwrap();
    }

    #[inline(never)]
    fn openssl(&self) {
        let [leaf, ica] = black_box(&self.chain);
        let leaf = X509::from_der(leaf).unwrap();
        let mut others = Stack::new().unwrap();
        others.push(X509::from_der(ica).unwrap()).unwrap();
        let mut context = X509StoreContext::new().unwrap();
        let good = context.init(&self.openssl, &leaf, &others, |context| context.verify_cert());
        assert!(good.unwrap());
    }

    /// The best turn of each.
    fn turns(&self) -> Vec<(&'static str, Duration)> {
        let judges = self.judges();
        let mut best = vec![Duration::MAX; judges.len()];
        for _ in 0..ROUNDS {
            for ((_, judge), best) in judges.iter().zip(&mut best) {
                let strangers = [(); TURN as usize].map(|()| self.stranger());
                let began = Instant::now();
                strangers.iter().for_each(judge);
                *best = began.elapsed().div_f64(TURN.into()).min(*best);
            }
        }
        judges.iter().zip(best).map(|((name, _), best)| (*name, best)).collect()
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
