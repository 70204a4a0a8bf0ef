//! How rows of either database become the store's values, and the statements that both databases take as they stand.
//!
//! Placeholders are `$1, $2, …`, which SQLite understands too; `CAST(… AS TEXT)` writes times in both.

use sqlx::FromRow;

use super::cursors;
use super::error::{Fault, StoreError};
use super::queue::{Asked, Standing};
use super::seal::{Column, Place, Sealer};
use super::types::{
    Client, ClientApi, Counts, CursorId, DefaultFor, HeldCredential, Lease, PageFacts, PendingCursor, Rejected, Scrap,
    ScrapState, SweepFacts,
};
use crate::source::{AccessToken, Parts};

/// The tables, in the order in which migrations create them.
pub(super) const TABLES: [&str; 20] = [
    "clientes_tokens",
    "dados_raw",
    "clientes_apis",
    "clientes_credenciais",
    "scraps",
    "scrap_cursores",
    "dados_rejeitados",
    "atlas_hosts",
    "atlas_orcamentos",
    "atlas_vagas",
    "atlas_agendas",
    "atlas_conectores",
    "atlas_acessos",
    "atlas_pedidos",
    "clientes_configuracoes",
    "atlas_quarentena",
    "atlas_uso",
    "scrap_linhas",
    "scrap_ritmo",
    "clientes_padrao",
];

/// Columns that later migrations add to them.
pub(super) const COLUMNS: [(&str, &str); 7] = [
    ("clientes_apis", "rede_privada"),
    ("scraps", "pedido"),
    ("clientes_credenciais", "renovando_ate"),
    ("dados_rejeitados", "reprocessado_em"),
    ("scraps", "fatia_de"),
    ("scraps", "tentativas_max"),
    ("scraps", "fronteira_bytes"),
];

/// The statements of our SQL that create a table, a column or an index, each of which may be there
/// already.
pub(super) fn definitions(sql: &str) -> impl Iterator<Item = String> {
    let lines = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let statements: Vec<String> = text.split(';').map(|statement| statement.trim().to_owned()).collect();
    let defines = |statement: &String| {
        let begins = |what: &str| statement.starts_with(what);
        begins("CREATE TABLE IF NOT EXISTS ")
            || begins("CREATE INDEX IF NOT EXISTS ")
            || begins("CREATE UNIQUE INDEX IF NOT EXISTS ")
            || begins("ALTER TABLE ") && statement.contains(" ADD COLUMN ")
    };
    statements.into_iter().filter(defines)
}

/// The names of the indexes that our SQL creates.
pub(super) fn indexes(sql: &str) -> Vec<String> {
    let created = definitions(sql).filter(|statement| !statement.starts_with("ALTER "));
    let named = created.filter_map(|statement| {
        let (_, rest) = statement.split_once("INDEX IF NOT EXISTS ")?;
        rest.split_whitespace().next().map(str::to_owned)
    });
    named.collect()
}

/// The columns of [`ScrapRow`], for `concat!`.
macro_rules! scrap_columns {
    () => {
        "id, cliente_id, rota, periodo_inicio, periodo_fim, tamanho_pagina, \
         configuracao, estado, motivo, varredura, fronteira, paginas, lidos, inseridos, duplicados, reencontrados, \
         rejeitados, total_declarado, formato_cursor, conector_versao, conector_sha256, duracao_ms, \
         CAST(retomar_em AS TEXT) AS retomar_em, falhas, fatias, fatia_de, lote, tentativas_max, \
         CAST(criado_em AS TEXT) AS criado_em"
    };
}
pub(super) use scrap_columns;

pub(super) const SCRAP_BY_ID: &str = concat!("SELECT ", scrap_columns!(), " FROM scraps WHERE id = $1");

pub(super) const CLIENTS: &str = "SELECT c.cliente_id, c.ativo, a.api, a.base_url, a.rede_privada, \
       (a.credencial IS NOT NULL OR k.api IS NOT NULL) AS propria \
     FROM clientes_tokens c LEFT JOIN clientes_apis a ON a.cliente_id = c.cliente_id \
     LEFT JOIN clientes_credenciais k ON k.cliente_id = a.cliente_id AND k.api = a.api ORDER BY c.cliente_id, a.api";

pub(super) const ACCESS: &str = "SELECT c.ativo, c.token, p.base_url AS base_padrao, p.rede_privada AS privada_padrao, \
     a.base_url, a.credencial, a.rede_privada, \
     EXISTS (SELECT 1 FROM clientes_padrao d WHERE d.cliente_id = c.cliente_id AND d.tipo = 'api' AND d.nome = $2) AS serve, \
     EXISTS (SELECT 1 FROM clientes_padrao d WHERE d.cliente_id = c.cliente_id AND d.tipo = 'api') AS vinculado \
     FROM clientes_tokens c \
     LEFT JOIN clientes_apis p ON p.cliente_id = c.cliente_id AND p.api = '' \
     LEFT JOIN clientes_apis a ON a.cliente_id = c.cliente_id AND a.api = $2 AND $2 <> '' \
     WHERE c.cliente_id = $1";

/// What the clients' defaults serve.
pub(super) const SERVED: &str =
    "SELECT cliente_id, nome FROM clientes_padrao WHERE tipo = 'api' ORDER BY cliente_id, nome";

pub(super) const REMOVE_API: &str = "DELETE FROM clientes_apis WHERE cliente_id = $1 AND api = $2";
pub(super) const UNBIND: &str = "DELETE FROM clientes_padrao WHERE cliente_id = $1 AND tipo = 'api' AND nome = $2";

/// A credential of several parts.
pub(super) const CREDENTIAL: &str =
    "SELECT partes, acesso FROM clientes_credenciais WHERE cliente_id = $1 AND api = $2";

/// Whether somebody has its lock, be their time over or not.
pub(super) const CREDENTIAL_HELD: &str =
    "SELECT renovando IS NOT NULL FROM clientes_credenciais WHERE cliente_id = $1 AND api = $2";

/// By whoever has the lock.
pub(super) const KEEP_CREDENTIAL: &str = "UPDATE clientes_credenciais SET partes = $4, acesso = $5, renovando = NULL, \
     renovando_ate = NULL, atualizado_em = CURRENT_TIMESTAMP WHERE cliente_id = $1 AND api = $2 AND renovando = $3";

pub(super) const RELEASE_CREDENTIAL: &str = "UPDATE clientes_credenciais SET renovando = NULL, renovando_ate = NULL \
     WHERE cliente_id = $1 AND api = $2 AND renovando = $3";

pub(super) const SET_TOKEN: &str = "UPDATE clientes_apis SET credencial = $3, atualizado_em = CURRENT_TIMESTAMP \
     WHERE cliente_id = $1 AND api = $2";

/// An access token that was got with other parts goes with them, and so does the lock of whoever renews it.
pub(super) const SET_PARTS: &str = "INSERT INTO clientes_credenciais (cliente_id, api, partes) VALUES ($1, $2, $3) \
     ON CONFLICT (cliente_id, api) DO UPDATE SET partes = excluded.partes, acesso = NULL, \
       renovando = NULL, renovando_ate = NULL, atualizado_em = CURRENT_TIMESTAMP";

pub(super) const REMOVE_PARTS: &str = "DELETE FROM clientes_credenciais WHERE cliente_id = $1 AND api = $2";

/// Every column that holds secrets: how all of them are read, and how one is written.
pub(super) const SECRETS: [(Column, &str, &str); 5] = [
    (
        Column::Token,
        "SELECT cliente_id, '' AS api, token AS valor FROM clientes_tokens WHERE token <> ''",
        "UPDATE clientes_tokens SET token = $3 WHERE cliente_id = $1 AND $2 = ''",
    ),
    (
        Column::Credencial,
        "SELECT cliente_id, api, credencial AS valor FROM clientes_apis WHERE credencial <> ''",
        "UPDATE clientes_apis SET credencial = $3 WHERE cliente_id = $1 AND api = $2",
    ),
    (
        Column::Partes,
        "SELECT cliente_id, api, partes AS valor FROM clientes_credenciais",
        // Whoever renews has the old key, and is to keep nothing that was sealed with it.
        "UPDATE clientes_credenciais SET partes = $3, renovando = NULL, renovando_ate = NULL \
           WHERE cliente_id = $1 AND api = $2",
    ),
    (
        Column::Acesso,
        "SELECT cliente_id, api, acesso AS valor FROM clientes_credenciais WHERE acesso IS NOT NULL",
        "UPDATE clientes_credenciais SET acesso = $3 WHERE cliente_id = $1 AND api = $2",
    ),
    (
        Column::Configuracao,
        "SELECT cliente_id, api, configuracao AS valor FROM clientes_configuracoes",
        "UPDATE clientes_configuracoes SET configuracao = $3 WHERE cliente_id = $1 AND api = $2",
    ),
];

/// The first page of a sweep.
pub(super) const INSERT_ROOT: &str = "INSERT INTO scrap_cursores (scrap_id, varredura, cursor_hash) \
     VALUES ($1, $2, $3) ON CONFLICT (scrap_id, varredura, cursor_hash) DO NOTHING";

/// Whatever its epoch is, unless one is given. One that is done stays so.
pub(super) const CLAIM: &str = "UPDATE scraps SET epoca = epoca + 1, estado = 'executando', motivo = NULL, \
     iniciado_em = COALESCE(iniciado_em, CURRENT_TIMESTAMP), terminado_em = NULL, conector_versao = $2, \
     conector_sha256 = $3, formato_cursor = COALESCE(formato_cursor, $4), retomar_em = NULL, \
     pedido = CASE WHEN host = $5 THEN pedido END, host = $5 WHERE id = $1 AND epoca = COALESCE($6, epoca) \
       AND estado NOT IN ('concluido', 'concluido_com_ressalva') AND fatias = 0 \
     RETURNING id, epoca, cliente_id, rota";

/// A scrap that somebody else inserted has no first page yet. Changes nothing the second time.
pub(super) const FIRST_PAGE: &str = "INSERT INTO scrap_cursores (scrap_id, varredura, cursor_hash) \
     SELECT id, 0, $2 FROM scraps WHERE id = $1 AND varredura = 0 AND paginas = 0 AND fronteira = 0 \
     ON CONFLICT (scrap_id, varredura, cursor_hash) DO NOTHING";

pub(super) const FIRST_PAGE_COUNTS: &str = "UPDATE scraps SET fronteira = 1 \
     WHERE id = $1 AND varredura = 0 AND paginas = 0 AND fronteira = 0";

/// Whether an end stands that this lease's holder wrote: nothing else ends a run without a newer lease.
pub(super) const ENDED: &str =
    "SELECT EXISTS (SELECT 1 FROM scraps WHERE id = $1 AND epoca = $2 AND estado <> 'executando')";

/// What is asked of whoever holds the lease, if it is the newest.
pub(super) const STANDING: &str = "SELECT pedido FROM scraps WHERE id = $1 AND epoca = $2";

pub(super) fn standing(asked: Option<Option<String>>) -> Standing {
    match asked {
        None => Standing::Lost,
        Some(None) => Standing::Held,
        Some(Some(_)) => Standing::AskedToPause,
    }
}

pub(super) const LEAVE: &str = "DELETE FROM atlas_hosts WHERE id = $1";

/// Gives whether somebody runs it.
pub(super) const REQUEUE: &str = "UPDATE scraps SET pedido = NULL, retomar_em = NULL, falhas = 0, \
       motivo = CASE WHEN estado = 'executando' THEN motivo END, host = CASE WHEN estado = 'executando' THEN host END, \
       terminado_em = CASE WHEN estado = 'executando' THEN terminado_em END, \
       estado = CASE WHEN estado = 'executando' THEN estado ELSE 'pendente' END \
     WHERE id = $1 AND fatias = 0 AND estado NOT IN ('concluido', 'concluido_com_ressalva') \
       AND (estado <> 'executando' OR pedido IS NOT NULL) RETURNING estado = 'executando'";

/// What became of a wish, by whether somebody runs the scrap; none: no row was fit for it.
pub(super) fn asked(somebody_runs_it: Option<bool>) -> Asked {
    match somebody_runs_it {
        None => Asked::Refused,
        Some(false) => Asked::Done,
        Some(true) => Asked::Passed,
    }
}

pub(super) const CANCEL: &str = "UPDATE scraps SET epoca = epoca + 1, estado = 'cancelado', motivo = $2, \
     host = NULL, retomar_em = NULL, pedido = NULL, terminado_em = CURRENT_TIMESTAMP \
     WHERE (id = $1 OR fatia_de = $1) AND fatias = 0 AND estado NOT IN ('concluido', 'concluido_com_ressalva')";

pub(super) const CONNECTORS_IN_USE: &str = "SELECT DISTINCT conector_sha256 FROM scraps \
     WHERE conector_sha256 IS NOT NULL AND estado NOT IN ('concluido', 'concluido_com_ressalva')";

/// Changes nothing the second time, so that it may be repeated.
pub(super) const OPEN_SWEEP: &str = "UPDATE scraps SET varredura = $3, \
       fronteira = fronteira + CASE WHEN varredura < $3 THEN 1 ELSE 0 END \
     WHERE id = $1 AND epoca = $2 AND varredura <= $3";

pub(super) const PENDING: &str = "SELECT ordem, cursor_hash, cursor, pai_hash, profundidade, iniciado \
     FROM scrap_cursores WHERE scrap_id = $1 AND varredura = $2 AND estado = 'pendente' AND ordem > $3 \
     ORDER BY ordem LIMIT $4";

pub(super) const KNOWS: &str =
    "SELECT 1 FROM scrap_cursores WHERE scrap_id = $1 AND varredura = $2 AND cursor_hash = $3";

/// Walks up from a page; `UNION` ends the walk should the parents ever form a ring.
pub(super) const IS_ANCESTOR: &str = "WITH RECURSIVE acima(h) AS ( \
       SELECT pai_hash FROM scrap_cursores WHERE scrap_id = $1 AND varredura = $2 AND cursor_hash = $3 \
       UNION \
       SELECT c.pai_hash FROM scrap_cursores c JOIN acima a ON c.cursor_hash = a.h \
         WHERE c.scrap_id = $1 AND c.varredura = $2) \
     SELECT 1 FROM acima WHERE h = $4 LIMIT 1";

pub(super) const PAGE_FACTS: &str = "SELECT total_declarado, membros, conteudo, ramos, repeticoes \
     FROM scrap_cursores WHERE scrap_id = $1 AND varredura = $2 AND cursor_hash = $3 AND estado <> 'pendente'";

pub(super) const SWEEP_FACTS: &str = "SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) AS pages, \
       CAST(COALESCE(SUM(n_lidos), 0) AS BIGINT) AS lidos, \
       CAST(COALESCE(MAX(CASE WHEN conteudo IS NULL THEN 0 ELSE n END), 0) AS BIGINT) AS same_content \
     FROM (SELECT conteudo, COUNT(*) AS n, SUM(lidos) AS n_lidos FROM scrap_cursores \
           WHERE scrap_id = $1 AND varredura = $2 AND estado = 'feita' GROUP BY conteudo) porconteudo";

pub(super) const REJECTS: &str = "SELECT id, scrap_id, cliente_id, origem, cursor, cursor_hash, posicao, codigo, motivo, conteudo, \
       CAST(criado_em AS TEXT) AS criado_em, CAST(reprocessado_em AS TEXT) AS reprocessado_em \
     FROM dados_rejeitados \
     WHERE ($1 IS NULL OR scrap_id = $1 OR scrap_id IN (SELECT id FROM scraps WHERE fatia_de = $1)) AND id > $2 ORDER BY id LIMIT $3";

/// Their sizes, in the same order.
pub(super) const REJECT_SIZES: &str = "SELECT CAST(LENGTH(conteudo) AS BIGINT) FROM dados_rejeitados \
     WHERE ($1 IS NULL OR scrap_id = $1 OR scrap_id IN (SELECT id FROM scraps WHERE fatia_de = $1)) AND id > $2 ORDER BY id LIMIT $3";

pub(super) const REJECTED: &str = "SELECT id, scrap_id, cliente_id, origem, cursor, cursor_hash, posicao, codigo, motivo, conteudo, \
       CAST(criado_em AS TEXT) AS criado_em, CAST(reprocessado_em AS TEXT) AS reprocessado_em \
     FROM dados_rejeitados WHERE id = $1";

pub(super) const REPLAYED: &str = "UPDATE dados_rejeitados SET reprocessado_em = CURRENT_TIMESTAMP \
     WHERE id = $1 AND reprocessado_em IS NULL";

/// The first verification query: what there is of each route, and that no row is there twice.
pub(super) const TOTALS: &str = "SELECT origem, COUNT(*) AS registros, COUNT(hash_conteudo) - COUNT(DISTINCT hash_conteudo) AS repetidos, \
       CAST(MIN(data_coleta) AS TEXT) AS primeira_coleta, CAST(MAX(data_coleta) AS TEXT) AS ultima_coleta \
     FROM dados_raw WHERE cliente_id = $1 GROUP BY origem ORDER BY origem";

/// Pages of a scrap whose counts do not add up, or that declared another total than the first page of their sweep.
pub(super) const ODD_PAGES: &str = "SELECT p.scrap_id, p.varredura, p.cursor, p.cursor_hash, p.lidos, p.inseridos, p.duplicados, p.reencontrados, p.rejeitados, \
       p.total_declarado, r.total_declarado AS total_da_primeira \
     FROM scrap_cursores p LEFT JOIN scrap_cursores r ON r.scrap_id = p.scrap_id AND r.varredura = p.varredura AND r.pai_hash IS NULL \
     WHERE p.scrap_id IN (SELECT id FROM scraps WHERE id = $1 OR fatia_de = $1) AND p.estado <> 'pendente' \
       AND (p.lidos <> p.inseridos + p.duplicados + p.reencontrados + p.rejeitados \
         OR p.total_declarado IS DISTINCT FROM r.total_declarado) ORDER BY p.ordem LIMIT $2";

/// What the pages of a scrap add up to, all sweeps together.
pub(super) const PAGES_TOGETHER: &str = "SELECT CAST(COALESCE(SUM(lidos), 0) AS BIGINT) AS lidos, \
       CAST(COALESCE(SUM(inseridos), 0) AS BIGINT) AS inseridos, CAST(COALESCE(SUM(duplicados), 0) AS BIGINT) AS duplicados, \
       CAST(COALESCE(SUM(reencontrados), 0) AS BIGINT) AS reencontrados, \
       CAST(COALESCE(SUM(rejeitados), 0) AS BIGINT) AS rejeitados FROM scrap_cursores \
     WHERE scrap_id IN (SELECT id FROM scraps WHERE id = $1 OR fatia_de = $1) AND estado = 'feita'";

/// The second: the newest rows, to look at.
pub(super) const NEWEST: &str = "SELECT CAST(id AS BIGINT) AS id, origem, CAST(data_coleta AS TEXT) AS data_coleta, \
       CAST(payload AS TEXT) AS payload, hash_conteudo \
     FROM dados_raw WHERE cliente_id = $1 ORDER BY dados_raw.id DESC LIMIT $2";

/// Whether a row with this hash is there.
pub(super) const IS_THERE: &str = "SELECT EXISTS (SELECT 1 FROM dados_raw WHERE hash_conteudo = $1)";

/// A payload that no table refuses for what it is.
pub(super) const HARMLESS: &str = "{}";

/// A hash of no record, of the length that those of records have.
pub(super) fn harmless_hash() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

/// A row that is not there after it was inserted without an error.
pub(super) fn not_kept(doing: &'static str) -> StoreError {
    StoreError::new(Fault::NotKept, doing, "a trigger or a rule of dados_raw dropped the row")
}

#[derive(FromRow)]
pub(super) struct ScrapRow {
    id: i64,
    cliente_id: i32,
    rota: String,
    periodo_inicio: Option<String>,
    periodo_fim: Option<String>,
    tamanho_pagina: i32,
    configuracao: String,
    estado: String,
    motivo: Option<String>,
    varredura: i32,
    fronteira: i64,
    paginas: i64,
    lidos: i64,
    inseridos: i64,
    duplicados: i64,
    reencontrados: i64,
    rejeitados: i64,
    total_declarado: Option<i64>,
    formato_cursor: Option<i64>,
    conector_versao: Option<String>,
    conector_sha256: Option<String>,
    duracao_ms: i64,
    retomar_em: Option<String>,
    falhas: i32,
    fatias: i32,
    fatia_de: Option<i64>,
    lote: Option<i32>,
    tentativas_max: Option<i32>,
    criado_em: String,
}

impl From<ScrapRow> for Scrap {
    fn from(row: ScrapRow) -> Self {
        Self {
            id: row.id,
            cliente_id: row.cliente_id,
            rota: row.rota,
            period: row.periodo_inicio.zip(row.periodo_fim),
            page_size: row.tamanho_pagina,
            settings: row.configuracao,
            // A state that a later version wrote: not ours to run, so it counts as failed.
            state: ScrapState::from_name(&row.estado).unwrap_or(ScrapState::Falhou),
            reason: row.motivo,
            sweep: row.varredura,
            frontier: row.fronteira,
            pages: row.paginas,
            counts: Counts {
                lidos: row.lidos,
                inseridos: row.inseridos,
                duplicados: row.duplicados,
                reencontrados: row.reencontrados,
                rejeitados: row.rejeitados,
            },
            total_records: row.total_declarado,
            cursor_format: row.formato_cursor,
            connector: row.conector_versao.zip(row.conector_sha256),
            elapsed_ms: row.duracao_ms,
            again_at: row.retomar_em,
            failures: row.falhas,
            slices: row.fatias,
            slices_done: 0,
            slice_of: row.fatia_de,
            batch: row.lote,
            retries: row.tentativas_max,
            created_at: row.criado_em,
        }
    }
}

/// What a statement that takes a scrap returns.
#[derive(FromRow)]
pub(super) struct LeaseRow {
    id: i64,
    epoca: i64,
    cliente_id: i32,
    rota: String,
}

impl From<LeaseRow> for Lease {
    fn from(row: LeaseRow) -> Self {
        Self { scrap_id: row.id, epoch: row.epoca, cliente_id: row.cliente_id, origem: row.rota }
    }
}

#[derive(FromRow)]
pub(super) struct ClientRow {
    cliente_id: i32,
    ativo: Option<bool>,
    api: Option<String>,
    base_url: Option<String>,
    propria: Option<bool>,
    rede_privada: Option<bool>,
}

/// Whether a client's default serves the API that [`ACCESS`] was asked for.
pub(super) fn default_for(serves: bool, is_bound: bool) -> DefaultFor {
    match (serves, is_bound) {
        (true, _) => DefaultFor::ThisApi,
        (false, true) => DefaultFor::Others,
        (false, false) => DefaultFor::Nothing,
    }
}

/// Groups the rows of [`CLIENTS`], which come sorted by client, with those of [`SERVED`].
pub(super) fn group_clients(rows: Vec<ClientRow>, served: Vec<(i32, String)>) -> Vec<Client> {
    let mut clients: Vec<Client> = Vec::new();
    for row in rows {
        if clients.last().is_none_or(|c| c.cliente_id != row.cliente_id) {
            clients.push(Client {
                cliente_id: row.cliente_id,
                active: row.ativo.unwrap_or(true),
                apis: Vec::new(),
                served: Vec::new(),
            });
        }
        if let (Some(client), Some((api, base_url))) = (clients.last_mut(), row.api.zip(row.base_url)) {
            let (has_credential, private) = (row.propria.unwrap_or(false), row.rede_privada.unwrap_or(false));
            client.apis.push(ClientApi { api, base_url, has_credential, private });
        }
    }
    for (cliente_id, api) in served {
        if let Ok(at) = clients.binary_search_by_key(&cliente_id, |client| client.cliente_id) {
            clients[at].served.push(api);
        }
    }
    clients
}

/// A row of [`CREDENTIAL`], sealed as it stands.
#[derive(FromRow)]
pub(super) struct CredentialRow {
    partes: String,
    acesso: Option<String>,
}

impl CredentialRow {
    pub(super) fn open(self, sealer: &Sealer, cliente_id: i32, api: &str) -> Result<HeldCredential, StoreError> {
        let open = |column, stored| sealer.open(Place { cliente_id, api, column }, stored);
        let parts = open(Column::Partes, self.partes)?;
        let parts = Parts::from_json(parts.expose()).ok_or_else(|| {
            StoreError::new(Fault::Other, "look up the client's credential", "its parts are not a JSON object of texts")
        })?;
        let access = self.acesso.map(|stored| open(Column::Acesso, stored)).transpose()?;
        // One that cannot be read is got anew.
        Ok(HeldCredential { parts, access: access.and_then(|access| AccessToken::from_json(access.expose())) })
    }
}

/// A row of the statements of [`SECRETS`].
#[derive(FromRow)]
pub(super) struct SecretRow {
    pub(super) cliente_id: i32,
    pub(super) api: String,
    pub(super) valor: String,
}

#[derive(FromRow)]
pub(super) struct PendingRow {
    ordem: i64,
    cursor_hash: Vec<u8>,
    cursor: Option<String>,
    pai_hash: Option<Vec<u8>>,
    profundidade: i32,
    iniciado: bool,
}

impl From<PendingRow> for PendingCursor {
    fn from(row: PendingRow) -> Self {
        Self {
            order: row.ordem,
            id: CursorId(digest(&row.cursor_hash)),
            cursor: row.cursor,
            parent: row.pai_hash.as_deref().map(|h| CursorId(digest(h))),
            depth: row.profundidade,
            begun: row.iniciado,
        }
    }
}

#[derive(FromRow)]
pub(super) struct PageFactsRow {
    total_declarado: Option<i64>,
    membros: Option<Vec<u8>>,
    conteudo: Option<Vec<u8>>,
    ramos: Option<Vec<u8>>,
    repeticoes: i32,
}

impl From<PageFactsRow> for PageFacts {
    fn from(row: PageFactsRow) -> Self {
        Self {
            total_records: row.total_declarado,
            members: digest(row.membros.as_deref().unwrap_or_default()),
            content: row.conteudo.as_deref().map(digest),
            branches: digest(row.ramos.as_deref().unwrap_or_default()),
            repeats: row.repeticoes,
        }
    }
}

#[derive(FromRow)]
pub(super) struct SweepFactsRow {
    pages: i64,
    lidos: i64,
    same_content: i64,
}

impl From<SweepFactsRow> for SweepFacts {
    fn from(row: SweepFactsRow) -> Self {
        Self { pages: row.pages, lidos: row.lidos, same_content: row.same_content }
    }
}

#[derive(FromRow)]
pub(super) struct RejectedRowOut {
    id: i64,
    scrap_id: i64,
    cliente_id: i32,
    origem: String,
    cursor: Option<String>,
    cursor_hash: Vec<u8>,
    posicao: i64,
    codigo: String,
    motivo: String,
    conteudo: Vec<u8>,
    criado_em: String,
    reprocessado_em: Option<String>,
}

impl From<RejectedRowOut> for Rejected {
    fn from(row: RejectedRowOut) -> Self {
        Self {
            id: row.id,
            scrap_id: row.scrap_id,
            cliente_id: row.cliente_id,
            origem: row.origem,
            cursor: cursors::name_of(row.cursor.as_deref(), &row.cursor_hash),
            position: row.posicao,
            code: row.codigo,
            reason: row.motivo,
            content: row.conteudo,
            created_at: row.criado_em,
            replayed_at: row.reprocessado_em,
        }
    }
}

/// A digest column; zeros should it ever hold anything else.
fn digest(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or([0; 32])
}
