//! What the library rests on: the table of dependencies in README.md is that of Cargo, and there is one way only to a
//! crate's source.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
// Cargo knows offline what it has fetched, and that is what this platform needs.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

fn cargo(arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// The crates of a row in the table, and how many lines it says that they have together.
fn rows() -> Vec<(Vec<&'static str>, usize)> {
    let readme = include_str!("../README.md");
    let (_, table) =
        readme.split_once("| crate | what for | lines | kept by |\n|---|---|---:|---|\n").unwrap();
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, crates, _, lines, _, _] = cells[..] else { panic!("{line}") };
        let names = crates.split(", ").map(|name| name.trim_matches('`')).collect();
        (names, lines.replace(',', "").parse().unwrap())
    };
    table.lines().take_while(|line| line.starts_with('|')).map(row).collect()
}

/// What a build with the default features links or runs, on the platform where the table was made.
#[test]
fn the_table_of_dependencies_is_complete() {
    let tree = cargo(&[
        "tree",
        "--edges=normal",
        "--prefix=none",
        "--target=x86_64-unknown-linux-gnu",
        "--format={p}",
    ]);
    let crates = tree.lines().filter_map(|line| line.split(' ').next());
    let crates: BTreeSet<&str> = crates.filter(|name| *name != "sealwire").collect();
    let rows = rows();
    let listed: BTreeSet<&str> = rows.iter().flat_map(|(names, _)| names).copied().collect();
    assert_eq!(listed, crates, "README.md lists, and Cargo builds");

    // As many lines as it says, give or take a quarter: how much an auditor has to read.
    let lines = lines_of_crates();
    for (names, said) in &rows {
        let actual: usize = names.iter().map(|name| lines[*name]).sum();
        assert!(
            said.abs_diff(actual) * 4 <= actual,
            "{names:?} have {actual} lines, and not {said}"
        );
    }
}

/// The lines of Rust below `src` of every crate that Cargo knows here; of all its versions if there are several.
fn lines_of_crates() -> BTreeMap<String, usize> {
    let metadata =
        cargo(&["metadata", "--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let mut lines = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let name = package["name"].as_str().unwrap().to_owned();
        *lines.entry(name).or_default() += lines_below(&manifest.with_file_name("src"));
    }
    lines
}

fn lines_below(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let paths = entries.map(|entry| entry.unwrap().path());
    let lines = paths.map(|path| match path.extension() {
        _ if path.is_dir() => lines_below(&path),
        Some(extension) if extension == "rs" => {
            std::fs::read(&path).unwrap().iter().filter(|byte| **byte == b'\n').count()
        }
        _ => 0,
    });
    lines.sum()
}

#[test]
fn every_crate_comes_from_the_registry() {
    let lock = include_str!("../Cargo.lock");
    let sources: BTreeSet<&str> =
        lock.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    assert_eq!(sources.len(), 1, "{sources:?}");
    let packages = lock.matches("[[package]]").count();
    assert_eq!(lock.matches("\nchecksum = ").count(), packages - 1, "all but our own");
}
