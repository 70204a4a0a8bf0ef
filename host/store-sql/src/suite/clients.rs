//! Clients, their APIs, and what is registered for them.

use anyhow::{Context, Result};

use super::*;

on_both!(ready:
    a_client_is_registered_once,
    a_token_and_whether_a_client_is_active_are_set_apart,
    a_client_without_a_word_on_it_is_active,
    an_api_begins_with_its_base_url_and_is_changed_piece_by_piece,
    an_api_may_be_at_a_private_address_only_where_it_was_said,
    an_api_is_removed_once,
    a_default_serves_what_it_was_bound_to_and_the_first_word_is_one_only,
    clients_are_listed_by_id_with_their_apis,
    access_shows_what_is_registered_for_the_client_and_the_api,
    a_client_that_has_nothing_is_removed_with_its_apis,
    a_client_with_rows_or_scraps_stays,
);

async fn access(ground: &Ground, cliente_id: i32, api: &str) -> Result<Access> {
    ground.store.access(cliente_id, api).await?.context("no such client")
}

async fn a_client_is_registered_once(ground: &Ground) -> Result<()> {
    ground.store.add_client(1, &secret("first")).await?;
    assert_eq!(fault(ground.store.add_client(1, &secret("second")).await), Some(Fault::Exists));
    assert_eq!(access(ground, 1, "").await?.token.expose(), "first");
    ground.store.add_client(2, &secret("first")).await?;
    assert_eq!(ground.store.clients().await?.len(), 2);
    Ok(())
}

async fn a_token_and_whether_a_client_is_active_are_set_apart(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(1, &secret("first")).await?;
    store.add_client(2, &secret("other")).await?;
    assert!(store.set_client(1, Some(&secret("second")), None).await?);
    let seen = access(ground, 1, "").await?;
    assert_eq!((seen.token.expose(), seen.active), ("second", true));
    assert!(store.set_client(1, None, Some(false)).await?);
    let seen = access(ground, 1, "").await?;
    assert_eq!((seen.token.expose(), seen.active), ("second", false));
    assert!(store.set_client(1, Some(&secret("third")), Some(true)).await?);
    let seen = access(ground, 1, "").await?;
    assert_eq!((seen.token.expose(), seen.active), ("third", true));

    assert!(!store.set_client(3, Some(&secret("x")), None).await?);
    let seen = access(ground, 2, "").await?;
    assert_eq!((seen.token.expose(), seen.active), ("other", true));
    Ok(())
}

async fn a_client_without_a_word_on_it_is_active(ground: &Ground) -> Result<()> {
    ground.store.add_client(1, &secret("token")).await?;
    ground.database.execute("UPDATE clientes_tokens SET ativo = NULL").await?;
    assert!(access(ground, 1, "").await?.active);
    assert!(ground.store.clients().await?[0].active);
    Ok(())
}

async fn an_api_begins_with_its_base_url_and_is_changed_piece_by_piece(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(1, &secret("token")).await?;
    assert_eq!(fault(store.set_api(1, "jueri", credential(&secret("key"))).await), Some(Fault::Missing));
    assert_eq!(fault(store.set_api(2, "jueri", at("https://a/")).await), Some(Fault::Missing));
    assert!(store.clients().await?[0].apis.is_empty());

    store.set_api(1, "jueri", at("https://a/")).await?;
    let api = access(ground, 1, "jueri").await?.api.context("no API")?;
    assert_eq!((api.base_url.as_str(), api.credential.is_none()), ("https://a/", true));
    store.set_api(1, "jueri", credential(&secret("key"))).await?;
    let api = access(ground, 1, "jueri").await?.api.context("no API")?;
    assert_eq!((api.base_url.as_str(), api.credential.as_ref().map(Secret::expose)), ("https://a/", Some("key")));
    store.set_api(1, "jueri", at("https://b/")).await?;
    let api = access(ground, 1, "jueri").await?.api.context("no API")?;
    assert_eq!((api.base_url.as_str(), api.credential.as_ref().map(Secret::expose)), ("https://b/", Some("key")));
    Ok(())
}

async fn an_api_may_be_at_a_private_address_only_where_it_was_said(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(1, &secret("token")).await?;
    store.set_api(1, "", at("https://a/")).await?;
    store.set_api(1, "jueri", ApiChange { private: Some(true), ..at("https://b/") }).await?;
    let seen = access(ground, 1, "jueri").await?;
    assert_eq!((seen.default_private, seen.api.map(|api| api.private)), (false, Some(true)));
    // Said once, it holds until it is said anew, whatever else changes.
    store.set_api(1, "jueri", credential(&secret("key"))).await?;
    assert_eq!(access(ground, 1, "jueri").await?.api.map(|api| api.private), Some(true));
    store.set_api(1, "jueri", ApiChange { private: Some(false), ..ApiChange::default() }).await?;
    store.set_api(1, "", ApiChange { private: Some(true), ..ApiChange::default() }).await?;
    let seen = access(ground, 1, "jueri").await?;
    assert_eq!((seen.default_private, seen.api.map(|api| api.private)), (true, Some(false)));
    assert_eq!(store.clients().await?[0].apis.iter().map(|api| api.private).collect::<Vec<_>>(), [true, false]);
    Ok(())
}

async fn an_api_is_removed_once(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(1, &secret("token")).await?;
    store.set_api(1, "", at("https://a/")).await?;
    store.set_api(1, "jueri", at("https://b/")).await?;
    assert!(store.remove_api(1, "jueri").await?);
    assert!(!store.remove_api(1, "jueri").await?);
    assert!(!store.remove_api(2, "").await?);
    let seen = access(ground, 1, "jueri").await?;
    assert_eq!((seen.default_base_url.as_deref(), seen.api.is_none()), (Some("https://a/"), true));
    Ok(())
}

async fn a_default_serves_what_it_was_bound_to_and_the_first_word_is_one_only(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    for id in [1, 2] {
        store.add_client(id, &secret("token")).await?;
        store.set_api(id, "", at("https://a/")).await?;
    }
    let of = async |id, api| anyhow::Ok(access(ground, id, api).await?.default_for);
    assert_eq!(of(1, "jueri").await?, DefaultFor::Nothing);
    assert!(store.bind_default(1, "jueri", true).await?);
    assert!(!store.bind_default(1, "outra", true).await?);
    assert_eq!((of(1, "jueri").await?, of(1, "outra").await?), (DefaultFor::ThisApi, DefaultFor::Others));
    // Said outright, it serves one more.
    assert!(store.bind_default(1, "outra", false).await?);
    assert_eq!((of(1, "jueri").await?, of(1, "outra").await?), (DefaultFor::ThisApi, DefaultFor::ThisApi));
    assert_eq!(of(2, "jueri").await?, DefaultFor::Nothing);
    assert_eq!(fault(store.bind_default(3, "jueri", false).await), Some(Fault::Missing));
    // And it serves one less.
    assert!(store.remove_api(1, "outra").await?);
    assert_eq!(of(1, "outra").await?, DefaultFor::Others);
    assert!(store.remove_client(1).await?);
    assert_eq!(ground.database.number("SELECT COUNT(*) FROM clientes_padrao").await?, 0);
    Ok(())
}

async fn clients_are_listed_by_id_with_their_apis(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    assert!(store.clients().await?.is_empty());
    for id in [30, 4, 11] {
        store.add_client(id, &secret("token")).await?;
    }
    store.set_client(11, None, Some(false)).await?;
    store.set_api(30, "jueri", ApiChange { credential: Some(&secret("key")), ..at("https://b/") }).await?;
    store.set_api(30, "", at("https://a/")).await?;
    let api = |api: &str, base_url: &str, has_credential| ClientApi {
        api: api.to_owned(),
        base_url: base_url.to_owned(),
        has_credential,
        private: false,
    };
    let expected = [
        Client { cliente_id: 4, active: true, apis: vec![], served: vec![] },
        Client { cliente_id: 11, active: false, apis: vec![], served: vec![] },
        Client {
            cliente_id: 30,
            active: true,
            apis: vec![api("", "https://a/", false), api("jueri", "https://b/", true)],
            served: vec![],
        },
    ];
    assert_eq!(store.clients().await?, expected);
    Ok(())
}

async fn access_shows_what_is_registered_for_the_client_and_the_api(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(1, &secret("token")).await?;
    store.add_client(2, &secret("another")).await?;
    store
        .set_api(2, "jueri", ApiChange { credential: Some(&secret("key of 2")), ..at("https://of-client-2/") })
        .await?;
    assert!(store.access(3, "jueri").await?.is_none());

    let bare = access(ground, 1, "jueri").await?;
    assert_eq!(bare.token.expose(), "token");
    assert!(bare.default_base_url.is_none() && bare.api.is_none());

    store.set_api(1, "", at("https://default/")).await?;
    let default = access(ground, 1, "jueri").await?;
    assert_eq!(default.default_base_url.as_deref(), Some("https://default/"));
    assert!(default.api.is_none());
    // The default is no API of its own, even if it is asked for by its name.
    assert!(access(ground, 1, "").await?.api.is_none());

    store.set_api(1, "jueri", ApiChange { credential: Some(&secret("key")), ..at("https://jueri/") }).await?;
    let own = access(ground, 1, "jueri").await?;
    let api = own.api.context("no API")?;
    assert_eq!((api.base_url.as_str(), api.credential.as_ref().map(Secret::expose)), ("https://jueri/", Some("key")));
    assert_eq!((own.token.expose(), own.default_base_url.as_deref()), ("token", Some("https://default/")));
    assert!(access(ground, 1, "other").await?.api.is_none());
    Ok(())
}

async fn a_client_that_has_nothing_is_removed_with_its_apis(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(1, &secret("token")).await?;
    store.add_client(2, &secret("token")).await?;
    store.set_api(1, "jueri", at("https://a/")).await?;
    store.set_api(2, "jueri", at("https://a/")).await?;
    assert!(store.remove_client(1).await?);
    assert!(!store.remove_client(1).await?);
    assert_eq!(ground.database.texts("SELECT CAST(cliente_id AS TEXT) FROM clientes_apis").await?, ["2"]);
    // The id is free again.
    store.add_client(1, &secret("token")).await?;
    Ok(())
}

async fn a_client_with_rows_or_scraps_stays(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let scrap = ground.scrap().await?;
    assert_eq!(fault(store.remove_client(CLIENT).await), Some(Fault::InUse));
    let lease = store.claim(scrap, &stamp("1"), HOST).await?;
    store.insert(&lease, &[RecordRow { payload: "1", hash: &hash(1) }]).await?;
    // Rows alone, as the first system leaves them.
    ground.database.execute("DELETE FROM scraps").await?;
    assert_eq!(fault(store.remove_client(CLIENT).await), Some(Fault::InUse));
    assert_eq!(access(ground, CLIENT, "").await?.token.expose(), "token");
    ground.database.execute("DELETE FROM dados_raw").await?;
    assert!(store.remove_client(CLIENT).await?);
    Ok(())
}
