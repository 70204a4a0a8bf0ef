//! How rows become values of the model. The model knows no database, so each value that is read as
//! it stands has a row here: the same fields, and for each the column's name where that is another.

use atlas_model::{
    AccessRow, ClientUsage, Counts, HistoryPlace, HostRow, LogLine, NewestRow, OddPage, OrigemTotal, PacePoint,
    PageRow, Publication, PublishedFile, QuarantineRow, RawRecord, Schedule, ScrapSums, StepTotal,
};

/// Declares a struct that is read from a row of either database: each field from the column of its
/// name, or the one that `=` gives it, and those behind `+` from the columns of their own. sqlx's
/// derive does the same, and builds both drivers and SQLite's C source a second time, for the
/// compiler.
macro_rules! row {
    (
        $(#[$attribute:meta])*
        $visible:vis struct $row:ident {
            $($(#[$field_attribute:meta])* $field_visible:vis $field:ident: $type:ty $(= $column:literal)?,)+
        } $(+ { $($part:ident: $part_type:ty,)+ })?
    ) => {
        $(#[$attribute])*
        $visible struct $row {
            $($(#[$field_attribute])* $field_visible $field: $type,)+
            $($($part: $part_type,)+)?
        }

        impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for $row
        where
            &'static str: sqlx::ColumnIndex<R>,
            $($type: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,)+
            $($($part_type: sqlx::FromRow<'r, R>,)+)?
        {
            fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
                Ok(Self {
                    $($field: row.try_get($crate::values::column!($field $($column)?))?,)+
                    $($($part: sqlx::FromRow::from_row(row)?,)+)?
                })
            }
        }
    };
}

/// The column of a field.
macro_rules! column {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $column:literal) => {
        $column
    };
}

pub(crate) use {column, row};

/// Declares the row of a query, and the value that it becomes.
macro_rules! rows {
    ($(
        $row:ident => $value:ident {
            $($field:ident: $type:ty $(= $column:literal)?,)+
        } $(+ { $($part:ident: $part_type:ty,)+ })?
    )+) => {
        $(
            row! {
                #[derive(Clone)]
                pub(crate) struct $row {
                    $($field: $type $(= $column)?,)+
                } $(+ { $($part: $part_type,)+ })?
            }

            impl From<$row> for $value {
                fn from(row: $row) -> Self {
                    Self { $($field: row.$field.into(),)+ $($($part: row.$part.into(),)+)? }
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
        total_declarado: Option<i64>,
        total_da_primeira: Option<i64>,
    } + {
        counts: CountsRow,
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
        rejects: i64 = "rejeitados",
        reject_bytes: i64 = "rejeitados_bytes",
        cursors: i64 = "cursores",
        cursor_bytes: i64 = "cursores_bytes",
        records: i64 = "registros",
        record_bytes: i64 = "registros_bytes",
    }
    AccessColumns => AccessRow {
        id: i64,
        name: String = "nome",
        scope: String = "escopo",
        expires: Option<i64> = "expira_em",
        seen: Option<i64> = "visto_em",
        created_at: String = "criado_em",
    }
    PageColumns => PageRow {
        ordem: i64,
        varredura: i32,
        cursor: Option<String>,
        cursor_hash: Vec<u8>,
        estado: String,
        iniciado: bool,
        tentativas: i32,
        total_declarado: Option<i64>,
        conector_sha256: Option<String>,
        gravado_em: Option<String>,
    } + {
        counts: CountsRow,
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
        component: Vec<u8> = "componente",
        signature: Option<Vec<u8>> = "assinatura",
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
        timezone: String = "fuso",
        window_days: Option<i32> = "janela_dias",
        page_size: i32 = "tamanho_pagina",
        overlap: bool = "sobrepor",
        active: bool = "ativa",
        next: i64 = "proxima",
        last_scrap: Option<i64> = "ultimo_scrap",
        last_day: Option<String> = "ultimo_dia",
    }
}

/// Rows as values.
pub(crate) fn values<R, V: From<R>>(rows: Vec<R>) -> Vec<V> {
    rows.into_iter().map(V::from).collect()
}
