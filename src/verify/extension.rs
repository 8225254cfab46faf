//! The values of extensions that say who may do what (RFC 5280 §4.2), read as X.690 §10 asks: one encoding for one value.
//!
//! Two things are borne that DER forbids: a BOOLEAN that is FALSE by default, and says so; and a keyUsage with bits at its
//! end that are not set. Certificates with either are in use, they have one meaning, and others bear them as well. The
//! strict profile ([`strict`](super::strict)) does not, but for the keyUsage of an anchor.

use super::certificate::Purposes;
use super::der::{self, Der};
use super::name::GeneralName;

/// RFC 5280 §4.2.1.3: what a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyUsage(u8);

impl KeyUsage {
    /// A BIT STRING with at least one bit set.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let bits = der::bits(Der::new(value).only(der::BIT_STRING)?)?;
        // The ninth bit, decipherOnly, is in the second byte.
        bits.iter().any(|byte| *byte != 0).then(|| Self(bits.first().copied().unwrap_or(0)))
    }

    pub(super) fn digital_signature(self) -> bool {
        self.0 & 0x80 != 0
    }

    pub(super) fn key_cert_sign(self) -> bool {
        self.0 & 0x04 != 0
    }

    pub(super) fn crl_sign(self) -> bool {
        self.0 & 0x02 != 0
    }
}

/// RFC 5280 §4.2.1.9: cA, and pathLenConstraint. A number that is larger than any path is as good as the largest one here.
pub(super) fn basic_constraints(value: &[u8]) -> Option<(bool, Option<u32>)> {
    let mut fields = Der::new(Der::new(value).only(der::SEQUENCE)?);
    let ca = match fields.optional(der::BOOLEAN)? {
        Some(ca) => der::boolean(ca)?,
        None => false,
    };
    let path_len = match fields.optional(der::INTEGER)? {
        Some(path_len) => Some(der::unsigned(path_len)?),
        None => None,
    };
    fields.is_empty().then_some((ca, path_len))
}

/// RFC 5280 §4.2.1.12: at least one purpose.
pub(super) fn extended_key_usage(value: &[u8]) -> Option<Purposes> {
    let mut list = Der::new(Der::new(value).only(der::SEQUENCE).filter(|list| !list.is_empty())?);
    let mut purposes = Purposes::default();
    while !list.is_empty() {
        let oid = list.expect(der::OID).filter(|oid| der::is_oid(oid))?;
        match oid {
            [0x2b, 6, 1, 5, 5, 7, 3, 1] => purposes.server = true,
            [0x2b, 6, 1, 5, 5, 7, 3, 2] => purposes.client = true,
            [0x2b, 6, 1, 5, 5, 7, 3, 9] => purposes.ocsp_signing = true,
            [0x55, 0x1d, 37, 0] => purposes.any = true,
            _ => {}
        }
    }
    Some(purposes)
}

/// RFC 5280 §4.2.1.1: the keyIdentifier, if there is one. What else may be there has to be well-formed.
pub(super) fn authority_key_id(value: &[u8]) -> Option<Option<&[u8]>> {
    let mut fields = Der::new(Der::new(value).only(der::SEQUENCE)?);
    let id = fields.optional(der::context(0))?;
    if let Some(issuer) = fields.optional(der::context_constructed(1))? {
        let mut names = Der::new(Some(issuer).filter(|names| !names.is_empty())?);
        while !names.is_empty() {
            GeneralName::read_strict(&mut names)?;
        }
    }
    let serial = fields.optional(der::context(2))?;
    (serial.is_none_or(der::is_integer) && fields.is_empty()).then_some(id)
}

/// RFC 5280 §4.2.1.2.
pub(super) fn subject_key_id(value: &[u8]) -> Option<&[u8]> {
    Der::new(value).only(der::OCTET_STRING)
}

/// RFC 5280 §4.2.2.1: whether this is at least one method with a location each. Nothing here goes there.
pub(super) fn is_authority_info_access(value: &[u8]) -> bool {
    let read = || {
        let list = Der::new(value).only(der::SEQUENCE).filter(|list| !list.is_empty())?;
        let mut list = Der::new(list);
        while !list.is_empty() {
            let mut access = Der::new(list.expect(der::SEQUENCE)?);
            access.expect(der::OID).filter(|oid| der::is_oid(oid))?;
            GeneralName::read_strict(&mut access)?;
            access.is_empty().then_some(())?;
        }
        Some(())
    };
    read().is_some()
}

/// RFC 7633 §4: Features.
pub(super) fn features(value: &[u8]) -> Option<Vec<u16>> {
    let mut list = Der::new(Der::new(value).only(der::SEQUENCE)?);
    let mut features = Vec::new();
    while !list.is_empty() {
        features.push(match list.expect(der::INTEGER)? {
            [low @ 0..=0x7f] => u16::from(*low),
            [0, low @ 0x80..=0xff] => u16::from(*low),
            [high @ 1..=0x7f, low] | [0, high @ 0x80..=0xff, low] => {
                u16::from_be_bytes([*high, *low])
            }
            _ => return None,
        });
    }
    Some(features)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const CA: &[u8] = &[1, 1, 0xff];

    fn sequence(parts: &[&[u8]]) -> Vec<u8> {
        der::sequence(&parts.concat())
    }

    #[test]
    fn basic_constraints_in_their_one_encoding() {
        let read = |parts: &[&[u8]]| basic_constraints(&sequence(parts));
        assert_eq!(read(&[]), Some((false, None)));
        assert_eq!(read(&[CA]), Some((true, None)));
        assert_eq!(read(&[CA, &[2, 1, 0]]), Some((true, Some(0))));
        assert_eq!(read(&[CA, &[2, 2, 0, 0x80]]), Some((true, Some(128))));
        // Larger than any path, and than our number.
        assert_eq!(read(&[CA, &[2, 5, 1, 0, 0, 0, 0]]), Some((true, Some(u32::MAX))));
        // Borne: see the module's documentation.
        assert_eq!(read(&[&[1, 1, 0]]), Some((false, None)));
        let bad: &[&[&[u8]]] = &[
            &[&[1, 1, 1]],              // X.690 §11.1: TRUE is 0xff
            &[&[1, 2, 0xff, 0xff]],     // §8.2.1: one byte
            &[&[1, 0]],                 // the same
            &[&[1, 0x81, 1, 0xff]],     // §10.1: the shortest length
            &[CA, &[2, 1, 0xff]],       // negative
            &[CA, &[2, 2, 0, 1]],       // §8.3.2: not the shortest
            &[CA, &[2, 0]],             // §8.3.1: no byte at all
            &[CA, &[2, 1, 0], &[5, 0]], // something after it
            &[&[2, 1, 0], CA],          // another order
            &[CA, CA],
            &[&[0x80, 1, 0xff]], // another tag
        ];
        for parts in bad {
            assert_eq!(read(parts), None, "{parts:?}");
        }
        let good = sequence(&[CA]);
        assert_eq!(basic_constraints(&[&good[..], &[0]].concat()), None, "trailing bytes");
        assert_eq!(basic_constraints(&[0x30, 0x81, 3, 1, 1, 0xff]), None, "a long length");
        assert_eq!(basic_constraints(&[0x30, 0x80, 1, 1, 0xff, 0, 0]), None, "BER");
        assert_eq!(basic_constraints(&[0x31, 3, 1, 1, 0xff]), None, "a SET");
        assert_eq!(basic_constraints(&[]), None);
    }

    #[test]
    fn key_usage_in_its_one_encoding() {
        let sign_and_certify = KeyUsage::read(&[3, 2, 2, 0x84]).unwrap();
        assert!(sign_and_certify.digital_signature() && sign_and_certify.key_cert_sign());
        assert!(!sign_and_certify.crl_sign());
        assert!(KeyUsage::read(&[3, 2, 1, 0x02]).unwrap().crl_sign());
        // decipherOnly alone.
        assert!(!KeyUsage::read(&[3, 3, 7, 0, 0x80]).unwrap().digital_signature());
        // X.690 §11.2.2: zeros at the end are left out. Borne: see the module's documentation.
        assert!(KeyUsage::read(&[3, 2, 0, 0x80]).unwrap().digital_signature());
        let bad: [&[u8]; 11] = [
            &[3, 2, 7, 0x84],          // X.690 §11.2.1: unused bits are zero
            &[3, 2, 8, 0x80],          // §8.6.2.2: at most seven are unused
            &[3, 1, 1],                // §8.6.2.3: of nothing, nothing is unused
            &[3, 1, 0],                // RFC 5280 §4.2.1.3: at least one bit
            &[3, 2, 0, 0],             // the same
            &[3, 0],                   // §8.6.2.2: there is a first byte
            &[3, 2, 7, 0x80, 0],       // trailing bytes
            &[3, 0x81, 2, 7, 0x80],    // a long length
            &[0x23, 4, 3, 2, 7, 0x80], // §10.2: constructed
            &[4, 2, 7, 0x80],          // an OCTET STRING
            &[],
        ];
        for bad in bad {
            assert_eq!(KeyUsage::read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn extended_key_usage_in_its_one_encoding() {
        const SERVER: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
        let read = |parts: &[&[u8]]| extended_key_usage(&sequence(parts));
        let server = Purposes { server: true, ..Purposes::default() };
        assert_eq!(read(&[SERVER]), Some(server));
        assert_eq!(read(&[&[6, 1, 0x2a], SERVER]), Some(server));
        let any = Purposes { any: true, ..server };
        assert_eq!(read(&[SERVER, &[6, 4, 0x55, 0x1d, 37, 0]]), Some(any));
        let others = [2, 9].map(|last| [&SERVER[..9], &[last]].concat());
        let both = Purposes { client: true, ocsp_signing: true, ..Purposes::default() };
        assert_eq!(read(&[&others[0], &others[1]]), Some(both));
        let bad: &[&[&[u8]]] = &[
            &[],                       // SIZE (1..MAX)
            &[SERVER, &[5, 0]],        // something else in the list
            &[&[6, 0]],                // X.690 §8.19.2: no byte at all
            &[&[6, 2, 0x2a, 0x86]],    // a number without its end
            &[&[6, 3, 0x2a, 0x80, 1]], // §8.19.2: not the shortest
            &[&[6, 0x81, 1, 0x2a]],    // a long length
        ];
        for parts in bad {
            assert_eq!(read(parts), None, "{parts:?}");
        }
        assert_eq!(extended_key_usage(&[&sequence(&[SERVER])[..], &[0]].concat()), None);
        assert_eq!(extended_key_usage(SERVER), None);
    }

    #[test]
    fn key_identifiers_in_their_one_encoding() {
        const ID: &[u8] = &[0x80, 2, 7, 8];
        const ISSUER: &[u8] = &[0xa1, 3, 0x82, 1, b'a'];
        const SERIAL: &[u8] = &[0x82, 1, 5];
        for (parts, id) in [
            (&[ID][..], Some(&[7, 8][..])),
            (&[ID, ISSUER, SERIAL], Some(&[7, 8])),
            (&[ISSUER, SERIAL], None),
            (&[], None),
        ] {
            assert_eq!(authority_key_id(&sequence(parts)), Some(id), "{parts:?}");
        }
        let bad: &[&[&[u8]]] = &[
            &[&[0x80, 0x81, 2, 7, 8]],                        // a long length
            &[&[0xa0, 4, 4, 2, 7, 8]],                        // explicit
            &[&[0xa1, 0], SERIAL],                            // SIZE (1..MAX)
            &[&[0xa1, 4, 0x82, 0x81, 1, b'a'], SERIAL],       // a long length inside
            &[&[0xa1, 6, 0xa4, 4, 0x30, 0x81, 1, 5], SERIAL], // and deeper
            &[ISSUER, &[0x82, 2, 0, 5]],                      // not the shortest number
            &[ISSUER, &[0x82, 0]],
            &[ID, ID],
            &[SERIAL, ID],
            &[ID, &[5, 0]],
        ];
        for parts in bad {
            assert_eq!(authority_key_id(&sequence(parts)), None, "{parts:?}");
        }
        assert_eq!(authority_key_id(&[&sequence(&[ID])[..], &[0]].concat()), None);
        assert_eq!(authority_key_id(ID), None);

        assert_eq!(subject_key_id(&[4, 2, 7, 8]), Some(&[7, 8][..]));
        for bad in
            [&[4, 2, 7, 8, 0][..], &[4, 0x81, 2, 7, 8], &[0x24, 4, 4, 2, 7, 8], &[4, 3, 7], &[]]
        {
            assert_eq!(subject_key_id(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn access_locations_in_their_one_encoding() {
        const METHOD: &[u8] = &[6, 1, 0x2a];
        const PLACE: &[u8] = &[0x86, 1, b'u'];
        let access = sequence(&[METHOD, PLACE]);
        assert!(is_authority_info_access(&sequence(&[&access])));
        assert!(is_authority_info_access(&sequence(&[&access, &access])));
        let bad = [
            sequence(&[]),
            sequence(&[&sequence(&[METHOD])]),
            sequence(&[&sequence(&[PLACE, METHOD])]),
            sequence(&[&sequence(&[METHOD, PLACE, PLACE])]),
            sequence(&[&sequence(&[&[6, 0], PLACE])]),
            sequence(&[&sequence(&[METHOD, &[0x86, 0x81, 1, b'u']])]),
            [&sequence(&[&access])[..], &[0]].concat(),
            access,
        ];
        for bad in bad {
            assert!(!is_authority_info_access(&bad), "{bad:?}");
        }
    }

    #[test]
    fn features_are_numbers_of_extensions() {
        assert_eq!(features(&[0x30, 3, 2, 1, 5]), Some(vec![5]));
        assert_eq!(features(&[0x30, 4, 2, 2, 0, 0x80]), Some(vec![128]));
        assert_eq!(features(&[0x30, 4, 2, 2, 1, 0]), Some(vec![256]));
        assert_eq!(features(&[0x30, 5, 2, 3, 0, 0xff, 1]), Some(vec![0xff01]));
        for bad in [
            &[0x30, 3, 2, 1, 0x80][..],
            &[0x30, 4, 2, 2, 0, 5],
            &[0x30, 5, 2, 3, 1, 0, 0],
            &[2, 1, 5],
        ] {
            assert_eq!(features(bad), None, "{bad:?}");
        }
    }
}
