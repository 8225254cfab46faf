//! Certificate transparency (RFC 6962): where timestamps come from, which count, and how many there have to be.

use sealwire::{CtLog, Transparency};

use super::*;
use crate::maker::*;

/// The time of the check, in milliseconds.
const MILLIS: u64 = NOW * 1000;

/// Three logs of two operators.
struct World {
    pki: Pki,
    logs: [Entity; 3],
}

impl World {
    fn new() -> Self {
        Self { pki: Pki::new(), logs: ["A1", "A2", "B1"].map(entity) }
    }

    fn log(&self, place: usize) -> CtLog {
        let (name, operator) = [("A1", "A"), ("A2", "A"), ("B1", "B")][place];
        let spki = rcgen::PublicKeyData::subject_public_key_info(&self.logs[place].key);
        CtLog::new(spki, name, operator).unwrap()
    }

    fn policy(&self) -> Transparency {
        Transparency::new((0..3).map(|place| self.log(place)))
    }

    /// The chain, with timestamps of these logs inside the leaf.
    fn embedded(&self, logs: &[usize]) -> Vec<Der> {
        self.embedded_at(logs, MILLIS)
    }

    fn embedded_at(&self, logs: &[usize], millis: u64) -> Vec<Der> {
        let pki = &self.pki;
        let entry = precert_entry(&pki.ica, &pki.leaf_draft().sign(&pki.ica));
        let scts: Vec<_> = logs.iter().map(|log| sct(&self.logs[*log], millis, &entry)).collect();
        self.with_embedded(&scts)
    }

    fn with_embedded(&self, scts: &[Vec<u8>]) -> Vec<Der> {
        self.pki.chain(self.pki.leaf_draft().with(embedded(scts)))
    }

    /// Timestamps of these logs over a certificate as it is.
    fn beside(&self, certificate: &[u8], logs: &[usize]) -> Vec<Vec<u8>> {
        let entry = x509_entry(certificate);
        logs.iter().map(|log| sct(&self.logs[*log], MILLIS, &entry)).collect()
    }

    fn judge(&self, policy: Transparency, chain: &[Der], evidence: Evidence<'_>) -> Verdict {
        judge(&Verifier::new(self.pki.anchors()).with_transparency(policy), chain, evidence)
    }
}

fn scts(scts: &[Vec<u8>]) -> Evidence<'_> {
    Evidence { scts, ..Evidence::default() }
}

#[track_caller]
fn not_logged(verdict: Verdict, why: &str) {
    let text = verdict.as_ref().expect_err("accepted").to_string();
    assert!(text.contains(why), "{text}");
    refused(verdict, "not-logged", Alert::certificate_unknown);
}

#[test]
fn from_the_certificate_the_handshake_and_the_staple() {
    let world = World::new();
    let pki = &world.pki;
    world.judge(world.policy(), &world.embedded(&[0, 2]), Evidence::default()).unwrap();
    // A second extension changes nothing in the others, wherever it stands.
    let chain = pki.chain(pki.leaf_draft());
    let both = world.beside(&chain[0], &[0, 2]);
    world.judge(world.policy(), &chain, scts(&both)).unwrap();
    let list = extension(STAPLED_SCTS, false, &tlv(4, &sct_list(&both)));
    let single = Single { extensions: vec![list], ..Single::good(&pki.ica, SERVER) };
    let ocsp = Response::new(&[single]).sign(&pki.ica);
    let evidence = Evidence { ocsp: &ocsp, ..Evidence::default() };
    world.judge(world.policy(), &chain, evidence).unwrap();
    // One from here, one from there.
    let chain = world.embedded(&[1]);
    let other = world.beside(&chain[0], &[2]);
    world.judge(world.policy(), &chain, scts(&other)).unwrap();
    not_logged(world.judge(world.policy(), &chain, Evidence::default()), "1 certificate timestamp");
    not_logged(
        world.judge(world.policy(), &pki.chain(pki.leaf_draft()), Evidence::default()),
        "0 certificate timestamps",
    );
}

#[test]
fn logs_and_operators_are_counted_once() {
    let world = World::new();
    let none = Evidence::default();
    not_logged(world.judge(world.policy(), &world.embedded(&[0, 1]), none), "of 1 log operator");
    not_logged(world.judge(world.policy(), &world.embedded(&[0, 0]), none), "1 certificate");
    let one = world.policy().with_minimum(2, 1);
    world.judge(one.clone(), &world.embedded(&[0, 1]), none).unwrap();
    not_logged(world.judge(one, &world.embedded(&[2, 2]), none), "1 certificate timestamp");
    let three = world.policy().with_minimum(3, 2);
    not_logged(world.judge(three.clone(), &world.embedded(&[0, 2]), none), "2 certificate");
    world.judge(three, &world.embedded(&[0, 1, 2]), none).unwrap();
    world.judge(world.policy().with_minimum(0, 0), &world.embedded(&[]), none).unwrap();
}

#[test]
fn a_report_refuses_nothing() {
    let world = World::new();
    let verifier = Verifier::new(world.pki.anchors());
    let names = |verifier: &Verifier, chain: &[Der]| {
        verify(verifier, chain, Evidence::default(), NOW).unwrap().logs
    };
    let reporting = verifier.clone().with_transparency(world.policy().report_only());
    assert_eq!(names(&reporting, &world.embedded(&[0, 1, 2])), ["A1", "A2", "B1"]);
    assert_eq!(names(&reporting, &world.embedded(&[1])), ["A2"]);
    assert!(names(&reporting, &world.pki.chain(world.pki.leaf_draft())).is_empty());
    let required = verifier.clone().with_transparency(world.policy());
    assert_eq!(names(&required, &world.embedded(&[0, 2])), ["A1", "B1"]);
    assert!(names(&verifier, &world.embedded(&[0, 2])).is_empty(), "nobody asked");
}

#[test]
fn pitfall_48_timestamps_that_are_over_something_else() {
    let world = World::new();
    let pki = &world.pki;
    let none = Evidence::default();
    let trouble = "not by its log";
    let entry = |issuer: &Entity, draft: Draft| precert_entry(issuer, &draft.sign(&pki.ica));
    let with = |entry: Vec<u8>| {
        let scts = [0, 2].map(|log| sct(&world.logs[log], MILLIS, &entry));
        world.judge(world.policy(), &world.with_embedded(&scts), none)
    };
    with(entry(&pki.ica, pki.leaf_draft())).unwrap();
    not_logged(with(entry(&pki.root, pki.leaf_draft())), trouble); // another issuer
    let other = Draft { serial: vec![0x21], ..pki.leaf_draft() };
    not_logged(with(entry(&pki.ica, other)), trouble); // another certificate
    not_logged(with(x509_entry(&pki.leaf_draft().sign(&pki.ica))), trouble); // another type
    // One in the handshake is over the certificate itself, and one inside over the certificate without it.
    let chain = world.embedded(&[0, 2]);
    let precert = entry(&pki.ica, pki.leaf_draft());
    let wrong = [0, 2].map(|log| sct(&world.logs[log], MILLIS, &precert));
    let plain = pki.chain(pki.leaf_draft());
    not_logged(world.judge(world.policy(), &plain, scts(&wrong)), trouble);
    let of_another = world.beside(&chain[0], &[0, 2]);
    not_logged(world.judge(world.policy(), &plain, scts(&of_another)), trouble);
    // Every field counts: number of the log, time, extensions, algorithm, signature.
    let good = world.beside(&plain[0], &[0, 2]);
    world.judge(world.policy(), &plain, scts(&good)).unwrap();
    for at in 0..good[0].len() {
        let mut changed = good.clone();
        changed[0][at] ^= 1;
        assert!(world.judge(world.policy(), &plain, scts(&changed)).is_err(), "{at}");
    }
}

#[test]
fn pitfall_48_a_log_and_its_time() {
    let world = World::new();
    let none = Evidence::default();
    let at = |millis| world.embedded_at(&[0, 2], millis);
    world.judge(world.policy(), &at(MILLIS + 300_000), none).unwrap();
    not_logged(world.judge(world.policy(), &at(MILLIS + 301_000), none), "from the future");
    not_logged(world.judge(world.policy(), &at(u64::MAX), none), "from the future");
    let with = |change: &dyn Fn(CtLog) -> CtLog| {
        Transparency::new([change(world.log(0)), world.log(1), world.log(2)])
    };
    let chain = world.embedded(&[0, 2]);
    let second = |secs| UnixTime::since_unix_epoch(Duration::from_secs(secs));
    let retired = |secs| with(&|log| log.with_retirement(second(secs)));
    world.judge(retired(NOW + 1), &chain, none).unwrap();
    not_logged(world.judge(retired(NOW), &chain, none), "retired");
    // 2040-01-01, when the certificate expires
    let end = 2_208_988_800;
    let shard = |from, to| with(&|log| log.with_interval(second(from), second(to)));
    world.judge(shard(end, end + 1), &chain, none).unwrap();
    not_logged(world.judge(shard(end - 1, end), &chain, none), "expire at other times");
    not_logged(world.judge(shard(end + 1, end + 2), &chain, none), "expire at other times");
    let two = Transparency::new([world.log(1), world.log(2)]);
    not_logged(world.judge(two, &chain, none), "a log that is not known");
    let two = Transparency::new([world.log(1), world.log(2)]);
    world.judge(two, &world.embedded(&[0, 1, 2]), none).unwrap();
    CtLog::new(vec![0x30, 0], "no key", "nobody").unwrap_err();
}

#[test]
fn pitfall_48_every_length_of_a_list_is_checked() {
    let world = World::new();
    let pki = &world.pki;
    let none = Evidence::default();
    let entry = precert_entry(&pki.ica, &pki.leaf_draft().sign(&pki.ica));
    let good = sct_list(&[0, 2].map(|log| sct(&world.logs[log], MILLIS, &entry)));
    let with = |value: Vec<u8>| {
        let chain = pki.chain(pki.leaf_draft().with(extension(EMBEDDED_SCTS, false, &value)));
        world.judge(world.policy(), &chain, none)
    };
    with(tlv(4, &good)).unwrap();
    // Cut anywhere, longer by a byte, every length wrong, an empty one, no list at all.
    for len in 0..good.len() {
        not_logged(with(tlv(4, &good[..len])), "0 certificate timestamps");
    }
    not_logged(with(tlv(4, &[&good[..], &[0]].concat())), "0 certificate timestamps");
    let first = u16::from_be_bytes([good[2], good[3]]);
    for at in [0, 1, 2, 3, 4 + usize::from(first), 5 + usize::from(first)] {
        for change in [1u8, 0xff] {
            let mut changed = good.clone();
            changed[at] = changed[at].wrapping_add(change);
            not_logged(with(tlv(4, &changed)), "certificate timestamp");
        }
    }
    let empty = [sct_list(&[]), sct_list(&[vec![]]), vec![]];
    for list in empty {
        not_logged(with(tlv(4, &list)), "0 certificate timestamps");
    }
    not_logged(with(good.clone()), "0 certificate timestamps"); // no OCTET STRING inside
    // Inside a timestamp too; one of a later version, or that does not parse, is passed over.
    let plain = pki.chain(pki.leaf_draft());
    let mut beside = world.beside(&plain[0], &[0, 2]);
    let mut later = beside[0].clone();
    later[0] = 1;
    beside.insert(0, later);
    for len in 0..beside[1].len() {
        beside.insert(0, beside[1][..len].to_vec());
        let evidence = [beside[0].clone(), beside[2].clone(), beside[3].clone()];
        world.judge(world.policy(), &plain, scts(&evidence)).unwrap();
        beside.remove(0);
        let cut = [beside[1][..len].to_vec(), beside[2].clone()];
        not_logged(world.judge(world.policy(), &plain, scts(&cut)), "1 certificate timestamp");
    }
    let longer = [[&beside[1][..], &[0]].concat(), beside[2].clone()];
    not_logged(world.judge(world.policy(), &plain, scts(&longer)), "does not parse");
}

#[test]
fn policies_are_cheap_to_clone_and_share() {
    fn check<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}
    check::<Transparency>();
    check::<CtLog>();
}
