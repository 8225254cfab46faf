//! The public face of the library, written out in `api.txt`: a change of it is a change of that file, for everybody to see.
//!
//! `UPDATE_API=1 cargo test --test api` writes it anew. What is `pub` in the sources is public, because the lint
//! `unreachable_pub` refuses it elsewhere; the code is formatted by rustfmt, which is what makes it readable here. Code points
//! and violations are lists in macros of their own, and not in it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a program has to learn: types, traits, functions and constants, without methods, fields and variants.
const MOST_ITEMS: usize = 120;

#[test]
fn the_public_face_is_as_written_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    files.sort();
    let mut all = BTreeSet::new();
    for file in &files {
        let path = file.strip_prefix(root.join("src")).unwrap().with_extension("");
        // The module that a reader imports from: which of its files something is in is nobody's business.
        let path = path.to_str().unwrap().split('/').next().unwrap().to_owned();
        all.extend(items(&path, &std::fs::read_to_string(file).unwrap()));
    }
    let listed: String = all.iter().map(|item| format!("{item}\n")).collect();
    let place = root.join("tests/api.txt");
    if std::env::var_os("UPDATE_API").is_some() {
        std::fs::write(&place, &listed).unwrap();
    }
    let before = std::fs::read_to_string(&place).unwrap();
    let before: BTreeSet<String> = before.lines().map(str::to_owned).collect();
    let gone: Vec<_> = before.difference(&all).map(|item| format!("- {item}")).collect();
    let new: Vec<_> = all.difference(&before).map(|item| format!("+ {item}")).collect();
    let changes = [gone, new].concat().join("\n");
    assert!(changes.is_empty(), "the API has changed; UPDATE_API=1 writes api.txt anew\n{changes}");

    let is_item = |item: &&String| {
        let kind = item.split(": ").nth(1).and_then(|text| text.split(' ').next());
        matches!(kind, Some("struct" | "enum" | "trait" | "fn" | "const" | "type"))
    };
    let count = all.iter().filter(is_item).count();
    println!("{count} public items");
    assert!(count <= MOST_ITEMS, "{count} public items: a builder method may do instead of a type");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "bin" {
            collect(&path, files);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            files.push(path);
        }
    }
}

/// What is public in a file, one line each: the module, then the declaration.
fn items(module: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut owner = String::new();
    let mut derived = String::new();
    let mut lines = source.lines().take_while(|line| *line != "#[cfg(test)]");
    while let Some(line) = lines.next() {
        let (text, indent) = (line.trim(), line.len() - line.trim_start().len());
        if let Some(list) = text.strip_prefix("#[derive(") {
            derived = list.trim_end_matches(")]").to_owned();
        }
        if text.is_empty() || text.starts_with("//") || text.starts_with("#[") {
            continue;
        }
        if indent == 0 && line.starts_with('}') {
            owner.clear();
        }
        // Members of enums and traits are as public as these.
        let member = indent == 4 && (owner.starts_with("enum ") || owner.starts_with("trait "));
        let declaration = match text.strip_prefix("pub ") {
            Some(rest) => rest,
            None if member && !text.starts_with('}') && !text.starts_with(')') => text,
            None => {
                if indent == 0 && text.ends_with('{') {
                    owner = text.trim_end_matches(" {").to_owned();
                }
                derived.clear();
                continue;
            }
        };
        let mut whole = declaration.to_owned();
        // Of what is exported again each name counts; it ends with a semicolon and nothing else.
        let is_use = whole.starts_with("use ");
        let is_whole = |text: &str| match is_use {
            true => text.ends_with(';'),
            false => text.ends_with(['{', ';', ',', '}']),
        };
        while !is_whole(&whole) {
            let Some(next) = lines.next() else { break };
            whole.push_str(if is_use || whole.ends_with('(') { "" } else { " " });
            whole.push_str(next.trim());
            // Arguments end with commas, and so do the lines of them.
            let open = |c| whole.matches(c).count();
            if open('(') > open(')') && whole.ends_with(',') {
                whole.push(' ');
            }
        }
        // The body of a default method is nobody's business.
        if is_use {
            found.extend(names(&whole).map(|name| format!("{module}: use {name}")));
            continue;
        }
        let text = whole.trim_end_matches([' ', '{', ';', ',']);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace(", )", ")");
        let derives = if derived.is_empty() { String::new() } else { format!(" [{derived}]") };
        derived.clear();
        match indent {
            0 => {
                found.push(format!("{module}: {text}{derives}"));
                owner = if whole.ends_with('{') { text } else { String::new() };
            }
            _ => found.push(format!("{module}:  {owner} … {text}")),
        }
    }
    found
}

/// The names that `use path::{a, b};` or `use path::a;` exports.
fn names(text: &str) -> impl Iterator<Item = String> {
    let text = text.trim_start_matches("use ").trim_end_matches(';');
    let (path, list) = match text.split_once('{') {
        Some((path, list)) => (path, list.trim_end_matches('}')),
        None => ("", text),
    };
    let path = path.to_owned();
    let list = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    list.map(move |name| format!("{path}{name}")).collect::<Vec<_>>().into_iter()
}

#[test]
fn declarations_are_found() {
    let source = "\
/// Doc.
#[derive(Clone, Debug)]
pub struct One {
    /// Doc.
    pub field: u8,
    hidden: u8,
}

impl One {
    /// Doc.
    pub fn long(
        &self,
        other: &[u8],
    ) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn inner(&self) {}
}

pub enum Two {
    A,
    B(u8),
}

pub trait Three {
    fn ask(&self) -> bool {
        true
    }
}

pub use self::seven::Seven;
pub use self::eight::{
    Eight, Nine,
    Ten,
};
pub const FOUR: usize = 4;
pub(crate) struct Five;
#[cfg(test)]
pub fn six() {}
";
    let expected = [
        "m: struct One [Clone, Debug]",
        "m:  struct One … field: u8",
        "m:  impl One … fn long(&self, other: &[u8]) -> Result<(), Error>",
        "m: enum Two",
        "m:  enum Two … A",
        "m:  enum Two … B(u8)",
        "m: trait Three",
        "m:  trait Three … fn ask(&self) -> bool",
        "m: use self::seven::Seven",
        "m: use self::eight::Eight",
        "m: use self::eight::Nine",
        "m: use self::eight::Ten",
        "m: const FOUR: usize = 4",
    ];
    assert_eq!(items("m", source), expected);
}
