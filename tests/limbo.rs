//! x509-limbo and BetterTLS' path building, from the copies in `vectors/limbo`, in both profiles.
//!
//! Where Sealwire says something else than the suite, that is listed here with its reason, and nothing else is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "limbo/case.rs"]
mod case;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use case::Outcome;
use sealwire::crypto::ring;
use sealwire::pki_types::UnixTime;
use sealwire::{Profile, TrustAnchors};
use serde_json::Value;

/// 2026-11-25, for the cases that name no time.
const NOW: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_795_564_800));

/// Cases that contradict others; the default profile keeps the side of RFC 5280 and of what is in use.
const CONTRADICTIONS: &[(&str, &[&str])] = &[
    (
        "RFC 9846 §4.5.1.2: a key whose keyUsage lacks digitalSignature cannot authenticate anybody in TLS 1.3",
        &["pathlen::validation-ignores-pathlen-in-leaf", "rfc5280::ca-as-leaf"],
    ),
    (
        "against webpki::nc::permitted-dns-match-noncritical, which BR 7.1.2.5.2 allows",
        &["rfc5280::nc::permitted-dns-match-noncritical"],
    ),
    (
        "against cve::cve-2024-0567: an anchor that is not self-signed, and has no authorityKeyIdentifier",
        &["rfc5280::aki::cross-signed-root-missing-aki"],
    ),
];

/// What only the default profile bears: rules for issuers, whose breach changes nothing of what a certificate means, and
/// which private CAs break.
const LINTS: &[(&str, &[&str])] = &[
    (
        "key identifiers are hints for building paths, and private CAs leave them out",
        &[
            "rfc5280::aki::leaf-missing-aki",
            "rfc5280::aki::intermediate-missing-aki",
            "rfc5280::ski::root-missing-ski",
            "rfc5280::ski::intermediate-missing-ski",
            "webpki::aki::root-with-aki-missing-keyidentifier",
            "webpki::aki::root-with-aki-authoritycertissuer",
            "webpki::aki::root-with-aki-authoritycertserialnumber",
            "webpki::aki::root-with-aki-all-fields",
            "webpki::aki::root-with-aki-ski-mismatch",
        ],
    ),
    (
        "the common name is never looked at (RFC 9525 §2), so it cannot deceive",
        &[
            "webpki::cn::ipv4-hex-mismatch",
            "webpki::cn::ipv4-leading-zeros-mismatch",
            "webpki::cn::ipv6-uppercase-mismatch",
            "webpki::cn::ipv6-uncompressed-mismatch",
            "webpki::cn::ipv6-non-rfc5952-mismatch",
            "webpki::cn::punycode-not-in-san",
            "webpki::cn::utf8-vs-punycode-mismatch",
            "webpki::cn::case-mismatch",
        ],
    ),
    (
        "without extendedKeyUsage, or with any, a certificate is for everything (RFC 5280 §4.2.1.12)",
        &["webpki::eku::ee-anyeku", "webpki::eku::ee-without-eku"],
    ),
    (
        "what an extension says holds whether it is marked critical or not",
        &[
            "rfc5280::root-non-critical-basic-constraints",
            "rfc5280::san::noncritical-with-empty-subject",
            "webpki::eku::ee-critical-eku",
            "webpki::san::san-critical-with-nonempty-subject",
        ],
    ),
    ("a root's purposes are honoured, and so do no harm", &["webpki::eku::root-has-eku"]),
    (
        "serial numbers of another length, and zero, tell certificates apart as well",
        &["rfc5280::serial::too-long", "rfc5280::serial::zero"],
    ),
    (
        "hosts with underscores exist, and are compared as they are",
        &["rfc5280::san::underscore-dns"],
    ),
    (
        "OpenSSL and Go give a leading period a meaning, and private CAs use it; the stricter reading is applied",
        &["rfc5280::nc::invalid-dnsname-leading-period"],
    ),
    (
        "a leaf that might sign certificates is still no CA for anybody (RFC 5280 §6.1.4 (k))",
        &["rfc5280::leaf-ku-keycertsign"],
    ),
    ("a CA may be a server, if it has a key that may sign", &["webpki::ee-basicconstraints-ca"]),
    (
        "2,052 bits are no weaker than 2,048",
        &[
            "webpki::forbidden-rsa-not-divisible-by-8-in-root",
            "webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf",
        ],
    ),
];

/// Neither profile can tell.
const UNKNOWABLE: &[(&str, &[&str])] = &[
    (
        "which names are public suffixes is a list that is not here",
        &[
            "webpki::san::public-suffix-multi-label-wildcard-san",
            "webpki::san::public-suffix-private-namespace-wildcard-san",
        ],
    ),
    (
        "against 14 cases that are to be accepted, with an ordinary host in the common name that is in no other place",
        &["webpki::cn::not-in-san"],
    ),
];

/// What the strict profile gives up for its rules.
const STRICT: &[(&str, &[&str])] = &[(
    "against webpki::eku::ee-without-eku: BR 7.1.2.7.6 asks for extendedKeyUsage",
    &["rfc5280::eku::ee-without-eku"],
)];

#[test]
fn limbo_in_the_default_profile() {
    let lists = [CONTRADICTIONS, LINTS, UNKNOWABLE];
    assert_eq!(compare("limbo", Profile::Default, &lists), 169);
}

#[test]
fn limbo_in_the_strict_profile() {
    let lists = [CONTRADICTIONS, UNKNOWABLE, STRICT];
    assert_eq!(compare("limbo", Profile::Strict, &lists), 200);
}

#[test]
fn bettertls() {
    for profile in [Profile::Default, Profile::Strict] {
        assert_eq!(compare("bettertls-pathbuilding", profile, &[]), 81);
    }
}

/// Chains of real servers, from the roots of Debian's `ca-certificates`, at the time when they were taken.
#[test]
fn real_chains_lead_to_debians_roots() {
    const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
    let Ok(pem) = std::fs::read(ROOTS) else {
        let required = std::env::var_os("SEALWIRE_REQUIRE_PEERS").is_some();
        assert!(!required, "{ROOTS} is missing");
        println!("skipped: {ROOTS} is missing");
        return;
    };
    let roots = TrustAnchors::from_pem(&pem).unwrap();
    assert!(roots.len() > 100 && roots.ignored() == 0, "{roots:?}");
    let roots: Vec<String> = String::from_utf8(pem)
        .unwrap()
        .split_inclusive("-----END CERTIFICATE-----")
        .filter(|text| text.contains("BEGIN"))
        .map(str::to_owned)
        .collect();
    let mut chains = 0;
    for mut case in suite("limbo") {
        if !case["id"].as_str().unwrap().starts_with("online::") {
            continue;
        }
        case["trusted_certs"] = roots.clone().into();
        for profile in [Profile::Default, Profile::Strict] {
            let outcome = case::run(&case, &ring::provider(), profile, NOW);
            assert_eq!(outcome, Outcome::Success, "{} {profile:?}", case["id"]);
        }
        chains += 1;
    }
    assert_eq!(chains, 14);
}

/// Rules are for the certificates of the path, and not for what else a peer sends: no key identifiers, critical extensions
/// that nobody knows, a serial number of zero, and names like those on the path change no verdict.
#[test]
fn what_is_beside_the_path_decides_nothing() {
    let cases = suite("limbo");
    let mut stray: Vec<Value> = Vec::new();
    for id in [
        "rfc5280::unknown-critical-extension-intermediate",
        "rfc5280::aki::intermediate-missing-aki",
        "rfc5280::ski::intermediate-missing-ski",
        "rfc5280::serial::zero",
        "rfc5280::unknown-critical-extension-root",
    ] {
        let case = cases.iter().find(|case| case["id"] == id).unwrap();
        stray.push(case["peer_certificate"].clone());
        stray.extend(case["untrusted_intermediates"].as_array().unwrap().clone());
        stray.extend(case["trusted_certs"].as_array().unwrap().clone());
    }
    let provider = ring::provider();
    for profile in [Profile::Default, Profile::Strict] {
        let run = |case: &Value| case::run(case, &provider, profile, NOW);
        let good = cases.iter().filter(|case| run(case) == Outcome::Success);
        let mut accepted = 0;
        for case in good {
            let own = case["untrusted_intermediates"].as_array().unwrap();
            for all in [[&stray[..], own].concat(), [own, &stray[..]].concat()] {
                let mut case = case.clone();
                case["untrusted_intermediates"] = all.into();
                assert_eq!(run(&case), Outcome::Success, "{} {profile:?}", case["id"]);
            }
            accepted += 1;
        }
        assert!(accepted > 50, "{accepted}");
    }
}

/// Runs a suite, and holds the lists of exceptions to what is true. Returns how many cases came out as the suite says.
fn compare(file: &str, profile: Profile, exceptions: &[&[(&str, &[&str])]]) -> usize {
    let exceptions = exceptions.iter().flat_map(|list| list.iter());
    let mut reasons: BTreeMap<&str, &str> = BTreeMap::new();
    for (reason, ids) in exceptions {
        for id in *ids {
            assert!(reasons.insert(id, reason).is_none(), "{id} is listed twice");
        }
    }
    let provider = ring::provider();
    let mut good = 0;
    let mut wrong = Vec::new();
    for case in &suite(file) {
        let id = case["id"].as_str().unwrap();
        let outcome = case::run(case, &provider, profile, NOW);
        let agrees = case["expected_result"] == outcome.name();
        if agrees == reasons.remove(id).is_some() {
            wrong.push(format!("{id}: {outcome:?}"));
        }
        if matches!(outcome, Outcome::Skipped(_)) {
            wrong.push(format!("{id} was skipped"));
        }
        good += usize::from(agrees);
    }
    assert!(wrong.is_empty(), "{profile:?}, other than listed:\n{}", wrong.join("\n"));
    assert!(reasons.is_empty(), "there are no such cases: {reasons:?}");
    good
}

fn suite(file: &str) -> Vec<Value> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/limbo");
    let packed = File::open(dir.join(format!("{file}.json.gz"))).unwrap();
    let whole: Value = serde_json::from_reader(flate2::read::GzDecoder::new(packed)).unwrap();
    whole["testcases"].as_array().unwrap().clone()
}

/// A case that makes no sense is skipped, with what is wrong about it, and does not end the run.
#[test]
fn cases_that_do_not_parse() {
    let good = suite("bettertls-pathbuilding").swap_remove(0);
    let run = |case: &Value| case::run(case, &ring::provider(), Profile::Default, NOW);
    assert_eq!(run(&good), Outcome::Success);
    assert_eq!(run(&good).context(), None);
    let change = |key: &str, value: Value| {
        let mut case = good.clone();
        case[key] = value;
        run(&case)
    };
    for (key, value) in [
        ("trusted_certs", "x".into()),
        ("trusted_certs", vec![1].into()),
        ("peer_certificate", Value::Null),
        ("validation_kind", "BOTH".into()),
        ("validation_time", "yesterday".into()),
        ("validation_time", "2026-11-19 17:48:17".into()),
        ("expected_peer_name", "localhost".into()),
        ("expected_peer_names", 1.into()),
        ("max_chain_depth", "3".into()),
        ("max_chain_depth", (-1).into()),
        ("extended_key_usage", vec!["codeSigning"].into()),
    ] {
        let outcome = change(key, value.clone());
        assert!(matches!(outcome, Outcome::Skipped(_)), "{key} {value}: {outcome:?}");
    }
    assert!(matches!(run(&Value::Null), Outcome::Skipped(_)));
    assert!(matches!(change("peer_certificate", "rubbish".into()), Outcome::Failure(_)));
    assert_eq!(change("trusted_certs", Value::Null).name(), "FAILURE");
    assert_eq!(change("crls", vec!["rubbish"].into()).name(), "FAILURE");
    assert_eq!(change("expected_peer_name", Value::Null), Outcome::Success);
    assert_eq!(change("validation_time", "2026-11-19T17:48:17.999Z".into()), Outcome::Success);
    assert_eq!(change("validation_time", "2126-11-19T17:48:17+00:00".into()).name(), "FAILURE");
}
