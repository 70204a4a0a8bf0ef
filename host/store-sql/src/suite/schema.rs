//! Creating the tables on a database that has none, or some.

use anyhow::{Context, Result};

use super::*;

on_both!(empty:
    an_empty_database_lacks_every_table,
    init_creates_everything,
    init_again_leaves_everything,
    init_by_two_at_once_succeeds_for_both,
    apis_of_before_may_be_at_private_addresses,
    a_default_of_before_serves_the_routes_that_its_client_had,
    a_missing_hash_index_is_created,
    hashes_that_are_there_twice_are_the_schemas_fault,
    other_tables_are_left_alone,
    whatever_was_dropped_since_is_created_again,
);

/// The users' two tables from a database whose hash column lost its index.
const WITHOUT_INDEX: [&str; 2] = [
    "CREATE TABLE clientes_tokens (id INTEGER PRIMARY KEY AUTOINCREMENT, cliente_id INTEGER UNIQUE NOT NULL, \
       token TEXT NOT NULL, ativo BOOLEAN DEFAULT TRUE, criado_em TIMESTAMP DEFAULT CURRENT_TIMESTAMP, \
       atualizado_em TIMESTAMP DEFAULT CURRENT_TIMESTAMP); \
     CREATE TABLE dados_raw (id INTEGER PRIMARY KEY AUTOINCREMENT, \
       cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id), \
       data_coleta TIMESTAMP DEFAULT CURRENT_TIMESTAMP, origem TEXT NOT NULL, payload TEXT NOT NULL, \
       hash_conteudo TEXT);",
    "CREATE TABLE clientes_tokens (id SERIAL PRIMARY KEY, cliente_id INTEGER UNIQUE NOT NULL, token TEXT NOT NULL, \
       ativo BOOLEAN DEFAULT TRUE, criado_em TIMESTAMP DEFAULT NOW(), atualizado_em TIMESTAMP DEFAULT NOW()); \
     CREATE TABLE dados_raw (id BIGSERIAL PRIMARY KEY, \
       cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id), data_coleta TIMESTAMP DEFAULT NOW(), \
       origem TEXT NOT NULL, payload JSONB NOT NULL, hash_conteudo TEXT);",
];

async fn an_empty_database_lacks_every_table(ground: &Ground) -> Result<()> {
    let status = ground.store.schema().await?;
    assert_eq!(status.missing_tables.len(), 20);
    assert_eq!(status.version, 0);
    assert!(status.newest >= 1 && !status.hash_is_unique && !status.is_ready());
    let server = if ground.database.is_postgres() { "PostgreSQL " } else { "SQLite " };
    assert!(status.server.starts_with(server), "{}", status.server);
    assert_eq!(fault(ground.store.clients().await), Some(Fault::Schema));
    assert_eq!(fault(ground.store.scrap(1).await), Some(Fault::Schema));
    Ok(())
}

async fn init_creates_everything(ground: &Ground) -> Result<()> {
    let report = ground.store.init().await?;
    assert_eq!(report, InitReport { existed: false, adopted: false, foreign_rows: 0 });
    let status = ground.store.schema().await?;
    assert!(status.is_ready(), "{status:?}");
    assert_eq!(status.version, status.newest);
    assert!(status.missing_tables.is_empty() && status.hash_is_unique);
    Ok(())
}

async fn init_again_leaves_everything(ground: &Ground) -> Result<()> {
    ground.store.init().await?;
    let lease = ground.lease().await?;
    ground.store.insert(&lease, &[RecordRow { payload: "1", hash: &hash(1) }]).await?;
    let status = ground.store.schema().await?;
    for store in [Arc::clone(&ground.store), ground.another().await?] {
        let report = store.init().await?;
        assert_eq!(report, InitReport { existed: true, adopted: false, foreign_rows: 0 });
    }
    assert_eq!(ground.store.schema().await?, status);
    assert_eq!(ground.database.rows().await?, 1);
    assert!(ground.store.standing(&lease).await? == Standing::Held);
    Ok(())
}

async fn init_by_two_at_once_succeeds_for_both(ground: &Ground) -> Result<()> {
    let (two, three) = (ground.another().await?, ground.another().await?);
    let (one, two, three) = tokio::join!(ground.store.init(), two.init(), three.init());
    for report in [one?, two?, three?] {
        assert_eq!(report.foreign_rows, 0);
    }
    let status = ground.store.schema().await?;
    assert!(status.is_ready() && status.version == status.newest, "{status:?}");
    Ok(())
}

/// The tables as the first migration alone makes them.
const BASE: [&str; 2] = [
    include_str!("../../../../migrations/sqlite/0001_base.sql"),
    include_str!("../../../../migrations/postgres/0001_base.sql"),
];

async fn apis_of_before_may_be_at_private_addresses(ground: &Ground) -> Result<()> {
    ground.database.execute_either(BASE[0], BASE[1]).await?;
    ground
        .database
        .execute(
            "INSERT INTO clientes_tokens (cliente_id, token) VALUES (7, 't'); \
             INSERT INTO clientes_apis (cliente_id, api, base_url) VALUES (7, '', 'http://192.168.0.10/api');",
        )
        .await?;
    let later = [
        "clientes_credenciais",
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
        "clientes_apis.rede_privada",
        "scraps.pedido",
        "dados_rejeitados.reprocessado_em",
        "scraps.fatia_de",
        "scraps.tentativas_max",
        "scraps.fronteira_bytes",
    ];
    assert_eq!(ground.store.schema().await?.missing_tables, later);
    ground.store.init().await?;
    assert!(ground.store.schema().await?.is_ready());
    // The operator's own word, from when there was no other way to say it.
    assert!(ground.store.access(7, "jueri").await?.is_some_and(|access| access.default_private));
    ground.store.set_api(7, "jueri", at("https://b/")).await?;
    assert!(ground.store.access(7, "jueri").await?.is_some_and(|access| access.api.is_some_and(|api| !api.private)));
    Ok(())
}

async fn a_default_of_before_serves_the_routes_that_its_client_had(ground: &Ground) -> Result<()> {
    ground.database.execute_either(BASE[0], BASE[1]).await?;
    ground
        .database
        .execute(
            "INSERT INTO clientes_tokens (cliente_id, token) VALUES (7, 't'), (8, 't'), (9, 't'); \
             INSERT INTO clientes_apis (cliente_id, api, base_url) VALUES (7, '', 'https://a/'), (8, '', 'https://a/'), \
               (9, 'bling', 'https://b/'); \
             INSERT INTO scraps (cliente_id, rota, tamanho_pagina) VALUES (7, 'venda', 9), (7, 'pedido', 9), \
               (7, 'pedido', 9), (9, 'pedido', 9);",
        )
        .await?;
    ground.store.init().await?;
    // Of one that has run nothing, or has no default address, nothing is known.
    let of_7 = |route: &str| (7, route.to_owned());
    assert_eq!(ground.store.unsettled_defaults().await?, [of_7("pedido"), of_7("venda")]);
    ground.store.settle_default(7, "pedido", Some("jueri")).await?;
    ground.store.settle_default(7, "venda", None).await?;
    assert!(ground.store.unsettled_defaults().await?.is_empty());
    assert_eq!(ground.store.asked_defaults().await?, [of_7("venda")]);
    let served: Vec<_> = ground.store.clients().await?.into_iter().map(|client| client.served).collect();
    assert_eq!(served, [vec!["jueri".to_owned()], vec![], vec![]]);
    // Settled once: what is queued later is no word of the operator's.
    ground.store.settle_default(7, "nota", Some("outra")).await?;
    ground.store.init().await?;
    assert!(ground.store.unsettled_defaults().await?.is_empty());
    assert_eq!(ground.store.clients().await?[0].served, ["jueri"]);
    Ok(())
}

async fn a_missing_hash_index_is_created(ground: &Ground) -> Result<()> {
    ground.database.execute_either(WITHOUT_INDEX[0], WITHOUT_INDEX[1]).await?;
    ground
        .database
        .execute(
            "INSERT INTO clientes_tokens (cliente_id, token) VALUES (7, 't'); \
             INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) \
               VALUES (7, 'pedido', '1', '0cc175b9c0f1b6a831c399e269772661'), (7, 'pedido', '2', NULL), \
                 (7, 'pedido', '3', NULL); \
             CREATE INDEX not_unique ON dados_raw (hash_conteudo); \
             CREATE UNIQUE INDEX not_all ON dados_raw (hash_conteudo) WHERE origem = 'venda'; \
             CREATE UNIQUE INDEX not_alone ON dados_raw (hash_conteudo, origem, id);",
        )
        .await?;
    assert!(!ground.store.schema().await?.hash_is_unique);
    let report = ground.store.init().await?;
    assert_eq!(report, InitReport { existed: true, adopted: true, foreign_rows: 3 });
    assert!(ground.store.schema().await?.is_ready());
    let lease = ground.lease().await?;
    let record = [RecordRow { payload: "4", hash: &hash(4) }];
    assert_eq!(ground.store.insert(&lease, &record).await?, [true]);
    assert_eq!(ground.store.insert(&lease, &record).await?, [false]);
    assert_eq!(ground.store.init().await?, InitReport { existed: true, adopted: false, foreign_rows: 0 });
    assert_eq!(ground.database.rows().await?, 4);
    Ok(())
}

async fn hashes_that_are_there_twice_are_the_schemas_fault(ground: &Ground) -> Result<()> {
    ground.database.execute_either(WITHOUT_INDEX[0], WITHOUT_INDEX[1]).await?;
    ground
        .database
        .execute(
            "INSERT INTO clientes_tokens (cliente_id, token) VALUES (7, 't'); \
             INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) \
               VALUES (7, 'pedido', '1', 'twice'), (7, 'pedido', '2', 'twice');",
        )
        .await?;
    // Not a collision: the same again would never do. And not ours to delete.
    assert_eq!(fault(ground.store.init().await), Some(Fault::Schema));
    assert_eq!(ground.database.rows().await?, 2);
    assert!(!ground.store.schema().await?.is_ready());
    ground.database.execute("DELETE FROM dados_raw WHERE CAST(payload AS TEXT) = '2'").await?;
    ground.store.init().await?;
    assert!(ground.store.schema().await?.is_ready());
    Ok(())
}

async fn whatever_was_dropped_since_is_created_again(ground: &Ground) -> Result<()> {
    ground.store.init().await?;
    let whole = ground.store.schema().await?;
    for dropped in [
        "DROP TABLE dados_raw",
        "DROP TABLE dados_rejeitados",
        "DROP TABLE atlas_pedidos; DROP TABLE atlas_acessos; DROP INDEX scraps_fila",
        "ALTER TABLE scraps DROP COLUMN pedido",
        "ALTER TABLE dados_raw RENAME TO dados_raw_antigo",
    ] {
        ground.database.execute(dropped).await?;
        let report = ground.store.init().await.with_context(|| dropped.to_owned())?;
        assert_eq!((report.existed, report.adopted), (!dropped.contains("dados_raw"), false), "{dropped}");
        assert_eq!(ground.store.schema().await?, whole, "{dropped}");
    }
    let lease = ground.lease().await?;
    assert_eq!(ground.store.insert(&lease, &[RecordRow { payload: "1", hash: &hash(1) }]).await?, [true]);
    Ok(())
}

async fn other_tables_are_left_alone(ground: &Ground) -> Result<()> {
    // Another program's migrations under the usual name, and a column of its own in our table
    // afterwards.
    ground
        .database
        .execute("CREATE TABLE _sqlx_migrations (version BIGINT); INSERT INTO _sqlx_migrations VALUES (9)")
        .await?;
    ground.store.init().await?;
    ground.database.execute("ALTER TABLE dados_raw ADD COLUMN processado BOOLEAN DEFAULT FALSE").await?;
    ground.database.execute("CREATE VIEW vistos AS SELECT id, processado FROM dados_raw").await?;
    ground.store.init().await?;
    let lease = ground.lease().await?;
    ground.store.insert(&lease, &[RecordRow { payload: "1", hash: &hash(1) }]).await?;
    assert_eq!(ground.database.number("SELECT COUNT(*) FROM vistos WHERE NOT processado").await?, 1);
    assert_eq!(ground.database.number("SELECT CAST(version AS BIGINT) FROM _sqlx_migrations").await?, 9);
    Ok(())
}
