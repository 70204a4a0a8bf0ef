//! The queue: who gets which scrap, and who is told to let go.

use std::time::Duration;

use anyhow::{Context, Result};

use super::*;

on_both!(ready:
    a_scrap_is_taken_once_and_the_oldest_first,
    clients_take_turns_and_none_has_more_than_its_share_running,
    whose_scraps_wait_is_told_in_the_order_in_which_they_would_be_taken,
    what_a_host_cannot_run_is_left_to_others,
    a_dead_hosts_scraps_are_anybodys_and_it_writes_nothing_more,
    a_host_that_left_has_nothing_and_one_that_is_seen_keeps_its_own,
    a_scrap_waits_for_its_time,
    what_a_host_does_not_run_although_the_table_says_so_is_taken_again,
    a_scrap_that_runs_is_paused_by_asking_and_any_other_at_once,
    a_scrap_is_put_back_into_the_queue_unless_it_runs_or_is_done,
    of_many_hosts_that_ask_at_once_each_gets_another_scrap,
    a_scrap_that_somebody_took_meanwhile_is_not_claimed,
    a_host_is_not_given_a_scrap_whose_earlier_run_it_has_not_ended,
    what_a_host_was_asked_to_pause_and_does_not_run_is_paused,
    a_pause_that_comes_while_a_run_ends_is_not_forgotten,
    a_host_that_does_not_know_who_lives_counts_what_the_others_run,
    a_scrap_that_host_after_host_dies_with_is_taken_over_no_more,
    what_is_wanted_again_while_a_run_pauses_it_is_not_paused,
    a_scrap_that_is_done_is_not_claimed_again,
    an_end_that_is_written_twice_undoes_nothing,
);

const CONNECTORS: [&str; 1] = ["abab"];

struct Asking {
    host: String,
    routes: Vec<String>,
    connectors: Vec<String>,
    running: Vec<i64>,
    per_client: i64,
    may_take_over: bool,
}

fn host(id: &str) -> Asking {
    Asking {
        host: id.to_owned(),
        routes: vec![ROUTE.to_owned()],
        connectors: CONNECTORS.map(|_| "ab".repeat(32)).to_vec(),
        running: Vec::new(),
        per_client: 100,
        may_take_over: true,
    }
}

impl Asking {
    /// Asks, as a worker does: what it gets it runs.
    async fn take(&mut self, store: &Arc<dyn Store>) -> Result<Option<i64>> {
        let lease = self.lease(store).await?;
        self.running.extend(lease.iter().map(|lease| lease.scrap_id));
        Ok(lease.map(|lease| lease.scrap_id))
    }

    async fn lease(&self, store: &Arc<dyn Store>) -> Result<Option<Lease>> {
        Ok(store.take(&self.offer()).await?)
    }

    fn offer(&self) -> Offer<'_> {
        Offer {
            host: &self.host,
            routes: &self.routes,
            connectors: &self.connectors,
            running: &self.running,
            per_client: self.per_client,
            may_take_over: self.may_take_over,
            reason_to_give_up: "todos morreram",
        }
    }

    async fn beat(&self, store: &Arc<dyn Store>, lease: Duration) -> Result<()> {
        let host = Host { id: self.host.clone(), name: "maquina:1".to_owned(), version: "1".to_owned(), lease };
        Ok(store.beat(&host).await?)
    }
}

const LONG: Duration = Duration::from_secs(600);

async fn seen(store: &Arc<dyn Store>, id: &str) -> Result<Asking> {
    let host = host(id);
    host.beat(store, LONG).await?;
    Ok(host)
}

async fn scraps(ground: &Ground, client: i32, count: usize) -> Result<Vec<i64>> {
    let _ = ground.store.add_client(client, &secret("token")).await;
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(ground.store.create_scrap(&new_scrap(client)).await?);
    }
    Ok(ids)
}

async fn a_scrap_is_taken_once_and_the_oldest_first(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let (mut one, mut two) = (seen(store, "um").await?, seen(store, "dois").await?);
    assert_eq!(one.take(store).await?, None);
    let ids = scraps(ground, 1, 3).await?;
    assert_eq!(one.take(store).await?, Some(ids[0]));
    assert_eq!(two.take(store).await?, Some(ids[1]));
    assert_eq!(one.take(store).await?, Some(ids[2]));
    assert_eq!((one.take(store).await?, two.take(store).await?), (None, None));
    assert_eq!(ground.read(ids[0]).await?.state, ScrapState::Executando);
    Ok(())
}

async fn whose_scraps_wait_is_told_in_the_order_in_which_they_would_be_taken(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let mut one = seen(store, "um").await?;
    assert!(store.waiting(&one.offer()).await?.is_empty());
    let ids = [scraps(ground, 1, 2).await?, scraps(ground, 2, 1).await?, scraps(ground, 3, 1).await?].concat();
    assert_eq!(store.waiting(&one.offer()).await?, [1, 2, 3]);
    assert_eq!(one.take(store).await?, Some(ids[0]));
    assert_eq!(store.waiting(&one.offer()).await?, [2, 3, 1]);
    // No scrap waits for a host that cannot run it, nor beside as many of its own as may run.
    let strange = Asking { routes: vec!["outra".to_owned()], ..host("um") };
    assert!(store.waiting(&strange.offer()).await?.is_empty());
    one.per_client = 1;
    assert_eq!(store.waiting(&one.offer()).await?, [2, 3]);
    // One that was handed back is taken again, and counts as no failure.
    let lease = store.claim(ids[0], &stamp("1"), "um").await?;
    assert!(store.finish(&lease, &end(ScrapState::Pendente, None, 1)).await?);
    one.running.clear();
    assert_eq!(store.waiting(&one.offer()).await?, [2, 3, 1]);
    for expected in [ids[2], ids[3], ids[0]] {
        assert_eq!(one.take(store).await?, Some(expected));
    }
    assert_eq!(ground.read(ids[0]).await?.failures, 0);
    Ok(())
}

async fn a_scrap_that_host_after_host_dies_with_is_taken_over_no_more(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let ids = scraps(ground, 1, 2).await?;
    let mut dead = 0;
    let mut dies_with_it = async || -> Result<Option<i64>> {
        dead += 1;
        // Never seen: dead from the start.
        host(&format!("morto-{dead}")).take(store).await
    };
    for _ in 0..TAKE_OVERS_MAX {
        assert_eq!(dies_with_it().await?, Some(ids[0]));
    }
    // A page: whatever they die of, it gets on.
    let lease = store.claim(ids[0], &stamp("1"), "quase").await?;
    store.ledger(&lease, &[], &[done(page(0, None), &["a"])]).await?;
    for _ in 0..TAKE_OVERS_MAX {
        assert_eq!(dies_with_it().await?, Some(ids[0]));
    }
    assert_eq!(dies_with_it().await?, Some(ids[1]), "the other one, for this one is given up");
    let given_up = ground.read(ids[0]).await?;
    assert_eq!((given_up.state, given_up.reason.as_deref()), (ScrapState::Falhou, Some("todos morreram")));
    assert_eq!(store.standing(&lease).await?, Standing::Lost);
    assert_eq!(store.requeue(ids[0]).await?, ChangeOutcome::Done);
    assert_eq!(dies_with_it().await?, Some(ids[0]), "a person wants it again");
    Ok(())
}

async fn an_end_that_is_written_twice_undoes_nothing(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let id = scraps(ground, 1, 1).await?[0];
    let lease = store.claim(id, &stamp("1"), "um").await?;
    let failed = RunEnd { again_in: Some(LONG), failures: 1, ..end(ScrapState::Interrompido, None, 1_500) };
    assert!(store.finish(&lease, &failed).await?);
    // Its answer is lost, and an operator is quicker than the second try.
    assert_eq!(store.requeue(id).await?, ChangeOutcome::Done);
    assert!(store.finish(&lease, &failed).await?);
    let scrap = ground.read(id).await?;
    assert_eq!((scrap.state, scrap.failures, scrap.elapsed_ms), (ScrapState::Pendente, 0, 1_500));
    let newer = store.claim(id, &stamp("1"), "dois").await?;
    assert!(!store.finish(&lease, &failed).await?, "another one's by now");
    assert_eq!(store.standing(&newer).await?, Standing::Held);
    Ok(())
}

async fn what_is_wanted_again_while_a_run_pauses_it_is_not_paused(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let worker = seen(store, "um").await?;
    let id = scraps(ground, 1, 1).await?[0];
    let lease = worker.lease(store).await?.context("nothing to take")?;
    assert_eq!(store.pause(id, "pausa").await?, ChangeOutcome::Forwarded);
    assert_eq!(store.standing(&lease).await?, Standing::AskedToPause);
    assert_eq!(store.requeue(id).await?, ChangeOutcome::Forwarded);
    assert!(store.finish(&lease, &RunEnd { as_asked: true, ..end(ScrapState::Pausado, None, 1) }).await?);
    assert_eq!(ground.read(id).await?.state, ScrapState::Pendente);
    Ok(())
}

async fn a_scrap_that_is_done_is_not_claimed_again(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let id = scraps(ground, 1, 1).await?[0];
    let lease = store.claim(id, &stamp("1"), "um").await?;
    assert!(store.finish(&lease, &end(ScrapState::Concluido, None, 1)).await?);
    assert_eq!(fault(store.claim(id, &stamp("1"), "um").await), Some(Fault::Missing));
    assert_eq!(ground.read(id).await?.state, ScrapState::Concluido);
    Ok(())
}

async fn clients_take_turns_and_none_has_more_than_its_share_running(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let mut worker = seen(store, "um").await?;
    let (a, b, c) = (scraps(ground, 1, 4).await?, scraps(ground, 2, 2).await?, scraps(ground, 3, 1).await?);
    let mut order = Vec::new();
    worker.per_client = 2;
    while let Some(id) = worker.take(store).await? {
        order.push(id);
    }
    assert_eq!(order, [a[0], b[0], c[0], a[1], b[1]]);
    // The client that was served longest ago comes first, not the one with the smallest number.
    let lease = store.claim(b[0], &stamp("1"), "um").await?;
    assert!(store.finish(&lease, &end(ScrapState::Concluido, None, 1)).await?);
    let more = scraps(ground, 2, 1).await?;
    let lease = store.claim(a[0], &stamp("1"), "um").await?;
    assert!(store.finish(&lease, &end(ScrapState::Concluido, None, 1)).await?);
    assert_eq!(worker.take(store).await?, Some(a[2]));
    assert_eq!(worker.take(store).await?, Some(more[0]));
    store.set_client(1, None, Some(false)).await?;
    worker.per_client = 100;
    assert_eq!(worker.take(store).await?, None);
    Ok(())
}

async fn what_a_host_cannot_run_is_left_to_others(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let ids = scraps(ground, 1, 2).await?;
    let lease = store.claim(ids[0], &stamp("1"), "morto").await?;
    assert!(store.finish(&lease, &end(ScrapState::Pendente, None, 1)).await?);
    let mut other = seen(store, "outro").await?;
    other.connectors = vec!["cd".repeat(32)];
    assert_eq!(other.take(store).await?, Some(ids[1]), "one that never ran is anybody's");
    assert_eq!(other.take(store).await?, None);
    let mut without = seen(store, "sem").await?;
    without.routes = vec!["venda".to_owned()];
    assert_eq!(without.take(store).await?, None);
    assert_eq!(seen(store, "um").await?.take(store).await?, Some(ids[0]));
    Ok(())
}

async fn a_dead_hosts_scraps_are_anybodys_and_it_writes_nothing_more(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let ids = scraps(ground, 1, 1).await?;
    let dead = host("morto");
    dead.beat(store, Duration::ZERO).await?;
    let lease = dead.lease(store).await?.ok_or_else(|| anyhow::anyhow!("nothing to take"))?;
    let mut other = seen(store, "outro").await?;
    other.may_take_over = false;
    assert_eq!(other.take(store).await?, None, "who does not know who lives takes nothing from anybody");
    other.may_take_over = true;
    assert_eq!(other.take(store).await?, Some(ids[0]));
    assert_eq!(store.standing(&lease).await?, Standing::Lost);
    assert!(!store.finish(&lease, &end(ScrapState::Concluido, None, 1)).await?);
    let payload = RecordRow { payload: "{}", hash: &hash(1) };
    assert!(store.insert(&lease, &[payload]).await.is_ok_and(|inserted| inserted == [false]));
    assert_eq!(ground.database.number("SELECT COUNT(*) FROM dados_raw").await?, 0);
    Ok(())
}

async fn a_host_that_left_has_nothing_and_one_that_is_seen_keeps_its_own(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let ids = scraps(ground, 1, 2).await?;
    let (mut one, mut two) = (seen(store, "um").await?, seen(store, "dois").await?);
    assert_eq!((one.take(store).await?, two.take(store).await?), (Some(ids[0]), Some(ids[1])));
    store.leave("um").await?;
    two.may_take_over = false;
    assert_eq!((two.take(store).await?, two.take(store).await?), (Some(ids[0]), None));
    // One that a process keeps for itself before it runs it.
    let kept = NewScrap { host: Some("dois".to_owned()), ..new_scrap(1) };
    let kept = store.create_scrap(&kept).await?;
    let mut three = seen(store, "tres").await?;
    assert_eq!(three.take(store).await?, None);
    store.leave("dois").await?;
    let mut left = vec![three.take(store).await?, three.take(store).await?, three.take(store).await?];
    left.sort_unstable();
    assert_eq!(left, [Some(ids[0]), Some(ids[1]), Some(kept)]);
    Ok(())
}

async fn a_scrap_waits_for_its_time(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let mut worker = seen(store, "um").await?;
    for state in [ScrapState::Suspenso, ScrapState::Interrompido] {
        let id = scraps(ground, 1, 1).await?[0];
        let lease = store.claim(id, &stamp("1"), "um").await?;
        assert!(store.finish(&lease, &end(state, None, 1)).await?);
        assert_eq!(worker.take(store).await?, None, "nobody said when");
        let lease = store.claim(id, &stamp("1"), "um").await?;
        let later = RunEnd { again_in: Some(LONG), failures: 3, ..end(state, None, 1) };
        assert!(store.finish(&lease, &later).await?);
        assert_eq!(worker.take(store).await?, None, "not yet");
        let scrap = ground.read(id).await?;
        assert!(scrap.again_at.is_some() && scrap.failures == 3);
        let lease = store.claim(id, &stamp("1"), "um").await?;
        let soon = RunEnd { again_in: Some(Duration::from_millis(50)), ..later };
        assert!(store.finish(&lease, &soon).await?);
        tokio::time::sleep(Duration::from_millis(80)).await;
        assert_eq!(worker.take(store).await?, Some(id));
        assert_eq!(ground.read(id).await?.again_at, None);
    }
    Ok(())
}

async fn what_a_host_does_not_run_although_the_table_says_so_is_taken_again(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let ids = scraps(ground, 1, 1).await?;
    let mut worker = seen(store, "um").await?;
    worker.per_client = 1;
    assert_eq!(worker.take(store).await?, Some(ids[0]));
    assert_eq!(worker.take(store).await?, None);
    worker.running.clear();
    assert_eq!(worker.take(store).await?, Some(ids[0]));
    Ok(())
}

async fn a_scrap_that_runs_is_paused_by_asking_and_any_other_at_once(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let ids = scraps(ground, 1, 3).await?;
    let worker = seen(store, "um").await?;
    let lease = worker.lease(store).await?.ok_or_else(|| anyhow::anyhow!("nothing to take"))?;
    assert_eq!(store.pause(ids[0], "[]").await?, ChangeOutcome::Forwarded);
    assert_eq!(store.standing(&lease).await?, Standing::AskedToPause);
    assert!(store.finish(&lease, &end(ScrapState::Pausado, None, 1)).await?);
    assert_eq!(store.pause(ids[0], "[]").await?, ChangeOutcome::Refused, "it is paused");
    assert_eq!(store.pause(ids[1], "[]").await?, ChangeOutcome::Done);
    assert_eq!(ground.read(ids[1]).await?.state, ScrapState::Pausado);
    assert_eq!(ground.read(ids[1]).await?.reason.as_deref(), Some("[]"));
    assert_eq!(store.pause(99, "[]").await?, ChangeOutcome::Refused);
    // The worker that runs it dies before it does as it was asked.
    let dead = host("morto");
    dead.beat(store, LONG).await?;
    assert!(dead.lease(store).await?.is_some());
    assert_eq!(store.pause(ids[2], "[]").await?, ChangeOutcome::Forwarded);
    dead.beat(store, Duration::ZERO).await?;
    assert!(worker.lease(store).await?.is_none());
    assert_eq!(ground.read(ids[2]).await?.state, ScrapState::Pausado);
    Ok(())
}

async fn a_scrap_is_put_back_into_the_queue_unless_it_runs_or_is_done(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let ids = scraps(ground, 1, 1).await?;
    let worker = seen(store, "um").await?;
    let taken = async || worker.lease(store).await?.ok_or_else(|| anyhow::anyhow!("nothing to take"));
    for state in [ScrapState::Pausado, ScrapState::Falhou, ScrapState::TokenRecusado, ScrapState::Interrompido] {
        let lease = taken().await?;
        assert_eq!(store.requeue(ids[0]).await?, ChangeOutcome::Refused, "it runs");
        let later = RunEnd { again_in: Some(LONG), ..end(state, Some("[]"), 1) };
        assert!(store.finish(&lease, &later).await?);
        assert_eq!(store.requeue(ids[0]).await?, ChangeOutcome::Done);
        let scrap = ground.read(ids[0]).await?;
        assert_eq!((scrap.state, scrap.reason, scrap.again_at), (ScrapState::Pendente, None, None));
    }
    let lease = taken().await?;
    assert_eq!(store.pause(ids[0], "[]").await?, ChangeOutcome::Forwarded);
    assert_eq!(store.requeue(ids[0]).await?, ChangeOutcome::Forwarded, "it need not be paused any more");
    assert_eq!(store.standing(&lease).await?, Standing::Held);
    assert!(store.finish(&lease, &end(ScrapState::Concluido, None, 1)).await?);
    assert_eq!(store.requeue(ids[0]).await?, ChangeOutcome::Refused);
    Ok(())
}

async fn of_many_hosts_that_ask_at_once_each_gets_another_scrap(ground: &Ground) -> Result<()> {
    let mut ids = scraps(ground, 1, 20).await?;
    ids.extend(scraps(ground, 2, 20).await?);
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..4 {
        let store = ground.another().await?;
        asking.spawn(async move {
            let mut worker = seen(&store, &format!("host-{number}")).await?;
            worker.per_client = 15;
            let mut taken = Vec::new();
            while let Some(id) = worker.take(&store).await? {
                taken.push(id);
            }
            anyhow::Ok(taken)
        });
    }
    let mut taken = Vec::new();
    while let Some(got) = asking.join_next().await {
        taken.extend(got??);
    }
    let count = taken.len();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!((taken.len(), count), (30, 30), "none twice, and of each client as many as may run");
    Ok(())
}

async fn a_scrap_that_somebody_took_meanwhile_is_not_claimed(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let id = scraps(ground, 1, 1).await?[0];
    let sleepy = seen(store, "sono").await?;
    let taken = sleepy.lease(store).await?.ok_or_else(|| anyhow::anyhow!("nothing to take"))?;
    // It sleeps between taking and claiming, and another runs the scrap.
    let other = store.claim(id, &stamp("1"), "outro").await?;
    assert_eq!(fault(store.claim_taken(&taken, &stamp("1"), "sono").await), Some(Fault::LeaseLost));
    assert_eq!(store.standing(&other).await?, Standing::Held);
    let own = store.claim_taken(&other, &stamp("2"), "outro").await?;
    assert_eq!(own, Lease { epoch: other.epoch + 1, ..other });
    Ok(())
}

async fn a_host_is_not_given_a_scrap_whose_earlier_run_it_has_not_ended(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let id = scraps(ground, 1, 1).await?[0];
    let mut worker = seen(store, "um").await?;
    assert_eq!(worker.take(store).await?, Some(id));
    assert!(store.cancel(id, "[]").await?);
    assert_eq!(store.requeue(id).await?, ChangeOutcome::Done);
    assert_eq!(worker.take(store).await?, None, "it does not know yet that it has lost it");
    worker.running.clear();
    assert_eq!(worker.take(store).await?, Some(id));
    Ok(())
}

async fn what_a_host_was_asked_to_pause_and_does_not_run_is_paused(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let id = scraps(ground, 1, 1).await?[0];
    let mut worker = seen(store, "um").await?;
    worker.may_take_over = false;
    assert_eq!(worker.take(store).await?, Some(id));
    assert_eq!(store.pause(id, "[]").await?, ChangeOutcome::Forwarded);
    assert_eq!(worker.take(store).await?, None);
    assert_eq!(ground.read(id).await?.state, ScrapState::Executando, "its run has yet to see it");
    worker.running.clear();
    assert_eq!(worker.take(store).await?, None);
    assert_eq!(ground.read(id).await?.state, ScrapState::Pausado);
    Ok(())
}

async fn a_pause_that_comes_while_a_run_ends_is_not_forgotten(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let worker = seen(store, "um").await?;
    for (ends, left) in [
        (ScrapState::Interrompido, ScrapState::Pausado),
        (ScrapState::Suspenso, ScrapState::Pausado),
        (ScrapState::Pendente, ScrapState::Pausado),
        (ScrapState::Concluido, ScrapState::Concluido),
        (ScrapState::Falhou, ScrapState::Falhou),
    ] {
        let id = scraps(ground, 1, 1).await?[0];
        let lease = worker.lease(store).await?.ok_or_else(|| anyhow::anyhow!("nothing to take"))?;
        assert_eq!(store.pause(id, "[]").await?, ChangeOutcome::Forwarded);
        let later = RunEnd { again_in: Some(Duration::from_millis(1)), ..end(ends, None, 1) };
        assert!(store.finish(&lease, &later).await?);
        let scrap = ground.read(id).await?;
        assert_eq!((scrap.state, scrap.again_at), (left, None));
    }
    Ok(())
}

async fn a_host_that_does_not_know_who_lives_counts_what_the_others_run(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let ids = scraps(ground, 1, 2).await?;
    let dead = host("morto");
    dead.beat(store, Duration::ZERO).await?;
    assert!(store.orphans().await?.is_empty());
    assert!(dead.lease(store).await?.is_some());
    assert_eq!(store.orphans().await?, ids[..1]);
    let mut other = seen(store, "outro").await?;
    (other.per_client, other.may_take_over) = (1, false);
    assert_eq!(other.take(store).await?, None);
    other.may_take_over = true;
    assert_eq!(other.take(store).await?, Some(ids[0]));
    assert!(store.orphans().await?.is_empty());
    Ok(())
}
