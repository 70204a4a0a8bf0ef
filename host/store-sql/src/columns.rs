//! Columns that several statements name, for `concat!`.

/// The columns of [`ScrapRow`](crate::rows::ScrapRow).
macro_rules! scrap_columns {
    () => {
        "id, cliente_id, rota, periodo_inicio, periodo_fim, tamanho_pagina, \
         configuracao, estado, motivo, varredura, fronteira, paginas, lidos, inseridos, duplicados, reencontrados, \
         rejeitados, total_declarado, formato_cursor, conector_versao, conector_sha256, duracao_ms, \
         CAST(retomar_em AS TEXT) AS retomar_em, falhas, fatias, fatia_de, lote, tentativas_max, \
         CAST(criado_em AS TEXT) AS criado_em"
    };
}

/// The columns of what is kept for a client.
macro_rules! usage_columns {
    () => {
        "rejeitados, rejeitados_bytes, cursores, cursores_bytes, registros, registros_bytes"
    };
}
