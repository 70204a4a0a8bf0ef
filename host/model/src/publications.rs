//! Connectors that were published to all hosts.

/// A connector to be published.
#[derive(Debug, Clone, Copy)]
pub struct NewPublication<'a> {
    /// The route.
    pub route: &'a str,
    /// Its own version, for people.
    pub version: &'a str,
    /// The component's SHA-256, lower-case hex.
    pub sha256: &'a str,
    /// The component.
    pub component: &'a [u8],
    /// Its signature's file.
    pub signature: Option<&'a [u8]>,
    /// Whether it is accepted on every host, whatever it asks for.
    pub accepted: bool,
}

/// What was published, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Its number: the greater, the newer.
    pub id: i64,
    /// The route.
    pub rota: String,
    /// Its own version, for people.
    pub versao: String,
    /// The component's SHA-256.
    pub sha256: String,
    /// Whether it is accepted on every host.
    pub aceito: bool,
    /// Whether a scrap in the queue began with it.
    pub em_uso: bool,
    /// When, as the database writes it.
    pub criado_em: String,
}

/// The bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedFile {
    /// The component.
    pub component: Vec<u8>,
    /// Its signature's file.
    pub signature: Option<Vec<u8>>,
}
