//! A hundred thousand scraps, and as many records: the last page costs what the first one does.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, Faults, api};

use crate::client::Server;

const ROWS: u32 = 100_000;
/// For a page, on a machine that does other things too.
const BOUND: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_page_deep_among_a_hundred_thousand_is_as_fast_as_the_first() -> anyhow::Result<()> {
    let api = api(1, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(2151, &api).await?;
        let numbers = if atlas.database.is_postgres() {
            format!("generate_series(1, {ROWS}) n")
        } else {
            format!(
                "(WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS}) SELECT n FROM n) n"
            )
        };
        let fill = format!(
            "INSERT INTO scraps (cliente_id, rota, periodo_inicio, periodo_fim, tamanho_pagina, estado, paginas, lidos, inseridos) \
             SELECT 2151, CASE WHEN n.n % 10 = 0 THEN 'venda' ELSE 'pedido' END, '2025-10-20', '2025-10-20', 10, 'concluido', 1, 1, 1 FROM {numbers}; \
             INSERT INTO scrap_cursores (scrap_id, varredura, cursor_hash, cursor, estado) \
             SELECT 1, 0, {hash}, 'page ' || n.n, 'feita' FROM {numbers}; \
             INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) \
             SELECT 2151, 'pedido', '{{\"n\": 1.10}}', 'h' || n.n FROM {numbers}",
            hash = if atlas.database.is_postgres() {
                "decode(md5(CAST(n.n AS TEXT)), 'hex')"
            } else {
                "CAST(n.n AS BLOB)"
            }
        );
        atlas.database.execute(&fill).await?;
        let server = Server::start(&atlas, &[]).await?;
        let (browser, program) = (server.browser().await?, server.program(&atlas, true).await?);
        let (mut figures, mut slowest) = (String::new(), Duration::ZERO);
        for path in [
            "/scraps",
            "/scraps?cursor=50000",
            "/scraps?cursor=60",
            "/scraps?rota=venda&cursor=600",
            "/scraps?estado=falhou",
            "/scraps?cliente=2151&cursor=60",
            "/scraps/1",
            "/scraps/1/paginas?cursor=99000",
            "/dados",
            "/dados/registros?cursor=60",
            "/dados/registros?cliente=2151&rota=pedido",
            "/api/v1/scraps?limite=1000",
            "/api/v1/scraps?limite=1000&cursor=1001",
            "/api/v1/scraps/1/pages?limite=1000&cursor=90000",
            "/api/v1/records?limite=1000&cursor=1001",
            "/metrics",
        ] {
            let began = Instant::now();
            let caller = if path.starts_with("/api") { &program } else { &browser };
            let text = caller.page(path).await?;
            let took = began.elapsed();
            ensure!(text.len() > 500, "{path}: {text}");
            figures.push_str(&format!("\n  {:>6.1} ms  {path}", took.as_secs_f64() * 1_000.0));
            slowest = slowest.max(took);
        }
        let began = Instant::now();
        let export = program.page("/api/v1/records/export").await?;
        ensure!(export.lines().count() == ROWS as usize, "{} lines", export.lines().count());
        let rate = f64::from(ROWS) / began.elapsed().as_secs_f64();
        #[allow(clippy::disallowed_macros)] // worth knowing
        {
            let database = if atlas.database.is_postgres() { "PostgreSQL" } else { "SQLite" };
            eprintln!("{ROWS} scraps on {database}:{figures}\n  export: {rate:.0} records/s");
        }
        ensure!(slowest < BOUND, "{figures}");
        // Through all of them, part by part.
        let (mut seen, mut cursor) = (0, String::new());
        loop {
            let part = program.json(&format!("/scraps?limite=1000{cursor}")).await?;
            seen += part["itens"].as_array().context("items")?.len();
            let Some(next) = part["proximo"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, ROWS as usize);
        server.stop().await?;
    }
    Ok(())
}
