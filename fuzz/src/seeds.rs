//! Where fuzzing begins: inputs made from `vectors/` and from what deterministic connections of ours say; and the inputs
//! that were kept from earlier runs.

mod certificates;

pub use self::certificates::ct_logs;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

use super::cheap::rewind;
use super::peer::Victim;
use super::template::template;
use super::world::{Options, ends, memory};

/// The root of the repository, from here or from `fuzz/`.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    if here.join("vectors").exists() { here.to_owned() } else { here.join("..") }
}

/// Inputs for a target, made anew.
pub fn made(target: &str) -> Vec<Vec<u8>> {
    match target {
        "api" => api(),
        "certificate" => certificate(),
        "chain" => certificates::chain(),
        "client_hello" => {
            let wild = hellos("client", 40).into_iter().map(|body| [&[0, 0], &body[..]].concat());
            wild.chain(own_hellos().map(|(bits, body)| [&[bits, 50], &body[..]].concat())).collect()
        }
        "crl" => certificates::crl(),
        "ocsp" => certificates::ocsp(),
        "pair" => pair(),
        "record" => record(),
        "rustls" => {
            let own = own_hellos().map(|(_, body)| body);
            hellos("client", 30).into_iter().chain(own).collect()
        }
        "scripted_client" | "scripted_server" => script(),
        "sct" => certificates::sct(),
        "server_hello" => server_hello(),
        "split" => split(),
        "ticket" => ticket(),
        other => panic!("there is no target {other}"),
    }
}

/// Inputs that were kept: of the long runs one archive a target, and what once failed.
pub fn kept(target: &str) -> Vec<Vec<u8>> {
    let archive = root().join("fuzz/seeds").join(format!("{target}.gz"));
    let mut all = if archive.exists() { unpack(&unzip(&archive)) } else { Vec::new() };
    let failed = root().join("fuzz/regressions").join(target);
    let mut names: Vec<PathBuf> = match fs::read_dir(failed) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    };
    names.sort();
    all.extend(names.iter().map(|name| fs::read(name).unwrap()));
    all
}

/// An archive: inputs one behind the other, each with four bytes of length.
fn unpack(mut archive: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some((len, rest)) = archive.split_first_chunk() {
        let (input, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        all.push(input.to_vec());
        archive = rest;
    }
    all
}

fn unzip(path: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut out).unwrap();
    out
}

/// Bodies of every `step`th hello seen in the wild; similar ones stand together.
fn hellos(side: &str, step: usize) -> Vec<Vec<u8>> {
    let vectors = root().join("vectors/hellos");
    let bytes = unzip(&vectors.join(format!("{side}.bin.gz")));
    let index = unzip(&vectors.join(format!("{side}.jsonl.gz")));
    let mut rest = &bytes[..];
    let mut all = Vec::new();
    for line in String::from_utf8(index).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (hello, tail) = rest.split_at(line["bytes"].as_u64().unwrap() as usize);
        rest = tail;
        all.push(hello[4..].to_vec());
    }
    all.into_iter().step_by(step).filter(|hello| hello.len() < 4000).collect()
}

/// ClientHellos of ours, with their options.
fn own_hellos() -> impl Iterator<Item = (u8, Vec<u8>)> {
    OPTIONS.iter().flat_map(|bits| {
        let said = template(Victim::Server, Options(*bits)).iter();
        said.filter(|message| message[0] == 1).map(|message| (*bits, message[4..].to_vec()))
    })
}

/// Options that differ in what is said.
const OPTIONS: &[u8] = &[
    0,
    Options::MUTUAL,
    Options::RETRY,
    Options::RETRY | Options::COOKIE | Options::MUTUAL,
    Options::EXTERNAL,
    Options::SESSION,
    Options::SESSION | Options::EARLY,
    Options::SESSION | Options::EARLY | Options::RETRY,
    Options::POST_AUTH,
    Options::POST_AUTH | Options::MUTUAL,
    Options::ASK | Options::MUTUAL,
    Options::ASK | Options::SESSION | Options::EARLY | Options::POST_AUTH,
];

fn server_hello() -> Vec<Vec<u8>> {
    let wild = hellos("server", 40).into_iter().map(|body| [&[0, 1], &body[..]].concat());
    let own = OPTIONS.iter().flat_map(|bits| {
        let said = template(Victim::Client, Options(*bits)).iter();
        let hellos = said.filter(|message| message[0] == 2);
        hellos.map(|message| [&[*bits, 0], &message[4..]].concat())
    });
    wild.chain(own).collect()
}

/// A body with its length.
fn sized(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u16).to_be_bytes(), body].concat()
}

fn certificate() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let options = [Options::MUTUAL, Options::POST_AUTH, Options::MUTUAL | Options::ASK, 0];
    for (bits, victim) in [(0, Victim::Client), (1, Victim::Server)] {
        for (number, options) in (0_u8..).zip(options) {
            let messages = template(victim, Options(options));
            for (bit, kind) in [(1, 13), (2, 11), (2, 25), (4, 15), (8, 8)] {
                if let Some(message) = messages.iter().find(|message| message[0] == kind) {
                    let head = [bits | number << 1, bit];
                    all.push([&head, &sized(&message[4..])[..]].concat());
                    // And once more after the handshake.
                    let head = [bits | number << 1, bit | 0x30];
                    all.push([&head, &sized(&message[4..])[..], &sized(&message[4..])].concat());
                }
            }
        }
    }
    for (bit, kind) in [(1, 13), (2, 11), (4, 15)] {
        let published = messages(kind);
        all.extend(published.iter().map(|body| [&[0, bit], &sized(body)[..]].concat()));
    }
    all
}

/// Bodies of the handshake messages of this type in the published traces.
fn messages(kind: u8) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for name in ["rfc8448.json.gz", "illustrated-tls13.json.gz"] {
        let bytes = unzip(&root().join("vectors").join(name));
        collect(&serde_json::from_slice(&bytes).unwrap(), kind, &mut all);
    }
    all.sort();
    all.dedup();
    all
}

fn collect(value: &Value, kind: u8, all: &mut Vec<Vec<u8>>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| collect(value, kind, all)),
        Value::Object(map) => map.values().for_each(|value| collect(value, kind, all)),
        Value::String(text) if text.len().is_multiple_of(2) && text.is_ascii() => {
            let byte = |at| u8::from_str_radix(&text[at..at + 2], 16);
            let bytes: Result<Vec<u8>, _> = (0..text.len()).step_by(2).map(byte).collect();
            if let Ok([first, a, b, c, body @ ..]) = bytes.as_deref()
                && *first == kind
                && body.len() == usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c)
            {
                all.push(body.to_vec());
            }
        }
        _ => {}
    }
}

fn record() -> Vec<Vec<u8>> {
    let mut all = vec![
        vec![0, 0x50, 23, 9, 0, 7, 7, 0x17, 7],
        vec![1, 0x01, 21, 2, 1, 0],
        vec![0, 0x09, 22, 5, 24, 0, 0, 1, 0, 7, 7],
        vec![1, 0x01, 22, 2, 24, 0, 1, 22, 3, 0, 1, 1, 7],
        vec![0, 7, 4],
        vec![0, 5, 0x0d],
        vec![0, 3, 0, 7, 1],
        vec![1, 2, 6, 23, 3, 3, 0, 1, 0],
        vec![0, 0, 23, 0, 0, 0, 23, 230, 0, 0, 23, 229, 1],
        vec![0, 0, 23, 230, 2],
        vec![0, 0, 23, 0, 255],
        vec![0, 0, 0, 3, 9],
    ];
    all.push([&[0][..], &[1, 23, 0].repeat(40)].concat());
    all
}

fn pair() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for bits in OPTIONS {
        all.push(vec![*bits]);
        for kind in 0..12 {
            for quiet in [0, 2, 5] {
                let mut script = vec![*bits];
                script.resize(1 + quiet, 0);
                script.extend([0x10 | kind, 0, 40, 0, 9, 1, 2, 3]);
                all.push(script);
            }
        }
    }
    all
}

fn script() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for bits in OPTIONS {
        // All of it; with data, KeyUpdate and an alert behind it; and a lie in each place.
        all.push(vec![*bits, 0x0f]);
        all.push(vec![*bits, 0x0f, 0x09, 0x29, 0x1d, 0x19, 0x0b, 0x2b, 0x3b, 0x0c, 0]);
        all.push(vec![*bits, 0x0f, 0x4b, 0x5b, 0x03, 4, 0, 2, 0, 0, 5, 0x39]);
        for n in 0..7 {
            all.push(vec![*bits, n << 4 | 1, 0, 40, 1, 5, 6, (n + 1) << 4 | 15]);
            all.push(vec![*bits, 0x00, 5, 6, n << 4 | 2, 0, 9, 4, 3, 1, 2, 3, (n + 1) << 4 | 15]);
        }
        all.push(vec![*bits, 0, 5, 10, 0x29, 6, 0x1f]);
    }
    all
}

/// Everything that an honest handshake puts onto the wire, each side.
fn wires(options: Options) -> [Vec<u8>; 2] {
    let mut wires = [Vec::new(), Vec::new()];
    memory(options);
    rewind();
    let (mut client, mut server) = ends(options);
    while !client.output.is_empty() || !server.output.is_empty() {
        let flight = std::mem::take(&mut client.output);
        wires[0].extend_from_slice(&flight);
        server.take(&flight);
        let flight = std::mem::take(&mut server.output);
        wires[1].extend_from_slice(&flight);
        client.take(&flight);
    }
    wires
}

fn split() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for bits in OPTIONS {
        let [client, server] = wires(Options(*bits));
        for (victim, wire) in [(1, &client), (0, &server)] {
            all.push([&[*bits, victim | 2, 1], &wire[..]].concat());
            all.push([&[*bits, victim | 6, 5, 200, 7], &wire[..]].concat());
        }
    }
    all
}

fn ticket() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for kind in 0..8 {
        all.push(vec![kind]);
        all.push(vec![kind, 1]);
        for at in (0..250).step_by(10) {
            all.push(vec![kind, 0, at, 1]);
            all.push(vec![kind, 1, 0, at, 1]);
        }
    }
    let (keys, session) = memory(Options(Options::SESSION | Options::EARLY));
    all.push([&[1, 0], &session[17 + 32..]].concat());
    all.push([&[2, 0], &keys[21..]].concat());
    all.push([&[6], &session[..]].concat());
    let body =
        [&[0, 0, 1, 0, 1, 2, 3, 4, 1, 0, 0, 4][..], b"tick", &[0, 8, 0, 42, 0, 4, 0, 0, 9, 9]];
    all.push([&[4], &body.concat()[..]].concat());
    all
}

fn api() -> Vec<Vec<u8>> {
    let talk = |side: u8| {
        let call = |what: u8| what << 1 | side;
        vec![
            vec![call(0), 0, 200],
            vec![call(2), 0, 90, 0, 40],
            vec![call(6)],
            vec![call(9)],
            vec![call(10)],
            vec![call(23), 0, 30],
            vec![call(15), 0, 70],
            vec![call(11), 0, 200],
            vec![call(20)],
            vec![call(19)],
            vec![call(3), 0, 60],
            vec![call(5)],
            vec![call(8), 0, 20, 0, 40],
            vec![call(14), 0, 0],
        ]
    };
    let around = [17 << 1, 17 << 1 | 1].repeat(4);
    let mut all = Vec::new();
    for bits in OPTIONS {
        for side in 0..2 {
            for call in talk(side) {
                all.push([&[*bits], &call[..], &around, &call, &around].concat());
            }
            all.push([&[*bits], &around[..], &talk(side).concat(), &around].concat());
        }
    }
    all
}
