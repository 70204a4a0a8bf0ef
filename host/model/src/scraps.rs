//! Scraps: one extraction of a route for a client, its state and its counts.

use std::time::Duration;

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
    /// Whether it is created paused, so that no worker takes it before it is requeued.
    pub paused: bool,
}

/// The end of a run, as the table records it.
#[derive(Debug, Clone, Copy)]
pub struct RunEnd<'a> {
    /// The state in which it leaves the scrap.
    pub state: ScrapState,
    /// Why, as notices in JSON.
    pub reason: Option<&'a str>,
    /// How long it took.
    pub elapsed_ms: i64,
    /// How long no worker takes the scrap. `None`: the state alone decides whether it is taken at
    /// once or never.
    pub again_in: Option<Duration>,
    /// Runs in a row, this one included, that a passing failure ended and that brought no page.
    pub failures: i32,
    /// Whether it ended because an operator asked for a pause. If that was withdrawn since, the
    /// scrap goes back into the queue.
    pub as_asked: bool,
}

/// The state of a scrap. Every state but the first two ends a run; all but the two `Concluido` can
/// be resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScrapState {
    /// Created, never run.
    Pendente,
    /// Running; or its host died and no other has resumed it yet.
    Executando,
    /// Everything that the source has is in the table.
    Concluido,
    /// Done, but records were rejected, or the source kept moving, or its own total does not add
    /// up.
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
    /// The connector crashed or broke a limit, or the source broke its contract, or the database
    /// failed.
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

/// Counts of records by outcome: `lidos` is always the sum of the four others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

    /// How many records were read and are in none of the other counts.
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

/// The right to write for a scrap, until another process claims it.
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
