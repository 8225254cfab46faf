//! Imports point down, and nowhere else.
//!
//! Every module of the library stands on a floor. A module may name those below it, and none beside or above it: that is
//! what keeps a single state, the record layer or the key schedule testable without the rest, and what lets QUIC and
//! kTLS take the handshake without the records. This test reads the sources, `use` declarations and paths in the code
//! alike; unit tests inside the modules may import what they like.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The floors, from the ground up. Where the present code needs one module of a floor in another of the same, that
/// floor is divided: a line may use every line above it in this table, and nothing in its own.
const FLOORS: &[(&str, &[&str])] = &[
    ("0 numbers, key material, handles", &["codepoints", "secret", "shared"]),
    ("0 errors, which carry code points", &["error"]),
    ("0 bytes and budgets, which fail with an error", &["codec", "limits"]),
    (
        "1 messages, primitives, output, PEM",
        &["message", "crypto", "output", "key_log", "compress", "pem"],
    ),
    ("2 pure parts", &["transcript", "key_schedule", "verify"]),
    ("2 credentials, which look into certificates", &["credential"]),
    ("3 parts of a configuration", &["psk", "replay", "retry", "session"]),
    ("3 tickets, which write chains as sessions do", &["ticket"]),
    ("3 configurations", &["config"]),
    ("3 what a configuration rules: decisions, and records", &["decision", "record"]),
    ("4 the handshake", &["handshake"]),
    ("5 what is received", &["inbound"]),
    ("5 a connection's halves", &["split", "traffic_keys"]),
    ("5 the connection, which comes apart into them", &["connection"]),
    ("5 what moves a connection elsewhere", &["migrate"]),
    ("6 adapters", &["adapter"]),
];

/// These meet in `connection`, through effects, however the floors may be divided one day.
const STRANGERS: (&str, &str) = ("record", "handshake");

#[test]
fn imports_point_down() {
    let library = Library::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut wrong = Vec::new();
    let mut seen = 0_usize;
    for (file, source) in &library.files {
        let own = &library.module_path(file);
        let Some(own_module) = own.first() else { continue };
        for target in library.targets(own, source) {
            seen += 1;
            if let Err(why) = judge(own_module, &target) {
                wrong.push(format!("{}: {why}", file.display()));
            }
        }
    }
    assert!(seen > 20, "only {seen} imports found: the scanner is broken");
    assert!(wrong.is_empty(), "imports that do not point down:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_has_a_floor() {
    let library = Library::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    for (file, _) in &library.files {
        if let Some(module) = library.module_path(file).first() {
            assert!(floor(module).is_some(), "{} is on no floor", file.display());
        }
    }
}

#[test]
fn the_scanner_sees_what_it_should() {
    let library = Library {
        root: PathBuf::from("src"),
        files: Vec::new(),
        exports: BTreeMap::from([("Connection".to_owned(), "connection".to_owned())]),
    };
    let source = r#"
        //! use crate::handshake::Nothing;
        use std::fmt;
        use crate::{error::Error, codec::{Reader, Writer}};
        pub(crate) use super::super::config::Limits;
        use super::seal; /* crate::split */
        fn f(text: &'static str) -> bool { text == "crate::adapter" && 'c' != '"' }
        impl crate::Connection { fn g() { crate::output::h::<crate::secret::Secret>() } }
        macro_rules! m { () => { $crate::decision::x() } }
        #[cfg(test)]
        mod tests { use crate::ticket::Deep; fn t() { if true { } } }
        use crate::verify as v;
    "#;
    let path: Vec<String> = ["record", "open"].map(str::to_owned).to_vec();
    let mut found = library.targets(&path, &strip(source));
    found.sort();
    found.dedup();
    let expected = [
        "codec",
        "config",
        "connection",
        "decision",
        "error",
        "output",
        "record",
        "secret",
        "verify",
    ];
    assert_eq!(found, expected);
}

#[test]
fn there_is_no_unsafe() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["src/lib.rs", "src/bin/sealwire/main.rs"] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(text.lines().any(|line| line == "#![forbid(unsafe_code)]"), "{file}");
    }
}

#[test]
fn the_judge_judges() {
    assert!(judge("connection", "record").is_ok());
    assert!(judge("record", "record").is_ok());
    assert!(judge("record", "connection").is_err());
    assert!(judge("transcript", "key_schedule").is_err(), "siblings");
    assert!(judge("handshake", "record").is_err(), "strangers");
    assert!(judge("codec", "nowhere").is_err());
}

/// Whether `from` may name `to`.
fn judge(from: &str, to: &str) -> Result<(), String> {
    if from == to {
        return Ok(());
    }
    let (Some(own), Some(other)) = (floor(from), floor(to)) else {
        return Err(format!("`{from}` or `{to}` is on no floor"));
    };
    let strangers = [(from, to), (to, from)].contains(&STRANGERS);
    if strangers || other >= own {
        return Err(format!("`{from}` ({}) imports `{to}` ({})", FLOORS[own].0, FLOORS[other].0));
    }
    Ok(())
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|(_, modules)| modules.contains(&module))
}

/// The sources of the library, without comments, strings and unit tests. The tool in `src/bin` is left out: it speaks to
/// the library as any other program does, and the compiler sees to that.
struct Library {
    root: PathBuf,
    files: Vec<(PathBuf, String)>,
    /// Which module each item that `lib.rs` exports comes from.
    exports: BTreeMap<String, String>,
}

impl Library {
    fn read(root: PathBuf) -> Self {
        let mut this = Self { root: root.clone(), files: Vec::new(), exports: BTreeMap::new() };
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && path != root.join("bin") {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    let text = strip(&std::fs::read_to_string(&path).unwrap());
                    this.files.push((path, text));
                }
            }
        }
        this.files.sort();
        let lib = this.files.iter().find(|(p, _)| *p == root.join("lib.rs")).unwrap().1.clone();
        for declaration in lib.split(';').filter_map(|d| d.trim().split("pub use ").nth(1)) {
            for path in expand(&mut declaration.chars().collect::<Vec<_>>().as_slice()) {
                let mut names =
                    path.iter().filter(|name| !["self", "crate"].contains(&name.as_str()));
                let (module, item) = (names.next().unwrap(), path.last().unwrap());
                this.exports.insert(item.clone(), module.clone());
            }
        }
        assert!(this.exports.contains_key("Connection"), "lib.rs exports nothing: {lib}");
        this
    }

    /// `src/message/mod.rs` is `message`, `src/record/open.rs` is `record::open`, `src/lib.rs` is nothing.
    fn module_path(&self, file: &Path) -> Vec<String> {
        let relative = file.strip_prefix(&self.root).unwrap().with_extension("");
        let mut path: Vec<String> =
            relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if matches!(path.last().map(String::as_str), Some("mod" | "lib")) {
            path.pop();
        }
        path
    }

    /// The top modules that the code names through `crate::` and `super::`.
    fn targets(&self, own: &[String], source: &str) -> Vec<String> {
        let text: Vec<char> = source.chars().collect();
        let mut targets = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let start = at == 0 || !is_word(text[at - 1]) && text[at - 1] != ':';
            let rest = &text[at..];
            let keyword = ["crate::", "super::", "self::"].into_iter().find(|k| begins(rest, k));
            let (Some(_), true) = (keyword, start) else {
                at += 1;
                continue;
            };
            let mut rest = rest;
            for path in expand(&mut rest) {
                targets.extend(self.top(own, &path));
            }
            // Only past the keyword: a generic argument further on may hold another path.
            at += 5;
        }
        targets
    }

    /// The top module that `path` ends in, seen from the module `own`.
    fn top(&self, own: &[String], path: &[String]) -> Option<String> {
        let mut base: Vec<String> =
            if path.first()? == "crate" { Vec::new() } else { own.to_vec() };
        for segment in path {
            match segment.as_str() {
                "crate" | "self" => {}
                "super" => {
                    base.pop();
                }
                name => base.push(name.to_owned()),
            }
        }
        let first = base.first()?;
        Some(self.exports.get(first).unwrap_or(first).clone())
    }
}

/// Expands `a::{b, c::*}` into `a::b` and `a::c`; reads as far as the path goes.
fn expand(rest: &mut &[char]) -> Vec<Vec<String>> {
    skip_space(rest);
    if begins(rest, "{") {
        let mut all = Vec::new();
        while !begins(rest, "}") {
            *rest = &rest[1..];
            all.extend(expand(rest));
            skip_space(rest);
            assert!(!rest.is_empty(), "unbalanced braces in a use declaration");
        }
        *rest = &rest[1..];
        return all;
    }
    if begins(rest, "*") {
        *rest = &rest[1..];
        return vec![Vec::new()];
    }
    let len = rest.iter().take_while(|c| is_word(**c)).count();
    if len == 0 {
        return Vec::new();
    }
    let word: String = rest[..len].iter().collect();
    *rest = &rest[len..];
    if !begins(rest, "::") || begins(rest, "::<") {
        skip_space(rest);
        if begins(rest, "as ") {
            *rest = &rest[3..];
            let _alias = expand(rest);
        }
        return vec![vec![word]];
    }
    *rest = &rest[2..];
    let tails = expand(rest);
    tails.into_iter().map(|tail| std::iter::once(word.clone()).chain(tail).collect()).collect()
}

fn skip_space(rest: &mut &[char]) {
    let spaces = rest.iter().take_while(|c| c.is_whitespace()).count();
    *rest = &rest[spaces..];
}

fn begins(text: &[char], what: &str) -> bool {
    what.chars().enumerate().all(|(i, c)| text.get(i) == Some(&c))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Removes comments, the contents of string and character literals, and modules under `#[cfg(test)]`.
fn strip(source: &str) -> String {
    let code = strip_text(&source.chars().collect::<Vec<_>>());
    let mut out = String::new();
    let mut rest = code.as_str();
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        rest = &rest[at + "#[cfg(test)]".len()..];
        let end = rest.find([';', '{']).unwrap_or(rest.len());
        let mut depth = 0_usize;
        let mut past = rest.len();
        for (i, c) in rest.char_indices().skip_while(|(i, _)| *i < end) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                past = i + 1;
                break;
            }
        }
        rest = &rest[past..];
    }
    out + rest
}

fn strip_text(text: &[char]) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let raw = begins(rest, "r\"") || begins(rest, "r#\"") || begins(rest, "r##\"");
        at += if begins(rest, "//") {
            rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
        } else if begins(rest, "/*") {
            (2..rest.len()).find(|i| begins(&rest[*i..], "*/")).map_or(rest.len(), |i| i + 2)
        } else if raw && (at == 0 || !is_word(text[at - 1])) {
            let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
            let end = format!("\"{}", "#".repeat(hashes));
            let found = (hashes + 2..rest.len()).find(|i| begins(&rest[*i..], &end));
            found.map_or(rest.len(), |i| i + end.len())
        } else if rest[0] == '"' {
            literal(rest, '"')
        } else if rest[0] == '\'' && (rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'')) {
            literal(rest, '\'')
        } else {
            out.push(rest[0]);
            1
        };
    }
    out
}

/// The length of a literal that begins and ends with `quote`.
fn literal(text: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != quote {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}
