//! Credentials of several parts: set, locked, renewed, and sealed at rest.

use std::time::Duration;

use anyhow::{Context, Result};

use super::*;

on_both!(ready:
    a_credential_takes_the_place_of_the_one_before,
    a_credential_goes_with_its_api,
    a_lock_is_held_by_one_and_the_next_finds_what_the_first_kept,
    a_lock_that_is_dropped_has_changed_nothing,
    a_lock_whose_time_is_over_keeps_nothing,
    what_a_renewal_gets_is_not_kept_with_a_key_that_was_changed_meanwhile,
    a_credential_that_is_replaced_is_not_overwritten_by_a_renewal,
    any_number_of_locks_hold_nobody_else_up,
    secrets_are_sealed_where_there_is_a_key_and_read_where_there_was_none,
    a_new_key_seals_everything_or_nothing,
    a_new_key_waits_for_a_renewal_and_seals_what_it_kept,
    an_api_and_its_credential_are_set_together_or_not_at_all,
    a_credential_is_never_read_with_another_ones_base_url,
    a_default_token_is_never_read_with_another_ones_base_url,
    a_guarded_change_takes_a_stored_credential_nowhere,
);

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const OTHER_KEY: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

fn parts(text: &str) -> Result<Parts> {
    Ok(Parts::parse(text)?)
}

fn access_token(text: &str) -> AccessToken {
    AccessToken { token: secret(text), renew_at: Some(7) }
}

fn key(text: &str) -> Result<StoreKey> {
    StoreKey::parse(text).context("a key")
}

async fn with_key(ground: &Ground, text: &str) -> Result<Arc<dyn Store>> {
    Ok(open(&ground.database.url(), Some(key(text)?)).await?)
}

/// What an API's credential holds: its token, or its parts as `name=value`, and its access token.
async fn held(store: &dyn Store, cliente_id: i32) -> Result<(String, Option<String>)> {
    let access = store.access(cliente_id, "bling").await?.context("no client")?;
    let token = access.api.context("no API")?.credential.map(|token| token.expose().to_owned());
    let several = access.parts.map(|parts| {
        let shown = |name: &str| format!("{name}={}", parts.get(name).map(Secret::expose).unwrap_or_default());
        parts.names().map(shown).collect::<Vec<_>>().join(",")
    });
    let renewed = access.access_token.map(|access| access.token.expose().to_owned());
    Ok((several.or(token).unwrap_or_default(), renewed))
}

async fn client(ground: &Ground) -> Result<()> {
    ground.store.add_client(1, &secret("token")).await?;
    Ok(ground.store.set_api(1, "bling", at("https://a/")).await?)
}

async fn a_credential_takes_the_place_of_the_one_before(ground: &Ground) -> Result<()> {
    let store = ground.store.as_ref();
    client(ground).await?;
    assert_eq!(held(store, 1).await?, (String::new(), None));
    assert!(!store.clients().await?[0].apis[0].has_credential);

    assert!(store.set_credential(1, "bling", Some(&parts("username=u\npassword=p")?)).await?);
    assert_eq!(held(store, 1).await?.0, "password=p,username=u");
    assert!(store.clients().await?[0].apis[0].has_credential);
    let lock = store.lock_credential(1, "bling").await?;
    lock.keep(&parts("username=u\npassword=q")?, &access_token("acesso")).await?;
    assert_eq!(held(store, 1).await?, ("password=q,username=u".to_owned(), Some("acesso".to_owned())));
    // Other parts, and the access token of those before is gone.
    assert!(store.set_credential(1, "bling", Some(&parts("client_id=c\nclient_secret=s")?)).await?);
    assert_eq!(held(store, 1).await?, ("client_id=c,client_secret=s".to_owned(), None));
    // A single token stands where it always stood, and nothing beside it.
    assert!(store.set_credential(1, "bling", Some(&parts("token=t")?)).await?);
    assert_eq!(ground.database.texts("SELECT credencial FROM clientes_apis").await?, ["t"]);
    assert!(ground.database.texts("SELECT partes FROM clientes_credenciais").await?.is_empty());

    assert!(store.set_credential(1, "bling", Some(&parts("username=u")?)).await?);
    assert_eq!(held(store, 1).await?.0, "username=u");
    store.set_api(1, "bling", credential(&secret("t2"))).await?;
    assert_eq!(held(store, 1).await?.0, "t2");
    assert!(store.set_credential(1, "bling", None).await?);
    assert_eq!(held(store, 1).await?.0, "");
    assert!(!store.set_credential(1, "outra", Some(&parts("token=t")?)).await?);
    assert_eq!(fault(store.lock_credential(1, "bling").await), Some(Fault::Missing));
    Ok(())
}

async fn a_credential_goes_with_its_api(ground: &Ground) -> Result<()> {
    let store = ground.store.as_ref();
    client(ground).await?;
    store.set_credential(1, "bling", Some(&parts("username=u")?)).await?;
    assert!(store.remove_api(1, "bling").await?);
    assert!(ground.database.texts("SELECT partes FROM clientes_credenciais").await?.is_empty());
    store.set_api(1, "bling", at("https://a/")).await?;
    store.set_credential(1, "bling", Some(&parts("username=u")?)).await?;
    assert!(store.remove_client(1).await?);
    assert!(ground.database.texts("SELECT partes FROM clientes_credenciais").await?.is_empty());
    Ok(())
}

async fn a_lock_is_held_by_one_and_the_next_finds_what_the_first_kept(ground: &Ground) -> Result<()> {
    client(ground).await?;
    ground.store.set_credential(1, "bling", Some(&parts("refresh_token=velho")?)).await?;
    let first = ground.store.lock_credential(1, "bling").await?;
    let another = ground.another().await?;
    let waiting = tokio::spawn(async move { another.lock_credential(1, "bling").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "two hold one lock");
    first.keep(&parts("refresh_token=novo")?, &access_token("acesso")).await?;
    let second = tokio::time::timeout(PATIENCE, waiting).await???;
    assert_eq!(second.parts().get("refresh_token").map(Secret::expose), Some("novo"));
    assert_eq!(second.access().map(|access| access.token.expose()), Some("acesso"));
    second.release().await;
    Ok(())
}

async fn a_lock_that_is_dropped_has_changed_nothing(ground: &Ground) -> Result<()> {
    client(ground).await?;
    ground.store.set_credential(1, "bling", Some(&parts("refresh_token=velho")?)).await?;
    drop(ground.store.lock_credential(1, "bling").await?);
    expire(ground).await?;
    let another = ground.another().await?;
    let again = tokio::time::timeout(PATIENCE, another.lock_credential(1, "bling")).await??;
    assert_eq!(again.parts().get("refresh_token").map(Secret::expose), Some("velho"));
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(20);

/// Lets as much time pass, by the table, as a lock has.
async fn expire(ground: &Ground) -> Result<()> {
    let sql = [
        "UPDATE clientes_credenciais SET renovando_ate = strftime('%Y-%m-%d %H:%M:%f', renovando_ate, '-45 seconds')",
        "UPDATE clientes_credenciais SET renovando_ate = renovando_ate - INTERVAL '45 seconds'",
    ];
    ground.database.execute_either(sql[0], sql[1]).await
}

async fn a_lock_whose_time_is_over_keeps_nothing(ground: &Ground) -> Result<()> {
    client(ground).await?;
    ground.store.set_credential(1, "bling", Some(&parts("refresh_token=velho")?)).await?;
    let frozen = ground.store.lock_credential(1, "bling").await?;
    expire(ground).await?;
    let next = tokio::time::timeout(PATIENCE, ground.another().await?.lock_credential(1, "bling")).await??;
    assert!(next.is_in_anothers_place());
    let late = frozen.keep(&parts("refresh_token=do-primeiro")?, &access_token("um")).await;
    assert_eq!(fault(late), Some(Fault::Collision));
    // Nor does it let go of what is another's now.
    frozen.release().await;
    next.keep(&parts("refresh_token=do-segundo")?, &access_token("dois")).await?;
    assert_eq!(held(ground.store.as_ref(), 1).await?, ("refresh_token=do-segundo".to_owned(), Some("dois".to_owned())));
    // A kept credential is kept once: an operator may have set another meanwhile.
    let twice = next.keep(&parts("refresh_token=do-segundo")?, &access_token("dois")).await;
    assert_eq!(fault(twice), Some(Fault::Collision));
    Ok(())
}

async fn what_a_renewal_gets_is_not_kept_with_a_key_that_was_changed_meanwhile(ground: &Ground) -> Result<()> {
    client(ground).await?;
    ground.store.set_credential(1, "bling", Some(&parts("refresh_token=velho")?)).await?;
    let frozen = ground.store.lock_credential(1, "bling").await?;
    assert!(!frozen.is_in_anothers_place());
    expire(ground).await?;
    assert_eq!(ground.store.rekey(&key(KEY)?).await?, 2);
    let late = frozen.keep(&parts("refresh_token=novo")?, &access_token("acesso")).await;
    assert_eq!(fault(late), Some(Fault::Collision));
    let with_new_key = with_key(ground, KEY).await?;
    assert_eq!(held(with_new_key.as_ref(), 1).await?, ("refresh_token=velho".to_owned(), None));
    assert_eq!(with_new_key.rekey(&key(OTHER_KEY)?).await?, 2);
    Ok(())
}

async fn a_credential_that_is_replaced_is_not_overwritten_by_a_renewal(ground: &Ground) -> Result<()> {
    client(ground).await?;
    ground.store.set_credential(1, "bling", Some(&parts("refresh_token=velho")?)).await?;
    let renewal = ground.store.lock_credential(1, "bling").await?;
    let new = parts("refresh_token=do-operador")?;
    tokio::time::timeout(PATIENCE, ground.store.set_credential(1, "bling", Some(&new))).await??;
    let late = renewal.keep(&parts("refresh_token=renovado")?, &access_token("a")).await;
    assert_eq!(fault(late), Some(Fault::Collision));
    assert_eq!(held(ground.store.as_ref(), 1).await?, ("refresh_token=do-operador".to_owned(), None));
    tokio::time::timeout(PATIENCE, ground.store.lock_credential(1, "bling")).await??;
    Ok(())
}

/// The time that a slow token URL takes.
async fn any_number_of_locks_hold_nobody_else_up(ground: &Ground) -> Result<()> {
    let mut locks = Vec::new();
    for cliente_id in 1..=20 {
        ground.store.add_client(cliente_id, &secret("token")).await?;
        ground.store.set_api(cliente_id, "bling", at("https://a/")).await?;
        ground.store.set_credential(cliente_id, "bling", Some(&parts("refresh_token=r")?)).await?;
        let lock = tokio::time::timeout(PATIENCE, ground.store.lock_credential(cliente_id, "bling"));
        locks.push(lock.await.context("locks hold each other up")??);
    }
    let lease = ground.lease().await?;
    let record = [RecordRow { payload: "1", hash: &hash(1) }];
    let written = tokio::time::timeout(Duration::from_secs(5), ground.store.insert(&lease, &record));
    assert_eq!(written.await.context("locks hold writers up")??, [true]);
    Ok(())
}

/// Everything that the tables hold where secrets may stand.
async fn stored(ground: &Ground) -> Result<String> {
    let sql = "SELECT token FROM clientes_tokens UNION ALL SELECT credencial FROM clientes_apis WHERE credencial <> '' \
               UNION ALL SELECT partes FROM clientes_credenciais \
               UNION ALL SELECT acesso FROM clientes_credenciais WHERE acesso <> ''";
    Ok(ground.database.texts(sql).await?.join("\n"))
}

async fn secrets_are_sealed_where_there_is_a_key_and_read_where_there_was_none(ground: &Ground) -> Result<()> {
    client(ground).await?;
    ground.store.set_credential(1, "bling", Some(&parts("username=u\npassword=segredo")?)).await?;
    let sealing = with_key(ground, KEY).await?;
    // In the clear, from before.
    assert_eq!(held(sealing.as_ref(), 1).await?.0, "password=segredo,username=u");
    assert_eq!(sealing.access(1, "").await?.context("no client")?.token.expose(), "token");
    // Sealed at the next write.
    sealing.set_client(1, Some(&secret("segredo-padrao")), None).await?;
    let lock = sealing.lock_credential(1, "bling").await?;
    lock.keep(&parts("username=u\npassword=segredo")?, &access_token("segredo-de-acesso")).await?;
    sealing.add_client(2, &secret("segredo-2")).await?;
    sealing.set_api(2, "bling", ApiChange { credential: Some(&secret("segredo-api")), ..at("https://b/") }).await?;
    let rows = stored(ground).await?;
    assert!(!rows.contains("segredo") && rows.lines().all(|row| row.starts_with("atlas1:")), "{rows}");
    assert_eq!(held(sealing.as_ref(), 1).await?.1.as_deref(), Some("segredo-de-acesso"));
    assert_eq!(held(sealing.as_ref(), 2).await?.0, "segredo-api");

    assert_eq!(fault(ground.store.access(1, "bling").await), Some(Fault::KeyMissing));
    let other = with_key(ground, OTHER_KEY).await?;
    assert_eq!(fault(other.access(1, "bling").await), Some(Fault::KeyWrong));
    assert_eq!(fault(other.lock_credential(1, "bling").await), Some(Fault::KeyWrong));
    // Who only lists clients needs no key.
    assert_eq!(ground.store.clients().await?.len(), 2);
    Ok(())
}

async fn a_new_key_seals_everything_or_nothing(ground: &Ground) -> Result<()> {
    client(ground).await?;
    ground.store.set_credential(1, "bling", Some(&parts("username=u\npassword=segredo")?)).await?;
    ground.store.add_client(2, &secret("")).await?;
    // The first key: what stands in the clear is sealed; an empty token hides nothing.
    assert_eq!(ground.store.rekey(&key(KEY)?).await?, 2);
    let before = stored(ground).await?;
    assert!(!before.contains("segredo"));
    // With a wrong one nothing changes.
    let wrong = with_key(ground, OTHER_KEY).await?;
    assert_eq!(fault(wrong.rekey(&key(OTHER_KEY)?).await), Some(Fault::KeyWrong));
    assert_eq!(stored(ground).await?, before);
    let sealing = with_key(ground, KEY).await?;
    assert_eq!(sealing.rekey(&key(OTHER_KEY)?).await?, 2);
    assert_eq!(fault(sealing.access(1, "bling").await), Some(Fault::KeyWrong));
    assert_eq!(held(wrong.as_ref(), 1).await?.0, "password=segredo,username=u");
    Ok(())
}

async fn a_new_key_waits_for_a_renewal_and_seals_what_it_kept(ground: &Ground) -> Result<()> {
    client(ground).await?;
    ground.store.set_credential(1, "bling", Some(&parts("refresh_token=velho")?)).await?;
    let renewal = ground.store.lock_credential(1, "bling").await?;
    let (another, new) = (ground.another().await?, key(KEY)?);
    let sealing = tokio::spawn(async move { another.rekey(&new).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!sealing.is_finished(), "what is being renewed was sealed");
    renewal.keep(&parts("refresh_token=novo")?, &access_token("acesso")).await?;
    // The client's token, the parts, the access token.
    assert_eq!(tokio::time::timeout(PATIENCE, sealing).await???, 3);
    assert!(stored(ground).await?.lines().all(|row| row.starts_with("atlas1:")));
    let with_new_key = with_key(ground, KEY).await?;
    assert_eq!(held(with_new_key.as_ref(), 1).await?, ("refresh_token=novo".to_owned(), Some("acesso".to_owned())));
    Ok(())
}

/// An API with its credential.
fn both<'a>(api: &'a str, change: ApiChange<'a>, parts: &'a Parts) -> ClientWrite<'a> {
    ClientWrite { api: Some((api, change)), parts: Some(Some(parts)), ..ClientWrite::default() }
}

async fn an_api_and_its_credential_are_set_together_or_not_at_all(ground: &Ground) -> Result<()> {
    let store = ground.store.as_ref();
    client(ground).await?;
    let base_urls = "SELECT base_url FROM clientes_apis ORDER BY api";
    let several = parts("username=u\npassword=p")?;
    store.change_client(1, both("bling", at("https://b/"), &several)).await?;
    assert_eq!(ground.database.texts(base_urls).await?, ["https://b/"]);
    assert_eq!(held(store, 1).await?.0, "password=p,username=u");
    // A new one needs to be somewhere, and its client to be there.
    let nowhere = store.change_client(1, both("nova", ApiChange::default(), &several)).await;
    assert_eq!(fault(nowhere), Some(Fault::Missing));
    store.change_client(1, both("nova", at("https://n/"), &several)).await?;
    let nobody = store.change_client(2, both("bling", at("https://b/"), &several)).await;
    assert_eq!(fault(nobody), Some(Fault::Missing));

    // Where the credential cannot be stored, the API stays where it was, and keeps the one that it
    // had.
    store.set_credential(1, "bling", Some(&parts("token=t")?)).await?;
    ground.database.execute("DROP TABLE clientes_credenciais").await?;
    let failed = store.change_client(1, both("bling", at("https://c/"), &several)).await;
    assert_eq!(fault(failed), Some(Fault::Schema));
    assert_eq!(ground.database.texts(base_urls).await?, ["https://b/", "https://n/"]);
    assert_eq!(ground.database.texts("SELECT credencial FROM clientes_apis WHERE credencial <> ''").await?, ["t"]);
    Ok(())
}

async fn a_default_token_is_never_read_with_another_ones_base_url(ground: &Ground) -> Result<()> {
    const CHANGES: usize = 100;
    const ACCOUNTS: [&str; 2] = ["a", "b"];
    client(ground).await?;
    let another = ground.another().await?;
    let change = |store: std::sync::Arc<dyn Store>, account: &'static str, is_guarded: bool| async move {
        let (token, base_url) = (secret(account), format!("https://{account}/"));
        let api = Some(("", at(&base_url)));
        store.change_client(1, ClientWrite { token: Some(&token), api, is_guarded, ..ClientWrite::default() }).await
    };
    change(another.clone(), ACCOUNTS[0], false).await?;
    let mut changing = tokio::task::JoinSet::new();
    for is_guarded in [false, true] {
        let store = another.clone();
        changing.spawn(async move {
            for n in 1..=CHANGES {
                change(store.clone(), ACCOUNTS[n % 2], is_guarded).await?;
            }
            anyhow::Ok(())
        });
    }
    let done = tokio::spawn(async move {
        while let Some(done) = changing.join_next().await {
            done??;
        }
        anyhow::Ok(())
    });
    while !done.is_finished() {
        let access = ground.store.access(1, "").await?.context("no client")?;
        assert_eq!(access.default_base_url, Some(format!("https://{}/", access.token.expose())));
    }
    done.await??;
    Ok(())
}

async fn a_guarded_change_takes_a_stored_credential_nowhere(ground: &Ground) -> Result<()> {
    let store = ground.store.as_ref();
    client(ground).await?;
    let to = |api, base_url| ClientWrite { api: Some((api, at(base_url))), is_guarded: true, ..ClientWrite::default() };
    // A default token without a base URL was given for none: registered before there were any, or
    // left so.
    assert_eq!(fault(store.change_client(1, to("", "https://evil/")).await), Some(Fault::Guarded));
    let granted = ApiChange { private: Some(true), ..at("https://a/") };
    store.set_api(1, "", granted).await?;
    assert_eq!(fault(store.change_client(1, to("", "https://evil/")).await), Some(Fault::Guarded));
    // The same again takes nothing away.
    let same = ApiChange { private: Some(false), ..at("https://a/") };
    let write =
        ClientWrite { token: Some(&secret("novo")), api: Some(("", same)), is_guarded: true, ..ClientWrite::default() };
    store.change_client(1, write).await?;
    let access = store.access(1, "").await?.context("no client")?;
    assert_eq!((access.token.expose(), access.default_private), ("novo", true));
    // An API's own credential stays with it; one without is free to move.
    assert!(store.set_credential(1, "bling", Some(&parts("username=u")?)).await?);
    assert_eq!(fault(store.change_client(1, to("bling", "https://evil/")).await), Some(Fault::Guarded));
    store.change_client(1, to("outra", "https://o/")).await?;
    store.change_client(1, to("outra", "https://p/")).await?;
    Ok(())
}

async fn a_credential_is_never_read_with_another_ones_base_url(ground: &Ground) -> Result<()> {
    const CHANGES: usize = 100;
    const ACCOUNTS: [(&str, &str); 2] = [("https://a/", "username=a"), ("https://b/", "username=b")];
    client(ground).await?;
    let first = parts(ACCOUNTS[0].1)?;
    ground.store.change_client(1, both("bling", at(ACCOUNTS[0].0), &first)).await?;
    let another = ground.another().await?;
    let changing = tokio::spawn(async move {
        for change in 1..=CHANGES {
            let (base_url, account) = ACCOUNTS[change % 2];
            another.change_client(1, both("bling", at(base_url), &parts(account)?)).await?;
        }
        anyhow::Ok(())
    });
    while !changing.is_finished() {
        let access = ground.store.access(1, "bling").await?.context("no client")?;
        let account = access.parts.and_then(|parts| Some(parts.get("username")?.expose().to_owned()));
        let base_url = access.api.context("no API")?.base_url;
        assert_eq!(account.map(|name| format!("https://{name}/")), Some(base_url));
    }
    changing.await??;
    Ok(())
}
