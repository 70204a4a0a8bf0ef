//! How rows become values of the model. The model knows no database, so each value that is read as
//! it stands has a row here: the same fields, and for each the column's name where that is another.

use atlas_model::{
    AccessRow, ClientUsage, Counts, HistoryPlace, HostRow, LogLine, NewestRow, OddPage, OrigemTotal, PacePoint,
    PageRow, Publication, PublishedFile, QuarantineRow, RawRecord, Schedule, ScrapSums, StepTotal,
};
use sqlx::FromRow;

/// Declares the row of a query, and the value that it becomes.
macro_rules! rows {
    ($($row:ident => $value:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)+ })+) => {
        $(
            #[derive(Clone, FromRow)]
            pub(crate) struct $row {
                $($(#[$attribute])* $field: $type,)+
            }

            impl From<$row> for $value {
                fn from(row: $row) -> Self {
                    Self { $($field: row.$field.into(),)+ }
                }
            }
        )+
    };
}

rows! {
    CountsRow => Counts {
        lidos: i64,
        inseridos: i64,
        duplicados: i64,
        reencontrados: i64,
        rejeitados: i64,
    }
    OddPageRow => OddPage {
        scrap_id: i64,
        varredura: i32,
        cursor: Option<String>,
        cursor_hash: Vec<u8>,
        #[sqlx(flatten)]
        counts: CountsRow,
        total_declarado: Option<i64>,
        total_da_primeira: Option<i64>,
    }
    OrigemTotalRow => OrigemTotal {
        origem: String,
        registros: i64,
        repetidos: i64,
        primeira_coleta: Option<String>,
        ultima_coleta: Option<String>,
    }
    NewestColumns => NewestRow {
        id: i64,
        origem: String,
        data_coleta: Option<String>,
        payload: String,
        hash_conteudo: Option<String>,
    }
    ClientUsageRow => ClientUsage {
        #[sqlx(rename = "rejeitados")]
        rejects: i64,
        #[sqlx(rename = "rejeitados_bytes")]
        reject_bytes: i64,
        #[sqlx(rename = "cursores")]
        cursors: i64,
        #[sqlx(rename = "cursores_bytes")]
        cursor_bytes: i64,
        #[sqlx(rename = "registros")]
        records: i64,
        #[sqlx(rename = "registros_bytes")]
        record_bytes: i64,
    }
    AccessColumns => AccessRow {
        id: i64,
        #[sqlx(rename = "nome")]
        name: String,
        #[sqlx(rename = "escopo")]
        scope: String,
        #[sqlx(rename = "expira_em")]
        expires: Option<i64>,
        #[sqlx(rename = "visto_em")]
        seen: Option<i64>,
        #[sqlx(rename = "criado_em")]
        created_at: String,
    }
    PageColumns => PageRow {
        ordem: i64,
        varredura: i32,
        cursor: Option<String>,
        cursor_hash: Vec<u8>,
        estado: String,
        iniciado: bool,
        tentativas: i32,
        #[sqlx(flatten)]
        counts: CountsRow,
        total_declarado: Option<i64>,
        conector_sha256: Option<String>,
        gravado_em: Option<String>,
    }
    RawRecordRow => RawRecord {
        id: i64,
        cliente_id: i32,
        origem: String,
        data_coleta: Option<String>,
        payload: String,
        hash_conteudo: Option<String>,
    }
    HostColumns => HostRow {
        nome: String,
        versao: String,
        iniciado_em: String,
        visto_em: String,
        correndo: i64,
    }
    StepTotalRow => StepTotal {
        origem: String,
        passo: i64,
        registros: i64,
    }
    ScrapSumsRow => ScrapSums {
        scraps: i64,
        inacabados: i64,
        lidos: i64,
        inseridos: i64,
        duplicados: i64,
        reencontrados: i64,
        rejeitados: i64,
    }
    LogLineRow => LogLine {
        ordem: i64,
        em: i64,
        aviso: String,
    }
    PacePointRow => PacePoint {
        ordem: i64,
        em: i64,
        por_segundo: f64,
        pagina_ms: Option<f64>,
    }
    HistoryPlaceRow => HistoryPlace {
        cliente_id: i32,
        linhas: i64,
        pontos: i64,
    }
    PublicationRow => Publication {
        id: i64,
        rota: String,
        versao: String,
        sha256: String,
        aceito: bool,
        em_uso: bool,
        criado_em: String,
    }
    PublishedFileRow => PublishedFile {
        #[sqlx(rename = "componente")]
        component: Vec<u8>,
        #[sqlx(rename = "assinatura")]
        signature: Option<Vec<u8>>,
    }
    QuarantineColumns => QuarantineRow {
        sha256: String,
        rota: String,
        versao: String,
        sinal: String,
    }
    ScheduleRow => Schedule {
        id: i64,
        cliente_id: i32,
        rota: String,
        cron: String,
        #[sqlx(rename = "fuso")]
        timezone: String,
        #[sqlx(rename = "janela_dias")]
        window_days: Option<i32>,
        #[sqlx(rename = "tamanho_pagina")]
        page_size: i32,
        #[sqlx(rename = "sobrepor")]
        overlap: bool,
        #[sqlx(rename = "ativa")]
        active: bool,
        #[sqlx(rename = "proxima")]
        next: i64,
        #[sqlx(rename = "ultimo_scrap")]
        last_scrap: Option<i64>,
        #[sqlx(rename = "ultimo_dia")]
        last_day: Option<String>,
    }
}

/// Rows as values.
pub(crate) fn values<R, V: From<R>>(rows: Vec<R>) -> Vec<V> {
    rows.into_iter().map(V::from).collect()
}
