//! Clients: their APIs, where those are, and what opens them.

use crate::{AccessToken, Parts, Secret};

/// A client, as lists show it: never with its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The client's id.
    pub cliente_id: i32,
    /// Whether scraps of it may run.
    pub active: bool,
    /// The client's APIs and where they are; the one with the empty name is its default.
    pub apis: Vec<ClientApi>,
    /// The APIs that its default serves, by name.
    pub served: Vec<String>,
}

/// Where one API of a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientApi {
    /// The API's name; empty for the default.
    pub api: String,
    /// Its base URL.
    pub base_url: String,
    /// Whether it has a credential of its own.
    pub has_credential: bool,
    /// Whether it may be at an address that is not public.
    pub private: bool,
}

/// What changes about one API of a client; what is `None` stays as it is.
#[derive(Clone, Copy, Default)]
pub struct ApiChange<'a> {
    /// Its base URL.
    pub base_url: Option<&'a str>,
    /// A credential of its own.
    pub credential: Option<&'a Secret>,
    /// Whether it may be at an address that is not public. A new API may not, unless this says so.
    pub private: Option<bool>,
}

/// Where an API of a client is, and its credential if it has one of its own.
pub struct ApiAccess {
    /// Its base URL.
    pub base_url: String,
    /// Its own credential.
    pub credential: Option<Secret>,
    /// Whether it may be at an address that is not public.
    pub private: bool,
}

/// What a client's default token and base URL serve, seen from one API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultFor {
    /// This API, perhaps among others.
    ThisApi,
    /// Other APIs alone.
    Others,
    /// No API yet: the operator has not said which one.
    Nothing,
}

/// The rows that decide where a client's API is and which credential is sent there.
pub struct Access {
    /// Whether the client may be used at all.
    pub active: bool,
    /// `clientes_tokens.token`; empty counts as missing.
    pub token: Secret,
    /// The client's default base URL.
    pub default_base_url: Option<String>,
    /// Whether the default base URL may be at an address that is not public.
    pub default_private: bool,
    /// What the default token and base URL serve, seen from the API asked for.
    pub default_for: DefaultFor,
    /// The API's own entry.
    pub api: Option<ApiAccess>,
    /// The API's own credential where that has several parts: it goes before a single one.
    pub parts: Option<Parts>,
    /// The access token got last with those parts.
    pub access_token: Option<AccessToken>,
}

/// A credential of several parts as the store has it.
pub struct HeldCredential {
    /// The parts.
    pub parts: Parts,
    /// The access token that was got with them last.
    pub access: Option<AccessToken>,
}

/// A change of a client. What is `None` stays as it is.
#[derive(Clone, Copy, Default)]
pub struct ClientWrite<'a> {
    /// Whether the client is registered with it, if it is not there yet.
    pub is_new: bool,
    /// The default token.
    pub token: Option<&'a Secret>,
    /// Whether scraps of it may run.
    pub active: Option<bool>,
    /// The API meant, and what changes about it; the API `""` is the client's default.
    pub api: Option<(&'a str, ApiChange<'a>)>,
    /// The API's own credential in the place of any that it has, with its access token;
    /// `Some(None)` removes it.
    pub parts: Option<Option<&'a Parts>>,
    /// Whether the API may be at a private address no more, wherever it is: its token URL leads
    /// elsewhere now.
    pub withdraws_grant: bool,
    /// Whether a stored credential must not move to another base URL, because the change comes from
    /// a caller who may not know it. A new base URL is then only taken with a new credential, or
    /// where none is stored, and the same base URL leaves its grant as it is.
    pub is_guarded: bool,
}
