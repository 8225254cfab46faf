//! Two connected ends that talk as the input says, through a transport that cuts, and slips bytes in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwire_fuzz::{End, Instructions, Options, connected};

fuzz_target!(|data: &[u8]| {
    let (mut left, mut right) = connected(Options::default());
    let mut script = Instructions(data);
    let (mut sent, mut clean) = ([Vec::new(), Vec::new()], true);
    while let Some(instruction) = script.byte() {
        let side = usize::from(instruction & 1);
        let (from, to) = if side == 0 { (&mut left, &mut right) } else { (&mut right, &mut left) };
        match instruction >> 1 & 7 {
            0 | 1 => write(from, &mut sent[side], script.short().unwrap_or(1)),
            2 => seal(from, &mut sent[side], script.short().unwrap_or(1)),
            3 => drop(from.connection.update_keys(instruction & 0x80 != 0, &mut from.output)),
            4 => drop(from.connection.close(&mut from.output)),
            5 => deliver(from, to, script.short().unwrap_or(1)),
            6 => deliver(from, to, usize::MAX),
            _ => {
                let bytes: Vec<_> =
                    (0..script.byte().unwrap_or(5)).map_while(|_| script.byte()).collect();
                clean &= bytes.is_empty();
                to.take(&bytes);
            }
        }
    }
    for _ in 0..3 {
        deliver(&mut left, &mut right, usize::MAX);
        deliver(&mut right, &mut left, usize::MAX);
    }
    check(&left, &sent[1], clean);
    check(&right, &sent[0], clean);
});

/// What came is what was sent, from its beginning; all of it, if nobody interfered and no limit was met.
fn check(end: &End, sent: &[u8], clean: bool) {
    assert!(sent.starts_with(&end.received));
    if clean && end.error.is_none() {
        assert_eq!(end.received.len(), sent.len());
    }
    if clean {
        let limit = matches!(
            end.error,
            None | Some(sealwire::Error::Limit(_) | sealwire::Error::PeerAlert(_))
        );
        assert!(limit, "{:?}", end.error);
    }
}

fn write(end: &mut End, sent: &mut Vec<u8>, len: usize) {
    let data = vec![sent.len() as u8; len];
    if end.connection.write(&data, &mut end.output).is_ok() {
        sent.extend_from_slice(&data);
    }
}

fn seal(end: &mut End, sent: &mut Vec<u8>, len: usize) {
    let len = len % 20_000;
    let mut record = vec![sent.len() as u8; 5 + len + 17];
    let data = record[5..5 + len].to_vec();
    if let Ok(total) = end.connection.seal(&mut record, len) {
        sent.extend_from_slice(&data);
        end.output.extend_from_slice(&record[..total]);
    }
}

fn deliver(from: &mut End, to: &mut End, most: usize) {
    let rest = from.output.split_off(most.min(from.output.len()));
    to.take(&std::mem::replace(&mut from.output, rest));
}
