//! `pitfalls.md` says for each pitfall which test shows that it is none here. Each test that it names is there, in the file
//! that it names, and every test that has a pitfall in its name is in the table under that number.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The names of the tests of each file below `folder`, by the file's name from the project's root.
fn collect(folder: &Path, all: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let file = path.strip_prefix(root).unwrap().to_str().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            all.insert(file.to_owned(), tests_in(&text));
        }
    }
}

/// The functions under `#[test]`, and what `cases! { table: Name => …` makes of its lines: `table::Name`.
fn tests_in(source: &str) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    let mut is_test = false;
    let mut table = None;
    for line in source.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("cases! { ") {
            table = rest.strip_suffix(':');
        } else if line == "}" {
            table = None;
        }
        if let (Some(table), Some((name, _))) = (table, line.split_once(" => ")) {
            tests.insert(format!("{table}::{name}"));
        }
        let function = line.strip_prefix("fn ").and_then(|rest| rest.split(['(', '<']).next());
        if let Some(name) = function.filter(|_| std::mem::take(&mut is_test)) {
            tests.insert(name.to_owned());
        }
        is_test |= line == "#[test]";
    }
    tests
}

#[test]
fn tests_are_found() {
    let source = "#[test]\n#[allow(x)]\nfn one() {\nfn helper() {\ncases! { table:\n  Two => a::b;\n}\nx => y";
    assert_eq!(tests_in(source), ["one", "table::Two"].map(str::to_owned).into());
}

#[test]
fn the_table_is_complete() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeMap::new();
    collect(&root.join("src"), &mut tests);
    collect(&root.join("tests"), &mut tests);

    let rows = include_str!("pitfalls.md").lines().skip_while(|line| !line.starts_with("|---"));
    let mut table = BTreeSet::new();
    let mut items = BTreeSet::new();
    for row in rows.skip(1) {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, item, what, test, file, _] = cells[..] else { panic!("{row}") };
        items.insert(item.parse::<u32>().unwrap());
        assert!(table.insert((item, test, file)), "{row} is there twice");
        if test == "—" {
            assert!(what.starts_with("Does not apply: ") && file == "—", "{row}");
            continue;
        }
        let there = tests.get(file).is_some_and(|tests| tests.contains(test));
        assert!(there, "{file} has no test {test}");
    }
    for (file, tests) in &tests {
        for test in tests.iter().filter(|test| test.starts_with("pitfall_")) {
            let item = test.split('_').nth(1).unwrap();
            let listed = table.contains(&(item, test.as_str(), file.as_str()));
            assert!(listed, "{test} of {file} is not in the table under {item}");
        }
    }
    let missing: Vec<_> = (1..=50).filter(|item| !items.contains(item)).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}
