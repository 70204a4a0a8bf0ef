//! The values that go into a store and come out of it. Plain data; nothing here knows which database is behind.

use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnectOptions;

use super::cursors;
use super::usage::ClientUsage;
use crate::source::{AccessToken, Parts, Secret};

/// Which store, and where.
#[derive(Clone)]
pub enum StoreUrl {
    /// A PostgreSQL server and database.
    Postgres(Box<PgConnectOptions>),
    /// An embedded database in a file.
    Sqlite(PathBuf),
}

impl StoreUrl {
    /// Reads `postgres://…`, `postgresql://…` or `sqlite:FILE`; `None` if it is neither.
    pub fn parse(url: &str) -> Option<Self> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            url.parse().ok().map(|options: PgConnectOptions| Self::Postgres(Box::new(without_brackets(options))))
        } else {
            let file = url.strip_prefix("sqlite:")?;
            let file = file.strip_prefix("//").unwrap_or(file);
            // Parameters and databases in memory, as other programs write them, would otherwise become files of that name.
            let is_file = !file.is_empty() && !file.contains('?') && file != ":memory:";
            is_file.then(|| Self::Sqlite(file.into()))
        }
    }

    /// Where it is, for people: never with a password.
    pub fn location(&self) -> String {
        match self {
            Self::Postgres(options) => format!(
                "postgres://{}@{}:{}/{}",
                options.get_username(),
                if options.get_host().contains(':') {
                    format!("[{}]", options.get_host())
                } else {
                    options.get_host().to_owned()
                },
                options.get_port(),
                options.get_database().unwrap_or(options.get_username()),
            ),
            Self::Sqlite(file) => format!("sqlite:{}", file.display()),
        }
    }

    /// The file of an embedded database that is not there yet, or empty: its absolute path.
    pub fn missing_file(&self) -> Option<PathBuf> {
        let Self::Sqlite(file) = self else { return None };
        let is_missing = match std::fs::metadata(file) {
            Ok(found) => found.len() == 0,
            // Any other error is told when the file is opened.
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        is_missing.then(|| std::path::absolute(file).unwrap_or_else(|_| file.clone()))
    }

    /// A server by its parts, as `DB_HOST`, `DB_PORT`, `DB_NAME`, `DB_USER` and `DB_PASSWORD` give them.
    pub fn postgres_from_parts(host: &str, port: u16, name: &str, user: &str, password: &Secret) -> Self {
        let options = PgConnectOptions::new_without_pgpass()
            .host(host)
            .port(port)
            .database(name)
            .username(user)
            .password(password.expose());
        Self::Postgres(Box::new(without_brackets(options)))
    }
}

/// The same with an IPv6 address as resolvers take it: a URL writes it in brackets (RFC 3986,
/// 3.2.2).
fn without_brackets(options: PgConnectOptions) -> PgConnectOptions {
    let address = options.get_host().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
    match address {
        Some(address) => options.host(&address),
        None => options,
    }
}

/// What `init` found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitReport {
    /// `dados_raw` was there before.
    pub existed: bool,
    /// It was there, and not from us: a database adopted now.
    pub adopted: bool,
    /// Rows in it that carry no hash of ours (an MD5 of the first system's, or none). Only counted when adopting.
    pub foreign_rows: i64,
}

/// What the database holds of our tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The server's name and version.
    pub server: String,
    /// The last migration applied; 0: none.
    pub version: i64,
    /// The last migration that this program knows.
    pub newest: i64,
    /// Tables of ours that are missing, and columns of those that are there (`table.column`).
    pub missing_tables: Vec<String>,
    /// Whether `dados_raw.hash_conteudo` has the unique index that writing needs.
    pub hash_is_unique: bool,
}

impl SchemaStatus {
    /// Nothing is left to do.
    pub fn is_ready(&self) -> bool {
        self.missing_tables.is_empty() && self.hash_is_unique
    }
}

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

/// All that decides where a client's API is and which credential goes there.
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

/// A scrap to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewScrap {
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub rota: String,
    /// First and last day, ISO 8601.
    pub period: Option<(String, String)>,
    /// Records to ask for in a page.
    pub page_size: i32,
    /// The connector's settings, a JSON object.
    pub settings: String,
    /// The process that keeps it for itself; none: any worker may take it.
    pub host: Option<String>,
    /// The periods of the slices that it is divided into; none: it is not.
    pub slices: Vec<(String, String)>,
    /// Records a transaction; none: as its host is set.
    pub batch: Option<i32>,
    /// Attempts at a page; none: as its host is set.
    pub retries: Option<i32>,
    /// Whether nobody takes it until somebody says so.
    pub paused: bool,
}

/// How a run ended, as it is written down.
#[derive(Debug, Clone, Copy)]
pub struct RunEnd<'a> {
    /// The state in which it leaves the scrap.
    pub state: ScrapState,
    /// Why, as notices in JSON.
    pub reason: Option<&'a str>,
    /// How long it took.
    pub elapsed_ms: i64,
    /// How long no worker takes the scrap; none: it is taken at once if its state lets it be, or never.
    pub again_in: Option<Duration>,
    /// Runs in a row, this one included, that a passing failure ended and that brought no page.
    pub failures: i32,
    /// Whether it ended because somebody asked for the scrap to be paused. If they have changed their mind since, it goes on.
    pub as_asked: bool,
}

/// What became of a scrap. Every state but the first two ends a run; all but the two `Concluido` can be resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScrapState {
    /// Created, never run.
    Pendente,
    /// Running; or its host died and nobody has resumed it yet.
    Executando,
    /// Everything that the source has is in the table.
    Concluido,
    /// Done, but records were rejected, or the source kept moving, or its own total does not add up.
    ConcluidoComRessalva,
    /// A page's attempts ran out.
    Interrompido,
    /// Stopped by a person (Ctrl-C).
    Pausado,
    /// The source refused the credential.
    TokenRecusado,
    /// The source's quota is spent.
    Suspenso,
    /// Cancelled.
    Cancelado,
    /// The connector crashed or broke a limit, or the source broke its contract, or the database failed.
    Falhou,
}

impl ScrapState {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Pendente,
        Self::Executando,
        Self::Concluido,
        Self::ConcluidoComRessalva,
        Self::Interrompido,
        Self::Pausado,
        Self::TokenRecusado,
        Self::Suspenso,
        Self::Cancelado,
        Self::Falhou,
    ];

    /// As the table and JSON write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pendente => "pendente",
            Self::Executando => "executando",
            Self::Concluido => "concluido",
            Self::ConcluidoComRessalva => "concluido_com_ressalva",
            Self::Interrompido => "interrompido",
            Self::Pausado => "pausado",
            Self::TokenRecusado => "token_recusado",
            Self::Suspenso => "suspenso",
            Self::Cancelado => "cancelado",
            Self::Falhou => "falhou",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether there is nothing left to do.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Concluido | Self::ConcluidoComRessalva)
    }
}

/// A scrap as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrap {
    /// Its id.
    pub id: i64,
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub rota: String,
    /// First and last day.
    pub period: Option<(String, String)>,
    /// Records to ask for in a page.
    pub page_size: i32,
    /// The connector's settings, a JSON object.
    pub settings: String,
    /// Where it stands.
    pub state: ScrapState,
    /// Why, as a notice in JSON.
    pub reason: Option<String>,
    /// The sweep that it is in, from 0.
    pub sweep: i32,
    /// Cursors known and not yet checkpointed.
    pub frontier: i64,
    /// Pages checkpointed, over all sweeps.
    pub pages: i64,
    /// The counts over those pages.
    pub counts: Counts,
    /// What the source declared last.
    pub total_records: Option<i64>,
    /// The cursor format of the connector that it began with.
    pub cursor_format: Option<i64>,
    /// The connector that ran it last.
    pub connector: Option<(String, String)>,
    /// How long it has run, over all its runs.
    pub elapsed_ms: i64,
    /// When a worker goes on with it, as the database writes it.
    pub again_at: Option<String>,
    /// Runs in a row that a passing failure ended, and that brought no page.
    pub failures: i32,
    /// How many slices it is divided into; 0: it is not. Then all else is what they add up to.
    pub slices: i32,
    /// How many of them are done.
    pub slices_done: i32,
    /// The scrap that it is a slice of.
    pub slice_of: Option<i64>,
    /// Records a transaction; none: as its host is set.
    pub batch: Option<i32>,
    /// Attempts at a page; none: as its host is set.
    pub retries: Option<i32>,
    /// When it was created, as the database writes it.
    pub created_at: String,
}

/// What became of records: `lidos` is always the sum of the four others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Counts {
    /// Records that entered the host.
    pub lidos: i64,
    /// New rows.
    pub inseridos: i64,
    /// Rows that were there from another page or another scrap.
    pub duplicados: i64,
    /// Rows that were there, on a page that was begun before: most likely our own.
    pub reencontrados: i64,
    /// Kept in `dados_rejeitados`.
    pub rejeitados: i64,
}

impl Counts {
    /// Whether the counts add up.
    pub fn add_up(&self) -> bool {
        self.off_by() == 0
    }

    /// How many more were read than became of anything.
    pub fn off_by(&self) -> i64 {
        self.lidos - self.inseridos - self.duplicados - self.reencontrados - self.rejeitados
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.lidos += other.lidos;
        self.inseridos += other.inseridos;
        self.duplicados += other.duplicados;
        self.reencontrados += other.reencontrados;
        self.rejeitados += other.rejeitados;
    }
}

/// The connector that runs a scrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorStamp {
    /// Its version, for people.
    pub version: String,
    /// The component's SHA-256, lower-case hex.
    pub sha256: String,
    /// The meaning of its cursors.
    pub cursor_format: i64,
}

/// The right to write for a scrap, until somebody else claims it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The scrap.
    pub scrap_id: i64,
    /// Its epoch when it was claimed.
    pub epoch: i64,
    /// The scrap's client.
    pub cliente_id: i32,
    /// The scrap's route, as rows carry it.
    pub origem: String,
}

/// A cursor's identity: the SHA-256 of its text, or zeros for the first page, which has no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CursorId(pub [u8; 32]);

impl CursorId {
    /// The first page.
    pub const ROOT: Self = Self([0; 32]);

    /// The identity of a cursor, or of its absence.
    pub fn of(cursor: Option<&str>) -> Self {
        cursor.map_or(Self::ROOT, |text| Self(Sha256::digest(text.as_bytes()).into()))
    }

    /// Lower-case hex.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From lower-case hex.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// One page of one sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageKey {
    /// The sweep, from 0.
    pub sweep: i32,
    /// The page's cursor.
    pub cursor: CursorId,
}

/// A cursor that is still to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCursor {
    /// Its place in the order in which cursors became known.
    pub order: i64,
    /// Its identity.
    pub id: CursorId,
    /// Its text; none for the first page.
    pub cursor: Option<String>,
    /// The page that named it first.
    pub parent: Option<CursorId>,
    /// How many pages led to it.
    pub depth: i32,
    /// Whether writing its page was begun before.
    pub begun: bool,
}

/// How a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageEnd {
    /// Its records are durable.
    Feita,
    /// The second look at an unchanged first page: nothing was taken from it.
    Conferida,
}

impl PageEnd {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Feita => "feita",
            Self::Conferida => "conferida",
        }
    }
}

/// A cursor that a page named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextCursor {
    /// Its identity.
    pub id: CursorId,
    /// Its text.
    pub cursor: String,
}

/// All that a finished page leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The page.
    pub page: PageKey,
    /// How it ended.
    pub end: PageEnd,
    /// How many pages led to it.
    pub depth: i32,
    /// What became of its records.
    pub counts: Counts,
    /// How often it was asked for.
    pub attempts: i32,
    /// What it held.
    pub facts: PageFacts,
    /// The connector's digest that fetched it.
    pub connector_sha256: String,
    /// The cursors that it named.
    pub next: Vec<NextCursor>,
    /// The bytes of those of its records that are rows because of it.
    pub row_bytes: i64,
}

/// What a page held, as far as later pages and sweeps are compared with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFacts {
    /// What the source declared on it.
    pub total_records: Option<i64>,
    /// A hash over its records' identities, in order.
    pub members: [u8; 32],
    /// A hash over its records' content, in order; none for a page without records.
    pub content: Option<[u8; 32]>,
    /// A hash over the cursors that it named, in order.
    pub branches: [u8; 32],
    /// How many pages of its chain in a row carried the very same records, itself included.
    pub repeats: i32,
}

/// What a ledger call changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LedgerReceipt {
    /// Cursors in the frontier now.
    pub frontier: i64,
    /// Pages checkpointed so far.
    pub pages: i64,
    /// The bytes of the cursors in the frontier.
    pub frontier_bytes: i64,
    /// What is kept for the client then. Nothing where no page was checkpointed.
    pub usage: ClientUsage,
}

/// What a whole sweep added up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepFacts {
    /// Pages that it took records from.
    pub pages: i64,
    /// Records read in it.
    pub lidos: i64,
    /// The largest number of its pages that carried the very same records.
    pub same_content: i64,
}

/// A record on its way into `dados_raw`.
#[derive(Debug, Clone, Copy)]
pub struct RecordRow<'a> {
    /// Its exact JSON text.
    pub payload: &'a str,
    /// `hash_conteudo`: 64 hex digits.
    pub hash: &'a str,
}

/// A record on its way into `dados_rejeitados`.
#[derive(Debug, Clone, Copy)]
pub struct RejectedRow<'a> {
    /// The page that it came from.
    pub page: PageKey,
    /// That page's cursor.
    pub cursor: Option<&'a str>,
    /// Its place on the page, from 0.
    pub position: i64,
    /// Why, for programs.
    pub code: &'a str,
    /// Why, for people.
    pub reason: &'a str,
    /// Its bytes.
    pub content: &'a [u8],
}

/// A rejected record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its id.
    pub id: i64,
    /// The scrap that met it.
    pub scrap_id: i64,
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub origem: String,
    /// What its page is known by: the cursor, or once that is erased, the cursor's SHA-256. None:
    /// the first page.
    pub cursor: Option<String>,
    /// Its place on the page, from 0.
    pub position: i64,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub reason: String,
    /// Its bytes.
    pub content: Vec<u8>,
    /// When, as the database writes it.
    pub created_at: String,
    /// When it was put into the table after all, if it was.
    pub replayed_at: Option<String>,
}

/// A page whose account is odd.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OddPage {
    /// The scrap, which may be a slice of the one that was asked about.
    pub scrap_id: i64,
    /// The reading of the source that it belongs to, from 0.
    pub varredura: i32,
    /// Its cursor; none: the first page, or it is erased.
    pub cursor: Option<String>,
    /// The cursor's SHA-256; zeros: the first page.
    pub cursor_hash: Vec<u8>,
    /// What became of its records.
    #[sqlx(flatten)]
    pub counts: Counts,
    /// What the source declared on it.
    pub total_declarado: Option<i64>,
    /// What it declared on the first page of the same reading.
    pub total_da_primeira: Option<i64>,
}

impl OddPage {
    /// What it is known by: its cursor, or once that is erased, the cursor's SHA-256. None: the
    /// first page.
    pub fn name(&self) -> Option<String> {
        cursors::name_of(self.cursor.as_deref(), &self.cursor_hash)
    }
}

/// Rows of one client and origem.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OrigemTotal {
    /// The route.
    pub origem: String,
    /// Rows.
    pub registros: i64,
    /// Rows whose hash another row has too, less one of each. Rows without a hash are nobody's double.
    pub repetidos: i64,
    /// When the first was collected, as the database writes it.
    pub primeira_coleta: Option<String>,
    /// When the last was.
    pub ultima_coleta: Option<String>,
}

/// One of the newest rows.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct NewestRow {
    /// The row's id.
    pub id: i64,
    /// The route.
    pub origem: String,
    /// When it was collected, as the database writes it.
    pub data_coleta: Option<String>,
    /// The payload, as the database writes it.
    pub payload: String,
    /// Its hash.
    pub hash_conteudo: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_connected_to_without_its_brackets_and_shown_with_them() {
        let by_url = StoreUrl::parse("postgres://u:senha@[::1]:5433/b");
        let by_parts = ["::1", "[::1]"]
            .map(|host| Some(StoreUrl::postgres_from_parts(host, 5433, "b", "u", &Secret::new("senha".to_owned()))));
        for url in by_parts.into_iter().chain([by_url]) {
            let Some(StoreUrl::Postgres(options)) = &url else { panic!("no server") };
            assert_eq!(options.get_host(), "::1");
            assert_eq!(url.map(|url| url.location()).as_deref(), Some("postgres://u@[::1]:5433/b"));
        }
    }
}
