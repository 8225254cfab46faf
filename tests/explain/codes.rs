//! The lists of codes that programs rely on: those in the documentation are those in the code, and none is renamed.

use std::collections::BTreeSet;

const DOCUMENTED: &str = include_str!("../../src/error/certificate_codes.md");
const REASONS: &str = include_str!("../../src/error/certificate_codes.rs");
const HINTS: &str = concat!(
    include_str!("../../src/verify/hint.rs"),
    include_str!("../../src/verify/hint/evidence.rs"),
    include_str!("../../src/verify/hint/names.rs"),
    include_str!("../../src/verify/hint/rights.rs"),
    include_str!("../../src/verify/hint/ways.rs")
);

/// What stands in backquotes in the first column of a table.
fn documented(table: &str) -> BTreeSet<&str> {
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split('|').next());
    cells.flat_map(|cell| cell.split([',', ' ', '`'])).filter(|code| !code.is_empty()).collect()
}

/// What stands in double quotes after one of these.
fn quoted<'a>(source: &'a str, before: &str) -> BTreeSet<&'a str> {
    let places = source.match_indices(before).map(|(at, _)| &source[at + before.len()..]);
    let quoted = places.filter_map(|rest| rest.trim_start().strip_prefix('"'));
    quoted.filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_reason_is_documented() {
    let (table, _) = DOCUMENTED.split_once("Hints,").unwrap();
    let (_, source) = REASONS.split_once("pub fn code(&self)").unwrap();
    let (source, _) = source.split_once("\n    }\n").unwrap();
    assert!(quoted(source, "=>").len() > 20);
    assert_eq!(documented(table), quoted(source, "=>"));
}

#[test]
fn every_hint_is_documented() {
    let (_, table) = DOCUMENTED.split_once("Hints,").unwrap();
    assert!(quoted(HINTS, "Hint::new(").len() > 20);
    assert_eq!(documented(table), quoted(HINTS, "Hint::new("));
}

/// Each hint has a text that somebody has read.
#[test]
fn every_hint_has_a_text() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/explain/texts");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let texts: String = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for hint in quoted(HINTS, "Hint::new(") {
        assert!(texts.contains(&format!("({hint})\n")), "no text has {hint}");
    }
}
