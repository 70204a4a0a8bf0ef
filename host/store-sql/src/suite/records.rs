//! Records on their way into `dados_raw`.

use anyhow::{Context, Result};

use super::*;

on_both!(ready:
    each_record_of_a_batch_is_told_whether_it_is_new,
    a_single_record_is_told_whether_it_is_new,
    the_same_hash_twice_in_a_batch_is_new_once,
    no_records_are_no_rows,
    a_large_batch_is_written_whole,
    values_are_kept_as_they_came,
    a_row_carries_its_client_its_route_and_when_it_came,
    a_hash_is_unique_across_clients,
    a_refused_record_takes_nothing_of_its_batch_along,
    a_row_that_a_trigger_drops_is_not_taken_for_one_that_was_there,
    an_error_that_only_one_record_meets_is_told_from_one_that_all_meet,
    rows_are_counted_by_route,
    the_newest_rows_come_first,
    a_missing_table_is_the_schemas_fault,
    a_rejected_record_is_put_into_the_table_once,
);

/// Payload and hash, in the order given.
fn rows<'a>(records: &'a [(&'a str, String)]) -> Vec<RecordRow<'a>> {
    records.iter().map(|(payload, hash)| RecordRow { payload, hash }).collect()
}

async fn each_record_of_a_batch_is_told_whether_it_is_new(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    let records = [("1", hash(1)), ("2", hash(2)), ("3", hash(3)), ("4", hash(4)), ("5", hash(5))];
    let rows = rows(&records);
    assert_eq!(ground.store.insert(&lease, &rows[1..4]).await?, [true, true, true]);
    assert_eq!(ground.store.insert(&lease, &rows).await?, [true, false, false, false, true]);
    assert_eq!(ground.store.insert(&lease, &rows).await?, [false; 5]);
    assert_eq!(ground.database.rows().await?, 5);
    Ok(())
}

async fn a_single_record_is_told_whether_it_is_new(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    let hash = hash(1);
    assert_eq!(ground.store.insert(&lease, &[RecordRow { payload: "1", hash: &hash }]).await?, [true]);
    assert_eq!(ground.store.insert(&lease, &[RecordRow { payload: "2", hash: &hash }]).await?, [false]);
    assert_eq!(ground.database.texts("SELECT CAST(payload AS TEXT) FROM dados_raw").await?, ["1"]);
    Ok(())
}

async fn the_same_hash_twice_in_a_batch_is_new_once(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    let records = [("1", hash(1)), ("10", hash(1)), ("2", hash(2)), ("20", hash(2)), ("3", hash(3))];
    let told = ground.store.insert(&lease, &rows(&records)).await?;
    assert_eq!(told, [true, false, true, false, true]);
    let kept = ground.database.texts("SELECT CAST(payload AS TEXT) FROM dados_raw ORDER BY hash_conteudo").await?;
    assert_eq!(kept, ["1", "2", "3"]);
    let records = [("1", hash(1)), ("1", hash(1)), ("4", hash(4)), ("4", hash(4))];
    assert_eq!(ground.store.insert(&lease, &rows(&records)).await?, [false, false, true, false]);
    Ok(())
}

async fn no_records_are_no_rows(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    assert!(ground.store.insert(&lease, &[]).await?.is_empty());
    assert_eq!(ground.database.rows().await?, 0);
    Ok(())
}

async fn a_large_batch_is_written_whole(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    let records: Vec<_> = (0..5_000).map(|n| (format!(r#"{{"n":{n}}}"#), hash(n))).collect();
    let rows: Vec<_> = records.iter().map(|(payload, hash)| RecordRow { payload, hash }).collect();
    // Some are there already.
    for (n, row) in rows.iter().enumerate().filter(|(n, _)| n % 1_000 == 3) {
        assert_eq!(ground.store.insert(&lease, &[*row]).await?, [true], "{n}");
    }
    let told = ground.store.insert(&lease, &rows).await?;
    assert_eq!(told.iter().filter(|new| !**new).count(), 5);
    assert!(told.iter().enumerate().all(|(n, new)| *new == (n % 1_000 != 3)));
    assert_eq!(ground.database.rows().await?, 5_000);
    Ok(())
}

async fn values_are_kept_as_they_came(ground: &Ground) -> Result<()> {
    let long_text = format!(r#"{{"text":"{}"}}"#, "ação \\\"x\\\" 日本 😀 ".repeat(20_000));
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let payloads = [
        r#"{"id":12345678901234567890123456789012345678901234567890}"#,
        r#"{"n":-9007199254740993}"#,
        r#"{"price":0.1000000000000000055511151231257827021181583404541015625}"#,
        r#"{"price":1.10}"#,
        r#"{"tiny":0.000000000000000000000000000000000000000000000000001}"#,
        r#"{"huge":123456789012345678901234567890.123456789012345678901234567890}"#,
        r#"{"a":{"b":[1,2,{"c":null}]},"d":true,"e":"","":0}"#,
        r#""text alone""#,
        "null",
        "[]",
        "{}",
        "-0.0",
        &long_text,
        &deep,
    ];
    let lease = ground.lease().await?;
    let records: Vec<_> = payloads.iter().enumerate().map(|(n, payload)| (*payload, hash(n))).collect();
    let (single, many) = records.split_at(3);
    for record in single {
        ground.store.insert(&lease, &rows(std::slice::from_ref(record))).await?;
    }
    ground.store.insert(&lease, &rows(many)).await?;
    let kept = ground.store.newest(CLIENT, 100).await?;
    for (payload, hash) in &records {
        let row = kept.iter().find(|r| r.hash_conteudo.as_ref() == Some(hash)).context("a row is missing")?;
        if ground.database.is_postgres() {
            // By the server's own comparison, in which a number is all of its digits.
            let equal =
                format!("SELECT COUNT(*) FROM dados_raw WHERE hash_conteudo = '{hash}' AND payload = '{payload}'");
            assert_eq!(ground.database.number(&equal).await?, 1, "{payload}");
            if payload.chars().any(|c| c.is_ascii_digit()) && payload.len() < 200 {
                let bare = |text: &str| text.replace([' ', '\n'], "");
                let sorted = |text: &str| {
                    let mut signs: Vec<char> = bare(text).chars().collect();
                    signs.sort_unstable();
                    signs
                };
                // Every digit and sign that came, in whatever order jsonb keeps the keys.
                assert_eq!(sorted(&row.payload), sorted(payload.strip_prefix("-0").map_or(payload, |_| "0.0")));
            }
        } else {
            assert_eq!(row.payload, *payload);
        }
    }
    Ok(())
}

async fn a_row_carries_its_client_its_route_and_when_it_came(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    ground.store.insert(&lease, &[RecordRow { payload: "1", hash: &hash(1) }]).await?;
    ground.store.insert(&lease, &rows(&[("2", hash(2)), ("3", hash(3))])).await?;
    let sql = format!(
        "SELECT COUNT(*) FROM dados_raw WHERE cliente_id = {CLIENT} AND origem = '{ROUTE}' AND data_coleta IS NOT NULL"
    );
    assert_eq!(ground.database.number(&sql).await?, 3);
    Ok(())
}

async fn a_hash_is_unique_across_clients(ground: &Ground) -> Result<()> {
    let one = ground.lease().await?;
    ground.store.add_client(8, &secret("token")).await?;
    let scrap = ground.store.create_scrap(&new_scrap(8)).await?;
    let two = ground.store.claim(scrap, &stamp("1"), HOST).await?;
    assert_eq!(ground.store.insert(&one, &rows(&[("1", hash(1))])).await?, [true]);
    assert_eq!(ground.store.insert(&two, &rows(&[("1", hash(1)), ("2", hash(2))])).await?, [false, true]);
    Ok(())
}

async fn a_refused_record_takes_nothing_of_its_batch_along(ground: &Ground) -> Result<()> {
    // A rule of the users' own, which each database can be given.
    ground
        .database
        .execute_either(
            "CREATE TRIGGER refuse BEFORE INSERT ON dados_raw WHEN NEW.payload LIKE '%poison%' \
             BEGIN SELECT RAISE(ABORT, 'not this one'); END",
            "ALTER TABLE dados_raw ADD CONSTRAINT refuse CHECK (payload::text NOT LIKE '%poison%')",
        )
        .await?;
    let lease = ground.lease().await?;
    let records = [("1", hash(1)), (r#""poison""#, hash(2)), ("3", hash(3))];
    let batch = rows(&records);
    assert_eq!(fault(ground.store.insert(&lease, &batch).await), Some(Fault::Poison));
    assert_eq!(ground.database.rows().await?, 0);
    let alone = ground.store.insert(&lease, &batch[1..2]).await.err().context("it was taken")?;
    assert_eq!(alone.fault, Fault::Poison);
    assert!(!alone.database_message().is_empty());
    assert_eq!(ground.store.insert(&lease, &[batch[0], batch[2]]).await?, [true, true]);
    Ok(())
}

/// A trigger that drops the rows that match, without an error.
async fn drop_silently(ground: &Ground) -> Result<()> {
    let sqlite = "CREATE TRIGGER descarta BEFORE INSERT ON dados_raw WHEN NEW.payload LIKE '%gone%' \
         BEGIN SELECT RAISE(IGNORE); END";
    let postgres = "CREATE FUNCTION descarta() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN IF NEW.payload::text LIKE ''%gone%'' THEN RETURN NULL; END IF; RETURN NEW; END'; \
         CREATE TRIGGER descarta BEFORE INSERT ON dados_raw FOR EACH ROW EXECUTE FUNCTION descarta()";
    ground.database.execute_either(sqlite, postgres).await
}

async fn a_row_that_a_trigger_drops_is_not_taken_for_one_that_was_there(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    store.insert(&lease, &rows(&[("1", hash(1)), ("2", hash(2))])).await?;
    drop_silently(ground).await?;
    let gone = r#""gone""#;
    let batches = [
        vec![(gone, hash(3))],
        vec![(gone, hash(3)), (gone, hash(4))],
        vec![("1", hash(1)), (gone, hash(3))],
        vec![("1", hash(1)), (gone, hash(3)), ("5", hash(5))],
    ];
    for batch in &batches {
        assert_eq!(fault(store.insert(&lease, &rows(batch)).await), Some(Fault::NotKept), "{batch:?}");
        assert_eq!(ground.database.rows().await?, 2, "all or none");
    }
    // What is there is a duplicate, be it what the trigger drops now.
    assert_eq!(store.insert(&lease, &rows(&[(gone, hash(1)), (gone, hash(2))])).await?, [false, false]);
    assert_eq!(store.insert(&lease, &rows(&[("1", hash(1)), ("6", hash(6))])).await?, [false, true]);
    // A rejected record is not noted as replayed either.
    let reject = RejectedRow { page: page(0, None), cursor: None, position: 0, code: "c", reason: "r", content: b"5" };
    store.reject(&lease, &[reject]).await?;
    let rejected = store.rejects(None, 0, 10).await?;
    let replayed = store.replay(&rejected[0], &RecordRow { payload: gone, hash: &hash(7) }).await;
    assert_eq!(fault(replayed), Some(Fault::NotKept));
    assert_eq!(store.rejected(rejected[0].id).await?.and_then(|rejected| rejected.replayed_at), None);
    Ok(())
}

async fn an_error_that_only_one_record_meets_is_told_from_one_that_all_meet(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    // An error of no class that is known to be about data: 0A000 (feature_not_supported),
    // SQLITE_ERROR.
    let sqlite = "CREATE TRIGGER falha BEFORE INSERT ON dados_raw WHEN NEW.payload LIKE '%odd%' \
         BEGIN SELECT json('nenhum json'); END";
    let postgres = "CREATE FUNCTION falha() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN IF NEW.payload::text LIKE ''%odd%'' THEN RAISE EXCEPTION ''no'' USING ERRCODE = ''0A000''; END IF; \
          RETURN NEW; END'; \
         CREATE TRIGGER falha BEFORE INSERT ON dados_raw FOR EACH ROW EXECUTE FUNCTION falha()";
    ground.database.execute_either(sqlite, postgres).await?;
    let odd = ground.store.insert(&lease, &rows(&[(r#""odd""#, hash(1))])).await;
    assert!(!matches!(fault(odd), None | Some(Fault::Poison)), "it would be no test");
    ground.store.try_insert(&lease).await?;
    assert_eq!(ground.database.rows().await?, 0, "the trial was taken back");
    ground.database.execute("DROP TABLE dados_raw").await?;
    assert_eq!(fault(ground.store.try_insert(&lease).await), Some(Fault::Schema));
    Ok(())
}

/// What `jsonb` cannot hold. The host refuses it before; should one come through, it must not take
/// others with it.
#[tokio::test]
async fn what_postgres_cannot_hold_is_poison() -> Result<()> {
    let ground = Ground::ready(Database::postgres().await?).await?;
    let lease = ground.lease().await?;
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let poisons =
        [r#"{"x":"\u0000"}"#, r#"{"x":"\ud800"}"#, r#"{"x":1e200000}"#, r#"{"x":"#, "", "{\"x\":\"\0\"}", &deep];
    for poison in poisons {
        let records = [("1", hash(1)), (poison, hash(2)), ("3", hash(3))];
        let batch = rows(&records);
        let shown = &poison[..poison.len().min(20)];
        assert_eq!(fault(ground.store.insert(&lease, &batch).await), Some(Fault::Poison), "{shown}");
        assert_eq!(fault(ground.store.insert(&lease, &batch[1..2]).await), Some(Fault::Poison), "{shown}");
        assert_eq!(ground.database.rows().await?, 0, "{shown}");
    }
    assert_eq!(ground.store.insert(&lease, &rows(&[("1", hash(1)), ("3", hash(3))])).await?, [true, true]);
    Ok(())
}

async fn rows_are_counted_by_route(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    assert!(ground.store.totals(CLIENT).await?.is_empty());
    let other = NewScrap { rota: "venda".to_owned(), ..new_scrap(CLIENT) };
    let other = ground.store.create_scrap(&other).await?;
    let other = ground.store.claim(other, &stamp("1"), HOST).await?;
    ground.store.insert(&lease, &rows(&[("1", hash(1)), ("2", hash(2))])).await?;
    ground.store.insert(&other, &rows(&[("3", hash(3))])).await?;
    // Without a hash, as the first system may leave one.
    ground
        .database
        .execute(&format!("INSERT INTO dados_raw (cliente_id, origem, payload) VALUES ({CLIENT}, '{ROUTE}', '4')"))
        .await?;
    let totals = ground.store.totals(CLIENT).await?;
    let seen: Vec<_> = totals.iter().map(|t| (t.origem.as_str(), t.registros, t.repetidos)).collect();
    assert_eq!(seen, [("pedido", 3, 0), ("venda", 1, 0)]);
    assert!(totals.iter().all(|t| t.primeira_coleta.is_some() && t.ultima_coleta.is_some()));
    assert!(ground.store.totals(8).await?.is_empty());
    Ok(())
}

async fn the_newest_rows_come_first(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    for n in 1..=4 {
        ground.store.insert(&lease, &[RecordRow { payload: &n.to_string(), hash: &hash(n) }]).await?;
    }
    let newest = ground.store.newest(CLIENT, 3).await?;
    assert_eq!(newest.iter().map(|r| r.payload.as_str()).collect::<Vec<_>>(), ["4", "3", "2"]);
    assert_eq!((newest[0].origem.as_str(), newest[0].hash_conteudo.clone()), (ROUTE, Some(hash(4))));
    assert!(newest[0].data_coleta.is_some());
    assert!(ground.store.newest(8, 3).await?.is_empty());
    Ok(())
}

async fn a_missing_table_is_the_schemas_fault(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    ground.database.execute("DROP TABLE dados_raw").await?;
    let record = [RecordRow { payload: "1", hash: &hash(1) }];
    assert_eq!(fault(ground.store.insert(&lease, &record).await), Some(Fault::Schema));
    assert_eq!(fault(ground.store.totals(CLIENT).await), Some(Fault::Schema));
    Ok(())
}

async fn a_rejected_record_is_put_into_the_table_once(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    let first = page(0, None);
    let row = |position| RejectedRow { page: first, cursor: None, position, code: "c", reason: "r", content: b"5" };
    store.reject(&lease, &[row(0), row(1), row(2)]).await?;
    let rejected = store.rejects(None, 0, 10).await?;
    let record = RecordRow { payload: "5", hash: &hash(5) };
    let (one, two) = (ground.another().await?, ground.another().await?);
    let (one, two) = tokio::join!(one.replay(&rejected[0], &record), two.replay(&rejected[0], &record));
    let mut outcomes = [one?, two?];
    outcomes.sort_unstable();
    assert_eq!(outcomes, [None, Some(true)]);
    // Another one with the same content is no other row.
    assert_eq!(store.replay(&rejected[1], &record).await?, Some(false));
    assert_eq!(ground.database.rows().await?, 1);
    let replayed: Vec<bool> =
        store.rejects(None, 0, 10).await?.iter().map(|rejected| rejected.replayed_at.is_some()).collect();
    assert_eq!(replayed, [true, true, false]);
    if ground.database.is_postgres() {
        // What the table cannot hold stays where it is.
        let poison = RecordRow { payload: r#""\u0000""#, hash: &hash(6) };
        assert_eq!(fault(store.replay(&rejected[2], &poison).await), Some(Fault::Poison));
        assert_eq!(store.rejected(rejected[2].id).await?.and_then(|rejected| rejected.replayed_at), None);
    }
    assert_eq!(store.rejected(9_999).await?, None);
    Ok(())
}
