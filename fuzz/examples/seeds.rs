//! Writes `fuzz/corpus`: ClientHellos out of `vectors/`, and what deterministic connections of ours say.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use sealwire::pki_types::CertificateDer;
use sealwire::pki_types::pem::PemObject as _;
use sealwire_fuzz::{CLIENT, End, Options, ROOT, SERVER, client, server};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let save = |target: &str, name: &str, data: &[u8]| {
        let directory = root.join("corpus").join(target);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(name), data).unwrap();
    };

    let hellos = unzip(&root.join("../vectors/hellos/client.bin.gz"));
    let index = unzip(&root.join("../vectors/hellos/client.jsonl.gz"));
    let mut rest = &hellos[..];
    for (number, line) in String::from_utf8(index).unwrap().lines().enumerate() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let (hello, tail) = rest.split_at(line["bytes"].as_u64().unwrap() as usize);
        rest = tail;
        // Similar ones stand together.
        if number % 40 == 0 {
            save("client_hello", &format!("wild-{number}"), &[&[0], &record(hello)[..]].concat());
        }
    }

    for bits in 0..16 {
        let (client_said, server_said) = talk(Options::from(bits));
        save("client_hello", &format!("own-{bits}"), &[&[bits], &client_said[..]].concat());
        save("server_flight", &format!("own-{bits}"), &[&[bits], &server_said[..]].concat());
        save("pair", &format!("own-{bits}"), &[bits, 0x10, 0, 40, 1, 0x10, 1, 0, 1]);
    }

    let der = |pem| CertificateDer::from_pem_slice(pem).unwrap();
    let listed = |c: &CertificateDer<'_>| [&(c.len() as u16).to_be_bytes(), &c[..]].concat();
    for (bits, leaf) in [(0, SERVER), (1, CLIENT)] {
        let chain = [vec![bits], listed(&der(leaf)), listed(&der(ROOT))].concat();
        save("chain", &format!("own-{bits}"), &chain);
        save("chain", &format!("anchors-{bits}"), &[&[bits | 2], &chain[1..]].concat());
    }

    save("record", "both", &[0, 1, 0, 1, 0, 100, 12, 13, 4, 0x40, 0, 5, 0, 9, 12, 13]);
    save("record", "keys", &[6, 0x87, 0, 0, 9, 12, 13, 12, 13, 0, 0, 9, 8, 12, 9, 13]);
    save("record", "noise", &[0, 0, 9, 14, 6, 23, 3, 3, 0, 1, 0, 12]);
}

/// A whole handshake: what each side says.
fn talk(options: Options) -> (Vec<u8>, Vec<u8>) {
    let (client, hello) = client(options);
    let (mut client, mut server) = (End::new(client, hello), End::new(server(options), Vec::new()));
    let (mut client_said, mut server_said) = (Vec::new(), Vec::new());
    while !client.output.is_empty() || !server.output.is_empty() {
        let flight = std::mem::take(&mut client.output);
        client_said.extend_from_slice(&flight);
        server.take(&flight);
        let flight = std::mem::take(&mut server.output);
        server_said.extend_from_slice(&flight);
        client.take(&flight);
    }
    (client_said, server_said)
}

fn record(message: &[u8]) -> Vec<u8> {
    let fragment =
        |part: &[u8]| [&[22, 3, 1], &(part.len() as u16).to_be_bytes()[..], part].concat();
    message.chunks(1 << 14).flat_map(fragment).collect()
}

fn unzip(path: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut out).unwrap();
    out
}
