//! As much DER (X.690) as keys need: SubjectPublicKeyInfo, PKCS#8, SEC1 and PKCS#1.
//!
//! The reader accepts definite, minimal lengths only, so that one value has one encoding.

use crate::error::CryptoError;

pub(in crate::crypto) const INTEGER: u8 = 0x02;
pub(in crate::crypto) const BIT_STRING: u8 = 0x03;
pub(in crate::crypto) const OCTET_STRING: u8 = 0x04;
pub(in crate::crypto) const SEQUENCE: u8 = 0x30;

/// The context-specific constructed tag `[n]`, as `EXPLICIT` fields have it.
pub(in crate::crypto) const fn explicit(n: u8) -> u8 {
    0xa0 | n
}

/// The context-specific primitive tag `[n]`, as `IMPLICIT` strings have it.
pub(in crate::crypto) const fn implicit(n: u8) -> u8 {
    0x80 | n
}

/// A cursor over the contents of a constructed value.
pub(in crate::crypto) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(in crate::crypto) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The contents of the next value, which must have this tag.
    pub(in crate::crypto) fn value(&mut self, tag: u8) -> Result<&'a [u8], CryptoError> {
        let (&first, rest) = self.rest.split_first().ok_or(CryptoError)?;
        let (len, rest) = length(rest)?;
        let (contents, rest) = rest.split_at_checked(len).ok_or(CryptoError)?;
        if first != tag {
            return Err(CryptoError);
        }
        self.rest = rest;
        Ok(contents)
    }

    /// As [`Reader::value`], if the next value has this tag.
    pub(in crate::crypto) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, CryptoError> {
        if self.rest.first() == Some(&tag) { self.value(tag).map(Some) } else { Ok(None) }
    }

    /// Nothing may be left.
    pub(in crate::crypto) fn end(self) -> Result<(), CryptoError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CryptoError) }
    }
}

/// The contents of the only value in `bytes`, which must have this tag.
pub(in crate::crypto) fn only(bytes: &[u8], tag: u8) -> Result<&[u8], CryptoError> {
    let mut reader = Reader::new(bytes);
    let contents = reader.value(tag)?;
    reader.end()?;
    Ok(contents)
}

/// The bytes of a BIT STRING of whole bytes, given its contents: the number of unused bits, which is zero, is taken off.
pub(in crate::crypto) fn whole_bytes(bit_string: &[u8]) -> Result<&[u8], CryptoError> {
    match bit_string.split_first() {
        Some((0, bytes)) => Ok(bytes),
        _ => Err(CryptoError),
    }
}

/// Appends a value: its tag, its length and `parts` one after the other.
pub(in crate::crypto) fn write(out: &mut Vec<u8>, tag: u8, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|p| p.len()).sum();
    out.push(tag);
    let bytes = len.to_be_bytes();
    let significant = bytes.iter().position(|b| *b != 0).map_or(&[][..], |at| bytes.split_at(at).1);
    match (significant, u8::try_from(significant.len())) {
        ([] | [0..=0x7f], _) => out.push(significant.first().copied().unwrap_or(0)),
        // A usize has at most 8 bytes.
        (_, n) => {
            out.push(0x80 | n.unwrap_or(8));
            out.extend_from_slice(significant);
        }
    }
    parts.iter().for_each(|p| out.extend_from_slice(p));
}

/// Reads a length, which must be definite and as short as can be. Keys are shorter than 64 KiB.
fn length(bytes: &[u8]) -> Result<(usize, &[u8]), CryptoError> {
    match *bytes {
        [n @ 0..=0x7f, ref rest @ ..] => Ok((n.into(), rest)),
        [0x81, n @ 0x80..=0xff, ref rest @ ..] => Ok((n.into(), rest)),
        [0x82, a @ 1..=0xff, b, ref rest @ ..] => Ok((u16::from_be_bytes([a, b]).into(), rest)),
        _ => Err(CryptoError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_at_every_length_form() {
        for len in [0, 1, 127, 128, 255, 256, 65_535] {
            let body = vec![7; len];
            let (head, tail) = body.split_at(len / 2);
            let mut out = Vec::new();
            write(&mut out, OCTET_STRING, &[head, tail]);
            assert_eq!(only(&out, OCTET_STRING), Ok(&body[..]), "{len}");
        }
    }

    #[test]
    fn lengths_that_are_not_der_are_refused() {
        for bad in [
            &[4_u8][..],
            &[4, 0x80, 0, 0],       // indefinite
            &[4, 0x81, 1, 9],       // not minimal
            &[4, 0x82, 0, 0x80, 9], // not minimal
            &[4, 0x83, 0, 0, 1, 9], // not minimal
            &[4, 2, 9],             // truncated
            &[4, 1, 9, 9],          // trailing
            &[2, 1, 9],             // another tag
        ] {
            assert!(only(bad, OCTET_STRING).is_err(), "{bad:02x?}");
        }
    }

    #[test]
    fn bit_strings_have_whole_bytes() {
        assert_eq!(whole_bytes(&[0, 5]), Ok(&[5][..]));
        assert!(whole_bytes(&[1, 4]).is_err());
        assert!(whole_bytes(&[]).is_err());
    }
}
