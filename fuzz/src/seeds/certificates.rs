//! Seeds that are certificates, and what tells about them.

use std::sync::LazyLock;

use sealwire::pki_types::pem::PemObject as _;
use sealwire::pki_types::{CertificateDer, CertificateRevocationListDer};
use serde_json::Value;

use super::super::world::{CLIENT, ROOT, SERVER};
use super::{messages, root, sized, unzip};

/// Chains, with and without anchors, under several names.
pub fn chain() -> Vec<Vec<u8>> {
    let der = |pem| CertificateDer::from_pem_slice(pem).unwrap().to_vec();
    let mut chains = vec![vec![der(SERVER), der(ROOT)], vec![der(CLIENT), der(ROOT)]];
    for message in messages(11) {
        // No context, then certificates with their extensions.
        let mut rest = message.get(4..).unwrap_or_default();
        let mut chain = Vec::new();
        while let [a, b, c, tail @ ..] = rest {
            let len = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            let Some((certificate, after)) = tail.split_at_checked(len) else { break };
            chain.push(certificate.to_vec());
            let skip =
                after.first_chunk().map_or(0, |len| 2 + usize::from(u16::from_be_bytes(*len)));
            rest = after.get(skip..).unwrap_or_default();
        }
        chains.push(chain);
    }
    let mut all = Vec::new();
    for chain in chains {
        let certificates: Vec<u8> = chain.iter().flat_map(|one| sized(one)).collect();
        for bits in [0, 1, 2, 3] {
            for name in ["localhost", "", "127.0.0.1"] {
                all.push([&[bits, name.len() as u8], name.as_bytes(), &certificates].concat());
            }
        }
    }
    all.extend(limbo().iter().filter_map(limbo_chain).filter(|seed| seed.len() < 5000));
    all
}

/// The cases of x509-limbo.
fn limbo() -> Vec<Value> {
    let bytes = unzip(&root().join("vectors/limbo/limbo.json.gz"));
    let mut all: Value = serde_json::from_slice(&bytes).unwrap();
    all["testcases"].as_array_mut().map(std::mem::take).unwrap()
}

/// The certificates of a field of a case, DER.
fn field(case: &Value, name: &str) -> Vec<Vec<u8>> {
    let list = case[name].as_array().cloned().unwrap_or(vec![case[name].clone()]);
    let pem = list.iter().filter_map(Value::as_str);
    pem.filter_map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).ok())
        .map(|certificate| certificate.to_vec())
        .collect()
}

fn limbo_chain(case: &Value) -> Option<Vec<u8>> {
    let anchors = field(case, "trusted_certs");
    let chain =
        [field(case, "peer_certificate"), field(case, "untrusted_intermediates"), anchors.clone()]
            .concat();
    let bits = u8::try_from(anchors.len()).ok().filter(|count| *count < 4)? << 1;
    let name = case["expected_peer_name"]["value"].as_str().unwrap_or_default();
    let name = &name.as_bytes()[..name.len().min(255)];
    let certificates: Vec<u8> = chain.iter().flat_map(|one| sized(one)).collect();
    Some([&[bits, name.len() as u8], name, &certificates].concat())
}

/// The beginning of an input about one leaf below an anchor, at this time.
fn head(now: u32, leaf: &[u8], issuer: &[u8]) -> Vec<u8> {
    [&now.to_be_bytes()[..], &sized(leaf), &sized(issuer)].concat()
}

/// 2024-01-01, the time of the cases that have one.
const LIMBO_TIME: u32 = 1_704_067_200;

pub fn crl() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for case in limbo() {
        let lists = case["crls"].as_array().cloned().unwrap_or_default();
        let der = |list: &Value| {
            let pem = list.as_str()?.as_bytes();
            Some(sized(&CertificateRevocationListDer::from_pem_slice(pem).ok()?))
        };
        let lists: Vec<u8> = lists.iter().filter_map(der).flatten().collect();
        if lists.is_empty() {
            continue;
        }
        let (leaf, anchors) = (field(&case, "peer_certificate"), field(&case, "trusted_certs"));
        all.push([head(LIMBO_TIME, &leaf[0], &anchors[0]), lists].concat());
    }
    all
}

fn lines(name: &str) -> Vec<Value> {
    let bytes = unzip(&root().join("vectors").join(name));
    let text = String::from_utf8(bytes).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The responses of BoringSSL's tests, which are from 2017.
pub fn ocsp() -> Vec<Vec<u8>> {
    let all = lines("ocsp/boringssl.jsonl.gz").into_iter().map(|line| {
        let now = 1_488_672_000;
        let head = head(now, &hex(&line["certificate"]), &hex(&line["issuer"]));
        [head, hex(&line["response"])].concat()
    });
    all.collect()
}

/// Keys of logs, which are those of the timestamps below.
pub fn ct_logs() -> &'static [Vec<u8>] {
    static KEYS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let lines = lines("sct/sct-rs.jsonl.gz");
        let mut keys: Vec<_> = lines.iter().map(|line| hex(&line["log"])).collect();
        keys.sort();
        keys.dedup();
        keys
    });
    &KEYS
}

pub fn sct() -> Vec<Vec<u8>> {
    let der = |pem| CertificateDer::from_pem_slice(pem).unwrap().to_vec();
    let head = head(1_800_000_000, &der(SERVER), &der(ROOT));
    let all = lines("sct/sct-rs.jsonl.gz")
        .into_iter()
        .map(|line| [&head[..], &[1], &sized(&hex(&line["sct"]))].concat());
    all.collect()
}
