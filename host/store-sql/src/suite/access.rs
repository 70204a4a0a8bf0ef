//! What opens the page and the API, and requests that are made under a key.

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::*;

on_both!(ready:
    a_secret_opens_what_it_was_made_for_until_it_expires,
    a_link_is_used_once_however_many_use_it_at_once,
    a_link_that_expired_is_not_used,
    a_new_password_ends_the_one_before_with_sessions_and_links_but_no_tokens,
    what_is_used_is_noted_and_may_expire_later,
    what_is_taken_away_opens_nothing_and_its_requests_are_gone,
    what_expired_is_forgotten_and_so_are_old_requests,
    of_many_that_ask_under_one_key_one_is_the_first,
    a_request_under_a_key_is_told_how_the_first_one_went,
);

fn new(kind: AccessKind, secret: &str, expires: Option<i64>) -> NewAccess<'_> {
    NewAccess { kind, name: "João", secret, scope: Scope::Read, expires }
}

async fn a_secret_opens_what_it_was_made_for_until_it_expires(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let id = store.add_access(&new(AccessKind::Session, "hash", Some(100))).await?;
    let found = store.access_of(AccessKind::Session, "hash", 99).await?.context("it was added")?;
    assert_eq!((found.id, found.name.as_str(), found.scope.as_str()), (id, "João", "leitura"));
    assert_eq!((found.expires, found.seen), (Some(100), None));
    assert!(!found.created_at.is_empty());
    assert!(store.has_access(id, 99).await?);
    // At that second it is over.
    assert_eq!(store.access_of(AccessKind::Session, "hash", 100).await?, None);
    assert!(!store.has_access(id, 100).await?);
    for kind in [AccessKind::Password, AccessKind::Link, AccessKind::Token] {
        assert_eq!(store.access_of(kind, "hash", 1).await?, None, "{kind:?}");
    }
    assert_eq!(store.access_of(AccessKind::Session, "hash ", 1).await?, None);
    let token = store.add_access(&new(AccessKind::Token, "other", None)).await?;
    assert!(store.access_of(AccessKind::Token, "other", i64::MAX).await?.is_some());
    assert!(store.has_access(token, i64::MAX).await?);
    let all: Vec<i64> = store.accesses(AccessKind::Token).await?.iter().map(|access| access.id).collect();
    assert_eq!(all, [token]);
    Ok(())
}

async fn a_link_is_used_once_however_many_use_it_at_once(ground: &Ground) -> Result<()> {
    ground.store.add_access(&new(AccessKind::Link, "link", Some(100))).await?;
    // A session of the same secret, if there could be one, is no link.
    assert!(!ground.store.use_link("other", 1).await?);
    let another = ground.another().await?;
    let mut users = JoinSet::new();
    for n in 0..20 {
        let store = Arc::clone(if n % 2 == 0 { &ground.store } else { &another });
        users.spawn(async move { store.use_link("link", 1).await });
    }
    let used: Vec<bool> = users.join_all().await.into_iter().collect::<std::result::Result<_, _>>()?;
    assert_eq!(used.iter().filter(|used| **used).count(), 1, "{used:?}");
    assert!(!ground.store.use_link("link", 1).await?);
    Ok(())
}

async fn a_link_that_expired_is_not_used(ground: &Ground) -> Result<()> {
    ground.store.add_access(&new(AccessKind::Link, "link", Some(100))).await?;
    assert!(!ground.store.use_link("link", 100).await?);
    assert!(ground.store.use_link("link", 99).await?);
    // A token is used for something else.
    ground.store.add_access(&new(AccessKind::Token, "token", None)).await?;
    assert!(!ground.store.use_link("token", 1).await?);
    Ok(())
}

async fn a_new_password_ends_the_one_before_with_sessions_and_links_but_no_tokens(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    assert_eq!(store.password().await?, None);
    store.add_access(&new(AccessKind::Session, "session", Some(100))).await?;
    store.add_access(&new(AccessKind::Token, "token", None)).await?;
    store.add_access(&new(AccessKind::Link, "link", Some(100))).await?;
    store.add_access(&new(AccessKind::Password, "first", None)).await?;
    assert_eq!(store.password().await?.as_deref(), Some("first"));
    assert_eq!(store.access_of(AccessKind::Session, "session", 1).await?, None);
    assert!(store.access_of(AccessKind::Token, "token", 1).await?.is_some());
    assert!(!store.use_link("link", 1).await?);
    store.add_access(&new(AccessKind::Password, "second", None)).await?;
    assert_eq!(store.password().await?.as_deref(), Some("second"));
    assert_eq!(store.accesses(AccessKind::Password).await?.len(), 1);
    Ok(())
}

async fn what_is_used_is_noted_and_may_expire_later(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let session = store.add_access(&new(AccessKind::Session, "session", Some(100))).await?;
    let token = store.add_access(&new(AccessKind::Token, "token", None)).await?;
    store.saw_access(session, 50, Some(150)).await?;
    store.saw_access(token, 60, None).await?;
    let session = store.access_of(AccessKind::Session, "session", 149).await?.context("it lasts longer")?;
    assert_eq!((session.seen, session.expires), (Some(50), Some(150)));
    let token = store.access_of(AccessKind::Token, "token", 1).await?.context("it is there")?;
    assert_eq!((token.seen, token.expires), (Some(60), None));
    Ok(())
}

async fn what_is_taken_away_opens_nothing_and_its_requests_are_gone(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let token = store.add_access(&new(AccessKind::Token, "token", None)).await?;
    assert_eq!(store.begin_request(token, "key", "asked", 1).await?, Earlier::None);
    assert!(!store.remove_access(AccessKind::Session, token).await?);
    assert!(store.remove_access(AccessKind::Token, token).await?);
    assert!(!store.remove_access(AccessKind::Token, token).await?);
    assert_eq!(store.access_of(AccessKind::Token, "token", 1).await?, None);
    assert!(!store.has_access(token, 1).await?);
    assert_eq!(ground.database.number("SELECT COUNT(*) FROM atlas_pedidos").await?, 0);
    Ok(())
}

async fn what_expired_is_forgotten_and_so_are_old_requests(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_access(&new(AccessKind::Link, "over", Some(100))).await?;
    store.add_access(&new(AccessKind::Session, "lasts", Some(101))).await?;
    let token = store.add_access(&new(AccessKind::Token, "token", None)).await?;
    store.begin_request(token, "old", "asked", 9).await?;
    store.begin_request(token, "new", "asked", 10).await?;
    store.forget_accesses(100, 10).await?;
    let left = ground.database.texts("SELECT segredo FROM atlas_acessos ORDER BY id").await?;
    assert_eq!(left, ["lasts", "token"]);
    assert_eq!(ground.database.texts("SELECT chave FROM atlas_pedidos").await?, ["new"]);
    Ok(())
}

async fn of_many_that_ask_under_one_key_one_is_the_first(ground: &Ground) -> Result<()> {
    let token = ground.store.add_access(&new(AccessKind::Token, "token", None)).await?;
    let another = ground.another().await?;
    let mut asking = JoinSet::new();
    for n in 0..20 {
        let store = Arc::clone(if n % 2 == 0 { &ground.store } else { &another });
        asking.spawn(async move { store.begin_request(token, "key", "asked", 1).await });
    }
    let told: Vec<Earlier> = asking.join_all().await.into_iter().collect::<std::result::Result<_, _>>()?;
    assert_eq!(told.iter().filter(|told| **told == Earlier::None).count(), 1, "{told:?}");
    assert!(told.iter().all(|told| matches!(told, Earlier::None | Earlier::Underway)), "{told:?}");
    Ok(())
}

async fn a_request_under_a_key_is_told_how_the_first_one_went(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let token = store.add_access(&new(AccessKind::Token, "token", None)).await?;
    let other = store.add_access(&new(AccessKind::Token, "other", None)).await?;
    assert_eq!(store.begin_request(token, "key", "asked", 1).await?, Earlier::None);
    assert_eq!(store.begin_request(token, "key", "asked", 2).await?, Earlier::Underway);
    assert_eq!(store.begin_request(token, "key", "asked otherwise", 2).await?, Earlier::Different);
    // Keys are each caller's own.
    assert_eq!(store.begin_request(other, "key", "asked otherwise", 2).await?, Earlier::None);
    store.end_request(token, "key", Some((201, "{\"id\":1}"))).await?;
    let answered = Earlier::Answered(201, "{\"id\":1}".to_owned());
    assert_eq!(store.begin_request(token, "key", "asked", 3).await?, answered);
    assert_eq!(store.begin_request(token, "key", "asked otherwise", 3).await?, Earlier::Different);
    // What failed on our side may be asked again.
    store.end_request(other, "key", None).await?;
    assert_eq!(store.begin_request(other, "key", "asked", 4).await?, Earlier::None);
    Ok(())
}
