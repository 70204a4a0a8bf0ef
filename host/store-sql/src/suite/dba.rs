//! PostgreSQL where the program may not create tables: a DBA has, with `migrations/dba.sql`.

use std::time::Duration;

use anyhow::{Context, Result};

use super::*;

const DBA_SQL: &str = include_str!("../../../../migrations/dba.sql");

/// Everything of the tables that a program or a person could see. The first letter says of what
/// kind a line is.
const EVERYTHING: &str = "SELECT 'column ' || table_name || ' ' || ordinal_position || ' ' || column_name \
      || ' ' || data_type || ' ' || is_nullable || ' ' || COALESCE(column_default, '') \
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'atlas_migracoes' \
    UNION ALL SELECT 'index ' || indexdef FROM pg_indexes \
      WHERE schemaname = 'public' AND tablename <> 'atlas_migracoes' \
    UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) \
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'atlas_migracoes' \
    UNION ALL SELECT 'sequence ' || sequencename || ' ' || data_type || ' ' || start_value || ' ' || increment_by \
      FROM pg_sequences WHERE schemaname = 'public' \
    UNION ALL SELECT 'owned ' || d.objid::regclass || ' ' || d.refobjid::regclass || ' ' || d.refobjsubid \
      FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' AND d.deptype = 'a' \
    UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal \
    ORDER BY 1";

/// The GRANTs at the end of the file, for this role.
fn grants(role: &str) -> Result<String> {
    let lines =
        DBA_SQL.lines().skip_while(|line| !line.starts_with("-- GRANT")).map_while(|line| line.strip_prefix("--"));
    let grants = lines.collect::<Vec<_>>().join("\n");
    anyhow::ensure!(grants.matches("TO atlas;").count() >= 6, "no GRANTs in dba.sql: {grants}");
    Ok(grants.replace("TO atlas;", &format!("TO {role};")))
}

#[tokio::test]
async fn dba_sql_makes_what_init_makes_and_init_leaves_it() -> Result<()> {
    let by_init = Ground::ready(Database::postgres().await?).await?;
    let expected = by_init.database.texts(EVERYTHING).await?;
    assert!(expected.len() > 60, "{expected:#?}");

    let by_hand = Ground::empty(Database::postgres().await?).await?;
    by_hand.database.execute(DBA_SQL).await?;
    assert_eq!(by_hand.database.texts(EVERYTHING).await?, expected);
    assert!(by_hand.store.schema().await?.is_ready());

    let report = by_hand.store.init().await?;
    assert_eq!(report, InitReport { existed: true, adopted: false, foreign_rows: 0 });
    assert_eq!(by_hand.database.texts(EVERYTHING).await?, expected);
    let status = by_hand.store.schema().await?;
    assert!(status.is_ready() && status.version == status.newest, "{status:?}");
    // And it may be run again, on either.
    by_hand.database.execute(DBA_SQL).await?;
    by_init.database.execute(DBA_SQL).await?;
    assert_eq!(by_hand.database.texts(EVERYTHING).await?, expected);
    assert_eq!(by_init.database.texts(EVERYTHING).await?, expected);
    Ok(())
}

/// Does a little of everything that the program does.
async fn work(store: &dyn Store) -> Result<()> {
    store.add_client(CLIENT, &secret("token")).await?;
    store.set_client(CLIENT, Some(&secret("other")), Some(true)).await?;
    store.set_api(CLIENT, "jueri", at("https://a/")).await?;
    store.set_api(CLIENT, "jueri", credential(&secret("key"))).await?;
    assert!(store.access(CLIENT, "jueri").await?.is_some());
    let parts = Parts::of_token(secret("key"));
    let mut several = parts.clone();
    several.set("refresh_token", secret("r"));
    assert!(store.set_credential(CLIENT, "jueri", Some(&several)).await?);
    let access = AccessToken { token: secret("t"), renew_at: None };
    store.lock_credential(CLIENT, "jueri").await?.keep(&several, &access).await?;
    assert!(store.set_credential(CLIENT, "jueri", Some(&parts)).await?);
    let id = store.create_scrap(&new_scrap(CLIENT)).await?;
    let lease = store.claim(id, &stamp("1"), HOST).await?;
    assert_eq!(store.insert(&lease, &[RecordRow { payload: "1", hash: &hash(1) }]).await?, [true]);
    let (one, two) = (hash(1), hash(2));
    let batch = [RecordRow { payload: "1", hash: &one }, RecordRow { payload: "2", hash: &two }];
    assert_eq!(store.insert(&lease, &batch).await?, [false, true]);
    let first = page(0, None);
    let row = RejectedRow { page: first, cursor: None, position: 0, code: "c", reason: "r", content: b"x" };
    store.reject(&lease, &[row]).await?;
    let rejected = store.rejects(None, 0, 10).await?.remove(0);
    assert_eq!(store.replay(&rejected, &RecordRow { payload: "9", hash: &hash(9) }).await?, Some(true));
    store.ledger(&lease, &[first], &[]).await?;
    store.ledger(&lease, &[], &[done(first, &["a"])]).await?;
    store.open_sweep(&lease, 1).await?;
    assert_eq!(store.pending(&lease, 1, 0, 10).await?.len(), 1);
    assert!(store.finish(&lease, &end(ScrapState::Concluido, None, 1)).await?);
    assert_eq!(store.totals(CLIENT).await?.len(), 1);
    let account = Account { cliente_id: CLIENT, api: "jueri" };
    let asked = RequestsAsked { requests: 1, interval: Duration::from_secs(1), per_day: Some(5), day_offset: 0 };
    assert!(matches!(store.reserve(account, asked).await?, Reserved::Granted { .. }));
    store.hold_off(account, Duration::from_secs(1)).await?;
    assert_eq!(store.take_slot(account, 1, HOST).await?, Some(1));
    store.leave_slot(account, 1, HOST).await?;
    let id = store.add_schedule(&new_schedule(CLIENT)).await?;
    let schedule = store.due_schedules(100).await?.remove(0);
    let firing = Firing { schedule: &schedule, next: 200, scrap: &new_scrap(CLIENT) };
    assert!(matches!(store.fire(&firing).await?, Fired::Scrap(_)));
    assert!(store.remove_schedule(id).await?);
    assert!(store.publish(&publication("a", b"bytes")).await? > 0);
    assert_eq!(store.publications().await?.len(), 1);
    assert!(store.published_file("a").await?.is_some());
    assert!(store.remove_api(CLIENT, "jueri").await?);
    assert_eq!(fault(store.remove_client(CLIENT).await), Some(Fault::InUse));
    store.add_client(8, &secret("token")).await?;
    assert!(store.remove_client(8).await?);
    Ok(())
}

#[tokio::test]
async fn a_role_that_may_not_create_works_on_what_the_dba_made() -> Result<()> {
    let database = Database::postgres().await?;
    database.execute(DBA_SQL).await?;
    let (role, url) = database.role().await?;
    database.execute(&grants(&role)?).await?;
    let store = open(&url, None).await?;
    assert!(store.schema().await?.is_ready());
    let report = store.init().await?;
    assert_eq!(report, InitReport { existed: true, adopted: false, foreign_rows: 0 });
    work(store.as_ref()).await
}

#[tokio::test]
async fn a_role_that_may_not_create_works_on_what_its_owner_initialised() -> Result<()> {
    let ground = Ground::ready(Database::postgres().await?).await?;
    let (role, url) = ground.database.role().await?;
    ground.database.execute(&grants(&role)?).await?;
    let store = open(&url, None).await?;
    assert!(store.schema().await?.is_ready());
    store.init().await?;
    work(store.as_ref()).await
}

#[tokio::test]
async fn a_role_that_may_create_but_does_not_own_the_tables_works_on_them() -> Result<()> {
    let database = Database::postgres().await?;
    database.execute(DBA_SQL).await?;
    let (role, url) = database.role().await?;
    database.execute(&grants(&role)?).await?;
    database.execute(&format!("GRANT CREATE ON SCHEMA public TO {role}")).await?;
    let store = open(&url, None).await?;
    store.init().await?;
    store.init().await?;
    assert!(store.schema().await?.is_ready());
    work(store.as_ref()).await
}

#[tokio::test]
async fn a_role_that_may_not_create_is_told_so_where_tables_are_missing() -> Result<()> {
    let database = Database::postgres().await?;
    let (_, url) = database.role().await?;
    let store = open(&url, None).await?;
    let error = store.init().await.err().context("it created tables")?;
    assert_eq!(error.fault, Fault::Schema);
    assert!(error.database_message().contains("permission denied"), "{}", error.database_message());
    assert_eq!(store.schema().await?.missing_tables.len(), 20);
    Ok(())
}

#[tokio::test]
async fn an_init_that_failed_holds_nobody_else_up() -> Result<()> {
    let database = Database::postgres().await?;
    let (_, url) = database.role().await?;
    let refused = open(&url, None).await?;
    assert!(refused.init().await.is_err());
    // The first one's connections are still open.
    let ground = Ground::empty(database).await?;
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, ground.store.init()).await.context("init waits for one that failed")??;
    tokio::time::timeout(patience, refused.schema()).await.context("the first one is stuck")??;
    Ok(())
}
