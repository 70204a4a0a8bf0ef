//! PostgreSQL databases that the users already have: adopted as they stand.

use anyhow::Result;

use super::*;

/// The users' own tables, word for word.
const TABLES: &str = "CREATE TABLE clientes_tokens (
    id SERIAL PRIMARY KEY, cliente_id INTEGER UNIQUE NOT NULL, token TEXT NOT NULL,
    ativo BOOLEAN DEFAULT TRUE, criado_em TIMESTAMP DEFAULT NOW(), atualizado_em TIMESTAMP DEFAULT NOW());

CREATE TABLE dados_raw (
    id BIGSERIAL PRIMARY KEY,
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id),
    data_coleta TIMESTAMP DEFAULT NOW(),
    origem TEXT NOT NULL,
    payload JSONB NOT NULL,
    hash_conteudo TEXT UNIQUE);";

/// What they added over time.
const INDEXES: &str = "CREATE INDEX dados_raw_payload ON dados_raw USING GIN (payload);
CREATE UNIQUE INDEX dados_raw_cliente_hash ON dados_raw (cliente_id, hash_conteudo);
CREATE INDEX dados_raw_origem ON dados_raw (cliente_id, origem, data_coleta DESC);";

/// Rows of the first system: MD5 hashes, one with none, and one that may look like ours.
const ROWS: &str = r#"INSERT INTO clientes_tokens (cliente_id, token, ativo, criado_em) VALUES
    (7, 'token of 7', TRUE, '2024-01-01'), (8, 'token of 8', FALSE, NULL), (9, 'token of 9', NULL, NULL);
INSERT INTO dados_raw (cliente_id, origem, payload, data_coleta, hash_conteudo)
    SELECT 7, 'pedido', jsonb_build_object('id', n, 'valor', n / 7.0),
        '2024-05-01'::timestamp + n * interval '1 minute', md5(n::text) FROM generate_series(1, 500) n;
INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) VALUES
    (7, 'venda', '{"grande": 12345678901234567890.10}', NULL),
    (8, 'venda', '[]', repeat('a', 64));"#;

/// Rows with where they lie and who wrote them: a row that was written anew shows, even with the
/// same values.
const EVERY_ROW: &str = "SELECT 'd ' || ctid::text || ' ' || xmin::text || ' ' || d::text FROM dados_raw d \
    UNION ALL SELECT 'c ' || ctid::text || ' ' || xmin::text || ' ' || c::text FROM clientes_tokens c ORDER BY 1";

const EVERY_INDEX: &str =
    "SELECT indexdef FROM pg_indexes WHERE tablename IN ('dados_raw', 'clientes_tokens') ORDER BY 1";

async fn users_database() -> Result<Ground> {
    let database = Database::postgres().await?;
    database.execute(TABLES).await?;
    database.execute(ROWS).await?;
    database.execute(INDEXES).await?;
    Ground::empty(database).await
}

#[tokio::test]
async fn a_database_of_the_users_is_adopted_and_its_rows_stay_byte_for_byte() -> Result<()> {
    let ground = users_database().await?;
    let rows = ground.database.texts(EVERY_ROW).await?;
    let indexes = ground.database.texts(EVERY_INDEX).await?;
    assert_eq!((rows.len(), indexes.len()), (505, 7));

    let report = ground.store.init().await?;
    assert_eq!(report, InitReport { existed: true, adopted: true, foreign_rows: 501 });
    assert_eq!(ground.database.texts(EVERY_ROW).await?, rows);
    assert_eq!(ground.database.texts(EVERY_INDEX).await?, indexes);
    assert!(ground.store.schema().await?.is_ready());
    // It is ours now.
    assert_eq!(ground.store.init().await?, InitReport { existed: true, adopted: false, foreign_rows: 0 });
    assert_eq!(ground.database.texts(EVERY_ROW).await?, rows);
    Ok(())
}

#[tokio::test]
async fn rows_of_before_are_told_where_a_dba_has_made_our_tables_beside_them() -> Result<()> {
    let ground = users_database().await?;
    ground.database.execute(include_str!("../../../../migrations/dba.sql")).await?;
    let report = ground.store.init().await?;
    assert_eq!(report, InitReport { existed: true, adopted: true, foreign_rows: 501 });
    assert_eq!(ground.store.init().await?, InitReport { existed: true, adopted: false, foreign_rows: 0 });
    Ok(())
}

#[tokio::test]
async fn an_adopted_database_is_worked_with() -> Result<()> {
    let ground = users_database().await?;
    ground.store.init().await?;
    let clients = ground.store.clients().await?;
    assert_eq!(
        clients.iter().map(|c| (c.cliente_id, c.active)).collect::<Vec<_>>(),
        [(7, true), (8, false), (9, true)]
    );
    let access = ground.store.access(7, "jueri").await?.map(|a| a.token.expose().to_owned());
    assert_eq!(access.as_deref(), Some("token of 7"));

    let rows = ground.database.texts(EVERY_ROW).await?;
    let lease = ground.lease().await?;
    // The same content, hashed anew, is a new row; its MD5 hash given again is not.
    let md5 = ground.database.texts("SELECT hash_conteudo FROM dados_raw ORDER BY id LIMIT 1").await?.remove(0);
    let own = hash(1);
    let payload = r#"{"id": 1, "valor": 0.14285714285714285714}"#;
    let batch = [RecordRow { payload, hash: &own }, RecordRow { payload, hash: &md5 }];
    assert_eq!(ground.store.insert(&lease, &batch).await?, [true, false]);
    assert_eq!(ground.store.insert(&lease, &batch[..1]).await?, [false]);
    let after = ground.database.texts(EVERY_ROW).await?;
    assert_eq!(after.len(), rows.len() + 1);
    assert!(rows.iter().all(|row| after.contains(row)));
    let totals = ground.store.totals(7).await?;
    let seen: Vec<_> = totals.iter().map(|t| (t.origem.as_str(), t.registros, t.repetidos)).collect();
    assert_eq!(seen, [("pedido", 501, 0), ("venda", 1, 0)]);
    assert_eq!(fault(ground.store.remove_client(8).await), Some(Fault::InUse));
    Ok(())
}

#[tokio::test]
async fn what_an_older_copy_lacks_is_added() -> Result<()> {
    let database = Database::postgres().await?;
    database
        .execute(
            "CREATE TABLE clientes_tokens (id SERIAL PRIMARY KEY, cliente_id INTEGER UNIQUE NOT NULL,
                 token TEXT NOT NULL);
             CREATE TABLE dados_raw (id BIGSERIAL PRIMARY KEY,
                 cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id),
                 origem TEXT NOT NULL, payload JSONB NOT NULL);
             INSERT INTO clientes_tokens (cliente_id, token) VALUES (7, 'token');
             INSERT INTO dados_raw (cliente_id, origem, payload) VALUES (7, 'pedido', '1'), (7, 'pedido', '1');",
        )
        .await?;
    let ground = Ground::empty(database).await?;
    let report = ground.store.init().await?;
    assert_eq!(report, InitReport { existed: true, adopted: true, foreign_rows: 2 });
    assert!(ground.store.schema().await?.is_ready());
    assert!(ground.store.clients().await?[0].active);
    let lease = ground.lease().await?;
    let record = [RecordRow { payload: "1", hash: &hash(1) }];
    assert_eq!(ground.store.insert(&lease, &record).await?, [true]);
    assert_eq!(ground.store.insert(&lease, &record).await?, [false]);
    assert_eq!(ground.database.rows().await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_client_of_the_users_without_rows_can_be_removed() -> Result<()> {
    let ground = users_database().await?;
    ground.store.init().await?;
    assert!(ground.store.remove_client(9).await?);
    assert_eq!(fault(ground.store.remove_client(7).await), Some(Fault::InUse));
    Ok(())
}

/// What is said of a database that these statements were run on before it was adopted.
async fn concerns_after(statements: &str) -> Result<Vec<Concern>> {
    let ground = Ground::empty(Database::postgres().await?).await?;
    ground.database.execute(TABLES).await?;
    ground.database.execute(statements).await?;
    ground.store.init().await?;
    Ok(ground.store.concerns().await?)
}

#[tokio::test]
async fn what_keeps_records_out_of_an_adopted_table_is_found() -> Result<()> {
    assert_eq!(concerns_after(INDEXES).await?, []);
    let trigger = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
         CREATE TRIGGER descarta BEFORE INSERT ON dados_raw FOR EACH ROW EXECUTE FUNCTION f(); \
         CREATE TRIGGER depois AFTER DELETE ON dados_raw FOR EACH ROW EXECUTE FUNCTION f(); \
         CREATE TRIGGER desligado BEFORE INSERT ON dados_raw FOR EACH ROW EXECUTE FUNCTION f(); \
         ALTER TABLE dados_raw DISABLE TRIGGER desligado";
    assert_eq!(concerns_after(trigger).await?, [Concern::Trigger("descarta".to_owned())]);
    let rule = "CREATE RULE nada AS ON INSERT TO dados_raw DO INSTEAD NOTHING";
    assert_eq!(concerns_after(rule).await?, [Concern::Rule("nada".to_owned())]);
    let types = "ALTER TABLE dados_raw ALTER id TYPE integer, ALTER hash_conteudo TYPE varchar(32), \
         ALTER origem TYPE varchar(80), ADD loja integer NOT NULL";
    let of = |column, found: &str, wanted| Concern::ColumnType { column, found: found.to_owned(), wanted };
    assert_eq!(
        concerns_after(types).await?,
        [
            of("id", "integer", "bigint"),
            of("hash_conteudo", "character varying(32)", "text"),
            Concern::NoDefault("loja".to_owned()),
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_an_integer_breaks_neither_verify_nor_what_people_look_at() -> Result<()> {
    let ground = Ground::empty(Database::postgres().await?).await?;
    ground.database.execute(&TABLES.replace("id BIGSERIAL", "id SERIAL")).await?;
    ground.store.init().await?;
    let lease = ground.lease().await?;
    for n in 1..=3 {
        ground.store.insert(&lease, &[RecordRow { payload: &n.to_string(), hash: &hash(n) }]).await?;
    }
    let ids: Vec<i64> = ground.store.newest(CLIENT, 2).await?.iter().map(|row| row.id).collect();
    assert_eq!(ids, [3, 2]);
    assert_eq!(ground.store.record(2).await?.map(|record| record.payload).as_deref(), Some("2"));
    Ok(())
}

#[tokio::test]
async fn a_right_that_the_programs_role_lacks_is_found() -> Result<()> {
    let ground = Ground::ready(Database::postgres().await?).await?;
    let (role, url) = ground.database.role().await?;
    let grants = format!(
        "GRANT USAGE ON SCHEMA public TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}; \
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
    );
    ground.database.execute(&grants).await?;
    let store = open(&url, None).await?;
    assert_eq!(store.concerns().await?, []);
    let takes =
        format!("REVOKE INSERT ON dados_raw FROM {role}; REVOKE USAGE ON SEQUENCE dados_raw_id_seq FROM {role}");
    ground.database.execute(&takes).await?;
    let lacks = |on: &str, right: &str| Concern::Right { on: on.to_owned(), right: right.to_owned() };
    assert_eq!(store.concerns().await?, [lacks("dados_raw", "INSERT"), lacks("public.dados_raw_id_seq", "USAGE")]);
    store.close().await;
    Ok(())
}

#[tokio::test]
async fn what_keeps_records_out_of_an_embedded_table_is_found() -> Result<()> {
    let ground = Ground::empty(Database::sqlite()?).await?;
    ground
        .database
        .execute(
            "CREATE TABLE clientes_tokens (cliente_id INTEGER UNIQUE NOT NULL, token TEXT NOT NULL); \
             CREATE TABLE dados_raw (id SERIAL PRIMARY KEY, cliente_id INTEGER, data_coleta TIMESTAMP, origem TEXT, \
               payload TEXT, hash_conteudo TEXT UNIQUE, loja TEXT NOT NULL); \
             CREATE TRIGGER descarta BEFORE INSERT ON dados_raw BEGIN SELECT RAISE(IGNORE); END",
        )
        .await?;
    let concerns = ground.store.concerns().await?;
    let id = Concern::ColumnType { column: "id", found: "SERIAL".to_owned(), wanted: "INTEGER PRIMARY KEY" };
    let trigger = Concern::Trigger("descarta".to_owned());
    assert_eq!(concerns, [trigger, id, Concern::NoDefault("loja".to_owned())]);
    assert_eq!(Ground::ready(Database::sqlite()?).await?.store.concerns().await?, []);
    Ok(())
}
