//! What an attacker does to bytes, on the wire or with the keys.

use std::sync::Arc;

use sealwire::crypto::deterministic::MessageHook;

use super::support::{Rand, Role, records};

/// Changes `wire` somewhere: with rubbish, with its own bytes, or with the victim's own (a reflection).
pub(crate) fn splice(wire: &mut Vec<u8>, own: &[u8], rand: &mut Rand) {
    let from = rand.below(wire.len() + 1);
    let to = (from + rand.below(40)).min(wire.len());
    let len = rand.below(60);
    match rand.below(8) {
        0 => drop(wire.splice(from..to, rand.bytes(len))),
        1 => drop(wire.drain(from..to)),
        2 => drop(wire.splice(from..from, rand.bytes(len))),
        3 => drop(wire.splice(from..from, wire[from..to].to_vec())),
        4 => {
            let at = rand.below(own.len());
            let piece = own[at..].iter().take(len).copied().collect::<Vec<_>>();
            drop(wire.splice(from..to, piece));
        }
        kind => splice_records(wire, own, kind, rand),
    }
}

/// The same with whole records, which gets further.
fn splice_records(wire: &mut Vec<u8>, own: &[u8], kind: usize, rand: &mut Rand) {
    let Some(mut all) = whole_records(wire) else {
        // An earlier splice has left something else.
        wire.truncate(rand.below(wire.len() + 1));
        return;
    };
    let (one, other) = (rand.below(all.len()), rand.below(all.len()));
    match kind {
        5 => all.swap(one, other),
        6 => {
            let record = all[one].clone();
            all.insert(other, record);
        }
        _ => {
            let own = records(own);
            let record = own[rand.below(own.len())].to_vec();
            if rand.below(2) == 0 { all[one] = record } else { all.insert(one, record) }
        }
    }
    *wire = all.concat();
}

/// Changes one of the messages that it sees. The same message is always changed alike: a server writes its
/// HelloRetryRequest twice.
pub(crate) fn changing(liar: Role, mut rand: Rand) -> MessageHook {
    let seed = rand.next();
    // A client reads its own ClientHello again; the splices above see to that one.
    let kinds: &[u8] = match liar {
        Role::Client => &[11, 11, 15, 20],
        Role::Server => &[2, 2, 8, 11, 11, 13, 15, 20],
    };
    let kind = kinds[rand.below(kinds.len())];
    MessageHook(Arc::new(move |_, message: &mut Vec<u8>| {
        if message[0] != kind {
            return;
        }
        let mut rand = Rand::new(seed);
        for _ in 0..=rand.below(2) {
            let from = rand.below(message.len());
            let to = (from + 1 + rand.below(6)).min(message.len());
            match rand.below(5) {
                0 | 1 => message[from] ^= 1 << rand.below(8),
                2 => drop(message.drain(from.max(4)..to.max(4))),
                3 => {
                    let len = rand.below(9);
                    drop(message.splice(from.max(4)..from.max(4), rand.bytes(len)));
                }
                _ => message[from..to].fill([0, 1, 0xff][rand.below(3)]),
            }
        }
        if rand.below(4) > 0 {
            // Mostly with a length that fits, or nothing else would be looked at.
            let len = u32::try_from(message.len() - 4).unwrap().to_be_bytes();
            message[1..4].copy_from_slice(&len[1..]);
        }
    }))
}

/// The records of `wire`, if it has some, and nothing besides.
fn whole_records(mut wire: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    while !wire.is_empty() {
        let len = 5 + usize::from(u16::from_be_bytes([*wire.get(3)?, *wire.get(4)?]));
        all.push(wire.get(..len)?.to_vec());
        wire = &wire[len..];
    }
    Some(all).filter(|all| !all.is_empty())
}
