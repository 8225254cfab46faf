//! Distinguished Encoding Rules, as strict as X.690 §10 asks: one encoding for one value.
//!
//! Whatever decides is read by this. x509-parser, which is lenient about lengths and defaults, is for what people are shown.
//! Nothing here allocates or copies.

/// A cursor over DER. `None` from any method means: not DER, or not what was expected.
#[derive(Clone, Copy)]
pub(super) struct Der<'a> {
    rest: &'a [u8],
}

/// One element.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    /// The identifier octet: class, constructed bit and number.
    pub(super) tag: u8,
    /// The contents octets.
    pub(super) value: &'a [u8],
    /// The whole element, with tag and length.
    pub(super) raw: &'a [u8],
}

impl<'a> Der<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// The next element, of any kind. Multi-byte tags, indefinite lengths and lengths that are longer than they need
    /// be are refused (X.690 §10.1).
    #[inline]
    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        let whole = self.rest;
        let [tag, first, ..] = whole else { return None };
        let (header, len) = match *first {
            short @ 0..=0x7f => (2, usize::from(short)),
            _ => long_length(whole)?,
        };
        let (raw, rest) = whole.split_at_checked(header.checked_add(len)?)?;
        let value = raw.get(header..)?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        self.rest = rest;
        Some(Element { tag: *tag, value, raw })
    }

    /// The contents of the next element, which has this tag.
    #[inline]
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|e| e.tag == tag).map(|e| e.value)
    }

    /// The contents of the next element if it has this tag; otherwise nothing is taken.
    #[inline]
    pub(super) fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.rest.first() == Some(&tag) { self.expect(tag).map(Some) } else { Some(None) }
    }

    /// The contents of the only element, which has this tag.
    #[inline]
    pub(super) fn only(mut self, tag: u8) -> Option<&'a [u8]> {
        let value = self.expect(tag)?;
        self.is_empty().then_some(value)
    }
}

/// How long the header of an element is, and its contents, if the length takes more than one octet: four at most, and no
/// more than it needs.
fn long_length(whole: &[u8]) -> Option<(usize, usize)> {
    let (header, least, octets) = match *whole {
        [_, 0x81, a, ..] => (3, 0x80, [0, 0, 0, a]),
        [_, 0x82, a, b, ..] => (4, 0x100, [0, 0, a, b]),
        [_, 0x83, a, b, c, ..] => (5, 0x1_0000, [0, a, b, c]),
        [_, 0x84, a, b, c, d, ..] => (6, 0x100_0000, [a, b, c, d]),
        _ => return None,
    };
    let len = usize::try_from(u32::from_be_bytes(octets)).ok()?;
    (len >= least).then_some((header, len))
}

/// Whether `bytes` is DER elements all the way down: what is constructed is looked into, to a depth of 16.
pub(super) fn is_strict(bytes: &[u8]) -> bool {
    fn walk(bytes: &[u8], depth: u8) -> bool {
        let mut der = Der::new(bytes);
        while !der.is_empty() {
            let Some(element) = der.next() else { return false };
            if element.tag & CONSTRUCTED != 0 && !(depth > 0 && walk(element.value, depth - 1)) {
                return false;
            }
        }
        true
    }
    walk(bytes, 16)
}

/// Whether these are the contents of an INTEGER in its shortest form (X.690 §8.3.2).
pub(super) fn is_integer(value: &[u8]) -> bool {
    match value {
        [] => false,
        [0x00, next, ..] => next & 0x80 != 0,
        [0xff, next, ..] => next & 0x80 == 0,
        _ => true,
    }
}

/// A BOOLEAN (X.690 §11.1).
pub(super) fn boolean(value: &[u8]) -> Option<bool> {
    match value {
        [0] => Some(false),
        [0xff] => Some(true),
        _ => None,
    }
}

/// An INTEGER that counts something. What is more than fits is more than there can be of anything here.
pub(super) fn unsigned(value: &[u8]) -> Option<u32> {
    match value {
        [0x80..=0xff, ..] => None,
        _ if !is_integer(value) => None,
        _ => Some(value.iter().fold(0u32, |n, byte| {
            n.checked_mul(256).map_or(u32::MAX, |n| n.saturating_add(u32::from(*byte)))
        })),
    }
}

/// Whether these are the contents of an OBJECT IDENTIFIER, each number in its shortest form (X.690 §8.19.2).
pub(super) fn is_oid(value: &[u8]) -> bool {
    let mut starts = true;
    for byte in value {
        if starts && *byte == 0x80 {
            return false;
        }
        starts = byte & 0x80 == 0;
    }
    starts && !value.is_empty()
}

/// The bits of a BIT STRING, the unused ones of which are zero (X.690 §8.6.2 and §11.2.1).
pub(super) fn bits(value: &[u8]) -> Option<&[u8]> {
    let (unused, bytes) = value.split_first()?;
    let last = bytes.last().copied().unwrap_or(0);
    let sound = match *unused {
        0 => true,
        n @ 1..=7 => !bytes.is_empty() && last.trailing_zeros() >= u32::from(n),
        _ => false,
    };
    sound.then_some(bytes)
}

/// The bytes of a BIT STRING that has no unused bits, as signatures and keys are.
pub(super) fn bytes_of_bit_string(value: &[u8]) -> Option<&[u8]> {
    value.split_first().filter(|(unused, _)| **unused == 0).map(|(_, bytes)| bytes)
}

/// Seconds since 1970 of a certificate's Time. RFC 5280 §4.1.2.5: to the second, in UTC, UTCTime through 2049 and
/// GeneralizedTime from 2050 on; GeneralizedTime before 2050 is read too, since it has one meaning.
pub(super) fn time(element: Element<'_>) -> Option<i64> {
    let (century, rest) = match (element.tag, element.value) {
        (UTC_TIME, text @ [decade, ..]) => (if *decade < b'5' { 20 } else { 19 }, text),
        (GENERALIZED_TIME, [a, b, rest @ ..]) => (two_digits([*a, *b])?, rest),
        _ => return None,
    };
    let (pairs, [b'Z']) = rest.as_chunks::<2>() else { return None };
    let &[year, month, day, hour, minute, second] = pairs else { return None };
    let year = century * 100 + two_digits(year)?;
    let (month, day) = (two_digits(month)?, two_digits(day)?);
    let (hour, minute, second) = (two_digits(hour)?, two_digits(minute)?, two_digits(second)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let valid = (1..=days_in_month).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !valid {
        return None;
    }
    // Days since 1970-01-01 in the proleptic Gregorian calendar, with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day
            - 1
            - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn two_digits([tens, ones]: [u8; 2]) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
}

/// The bytes of the subjectPublicKey in a SubjectPublicKeyInfo (RFC 5280 §4.1).
pub(super) fn public_key(spki: &[u8]) -> Option<&[u8]> {
    let mut fields = Der::new(Der::new(spki).only(SEQUENCE)?);
    fields.expect(SEQUENCE)?;
    bytes_of_bit_string(fields.only(BIT_STRING)?)
}

/// RFC 5280 §4.1 and §4.2: calls `each` for every extension of a list, whose contents these are, with its object
/// identifier, whether it is critical, and its value.
///
/// # Errors
/// If the list does not parse, is empty, or has an extension twice; and what `each` says.
pub(super) fn each_extension<'a>(
    list: &'a [u8],
    mut each: impl FnMut(&'a [u8], bool, &'a [u8]) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    const BAD: &str = "its extensions do not parse";
    let mut list = Der::new(list);
    let mut seen = Seen::default();
    while !list.is_empty() {
        let mut fields = Der::new(list.expect(SEQUENCE).ok_or(BAD)?);
        let oid = fields.expect(OID).ok_or(BAD)?;
        let critical = match fields.optional(BOOLEAN).ok_or(BAD)? {
            None => false,
            Some(critical) => boolean(critical).ok_or(BAD)?,
        };
        let value = fields.only(OCTET_STRING).ok_or(BAD)?;
        // RFC 5280 §4.2: no extension twice.
        if !seen.is_new(oid) {
            return Err("it has the same extension twice");
        }
        if seen.count > MAX_EXTENSIONS {
            return Err("it has too many extensions");
        }
        each(oid, critical, value)?;
    }
    if seen.count == 0 { Err(BAD) } else { Ok(()) }
}

/// The extensions of a list so far.
#[derive(Default)]
struct Seen<'a> {
    count: usize,
    /// Of those whose object identifier is id-ce (RFC 5280 §4.2.1) and a number below 64: a bit for each.
    standard: u64,
    others: Vec<&'a [u8]>,
}

impl<'a> Seen<'a> {
    fn is_new(&mut self, oid: &'a [u8]) -> bool {
        self.count += 1;
        if let [0x55, 0x1d, number @ 0..64] = oid {
            let bit = 1 << number;
            let is_new = self.standard & bit == 0;
            self.standard |= bit;
            return is_new;
        }
        let is_new = !self.others.contains(&oid);
        self.others.push(oid);
        is_new
    }
}

/// Real certificates have about ten extensions; looking for duplicates is quadratic.
const MAX_EXTENSIONS: usize = 64;

pub(super) const CONSTRUCTED: u8 = 0x20;
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The identifier octet of a context-specific primitive element.
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The identifier octet of a context-specific constructed element.
pub(super) const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

/// `contents` as a SEQUENCE, with its tag and length.
pub(super) fn sequence(contents: &[u8]) -> Vec<u8> {
    element(SEQUENCE, contents)
}

/// `contents` with this tag, and their length.
pub(super) fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(contents.len()) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let len = contents.len().to_be_bytes();
            let octets: Vec<u8> = len.into_iter().skip_while(|b| *b == 0).collect();
            out.push(0x80 | u8::try_from(octets.len()).unwrap_or(8));
            out.extend(octets);
        }
    }
    out.extend_from_slice(contents);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_shortest_length_is_read() {
        for good in [&[4, 1, 9][..], &[4, 0], &[&[4, 0x81, 0x80][..], &[0; 128]].concat()] {
            assert!(Der::new(good).only(OCTET_STRING).is_some(), "{good:?}");
        }
        let bad: [&[u8]; 8] = [
            &[],
            &[4],
            &[4, 1],
            &[4, 0x81, 1, 9],             // fits the short form
            &[4, 0x82, 0, 1, 9],          // leading zero
            &[4, 0x80, 0, 0],             // indefinite
            &[4, 0x85, 1, 0, 0, 0, 0, 0], // absurd
            &[0x1f, 1, 0],                // multi-byte tag
        ];
        for bad in bad {
            assert!(Der::new(bad).next().is_none(), "{bad:?}");
        }
        assert!(Der::new(&[4, 0, 0]).only(OCTET_STRING).is_none());
    }

    #[test]
    fn strictness_goes_all_the_way_down() {
        assert!(is_strict(&[0x30, 3, 4, 1, 9]));
        assert!(!is_strict(&[0x30, 4, 4, 0x81, 1, 9]));
        let deep = (0..17).fold(vec![], |inner, _| sequence(&inner));
        assert!(!is_strict(&deep));
        assert!(is_strict(Der::new(&deep).only(SEQUENCE).unwrap()));
    }

    #[test]
    fn integers_are_minimal() {
        for good in [&[0][..], &[0x7f], &[0, 0x80], &[0x80], &[0xff, 0x7f]] {
            assert!(is_integer(good), "{good:?}");
        }
        for bad in [&[][..], &[0, 0x7f], &[0xff, 0x80]] {
            assert!(!is_integer(bad), "{bad:?}");
        }
    }

    #[test]
    fn times() {
        let at = |tag, text: &str| time(Element { tag, value: text.as_bytes(), raw: &[] });
        assert_eq!(at(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(at(UTC_TIME, "500101000000Z"), Some(-631_152_000));
        assert_eq!(at(UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(at(GENERALIZED_TIME, "20500101000000Z"), Some(2_524_608_000));
        assert_eq!(at(GENERALIZED_TIME, "20240229120000Z"), Some(1_709_208_000));
        assert_eq!(at(GENERALIZED_TIME, "99991231235959Z"), Some(253_402_300_799));
        for bad in ["20230229120000Z", "20240101240000Z", "20240101000060Z", "20241301000000Z"] {
            assert_eq!(at(GENERALIZED_TIME, bad), None, "{bad}");
        }
        for bad in ["20240101000000", "20240101000000.5Z", "20240101000000+0000", "2024010100000aZ"]
        {
            assert_eq!(at(GENERALIZED_TIME, bad), None, "{bad}");
        }
        assert_eq!(at(UTC_TIME, "7001010000Z"), None);
    }
}
