//! Distinguished names: comparing, looking for one inside another, and showing them to people (RFC 5280 §7.1).

use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::der::{self, Der};

/// A relative distinguished name in a form in which equal names are equal bytes.
pub(super) type Rdn = Vec<u8>;

/// Whether two DER Names are the same name. RFC 5280 §7.1: the kind of string, case and runs of spaces do not matter.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a == b || matches!((rdns(a), rdns(b)), (Some(a), Some(b)) if a == b)
}

/// A number that equal names have in common, however they are spelt; others have it by chance or malice, so that
/// [`same`] has the last word. `None` if it is no Name that is DER all the way down.
pub(super) fn hash(name: &[u8]) -> Option<u64> {
    let mut list = Der::new(Der::new(name).only(der::SEQUENCE)?);
    let mut hash = OFFSET;
    while !list.is_empty() {
        let mut set = Der::new(list.expect(der::SET).filter(|set| !set.is_empty())?);
        // A SET has no order of its own once its strings have been folded.
        let mut attributes = 0u64;
        while !set.is_empty() {
            let mut pair = Der::new(set.expect(der::SEQUENCE)?);
            let oid = pair.expect(der::OID)?;
            let value = pair.next()?;
            let is_strict = value.tag & der::CONSTRUCTED == 0 || der::is_strict(value.value);
            if !pair.is_empty() || !is_strict {
                return None;
            }
            attributes = attributes.wrapping_add(hash_attribute(oid, value));
        }
        hash = (hash.rotate_left(5) ^ attributes).wrapping_mul(PRIME);
    }
    Some(hash)
}

/// Over the object identifier and the text without its spaces, so that it does not matter how many there are.
fn hash_attribute(oid: &[u8], value: der::Element<'_>) -> u64 {
    let hash = mix(OFFSET, oid);
    let is_text = matches!(
        value.tag,
        UTF8_STRING
            | PRINTABLE_STRING
            | IA5_STRING
            | TELETEX_STRING
            | NUMERIC_STRING
            | VISIBLE_STRING
    );
    // Nearly all names are this, and then nothing has to be copied.
    if is_text && value.value.is_ascii() {
        return { value.value.iter() }.fold(hash, |hash, byte| match byte {
            b'\t'..=b'\r' | b' ' => hash,
            _ => step(hash, byte.to_ascii_lowercase()),
        });
    }
    match text(value.tag, value.value) {
        Some(text) => mix(hash, fold(&text).replace(' ', "").as_bytes()),
        None => mix(step(hash, value.tag), value.value),
    }
}

fn mix(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| step(hash, *byte))
}

/// FNV-1a: names are short.
fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(PRIME)
}

/// A key under which equal names meet in a map. A name that does not parse is only equal to itself.
pub(super) fn key(name: &[u8]) -> Vec<u8> {
    let Some(rdns) = rdns(name) else { return name.to_vec() };
    let mut key = Vec::with_capacity(name.len());
    rdns.iter().for_each(|rdn| push_block(&mut key, rdn));
    key
}

/// The parts of a DER Name, most general first. `None` if it is no Name.
pub(super) fn rdns(name: &[u8]) -> Option<Vec<Rdn>> {
    let mut list = Der::new(Der::new(name).only(der::SEQUENCE)?);
    let mut out = Vec::new();
    while !list.is_empty() {
        let mut set = Der::new(list.expect(der::SET)?);
        let mut attributes = Vec::new();
        while !set.is_empty() {
            let mut pair = Der::new(set.expect(der::SEQUENCE)?);
            let oid = pair.expect(der::OID)?;
            let value = pair.next()?;
            if !pair.is_empty() {
                return None;
            }
            attributes.push(attribute(oid, value.tag, value.value));
        }
        if attributes.is_empty() {
            return None;
        }
        // A SET has no order of its own once its strings have been folded.
        attributes.sort();
        out.push(attributes.concat());
    }
    Some(out)
}

/// The e-mail addresses in a Name: attributes of type emailAddress (RFC 5280 §4.1.2.6).
pub(super) fn email_addresses(name: &[u8]) -> Vec<&[u8]> {
    attributes(name, EMAIL_ADDRESS)
}

/// The common names in a Name, as they are encoded.
pub(super) fn common_names(name: &[u8]) -> Vec<&[u8]> {
    attributes(name, COMMON_NAME)
}

/// The values of all attributes of a type.
fn attributes<'a>(name: &'a [u8], oid: &[u8]) -> Vec<&'a [u8]> {
    let Some(rdns) = Der::new(name).only(der::SEQUENCE) else { return Vec::new() };
    elements(rdns)
        .flat_map(|set| elements(set.value))
        .filter_map(|pair| {
            let mut pair = Der::new(pair.value);
            (pair.expect(der::OID)? == oid).then(|| pair.next())?.map(|e| e.value)
        })
        .collect()
}

/// Whether a DER Name has no parts.
pub(super) fn is_empty(name: &[u8]) -> bool {
    Der::new(name).only(der::SEQUENCE).is_some_and(<[u8]>::is_empty)
}

/// The name for people, with nothing in it that a terminal would obey, and not too long.
pub(super) fn display(name: &[u8]) -> String {
    if is_empty(name) {
        return "(no name)".to_owned();
    }
    let shown = beginning(name);
    match X509Name::from_der(shown.as_deref().unwrap_or(name)) {
        Ok((_, parsed)) => printable(parsed.to_string().as_bytes()),
        Err(_) => "(a name that does not parse)".to_owned(),
    }
}

/// Of a name that is far too long to be shown, what will be: names of a hundred kilobytes have been seen in tests of others.
fn beginning(name: &[u8]) -> Option<Vec<u8>> {
    const ENOUGH: usize = 2048;
    let rdns = Der::new(name).only(der::SEQUENCE).filter(|rdns| rdns.len() > ENOUGH)?;
    let mut rest = Der::new(rdns);
    let mut end = 0;
    while let Some(rdn) = rest.next().filter(|rdn| end + rdn.raw.len() <= ENOUGH) {
        end += rdn.raw.len();
    }
    rdns.get(..end).filter(|rdns| !rdns.is_empty()).map(der::sequence)
}

/// Text from a peer, for people: at most 200 characters, and control characters escaped.
pub(super) fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut out = String::new();
    for c in text.chars().take(MAX_SHOWN) {
        if c.is_control() || is_bidi(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    if text.chars().nth(MAX_SHOWN).is_some() {
        out.push('…');
    }
    out
}

fn elements<'a>(bytes: &'a [u8]) -> impl Iterator<Item = der::Element<'a>> {
    let mut der = Der::new(bytes);
    std::iter::from_fn(move || der.next())
}

/// One attribute, with its length, so that no two attributes run into one another.
fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(oid.len() + value.len() + 9);
    push_block(&mut out, oid);
    match text(tag, value) {
        Some(text) => {
            out.push(UTF8_STRING);
            push_block(&mut out, fold(&text).as_bytes());
        }
        None => {
            out.push(tag);
            push_block(&mut out, value);
        }
    }
    out
}

/// The text of a string. TeletexString has meant several alphabets, so it is only text where it is ASCII.
fn text(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => {
            std::str::from_utf8(value).ok().map(str::to_owned)
        }
        TELETEX_STRING | NUMERIC_STRING | VISIBLE_STRING => {
            value.is_ascii().then(|| String::from_utf8_lossy(value).into_owned())
        }
        BMP_STRING => {
            let (pairs, []) = value.as_chunks::<2>() else { return None };
            let units: Vec<u16> = pairs.iter().map(|p| u16::from_be_bytes(*p)).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// RFC 4518 §2, as far as names in certificates need it: lower case, spaces trimmed and run together.
fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
    out
}

fn push_block(out: &mut Vec<u8>, block: &[u8]) {
    out.extend(u32::try_from(block.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(block);
}

/// Characters that reorder what is shown after them.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// FNV-1a's two numbers, of 64 bits.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x100_0000_01b3;
const MAX_SHOWN: usize = 200;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const NUMERIC_STRING: u8 = 0x12;
const TELETEX_STRING: u8 = 0x14;
const VISIBLE_STRING: u8 = 0x1a;
const BMP_STRING: u8 = 0x1e;
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `tag` and text of each common name, one RDN each.
    fn name(parts: &[(u8, &[u8])]) -> Vec<u8> {
        let tlv = |tag: u8, value: &[u8]| {
            let mut out = vec![tag, u8::try_from(value.len()).unwrap()];
            out.extend(value);
            out
        };
        let rdns = parts.iter().map(|(tag, text)| {
            let pair = [tlv(der::OID, &[0x55, 4, 3]), tlv(*tag, text)].concat();
            tlv(der::SET, &tlv(der::SEQUENCE, &pair))
        });
        der::sequence(&rdns.collect::<Vec<_>>().concat())
    }

    #[test]
    fn kind_case_and_spaces_do_not_matter() {
        let a = name(&[(PRINTABLE_STRING, b"Acme  Root CA ")]);
        let b = name(&[(UTF8_STRING, b"ACME ROOT ca")]);
        let c = name(&[(BMP_STRING, b"\0A\0C\0M\0E\0 \0R\0O\0O\0T\0 \0C\0A")]);
        assert!(same(&a, &b) && same(&b, &c) && key(&a) == key(&c));
        assert!(hash(&a).is_some() && hash(&a) == hash(&b) && hash(&b) == hash(&c));
        for other in [&b"Acme Root CB"[..], b"AcmeRoot CA", b"Acme Root CA x"] {
            let other = name(&[(UTF8_STRING, other)]);
            assert!(!same(&a, &other));
        }
    }

    #[test]
    fn of_a_very_long_name_the_beginning_is_shown() {
        let long = name(&[(UTF8_STRING, &b"a"[..]); 3000]);
        assert_eq!(display(&long), format!("{}…", &"CN=a, ".repeat(40)[..200]));
        assert_eq!(display(&name(&[(UTF8_STRING, &b"a"[..]); 3])), "CN=a, CN=a, CN=a");
        // Cut where one of its parts ends, and never within the only one.
        let whole = der::sequence(&der::element(der::SET, &[5; 3000]));
        assert_eq!(beginning(&whole), None);
    }

    #[test]
    fn what_folds_alike_hashes_alike() {
        let spellings: [&[(u8, &[u8])]; 8] = [
            &[(UTF8_STRING, "Z\u{fc}rich \u{c4}G".as_bytes())],
            &[(UTF8_STRING, "z\u{dc}RICH\u{a0}\u{e4}g".as_bytes())],
            &[(BMP_STRING, b"\0z\0\xfc\0r\0i\0c\0h\0 \0\xe4\0g")],
            &[(UTF8_STRING, b"\t a \r\n b\x0b")],
            &[(TELETEX_STRING, b"A B")],
            &[(TELETEX_STRING, b"\xfc")],
            &[(UTF8_STRING, b"a"), (UTF8_STRING, b"b")],
            &[(UTF8_STRING, b"b"), (UTF8_STRING, b"a")],
        ];
        let names = spellings.map(name);
        for (a, b) in names.iter().flat_map(|a| names.iter().map(move |b| (a, b))) {
            assert_eq!(hash(a) == hash(b), same(a, b), "{a:?} {b:?}");
        }
        // Spaces are left out altogether, which `same` sees to.
        let apart = [&b"a b"[..], b"ab"].map(|text| name(&[(UTF8_STRING, text)]));
        assert!(hash(&apart[0]) == hash(&apart[1]) && !same(&apart[0], &apart[1]));
        // A SET has no order, and its attributes do not run together.
        let pair = |text: &[u8]| {
            let value = [&[UTF8_STRING, u8::try_from(text.len()).unwrap()], text].concat();
            der::sequence(&[&[der::OID, 3, 0x55, 4, 3], &value[..]].concat())
        };
        let set = |a: &[u8], b: &[u8]| {
            der::sequence(&der::element(der::SET, &[pair(a), pair(b)].concat()))
        };
        assert_eq!(hash(&set(b"x", b"Y")), hash(&set(b"y", b"X")));
        assert_ne!(hash(&set(b"x", b"y")), hash(&set(b"xy", b"")));
        for bad in [&[][..], &[0x30, 2, 0x31, 0], &[0x30, 1], &[0x31, 0], &[0x30, 0, 0]] {
            assert_eq!(hash(bad), None, "{bad:?}");
        }
        assert!(hash(&[0x30, 0]).is_some());
    }

    #[test]
    fn parts_do_not_run_together() {
        let two = name(&[(UTF8_STRING, b"a"), (UTF8_STRING, b"b")]);
        let other = name(&[(UTF8_STRING, b"b"), (UTF8_STRING, b"a")]);
        assert!(!same(&two, &other));
        assert_ne!(key(&two), key(&name(&[(UTF8_STRING, b"ab")])));
        assert!(is_empty(&name(&[])) && !is_empty(&two));
    }

    #[test]
    fn nothing_is_shown_that_a_terminal_obeys() {
        let shown = display(&name(&[(UTF8_STRING, b"evil\x1b[2J\n")]));
        assert!(shown.contains("evil") && !shown.contains('\x1b') && !shown.contains('\n'));
        assert_eq!(display(b"rubbish"), "(a name that does not parse)");
        assert!(printable(&[b'a'; 1000]).chars().count() <= MAX_SHOWN + 1);
    }
}
