//! What holds for every provider.

use super::*;

fn providers() -> Vec<Provider> {
    vec![
        #[cfg(feature = "ring")]
        ring::provider(),
        #[cfg(feature = "aws-lc")]
        aws_lc::provider(),
    ]
}

fn groups(provider: &Provider) -> impl Iterator<Item = &&'static dyn KeyExchange> {
    provider.groups.iter().chain(provider.more_groups)
}

#[test]
fn groups_agree_and_refuse() {
    for provider in providers() {
        for group in groups(&provider) {
            let id = group.group();
            let new = || group.generate(&*provider.rng).unwrap();
            let (client, again) = (new(), new());
            assert_ne!(client.share(), again.share(), "{id}");
            let (share, secret) = group.respond(&*provider.rng, client.share()).unwrap();
            assert_eq!(client.agree(&share).unwrap().expose(), secret.expose(), "{id}");

            assert!(new().agree(&[]).is_err(), "{id}");
            assert!(new().agree(&share[1..]).is_err(), "{id}");
            assert!(new().agree(&share[..share.len() - 1]).is_err(), "{id}");
            assert!(new().agree(&[&share[..], &[0]].concat()).is_err(), "{id}");
            let respond = |share: &[u8]| group.respond(&*provider.rng, share);
            assert!(respond(&again.share()[1..]).is_err(), "{id}");
            assert!(respond(&[again.share(), &[0]].concat()).is_err(), "{id}");
            // FIPS 203 §7.2: coefficients that are not reduced.
            assert!(respond(&vec![0xff; again.share().len()]).is_err() || id == NamedGroup::x25519);
            // Not on the curve, or an all-zero result; ML-KEM takes any ciphertext, and a key of zeros.
            if ![NamedGroup::MLKEM768, NamedGroup::MLKEM1024].contains(&id) {
                assert!(new().agree(&vec![0; share.len()]).is_err(), "{id}");
                assert!(respond(&vec![0; again.share().len()]).is_err(), "{id}");
            }
        }
    }
}

/// Every group that two providers have: one is the client, the other the server.
#[test]
fn providers_understand_each_other() {
    for client in providers() {
        for server in providers() {
            for group in groups(&client) {
                let Some(other) = server.group(group.group()) else { continue };
                let pair = group.generate(&*client.rng).unwrap();
                let (share, secret) = other.respond(&*server.rng, pair.share()).unwrap();
                assert_eq!(pair.agree(&share).unwrap().expose(), secret.expose());
            }
        }
    }
}

#[test]
fn what_is_there() {
    let ids = |groups: &[&dyn KeyExchange]| groups.iter().map(|g| g.group()).collect::<Vec<_>>();
    let classical = [NamedGroup::x25519, NamedGroup::secp256r1, NamedGroup::secp384r1];
    for provider in providers() {
        let groups = ids(provider.groups);
        assert!(groups.windows(3).any(|some| some == classical));
        // Each group once, and none of what needs to be asked for among the others.
        let mut all = [groups, ids(provider.more_groups)].concat();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
    #[cfg(feature = "aws-lc")]
    {
        let quantum = [NamedGroup::X25519MLKEM768];
        let groups = [&quantum[..], &classical, &[NamedGroup::secp521r1]].concat();
        assert_eq!(ids(aws_lc::provider().groups), groups);
    }
}

#[test]
fn only_uncompressed_points() {
    for provider in providers() {
        let group = provider.group(NamedGroup::secp256r1).unwrap();
        let share = group.generate(&*provider.rng).unwrap().share().to_vec();
        let compressed = [&[2 | (share[64] & 1)], &share[1..33]].concat();
        let hybrid = [&[6 | (share[64] & 1)], &share[1..]].concat();
        for (bad, point) in [(false, share), (true, compressed), (true, hybrid), (true, vec![0])] {
            assert_eq!(group.generate(&*provider.rng).unwrap().agree(&point).is_err(), bad);
        }
    }
}

#[test]
fn random_bytes_differ() {
    for provider in providers() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        provider.rng.fill(&mut a).unwrap();
        provider.rng.fill(&mut b).unwrap();
        assert_ne!(a, b);
    }
}
