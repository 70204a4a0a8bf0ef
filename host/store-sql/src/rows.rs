//! Rows that become a value of the model in more than one step.

use atlas_model::{
    AccessToken, Client, ClientApi, Counts, CursorId, DefaultFor, HeldCredential, Lease, PageFacts, Parts,
    PendingCursor, Rejected, Scrap, ScrapState, SweepFacts, cursor_name,
};
use atlas_store::{Fault, StoreError};

use crate::seal::{Column, Sealer, SecretLocation};
use crate::values::row;

row! {
    pub(crate) struct ScrapRow {
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

row! {
    /// What a statement that takes a scrap returns.
    pub(crate) struct LeaseRow {
        id: i64,
        epoca: i64,
        cliente_id: i32,
        rota: String,
    }
}

impl From<LeaseRow> for Lease {
    fn from(row: LeaseRow) -> Self {
        Self { scrap_id: row.id, epoch: row.epoca, cliente_id: row.cliente_id, origem: row.rota }
    }
}

row! {
    pub(crate) struct ClientRow {
        cliente_id: i32,
        ativo: Option<bool>,
        api: Option<String>,
        base_url: Option<String>,
        propria: Option<bool>,
        rede_privada: Option<bool>,
    }
}

/// Whether a client's default serves the API that `ACCESS` was asked for.
pub(crate) fn default_for(serves: bool, is_bound: bool) -> DefaultFor {
    match (serves, is_bound) {
        (true, _) => DefaultFor::ThisApi,
        (false, true) => DefaultFor::Others,
        (false, false) => DefaultFor::Nothing,
    }
}

/// Groups the rows of `CLIENTS`, which come sorted by client, with those of `SERVED`.
pub(crate) fn group_clients(rows: Vec<ClientRow>, served: Vec<(i32, String)>) -> Vec<Client> {
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

row! {
    /// A row of `CREDENTIAL`, sealed as it stands.
    pub(crate) struct CredentialRow {
        partes: String,
        acesso: Option<String>,
    }
}

impl CredentialRow {
    pub(crate) fn open(self, sealer: &Sealer, cliente_id: i32, api: &str) -> Result<HeldCredential, StoreError> {
        let open = |column, stored| sealer.open(SecretLocation { cliente_id, api, column }, stored);
        let parts = open(Column::Partes, self.partes)?;
        let parts = Parts::from_json(parts.expose()).ok_or_else(|| {
            StoreError::new(Fault::Other, "look up the client's credential", "its parts are not a JSON object of texts")
        })?;
        let access = self.acesso.map(|stored| open(Column::Acesso, stored)).transpose()?;
        // An access token that cannot be parsed is requested anew.
        Ok(HeldCredential { parts, access: access.and_then(|access| AccessToken::from_json(access.expose())) })
    }
}

row! {
    /// A row of the statements of `SECRETS`.
    pub(crate) struct SecretRow {
        pub(crate) cliente_id: i32,
        pub(crate) api: String,
        pub(crate) valor: String,
    }
}

row! {
    pub(crate) struct PendingRow {
        ordem: i64,
        cursor_hash: Vec<u8>,
        cursor: Option<String>,
        pai_hash: Option<Vec<u8>>,
        profundidade: i32,
        iniciado: bool,
    }
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

row! {
    pub(crate) struct PageFactsRow {
        total_declarado: Option<i64>,
        membros: Option<Vec<u8>>,
        conteudo: Option<Vec<u8>>,
        ramos: Option<Vec<u8>>,
        repeticoes: i32,
    }
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

row! {
    pub(crate) struct SweepFactsRow {
        pages: i64,
        lidos: i64,
        same_content: i64,
    }
}

impl From<SweepFactsRow> for SweepFacts {
    fn from(row: SweepFactsRow) -> Self {
        Self { pages: row.pages, lidos: row.lidos, same_content: row.same_content }
    }
}

row! {
    pub(crate) struct RejectedRowOut {
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
}

impl From<RejectedRowOut> for Rejected {
    fn from(row: RejectedRowOut) -> Self {
        Self {
            id: row.id,
            scrap_id: row.scrap_id,
            cliente_id: row.cliente_id,
            origem: row.origem,
            cursor: cursor_name(row.cursor.as_deref(), &row.cursor_hash),
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
