//! A client of ours, whose ClientHello is always the same, and whatever a server says to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwire_fuzz::{End, Options, client, connected};

fuzz_target!(|data: &[u8]| {
    let Some((bits, bytes)) = data.split_first() else { return };
    let (client, _) = client(Options::from(*bits));
    let mut end = End::new(client, Vec::new());
    let (first, second) = bytes.split_at(bytes.len() * usize::from(bits >> 4) / 15);
    end.take(first);
    end.take(second);
    if let Some(exported) = end.exported() {
        // Then that was what our server says: the seeds hold it, because everything is deterministic.
        let (reference, _) = connected(Options::from(*bits));
        assert_eq!(Some(exported), reference.exported());
    }
});
