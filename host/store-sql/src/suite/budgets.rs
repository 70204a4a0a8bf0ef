//! Slots of pages that may be fetched at once, shared by hosts.

use std::time::Duration;

use anyhow::Result;

use super::*;

on_both!(ready:
    the_lowest_free_slot_is_taken,
    what_a_slot_costs_does_not_grow_with_how_many_there_may_be,
    a_dead_hosts_slots_are_free,
);

const ACCOUNT: Account<'static> = Account { cliente_id: CLIENT, api: "bling" };

/// A host that is seen for as long as the test runs, or one that is not seen any more.
async fn host(ground: &Ground, id: &str, lease: Duration) -> Result<()> {
    let host = Host { id: id.to_owned(), name: id.to_owned(), version: "1".to_owned(), lease };
    Ok(ground.store.beat(&host).await?)
}

async fn two_hosts(ground: &Ground) -> Result<()> {
    ground.store.add_client(CLIENT, &secret("token")).await?;
    host(ground, "um", Duration::from_secs(600)).await?;
    host(ground, "dois", Duration::from_secs(600)).await
}

async fn the_lowest_free_slot_is_taken(ground: &Ground) -> Result<()> {
    two_hosts(ground).await?;
    let store = &ground.store;
    assert_eq!(store.take_slot(ACCOUNT, 3, "um").await?, Some(1));
    assert_eq!(store.take_slot(ACCOUNT, 3, "dois").await?, Some(2));
    assert_eq!(store.take_slot(ACCOUNT, 3, "um").await?, Some(3));
    assert_eq!(store.take_slot(ACCOUNT, 3, "dois").await?, None, "a fourth of three");
    let others = Account { api: "omie", ..ACCOUNT };
    assert_eq!(store.take_slot(others, 3, "dois").await?, Some(1), "another API");
    store.leave_slot(ACCOUNT, 2, "dois").await?;
    assert_eq!(store.take_slot(ACCOUNT, 3, "um").await?, Some(2), "the gap");
    store.leave_slots_but(ACCOUNT, &[3], "um").await?;
    assert_eq!(store.take_slot(ACCOUNT, 3, "dois").await?, Some(1));
    assert_eq!(store.take_slot(ACCOUNT, 3, "dois").await?, Some(2));
    assert_eq!(store.take_slot(ACCOUNT, 3, "dois").await?, None);
    Ok(())
}

/// With a series of numbers up to the greatest, neither database would ever answer.
async fn what_a_slot_costs_does_not_grow_with_how_many_there_may_be(ground: &Ground) -> Result<()> {
    two_hosts(ground).await?;
    for slot in 1..=3 {
        let taking = ground.store.take_slot(ACCOUNT, i64::MAX, "um");
        assert_eq!(tokio::time::timeout(Duration::from_secs(60), taking).await??, Some(slot));
    }
    Ok(())
}

async fn a_dead_hosts_slots_are_free(ground: &Ground) -> Result<()> {
    two_hosts(ground).await?;
    let store = &ground.store;
    assert_eq!(store.take_slot(ACCOUNT, 2, "morto").await?, Some(1), "a host that was never seen");
    assert_eq!(store.take_slot(ACCOUNT, 2, "um").await?, Some(1));
    assert_eq!(store.take_slot(ACCOUNT, 2, "dois").await?, Some(2));
    store.leave("um").await?;
    assert_eq!(store.take_slot(ACCOUNT, 2, "dois").await?, Some(1));
    assert_eq!(store.take_slot(ACCOUNT, 2, "dois").await?, None);
    Ok(())
}
