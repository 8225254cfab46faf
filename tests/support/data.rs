//! Reading `vectors/`.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

/// A file of `vectors/`, unpacked.
pub fn gunzip(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    let packed = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut out).unwrap();
    out
}

/// A file of `vectors/` that is gzipped JSON.
pub fn json(name: &str) -> Value {
    serde_json::from_slice(&gunzip(name)).unwrap()
}

/// The bytes of a JSON string in hexadecimal.
pub fn hex(value: &Value) -> Vec<u8> {
    unhex(value.as_str().unwrap_or_else(|| panic!("no string: {value}")))
}

/// The bytes of a string in hexadecimal.
pub fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd number of digits: {text}");
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}
