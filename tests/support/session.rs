//! A serialised session, taken apart, so that a test can lie about it.

use sealwire::{Session, SessionKey};

/// What [`Session::to_bytes`] writes, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    pub key: [u8; 32],
    pub suite: u16,
    pub psk: Vec<u8>,
    pub ticket: Vec<u8>,
    pub lifetime: u32,
    pub age_add: u32,
    pub received: u64,
    pub max_early_data: u32,
    pub alpn: Vec<u8>,
    pub chain_expiry: u64,
    /// With the length of each certificate, but not that of the whole.
    pub chain: Vec<u8>,
    /// The server's, in place of a chain.
    pub raw_public_key: Vec<u8>,
    /// What came with the leaf: an OCSP response.
    pub ocsp: Vec<u8>,
    /// Timestamps, each with its length, but without that of the whole.
    pub scts: Vec<u8>,
    /// The external key that it rests on: the length of its name, and if that is not 0, name and tag.
    pub external: Vec<u8>,
}

const MAGIC: &[u8] = b"sealwire session\x04";

impl Parts {
    /// A session without a chain, under `key`.
    pub fn new(key: &SessionKey, suite: u16, psk: &[u8], ticket: &[u8]) -> Self {
        Self {
            key: *key.as_bytes(),
            suite,
            psk: psk.to_vec(),
            ticket: ticket.to_vec(),
            lifetime: 7200,
            age_add: 0,
            received: super::now().as_secs(),
            max_early_data: 0,
            alpn: Vec::new(),
            chain_expiry: u64::MAX,
            chain: Vec::new(),
            raw_public_key: Vec::new(),
            ocsp: Vec::new(),
            scts: Vec::new(),
            external: vec![0; 2],
        }
    }

    pub fn of(session: &Session) -> Self {
        let bytes = session.to_bytes().unwrap();
        let mut rest = bytes.strip_prefix(MAGIC).unwrap();
        let mut take = |len: usize| {
            let (taken, tail) = rest.split_at(len);
            rest = tail;
            taken.to_vec()
        };
        let number = |bytes: Vec<u8>| bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b));
        let len = |bytes: Vec<u8>| usize::try_from(number(bytes)).unwrap();
        let short = |bytes: Vec<u8>| u32::try_from(number(bytes)).unwrap();
        let this = Self {
            key: take(32).try_into().unwrap(),
            suite: u16::try_from(number(take(2))).unwrap(),
            psk: {
                let n = len(take(1));
                take(n)
            },
            ticket: {
                let n = len(take(2));
                take(n)
            },
            lifetime: short(take(4)),
            age_add: short(take(4)),
            received: number(take(8)),
            max_early_data: short(take(4)),
            alpn: {
                let n = len(take(1));
                take(n)
            },
            chain_expiry: number(take(8)),
            chain: {
                let n = len(take(3));
                take(n)
            },
            raw_public_key: {
                let n = len(take(3));
                take(n)
            },
            ocsp: {
                let n = len(take(3));
                take(n)
            },
            scts: {
                let n = len(take(3));
                take(n)
            },
            external: Vec::new(),
        };
        Self { external: rest.to_vec(), ..this }
    }

    pub fn build(&self) -> Session {
        let vec = |width: usize, bytes: &[u8]| {
            let len = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            [&len[4 - width..], bytes].concat()
        };
        let bytes = [
            MAGIC,
            &self.key,
            &self.suite.to_be_bytes(),
            &vec(1, &self.psk),
            &vec(2, &self.ticket),
            &self.lifetime.to_be_bytes(),
            &self.age_add.to_be_bytes(),
            &self.received.to_be_bytes(),
            &self.max_early_data.to_be_bytes(),
            &vec(1, &self.alpn),
            &self.chain_expiry.to_be_bytes(),
            &vec(3, &self.chain),
            &vec(3, &self.raw_public_key),
            &vec(3, &self.ocsp),
            &vec(3, &self.scts),
            &self.external,
        ]
        .concat();
        Session::from_bytes(&bytes).unwrap()
    }
}
