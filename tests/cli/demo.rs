//! `sealwire demo`, and the command line as such.

use crate::support::{code, json, run, stderr};

#[test]
fn demo_checks_everything_and_says_so() {
    let output = run(&["demo", "--bytes", "4MiB", "--json"], b"");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let report = json(&output.stdout);
    assert_eq!(report["ok"], true);
    assert_eq!(report["bytes_each_way"], 4 << 20);
    assert_eq!(report["client"]["version"], "TLSv1.3");
    assert_eq!(report["client"]["group"], "X25519MLKEM768");
    assert_eq!(report["client"]["post_quantum"], true);
    assert_eq!(report["client"]["resumed"], false);
    assert_eq!(report["client"]["alpn"], "sealwire-demo");
    assert_eq!(report["client"]["peer"]["names"][0], "server.sealwire.test");
    assert_eq!(report["server"]["peer"]["names"][0], "client.sealwire.test");
    assert_eq!(report["server"]["server_name"], "server.sealwire.test");
    assert!(report["client_to_server"]["bytes_per_second"].as_f64().unwrap() > 0.0);
    assert!(report["server_to_client"]["seconds"].as_f64().unwrap() > 0.0);

    let output = run(&["demo", "--bytes", "12345"], b"");
    assert_eq!(code(&output), 0);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("TLSv1.3") && text.contains("GB/s"), "{text}");
}

#[test]
fn demo_with_every_suite_and_group() {
    let suites =
        ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
    let groups = ["X25519MLKEM768", "x25519", "secp256r1", "secp384r1"];
    for (suite, group) in suites.iter().cycle().zip(groups) {
        let arguments =
            ["demo", "--bytes", "100kB", "--json", "--suites", suite, "--groups", group];
        let output = run(&arguments, b"");
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let report = json(&output.stdout);
        assert_eq!(report["server"]["cipher_suite"], *suite);
        assert_eq!(report["server"]["group"], group);
    }
    let output = run(&["demo", "--suites", "TLS_RSA_WITH_RC4_128_MD5"], b"");
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("TLS_AES_128_GCM_SHA256"), "it says what there is");
}

#[test]
fn command_lines() {
    let output = run(&["--version"], b"");
    assert_eq!(code(&output), 0);
    let version = String::from_utf8(output.stdout).unwrap();
    assert_eq!(version.trim(), format!("sealwire {}", env!("CARGO_PKG_VERSION")));
    for help in [&["--help"][..], &["demo", "--help"], &["connect", "--help"], &["serve", "--help"]]
    {
        assert_eq!(code(&run(help, b"")), 0);
    }
    for wrong in [
        &["connect"][..],
        &["connect", "host:port"],
        &["connect", "host:1", "--cert", "only.pem"],
        &["connect", "a b:1", "--mozilla"],
        &["serve"],
        &["serve", "--cert", "a", "--cert", "b", "--key", "a"],
        &["demo", "--bytes", "much"],
    ] {
        assert_eq!(code(&run(wrong, b"")), 2, "{wrong:?}");
    }
    let output = run(&["serve", "--cert", "/none.pem", "--key", "/none.key"], b"");
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("cannot read /none.pem"));
}
