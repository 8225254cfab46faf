//! Counts the signatures that a verdict takes.

use std::cell::Cell;
use std::sync::OnceLock;
use std::task::Poll;

use sealwire::codepoints::SignatureScheme;
use sealwire::crypto::{CryptoError, Provider, SignatureVerifier, ring};
use sealwire::{CertificateError, Verification};

thread_local! {
    /// How many signatures this thread has checked.
    static CHECKED: Cell<usize> = const { Cell::new(0) };
}

/// One of ring's verifiers, counted.
struct Counting(&'static dyn SignatureVerifier);

impl SignatureVerifier for Counting {
    fn scheme(&self) -> SignatureScheme {
        self.0.scheme()
    }

    fn certificate_algorithms(&self) -> &'static [&'static [u8]] {
        self.0.certificate_algorithms()
    }

    fn certificate_only(&self) -> bool {
        self.0.certificate_only()
    }

    fn verify(&self, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let verdict = self.0.verify(spki, message, signature);
        // A verifier for another kind of key fails at once, and is none of the cost.
        if verdict.is_ok() {
            CHECKED.set(CHECKED.get() + 1);
        }
        verdict
    }
}

/// ring's provider, whose checks of signatures are counted.
pub(crate) fn counting_provider() -> Provider {
    static VERIFIERS: OnceLock<Vec<&'static dyn SignatureVerifier>> = OnceLock::new();
    let mut provider = ring::provider();
    provider.verifiers = VERIFIERS.get_or_init(|| {
        let mut counting: Vec<&'static dyn SignatureVerifier> = Vec::new();
        for verifier in provider.verifiers {
            counting.push(Box::leak(Box::new(Counting(*verifier))));
        }
        counting
    });
    provider
}

/// The verdict, and how many good signatures each step took.
pub(crate) fn run(
    mut verification: Verification<'_, '_>,
) -> (Result<usize, CertificateError>, Vec<usize>) {
    let mut steps = Vec::new();
    loop {
        CHECKED.set(0);
        let step = verification.step();
        steps.push(CHECKED.get());
        if let Poll::Ready(verdict) = step {
            assert!(
                matches!(verification.step(), Poll::Ready(again) if again.is_ok() == verdict.is_ok())
            );
            return (verdict.map(|path| path.certificates.len()), steps);
        }
    }
}
