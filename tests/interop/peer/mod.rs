//! The peers. Each has `available`, and the roles that `matrix!` names: `serves` (the peer is the server) and
//! `connects` (the peer is the client), which run one case.

pub(crate) mod curl;
pub(crate) mod gnutls;
pub(crate) mod go;
pub(crate) mod openssl;
pub(crate) mod python;
pub(crate) mod rustls;
