//! `pitfalls.md` names every test of a pitfall, and nothing else.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::Path;

/// Test and file of each `fn pitfall_…` below `folder`.
fn collect(folder: &Path, all: &mut BTreeSet<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let file = path.strip_prefix(root).unwrap().to_str().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text.lines().filter_map(|l| l.trim().strip_prefix("fn pitfall_")) {
                let name = line.split('(').next().unwrap();
                all.insert((format!("pitfall_{name}"), file.to_owned()));
            }
        }
    }
}

#[test]
fn the_table_is_complete() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    collect(&root.join("src"), &mut tests);
    collect(&root.join("tests"), &mut tests);

    let rows = include_str!("pitfalls.md").lines().skip_while(|line| !line.starts_with("|---"));
    let mut table = BTreeSet::new();
    let mut items = BTreeSet::new();
    for row in rows.skip(1) {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        assert!(cells[3].starts_with(&format!("pitfall_{}_", cells[1])), "{row}");
        items.insert(cells[1].parse::<u32>().unwrap());
        assert!(table.insert((cells[3].to_owned(), cells[4].to_owned())), "{row} is there twice");
    }
    assert_eq!(table, tests);
    assert!((25..=35).chain([45, 50]).all(|item| items.contains(&item)), "{items:?}");
}
