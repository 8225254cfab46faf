//! Whole handshakes with every provider on either side, each with its own randomness.

#![cfg(feature = "ring")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;

use sealwire::codepoints::{Alert, NamedGroup};
use sealwire::crypto::{Provider, ring};
use sealwire::{
    ClientAuth, ClientConfig, MemorySessions, ServerConfig, Summary, TicketKeys, Verifier,
};

use support::{Calls, Kind, Role, now, pki};

fn providers() -> Vec<Provider> {
    vec![
        ring::provider(),
        #[cfg(feature = "aws-lc")]
        sealwire::crypto::aws_lc::provider(),
    ]
}

/// Runs `test` with each provider for the client and each for the server.
fn each(test: impl Fn(&Provider, &Provider)) {
    for client in providers() {
        for server in providers() {
            test(&client, &server);
        }
    }
}

fn configs(client: &Provider, server: &Provider, kind: Kind) -> (ClientConfig, ServerConfig) {
    let verifier = || Verifier::new(pki().anchors());
    let of_client = pki().client(kind).credential(client);
    let of_server = pki().server(kind).credential(server);
    let client_config = ClientConfig::new(client.clone(), verifier()).unwrap();
    let server_config = ServerConfig::new(server.clone(), vec![of_server]).unwrap();
    (
        client_config.with_credentials(vec![of_client]),
        server_config.with_client_auth(ClientAuth::Required(verifier())),
    )
}

/// The summary of the client, whose connection was used.
fn connect(client: ClientConfig, server: ServerConfig) -> Summary {
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    pair.chat();
    pair.side(Role::Client).conn.summary().unwrap().clone()
}

#[test]
fn each_suite_of_theirs() {
    each(|client, server| {
        for suite in client.suites {
            let (c, s) = configs(client, server, Kind::P256);
            let summary = connect(c.with_suites(&[suite.id]).unwrap(), s);
            assert_eq!(summary.suite, suite.id);
        }
    });
}

#[test]
fn each_group_of_theirs() {
    each(|client, server| {
        for group in client.groups.iter().chain(client.more_groups) {
            let id = group.group();
            let (c, s) = configs(client, server, Kind::P256);
            let (c, s) = (c.with_groups(&[id]).unwrap(), s.with_groups(&[id]));
            // Only what both have.
            let Ok(s) = s else { continue };
            assert_eq!(connect(c, s).group, Some(id));
        }
    });
}

#[test]
fn each_kind_of_key_on_both_sides() {
    each(|client, server| {
        for kind in Kind::ALL {
            let (c, s) = configs(client, server, kind);
            let summary = connect(c, s);
            assert_eq!(summary.peer_chain, pki().server(kind).chain, "{kind:?}");
            assert!(summary.own_scheme.is_some(), "{kind:?}");
        }
    });
}

#[test]
fn sessions_resume() {
    each(|client, server| {
        let sessions = Arc::new(MemorySessions::new(8, 1 << 16));
        let tickets = Arc::new(TicketKeys::new(server, now()).unwrap());
        for resumed in [false, true] {
            let (c, s) = configs(client, server, Kind::P256);
            let summary =
                connect(c.with_sessions(sessions.clone()), s.with_tickets(tickets.clone()));
            assert_eq!(summary.resumed, resumed);
        }
    });
}

/// What is not among the groups of a configuration by itself is there for one that names it.
#[test]
fn more_groups_are_not_offered_by_themselves() {
    for provider in providers() {
        let more: Vec<NamedGroup> = provider.more_groups.iter().map(|g| g.group()).collect();
        let (client, server) = configs(&provider, &provider, Kind::P256);
        if let Some(one) = more.first() {
            let asking = client.clone().with_groups(&[*one]).unwrap();
            Calls::PLAIN
                .pair(asking, server.clone())
                .refuse(Role::Server, Alert::handshake_failure);
        }
        assert!(!more.contains(&connect(client, server).group.unwrap()));
    }
}
