//! Schedules: each moment makes one scrap, whichever host looks.

use anyhow::Result;

use super::*;

on_both!(ready:
    a_schedule_makes_a_scrap_when_it_is_due_and_one_only,
    a_scrap_that_goes_on_is_not_overlapped_unless_that_is_wanted,
    a_schedule_that_is_paused_removed_or_of_an_inactive_client_makes_none,
);

async fn due(ground: &Ground, now: i64) -> Result<Vec<i64>> {
    Ok(ground.store.due_schedules(now).await?.into_iter().map(|schedule| schedule.id).collect())
}

fn scrap() -> NewScrap {
    NewScrap { period: Some(("2025-10-20".to_owned(), "2025-10-21".to_owned())), ..new_scrap(CLIENT) }
}

async fn a_schedule_makes_a_scrap_when_it_is_due_and_one_only(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(CLIENT, &secret("token")).await?;
    let id = store.add_schedule(&new_schedule(CLIENT)).await?;
    assert_eq!((due(ground, 99).await?, due(ground, 100).await?), (vec![], vec![id]));
    let schedule = store.due_schedules(100).await?.remove(0);
    assert_eq!((schedule.window_days, schedule.active, schedule.last_scrap), (Some(2), true, None));
    // Two hosts that saw it at once.
    let (another, scrap) = (ground.another().await?, scrap());
    let firing = Firing { schedule: &schedule, next: 200, scrap: &scrap };
    let (one, two) = tokio::join!(store.fire(&firing), another.fire(&firing));
    let fired = [one?, two?];
    let scraps: Vec<i64> =
        fired.iter().filter_map(|fired| if let Fired::Scrap(id) = fired { Some(*id) } else { None }).collect();
    assert!(scraps.len() == 1 && fired.contains(&Fired::Passed), "{fired:?}");
    let made = ground.read(scraps[0]).await?;
    assert_eq!((made.state, made.frontier, made.period), (ScrapState::Pendente, 1, scrap.period));
    let after = store.schedules().await?.remove(0);
    assert_eq!((after.next, after.last_scrap, after.last_day.as_deref()), (200, Some(scraps[0]), Some("2025-10-20")));
    // Once it is done, its last day is read.
    let lease = store.claim(scraps[0], &stamp("1"), HOST).await?;
    assert!(store.finish(&lease, &end(ScrapState::Falhou, None, 1)).await?);
    assert_eq!(store.schedules().await?.remove(0).last_day.as_deref(), Some("2025-10-20"));
    let lease = store.claim(scraps[0], &stamp("1"), HOST).await?;
    assert!(store.finish(&lease, &end(ScrapState::Concluido, None, 1)).await?);
    assert_eq!(store.schedules().await?.remove(0).last_day.as_deref(), Some("2025-10-21"));
    Ok(())
}

async fn a_scrap_that_goes_on_is_not_overlapped_unless_that_is_wanted(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(CLIENT, &secret("token")).await?;
    store.add_schedule(&new_schedule(CLIENT)).await?;
    let fire = async |now: i64| -> Result<Fired> {
        let schedule = store.due_schedules(now).await?.remove(0);
        Ok(store.fire(&Firing { schedule: &schedule, next: now + 100, scrap: &scrap() }).await?)
    };
    let Fired::Scrap(first) = fire(100).await? else { panic!("no scrap") };
    assert_eq!(fire(200).await?, Fired::Overlaps);
    // One that waits for a person does not hold it up for ever.
    let lease = store.claim(first, &stamp("1"), HOST).await?;
    assert_eq!(fire(300).await?, Fired::Overlaps);
    assert!(store.finish(&lease, &end(ScrapState::Falhou, None, 1)).await?);
    assert!(matches!(fire(400).await?, Fired::Scrap(_)));

    let id = store.add_schedule(&NewSchedule { overlap: true, ..new_schedule(CLIENT) }).await?;
    for now in [100, 200] {
        let schedule = store.due_schedules(now).await?.into_iter().find(|schedule| schedule.id == id);
        let schedule = schedule.unwrap_or_else(|| panic!("not due"));
        let fired = store.fire(&Firing { schedule: &schedule, next: now + 100, scrap: &scrap() }).await?;
        assert!(matches!(fired, Fired::Scrap(_)));
    }
    Ok(())
}

async fn a_schedule_that_is_paused_removed_or_of_an_inactive_client_makes_none(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(CLIENT, &secret("token")).await?;
    let id = store.add_schedule(&new_schedule(CLIENT)).await?;
    let seen = store.due_schedules(100).await?.remove(0);
    assert!(store.set_schedule(id, false, 100).await?);
    assert!(due(ground, 1000).await?.is_empty());
    assert_eq!(store.fire(&Firing { schedule: &seen, next: 200, scrap: &scrap() }).await?, Fired::Passed);
    assert!(store.set_schedule(id, true, 300).await?);
    assert_eq!((due(ground, 299).await?, due(ground, 300).await?), (vec![], vec![id]));
    store.set_client(CLIENT, None, Some(false)).await?;
    assert!(due(ground, 1000).await?.is_empty());
    assert!(store.remove_schedule(id).await? && !store.remove_schedule(id).await?);
    assert!(!store.set_schedule(id, true, 1).await?);
    assert_eq!(ground.database.number("SELECT COUNT(*) FROM scraps").await?, 0);
    Ok(())
}
