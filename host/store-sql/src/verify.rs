//! The two verification queries, as operators run them by hand.

/// The two verification queries, as people type them; `$1` is the client. What the page shows is
/// counted in the same way.
pub const VERIFY_TOTALS: &str =
    "SELECT origem, COUNT(*), COUNT(DISTINCT hash_conteudo) FROM dados_raw WHERE cliente_id = $1 GROUP BY origem;";

/// The second verification query: a client's newest rows.
pub const VERIFY_NEWEST: &str =
    "SELECT id, origem, data_coleta, payload FROM dados_raw WHERE cliente_id = $1 ORDER BY id DESC LIMIT 5;";
