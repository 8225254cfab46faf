//! Records of 16 KiB through a connection, beside the same AEAD of ring on nothing but memory.
//!
//! `write` seals from the caller's plaintext into an output buffer, `seal` where the record lies, `read` opens where it
//! lies. After criterion's absolute figures a table tells what of the bare algorithm's speed is left: both are measured
//! in turns, in the same process.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions
)] // A benchmark is a test, and its support module is shared.

mod support;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use sealwire::codepoints::{CipherSuiteId, NamedGroup};
use sealwire::pki_types::UnixTime;
use sealwire::{Connection, Read};

use support::{Pki, compare, handshake, measures, time};

const DATA: usize = 1 << 14;
/// Header before, content type and tag after.
const RECORD: usize = 5 + DATA + 1 + 16;
/// Records in one turn of a comparison: 1 MiB.
const TURN: usize = 64;
const ROUNDS: usize = 101;

const SUITES: [(CipherSuiteId, &aead::Algorithm); 3] = [
    (CipherSuiteId::TLS_AES_128_GCM_SHA256, &aead::AES_128_GCM),
    (CipherSuiteId::TLS_AES_256_GCM_SHA384, &aead::AES_256_GCM),
    (CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256, &aead::CHACHA20_POLY1305),
];

/// ring alone: what no record layer over it can beat.
struct Raw {
    key: LessSafeKey,
    record: Vec<u8>,
}

impl Raw {
    fn new(algorithm: &'static aead::Algorithm) -> Self {
        let key = UnboundKey::new(algorithm, &vec![7; algorithm.key_len()]).unwrap();
        Self { key: LessSafeKey::new(key), record: vec![0; RECORD] }
    }

    fn seal(&mut self) {
        let (header, rest) = self.record.split_at_mut(5);
        let (body, tag) = rest.split_at_mut(DATA + 1);
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let made = self.key.seal_in_place_separate_tag(nonce, Aad::from(&*header), body).unwrap();
        tag.copy_from_slice(made.as_ref());
    }

    fn open(&self, record: &mut [u8]) {
        let (header, body) = record.split_at_mut(5);
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        black_box(self.key.open_in_place(nonce, Aad::from(&*header), body).unwrap());
    }
}

fn connected(pki: &Pki, suite: CipherSuiteId) -> (Connection, Connection) {
    let (client, server) = pki.configs(suite, NamedGroup::x25519, false);
    handshake(&client, &server, UnixTime::now())
}

fn read_all(connection: &mut Connection, input: &mut [u8], output: &mut Vec<u8>) -> usize {
    let (mut start, mut total) = (0, 0);
    let now = UnixTime::now();
    loop {
        match connection.read(now, &mut input[start..], output).unwrap() {
            Read::Data { used, data } => {
                total += data.len();
                start += used;
            }
            Read::Control { used } => start += used,
            _ => return total,
        }
    }
}

fn absolute(criterion: &mut Criterion, pki: &Pki) {
    let plaintext = vec![0x42; DATA];
    for (suite, algorithm) in SUITES {
        let (mut client, mut server) = connected(pki, suite);
        let mut group = criterion.benchmark_group(format!("record/{suite}"));
        group.throughput(Throughput::Bytes(DATA as u64));

        let mut raw = Raw::new(algorithm);
        group.bench_function("ring seal", |bencher| bencher.iter(|| raw.seal()));
        raw.record.fill(0);
        raw.seal();
        group.bench_function("ring open", |bencher| {
            bencher.iter_batched_ref(|| raw.record.clone(), |r| raw.open(r), BatchSize::SmallInput);
        });
        let mut output = Vec::with_capacity(2 * RECORD);
        group.bench_function("write", |bencher| {
            bencher.iter(|| {
                output.clear();
                client.write(&plaintext, &mut output).unwrap();
            });
        });
        // The other side has not seen those: a new pair.
        let (mut client, _) = connected(pki, suite);
        let mut record = vec![0; RECORD];
        group.bench_function("seal", |bencher| {
            bencher.iter(|| client.seal(&mut record, DATA).unwrap());
        });
        let mut replies = Vec::new();
        let (mut client, mut peer) = connected(pki, suite);
        std::mem::swap(&mut server, &mut peer);
        let sealed = |client: &mut Connection| {
            let mut sealed = Vec::with_capacity(RECORD);
            client.write(&plaintext, &mut sealed).unwrap();
            sealed
        };
        group.bench_function("read", |bencher| {
            bencher.iter_batched_ref(
                || sealed(&mut client),
                |input| read_all(&mut server, input, &mut replies),
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

fn ratios(pki: &Pki) {
    let plaintext = vec![0x42; DATA];
    println!(
        "\n16 KiB records: MiB/s, and what share of ring's own speed that is (median of {ROUNDS} turns of 1 MiB)"
    );
    let mebibytes = (TURN * DATA) as f64 / f64::from(1 << 20);
    for (suite, algorithm) in SUITES {
        let (mut client, mut server) = connected(pki, suite);
        let mut raw = Raw::new(algorithm);
        let line =
            |what: &str, (ours, theirs, ratio): (std::time::Duration, std::time::Duration, f64)| {
                let (ours, theirs) =
                    (mebibytes / ours.as_secs_f64(), mebibytes / theirs.as_secs_f64());
                println!(
                    "{suite:<30} {what:<6} {ours:8.0}   ring {theirs:8.0}   {:5.1} %",
                    100.0 / ratio
                );
            };

        let mut output = Vec::with_capacity(TURN * RECORD);
        let mut replies = Vec::new();
        let seal = || time(|| (0..TURN).for_each(|_| raw.seal()));
        // What is written is read, untimed, to keep the two ends in step.
        let write = || {
            output.clear();
            let took = time(|| {
                for _ in 0..TURN {
                    client.write(&plaintext, &mut output).unwrap();
                }
            });
            assert_eq!(read_all(&mut server, &mut output, &mut replies), TURN * DATA);
            took
        };
        line("write", compare(ROUNDS, write, seal));

        let mut raw = Raw::new(algorithm);
        let seal = || time(|| (0..TURN).for_each(|_| raw.seal()));
        let mut record = vec![0; RECORD];
        let (mut sender, _) = connected(pki, suite);
        let in_place = || {
            time(|| {
                for _ in 0..TURN {
                    black_box(sender.seal(&mut record, DATA).unwrap());
                }
            })
        };
        line("seal", compare(ROUNDS, in_place, seal));

        let mut raw = Raw::new(algorithm);
        raw.seal();
        let mut input = Vec::with_capacity(TURN * RECORD);
        let read = || {
            input.clear();
            for _ in 0..TURN {
                client.write(&plaintext, &mut input).unwrap();
            }
            time(|| assert_eq!(read_all(&mut server, &mut input, &mut replies), TURN * DATA))
        };
        let open = || {
            let mut records = raw.record.repeat(TURN);
            time(|| records.chunks_mut(RECORD).for_each(|record| raw.open(record)))
        };
        line("read", compare(ROUNDS, read, open));
    }
}

fn main() {
    let pki = Pki::generate();
    let mut criterion = Criterion::default().configure_from_args();
    absolute(&mut criterion, &pki);
    criterion.final_summary();
    if measures() {
        ratios(&pki);
    }
}
