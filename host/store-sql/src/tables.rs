//! Our tables and columns, and what our SQL defines.

/// The tables, in the order in which migrations create them.
pub(crate) const TABLES: [&str; 20] = [
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
pub(crate) const COLUMNS: [(&str, &str); 7] = [
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
pub(crate) fn definitions(sql: &str) -> impl Iterator<Item = String> {
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
pub(crate) fn indexes(sql: &str) -> Vec<String> {
    let created = definitions(sql).filter(|statement| !statement.starts_with("ALTER "));
    let named = created.filter_map(|statement| {
        let (_, rest) = statement.split_once("INDEX IF NOT EXISTS ")?;
        rest.split_whitespace().next().map(str::to_owned)
    });
    named.collect()
}

/// Characters of a hash: what its column has to hold.
pub(crate) const HASH_LENGTH: u32 = 64;

/// Columns that Atlas gives a value to.
pub(crate) const GIVEN: [&str; 4] = ["cliente_id", "origem", "payload", "hash_conteudo"];
