//! The messages that authenticate, as bytes of the input: CertificateRequest, Certificate, CertificateVerify, and their
//! like after the handshake. Everything around them is honest.

use super::peer::{Epoch, Victim};
use super::script::{message, peer};
use super::template::{fitting, template};
use super::world::{Instructions, Options};

/// Options and victim; then which messages are replaced, each with two bytes of length in front of its body.
pub fn certificate(data: &[u8]) {
    let mut script = Instructions(data);
    let (Some(bits), Some(replaced)) = (script.byte(), script.byte()) else { return };
    let victim = if bits & 1 == 0 { Victim::Client } else { Victim::Server };
    let options = [Options::MUTUAL, Options::POST_AUTH, Options::MUTUAL | Options::ASK, 0];
    let options = Options(options[usize::from(bits >> 1 & 3)]);
    let mut body = |kind: u8| {
        let len = script.short().unwrap_or(0);
        message(kind, script.bytes(len))
    };
    let mut peer = peer(victim, options);
    let mut intact = true;
    for honest in template(victim, options) {
        let bit = match honest[0] {
            13 => 1,
            11 | 25 => 2,
            15 => 4,
            8 => 8,
            _ => 0,
        };
        if !matches!(honest[0], 1 | 2) && peer.epoch == Epoch::Plain {
            peer.advance();
        }
        let honest = fitting(&peer, honest);
        let said = if replaced & bit == 0 { honest.clone() } else { body(honest[0]) };
        intact &= said == honest || !matches!(said[0], 11 | 15 | 25);
        peer.message(&said);
        if matches!(said[0], 1 | 2 | 20) {
            peer.flush();
        }
    }
    let end = &peer.end;
    assert!(!end.connected || peer.finished, "connected without Finished");
    if end.connected && !intact {
        // Another certificate can be as good (its signatures are not checked here), but not another CertificateVerify.
        let chain = &end.connection.summary().unwrap().peer_chain;
        assert!(peer.verified || chain.is_empty(), "authenticated by other bytes");
    }
    if end.connected && replaced & 0x10 != 0 {
        peer.advance();
        let kind = [13, 11, 15, 20, 4, 25][usize::from(replaced >> 5) % 6];
        peer.message(&body(kind));
        peer.flush();
    }
}
