//! Versions of connectors that are held on all hosts because they crashed a process.

/// A version to be held, with the process that it crashed and the scraps that ran there.
#[derive(Debug, Clone, Copy)]
pub struct NewQuarantine<'a> {
    /// The component's SHA-256, lower-case hex.
    pub sha256: &'a str,
    /// Its route.
    pub route: &'a str,
    /// Its own version, for people.
    pub version: &'a str,
    /// The signal's name.
    pub signal: &'a str,
    /// The process's id among hosts.
    pub host: &'a str,
    /// Scraps of other versions whose calls were under way as well.
    pub beside: &'a [i64],
    /// The reason to keep with the version's own scraps.
    pub reason: &'a str,
    /// The reason to keep with the others that the process ran.
    pub reason_beside: &'a str,
}

/// A version that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRow {
    /// The component's SHA-256.
    pub sha256: String,
    /// Its route.
    pub rota: String,
    /// Its own version, for people.
    pub versao: String,
    /// The signal's name.
    pub sinal: String,
}
