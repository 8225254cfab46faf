//! The flags that a test gives, and what is refused among them.

use sealwire::codepoints::HandshakeType;

/// What a test wants that the library does not do: the shim exits with 89.
#[derive(Debug)]
pub(crate) struct Unsupported(pub(crate) String);

/// Every flag that is supported. The name of a field is the flag's, with underscores.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    pub(crate) port: u16,
    pub(crate) shim_id: u64,
    pub ipv6: bool,
    pub(crate) server: bool,
    pub(crate) resume_count: usize,
    /// Whether this is for a connection after the first.
    pub(crate) resumed: bool,
    /// In seconds, after each connection.
    pub(crate) resumption_delay: u64,
    pub(crate) early_write_after_message: Option<HandshakeType>,

    // How the shim goes about it.
    pub(crate) r#async: bool,
    pub(crate) implicit_handshake: bool,
    pub(crate) shim_writes_first: bool,
    pub(crate) shim_initial_write: Option<String>,
    pub(crate) repeat_shim_initial_write: Option<usize>,
    pub(crate) read_with_unfinished_write: bool,
    pub(crate) read_size: Option<usize>,
    pub(crate) shim_shuts_down: bool,
    pub(crate) check_close_notify: bool,
    pub(crate) send_alert: bool,
    pub(crate) key_update: bool,
    pub(crate) no_op_extra_handshake: bool,
    pub(crate) export_keying_material: usize,
    pub(crate) export_label: String,
    pub(crate) export_context: String,
    pub(crate) use_export_context: bool,
    pub(crate) export_traffic_secrets: bool,

    // What is offered and accepted.
    pub(crate) host_name: Option<String>,
    pub(crate) curves: Vec<u16>,
    pub(crate) key_shares: Option<Vec<u16>>,
    pub(crate) server_supported_groups_hint: Vec<u16>,
    pub(crate) curves_flags: Vec<u16>,
    pub(crate) verify_prefs: Vec<u16>,
    pub(crate) advertise_alpn: Option<Vec<u8>>,
    pub(crate) select_alpn: Option<String>,
    pub(crate) select_empty_alpn: bool,
    pub(crate) reject_alpn: bool,
    pub(crate) decline_alpn: bool,
    pub(crate) enable_grease: bool,
    pub(crate) enable_ocsp_stapling: bool,
    pub(crate) enable_signed_cert_timestamps: bool,
    pub(crate) no_server_name_ack: bool,
    pub(crate) install_cert_compression_algs: bool,
    pub(crate) install_one_cert_compression_alg: Option<u16>,
    pub(crate) no_ticket: bool,
    pub(crate) enable_early_data: bool,
    pub(crate) max_send_fragment: Option<usize>,
    pub(crate) max_cert_list: Option<usize>,

    // Certificates.
    /// What `-new-…-credential` begins, in this order.
    pub(crate) credentials: Vec<CredentialFlags>,
    /// What is there without that; it comes last.
    pub(crate) default_credential: CredentialFlags,
    pub(crate) available_client_cert_types: Vec<u8>,
    pub(crate) accepted_peer_cert_types: Vec<u8>,
    pub(crate) trust_cert: Option<String>,
    pub(crate) require_any_client_certificate: bool,
    pub(crate) use_client_ca_list: Option<String>,
    pub(crate) verify_peer: bool,
    pub(crate) verify_fail: bool,
    pub(crate) reverify_on_resume: bool,
    pub(crate) use_custom_verify_callback: bool,
    pub(crate) use_ocsp_callback: bool,
    pub(crate) set_ocsp_in_callback: bool,
    pub(crate) decline_ocsp_callback: bool,
    pub(crate) fail_ocsp_callback: bool,

    // What is expected.
    pub(crate) expect_version: Option<u16>,
    pub(crate) expect_cipher: Option<u16>,
    pub(crate) expect_cipher_aes: Option<u16>,
    pub(crate) expect_cipher_no_aes: Option<u16>,
    pub(crate) expect_curve_id: Option<u16>,
    pub(crate) expect_hrr: bool,
    pub(crate) expect_no_hrr: bool,
    pub(crate) expect_alpn: Option<String>,
    pub(crate) expect_advertised_alpn: Option<Vec<u8>>,
    pub(crate) expect_server_name: Option<String>,
    pub(crate) expect_ocsp_response: Vec<u8>,
    pub(crate) expect_signed_cert_timestamps: Vec<u8>,
    pub(crate) expect_peer_cert_file: Option<String>,
    pub(crate) expect_peer_signature_algorithm: Option<u16>,
    pub(crate) expect_peer_verify_pref: Vec<u16>,
    pub(crate) expect_verify_result: bool,
    pub(crate) expect_secure_renegotiation: bool,
    pub(crate) expect_extended_master_secret: bool,
    pub(crate) expect_session_miss: bool,
    pub(crate) expect_no_session: bool,
    pub(crate) expect_ticket_supports_early_data: bool,
    pub(crate) expect_accept_early_data: bool,
    pub(crate) expect_reject_early_data: bool,
    pub(crate) expect_no_offer_early_data: bool,
    pub(crate) expect_early_data_reason: Option<String>,
    pub(crate) expect_no_peer_cert: bool,
    pub(crate) expect_selected_credential: Option<i32>,
    pub(crate) expect_ticket_age_skew: Option<i64>,
    pub(crate) expect_client_ca_list: Option<String>,
    pub(crate) expect_peer_certificate_type: Option<u8>,
    pub(crate) expect_peer_rpk_sha256: Vec<u8>,
}

/// What kind of credential it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CredentialKind {
    #[default]
    X509,
    RawPublicKey,
    Psk,
}

/// A credential and what describes it.
#[derive(Debug, Default)]
pub(crate) struct CredentialFlags {
    pub(crate) kind: CredentialKind,
    pub(crate) cert_file: Option<String>,
    pub(crate) key_file: Option<String>,
    pub(crate) signing_prefs: Vec<u16>,
    pub(crate) ocsp_response: Vec<u8>,
    pub(crate) signed_cert_timestamps: Vec<u8>,
    pub(crate) must_match_issuer: bool,
    pub(crate) key: Vec<u8>,
    pub(crate) identity: Vec<u8>,
    pub(crate) context: Vec<u8>,
    pub(crate) sha384: bool,
}

/// For which connection flags are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The first.
    Initial,
    /// Those after it.
    Resumed,
    /// Those after it, once the server has turned early data down.
    Retry,
}

/// Flags that are accepted although nothing is done about them, each with the reason.
const ACCEPTED_UNCHECKED: &[&str] = &[
    // There is nothing below TLS 1.3 to be switched off.
    "-no-tls1",
    "-no-tls11",
    "-no-tls12",
    // There is no renegotiation in TLS 1.3, and so nothing that could be allowed or insisted on.
    "-renegotiate-freely",
    "-no-legacy-server-connect",
    // The server's order always decides among groups and suites.
    "-server-preference",
    // The application is always asked about a ClientHello.
    "-use-early-callback",
    // A server's sessions have no session ID in TLS 1.3.
    "-expect-no-session-id",
    // Where the client's certificate is looked up; it is the same certificate either way.
    "-use-old-client-cert-callback",
];

impl Flags {
    /// Reads the arguments that are for the connection `which`.
    pub(crate) fn parse(arguments: &[String], which: Which) -> Result<Self, Unsupported> {
        let mut flags = Self { resumed: which != Which::Initial, ..Self::default() };
        // Where flags go that are for another connection; they have to be right, too.
        let mut others = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let name = argument.strip_prefix("-on-shim").unwrap_or(argument);
            let prefixes = [
                ("-on-initial", Which::Initial),
                ("-on-resume", Which::Resumed),
                ("-on-retry", Which::Retry),
            ];
            let only = |(prefix, of)| Some((name.strip_prefix(prefix)?, of == which));
            let (name, applies) = prefixes.into_iter().find_map(only).unwrap_or((name, true));
            let flags = if applies { &mut flags } else { &mut others };
            let mut value = || rest.next().ok_or_else(|| Unsupported(format!("{name}: no value")));
            if !flags.set_switch(name) {
                flags.set_value(name, &mut value)?;
            }
        }
        Ok(flags)
    }

    /// Flags without a value.
    fn set_switch(&mut self, name: &str) -> bool {
        if ACCEPTED_UNCHECKED.contains(&name) {
            return true;
        }
        let switch = match name {
            "-ipv6" => &mut self.ipv6,
            "-server" => &mut self.server,
            "-async" => &mut self.r#async,
            "-implicit-handshake" => &mut self.implicit_handshake,
            "-shim-writes-first" => &mut self.shim_writes_first,
            "-read-with-unfinished-write" => &mut self.read_with_unfinished_write,
            "-shim-shuts-down" => &mut self.shim_shuts_down,
            "-check-close-notify" => &mut self.check_close_notify,
            "-send-alert" => &mut self.send_alert,
            "-key-update" => &mut self.key_update,
            "-no-op-extra-handshake" => &mut self.no_op_extra_handshake,
            "-use-export-context" => &mut self.use_export_context,
            "-export-traffic-secrets" => &mut self.export_traffic_secrets,
            "-select-empty-alpn" => &mut self.select_empty_alpn,
            "-reject-alpn" => &mut self.reject_alpn,
            "-decline-alpn" => &mut self.decline_alpn,
            "-enable-grease" => &mut self.enable_grease,
            "-enable-ocsp-stapling" => &mut self.enable_ocsp_stapling,
            "-enable-signed-cert-timestamps" => &mut self.enable_signed_cert_timestamps,
            "-no-server-name-ack" => &mut self.no_server_name_ack,
            "-require-any-client-certificate" => &mut self.require_any_client_certificate,
            "-verify-peer" => &mut self.verify_peer,
            "-install-cert-compression-algs" => &mut self.install_cert_compression_algs,
            "-no-ticket" => &mut self.no_ticket,
            "-enable-early-data" => &mut self.enable_early_data,
            "-reverify-on-resume" => &mut self.reverify_on_resume,
            "-expect-session-miss" => &mut self.expect_session_miss,
            "-expect-no-session" => &mut self.expect_no_session,
            "-expect-ticket-supports-early-data" => &mut self.expect_ticket_supports_early_data,
            "-expect-accept-early-data" => &mut self.expect_accept_early_data,
            "-expect-reject-early-data" => &mut self.expect_reject_early_data,
            "-expect-no-offer-early-data" => &mut self.expect_no_offer_early_data,
            "-expect-no-peer-cert" => &mut self.expect_no_peer_cert,
            "-new-x509-credential" => return self.new_credential(CredentialKind::X509),
            "-new-rpk-credential" => return self.new_credential(CredentialKind::RawPublicKey),
            "-new-psk-credential" => return self.new_credential(CredentialKind::Psk),
            "-must-match-issuer" => &mut self.newest().must_match_issuer,
            "-psk-importer-sha384" => &mut self.newest().sha384,
            "-psk-importer-sha256" => {
                self.newest().sha384 = false;
                return true;
            }
            "-verify-fail" => &mut self.verify_fail,
            "-use-custom-verify-callback" => &mut self.use_custom_verify_callback,
            "-use-ocsp-callback" => &mut self.use_ocsp_callback,
            "-set-ocsp-in-callback" => &mut self.set_ocsp_in_callback,
            "-decline-ocsp-callback" => &mut self.decline_ocsp_callback,
            "-fail-ocsp-callback" => &mut self.fail_ocsp_callback,
            "-expect-hrr" => &mut self.expect_hrr,
            "-expect-no-hrr" => &mut self.expect_no_hrr,
            "-expect-verify-result" => &mut self.expect_verify_result,
            "-expect-secure-renegotiation" => &mut self.expect_secure_renegotiation,
            "-expect-extended-master-secret" => &mut self.expect_extended_master_secret,
            "-no-key-shares" => {
                self.key_shares = Some(Vec::new());
                return true;
            }
            _ => return false,
        };
        *switch = true;
        true
    }

    /// Flags with a value.
    fn set_value<'a>(
        &mut self,
        name: &str,
        value: &mut dyn FnMut() -> Result<&'a String, Unsupported>,
    ) -> Result<(), Unsupported> {
        match name {
            "-port" => self.port = number(name, value()?)?,
            "-shim-id" => self.shim_id = number(name, value()?)?,
            "-shim-initial-write" => self.shim_initial_write = Some(value()?.clone()),
            "-repeat-shim-initial-write" => {
                self.repeat_shim_initial_write = Some(number(name, value()?)?);
            }
            "-read-size" => self.read_size = Some(number(name, value()?)?),
            "-export-keying-material" => self.export_keying_material = number(name, value()?)?,
            "-export-label" => self.export_label = value()?.clone(),
            "-export-context" => self.export_context = value()?.clone(),
            "-host-name" => self.host_name = Some(value()?.clone()),
            "-curves" => self.curves.push(number(name, value()?)?),
            "-key-shares" => {
                self.key_shares.get_or_insert_default().push(number(name, value()?)?);
            }
            "-server-supported-groups-hint" => {
                self.server_supported_groups_hint.push(number(name, value()?)?);
            }
            "-curves-flags" => self.curves_flags.push(number(name, value()?)?),
            // Makes BoringSSL's server go by its own order; it names no suite of TLS 1.3.
            "-cipher" => check(value()? == "ALL:3DES", name)?,
            "-signing-prefs" => self.newest().signing_prefs.push(number(name, value()?)?),
            "-verify-prefs" => self.verify_prefs.push(number(name, value()?)?),
            "-advertise-alpn" => self.advertise_alpn = Some(value()?.clone().into_bytes()),
            "-select-alpn" => self.select_alpn = not_empty(value()?),
            "-install-one-cert-compression-alg" => {
                self.install_one_cert_compression_alg = Some(number(name, value()?)?);
            }
            "-max-send-fragment" => self.max_send_fragment = Some(number(name, value()?)?),
            "-max-cert-list" => self.max_cert_list = Some(number(name, value()?)?),
            "-cert-file" => self.newest().cert_file = Some(value()?.clone()),
            "-key-file" => self.newest().key_file = Some(value()?.clone()),
            "-available-client-cert-types" => {
                self.available_client_cert_types.push(number(name, value()?)?);
            }
            "-accepted-peer-cert-types" => {
                self.accepted_peer_cert_types.push(number(name, value()?)?);
            }
            "-trust-cert" => self.trust_cert = Some(value()?.clone()),
            "-ocsp-response" => self.newest().ocsp_response = base64(name, value()?)?,
            "-signed-cert-timestamps" => {
                self.newest().signed_cert_timestamps = base64(name, value()?)?;
            }
            "-use-client-ca-list" => self.use_client_ca_list = Some(value()?.clone()),
            "-min-version" => check(number::<u16>(name, value()?)? <= TLS13, name)?,
            "-max-version" => check(number::<u16>(name, value()?)? >= TLS13, name)?,
            "-early-write-after-message" => {
                let message = HandshakeType(number(name, value()?)?);
                let shows = [HandshakeType::server_hello, HandshakeType::encrypted_extensions];
                check(shows.contains(&message), name)?;
                self.early_write_after_message = Some(message);
            }
            "-resumption-delay" => self.resumption_delay = number(name, value()?)?,
            "-psk-importer-key" => self.newest().key = base64(name, value()?)?,
            "-psk-importer-identity" => self.newest().identity = base64(name, value()?)?,
            "-psk-importer-context" => self.newest().context = base64(name, value()?)?,
            "-resume-count" => self.resume_count = number(name, value()?)?,
            _ => return self.set_expectation(name, value),
        }
        Ok(())
    }

    fn new_credential(&mut self, kind: CredentialKind) -> bool {
        self.credentials.push(CredentialFlags { kind, ..CredentialFlags::default() });
        true
    }

    /// What flags of credentials are about.
    fn newest(&mut self) -> &mut CredentialFlags {
        self.credentials.last_mut().unwrap_or(&mut self.default_credential)
    }

    /// The pre-shared keys among the credentials.
    pub(crate) fn psks(&self) -> impl Iterator<Item = &CredentialFlags> {
        self.credentials.iter().filter(|credential| credential.kind == CredentialKind::Psk)
    }

    pub(crate) fn has_psks(&self) -> bool {
        self.psks().next().is_some()
    }

    /// Whether there is something else than pre-shared keys.
    pub(crate) fn has_certificates(&self) -> bool {
        let other = self.credentials.iter().any(|each| each.kind != CredentialKind::Psk);
        other || self.default_credential.key_file.is_some()
    }

    fn set_expectation<'a>(
        &mut self,
        name: &str,
        value: &mut dyn FnMut() -> Result<&'a String, Unsupported>,
    ) -> Result<(), Unsupported> {
        match name {
            "-expect-version" => self.expect_version = Some(number(name, value()?)?),
            "-expect-cipher" => self.expect_cipher = Some(number(name, value()?)?),
            "-expect-cipher-aes" => self.expect_cipher_aes = Some(number(name, value()?)?),
            "-expect-cipher-no-aes" => self.expect_cipher_no_aes = Some(number(name, value()?)?),
            "-expect-curve-id" => self.expect_curve_id = Some(number(name, value()?)?),
            "-expect-alpn" => self.expect_alpn = not_empty(value()?),
            "-expect-advertised-alpn" => {
                self.expect_advertised_alpn = Some(value()?.clone().into_bytes());
            }
            "-expect-server-name" => self.expect_server_name = Some(value()?.clone()),
            "-expect-ocsp-response" => self.expect_ocsp_response = base64(name, value()?)?,
            "-expect-signed-cert-timestamps" => {
                self.expect_signed_cert_timestamps = base64(name, value()?)?;
            }
            "-expect-peer-cert-file" => self.expect_peer_cert_file = Some(value()?.clone()),
            "-expect-peer-signature-algorithm" => {
                self.expect_peer_signature_algorithm = Some(number(name, value()?)?);
            }
            "-expect-peer-verify-pref" => {
                self.expect_peer_verify_pref.push(number(name, value()?)?);
            }
            "-expect-early-data-reason" => self.expect_early_data_reason = not_empty(value()?),
            "-expect-selected-credential" => {
                self.expect_selected_credential = Some(number(name, value()?)?);
            }
            "-expect-ticket-age-skew" => {
                self.expect_ticket_age_skew = Some(number(name, value()?)?);
            }
            "-expect-client-ca-list" => self.expect_client_ca_list = Some(value()?.clone()),
            "-expect-peer-certificate-type" => {
                self.expect_peer_certificate_type = Some(number(name, value()?)?);
            }
            "-expect-peer-rpk-sha256" => self.expect_peer_rpk_sha256 = base64(name, value()?)?,
            _ => return Err(Unsupported(name.to_owned())),
        }
        Ok(())
    }
}

/// TLS 1.3, as the flags write versions.
const TLS13: u16 = 0x0304;

fn not_empty(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn check(supported: bool, name: &str) -> Result<(), Unsupported> {
    if supported { Ok(()) } else { Err(Unsupported(name.to_owned())) }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, Unsupported> {
    value.parse().map_err(|_| Unsupported(format!("{name} {value}")))
}

/// RFC 4648 §4
fn base64(name: &str, value: &str) -> Result<Vec<u8>, Unsupported> {
    let bad = || Unsupported(format!("{name} {value}"));
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in value.trim_end_matches('=').bytes() {
        let six = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return Err(bad()),
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., byte] = (bits >> count).to_be_bytes();
            bytes.push(byte);
        }
    }
    Ok(bytes)
}
