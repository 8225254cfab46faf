//! Writes `fuzz/corpus`: what is made anew, and what was kept. With `pack`, keeps what is in `fuzz/corpus` now, each target
//! in an archive of `fuzz/seeds`: minimise it first.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use sealwire_fuzz::{seeds, targets::TARGETS};

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pack = std::env::args().nth(1).is_some_and(|argument| argument == "pack");
    for (target, _) in TARGETS {
        let corpus = here.join("corpus").join(target);
        if pack {
            keep(&corpus, &here.join("seeds").join(format!("{target}.gz")));
            continue;
        }
        fs::create_dir_all(&corpus).unwrap();
        let all = seeds::made(target).into_iter().chain(seeds::kept(target));
        for (number, input) in all.enumerate() {
            fs::write(corpus.join(format!("seed-{number}")), input).unwrap();
        }
    }
}

fn keep(corpus: &Path, archive: &Path) {
    let Ok(entries) = fs::read_dir(corpus) else { return };
    let mut inputs: Vec<Vec<u8>> =
        entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    // Similar ones stand together, which makes the archive small.
    inputs.sort();
    inputs.dedup();
    fs::create_dir_all(archive.parent().unwrap()).unwrap();
    let file = fs::File::create(archive).unwrap();
    let mut out = GzEncoder::new(file, Compression::best());
    for input in inputs {
        out.write_all(&(input.len() as u32).to_be_bytes()).unwrap();
        out.write_all(&input).unwrap();
    }
    out.finish().unwrap();
}
