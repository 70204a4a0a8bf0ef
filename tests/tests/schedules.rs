//! Schedules: scraps that workers create by themselves.

use anyhow::Context;
use atlas_tests::{Atlas, Faults, LANGUAGES, Rota, api, assert_said};

const CLIENT: u32 = 2151;
/// The days that the sample API has records of are long over: a window that reaches back to them.
const WINDOW: &str = "520w";

#[tokio::test]
async fn a_schedule_that_is_due_is_run_once_by_whichever_worker_comes_and_asks_for_what_was_missed()
-> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        let api = api(4, Faults::default()).await?;
        atlas.register(CLIENT, &api).await?;
        let add = ["schedule", "add", "--client", "2151", "--route", "pedido", "--cron", "0 3 * * *"];
        let zone = ["--window", WINDOW, "--timezone", "America/Sao_Paulo"];
        let added = atlas.run(&[&add[..], &zone].concat()).await?.expect(0)?;
        assert_eq!(added.stdout.trim(), "1");
        // Not yet.
        atlas.run(&["worker", "--until-empty"]).await?.expect(0)?;
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 0);
        // Since long ago, many times over; and two workers at once.
        atlas.database.execute("UPDATE atlas_agendas SET proxima = 1000").await?;
        let (one, two) = (atlas.start(&["worker", "--until-empty"])?, atlas.start(&["worker", "--until-empty"])?);
        let (one, two) = tokio::try_join!(one.finish(), two.finish())?;
        one.expect(0)?;
        two.expect(0)?;
        let again = atlas.run(&["worker", "--until-empty"]).await?.expect(0)?;
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 1, "{}", again.stderr);
        let shown = atlas.run(&["scrap", "show", "1", "--output", "json"]).await?.expect(0)?;
        assert_eq!(shown.text("status")?, "concluido");
        let served = api.served().route(CLIENT, Rota::Pedido).context("it was not asked")?.requests;
        assert!(served > 0);

        let listed = atlas.run(&["agenda", "listar", "--output", "json"]).await?.expect(0)?.json()?;
        assert_eq!((listed["ultimo_scrap"].as_i64(), listed["ativa"].as_bool()), (Some(1), Some(true)));
        assert_eq!(listed["proxima"].as_str().map(|next| next.ends_with("T06:00:00Z")), Some(true), "{listed}");
        // The day after, for what the last one could not have seen.
        atlas.database.execute("UPDATE scraps SET periodo_fim = '2025-10-20'").await?;
        atlas.database.execute("UPDATE atlas_agendas SET proxima = 1000, janela_dias = 1").await?;
        // A malformed one, inserted by hand, keeps no other from its time.
        let odd = "INSERT INTO atlas_agendas (cliente_id, rota, cron, fuso, janela_dias, proxima) \
                   VALUES (2151, 'pedido', 'nunca', 'UTC', 1, 1)";
        atlas.database.execute(odd).await?;
        atlas.run(&["worker", "--until-empty"]).await?.expect(0)?;
        let from = atlas.database.text("SELECT periodo_inicio FROM scraps WHERE id = 2").await?;
        assert_eq!(from, "2025-10-20");
    }
    Ok(())
}

#[tokio::test]
async fn schedules_are_paused_run_at_once_and_removed_in_words_that_can_be_understood() -> anyhow::Result<()> {
    let mut said = String::new();
    for lang in LANGUAGES {
        let api = api(4, Faults::default()).await?;
        let atlas = Atlas::on_sqlite()?;
        atlas.register(CLIENT, &api).await?;
        let mut run = async |arguments: &[&str], code: i32| -> anyhow::Result<()> {
            let ran = atlas.run(&[arguments, &["--lang", lang]].concat()).await?.expect(code)?;
            said.push_str(&format!("$ atlas {}\n{}{}\n", arguments.join(" "), ran.stdout, ran.stderr));
            Ok(())
        };
        let add = ["schedule", "add", "--client", "2151", "--route"];
        run(&[&add[..], &["pedido", "--cron", "0 */6 * * *", "--window", "2d"]].concat(), 0).await?;
        run(&[&add[..], &["cliente", "--cron", "*/5 * * * 1-5"]].concat(), 0).await?;
        run(&["schedule", "run", "1"], 0).await?;
        run(&["schedule", "run", "1"], 2).await?;
        run(&["schedule", "pause", "2"], 0).await?;
        run(&["schedule", "run", "2"], 2).await?;
        run(&["schedule", "resume", "2"], 0).await?;
        run(&["schedule", "remove", "2"], 0).await?;
        run(&["schedule", "remove", "2"], 2).await?;
        for bad in [
            &["pedido", "--cron", "0 */6 * * *"][..],
            &["cliente", "--cron", "0 */6 * * *", "--window", "2d"],
            &["pedido", "--cron", "0 */6 * * *", "--window", "0d"],
            &["pedido", "--cron", "0 */6 * *", "--window", "2d"],
            &["pedido", "--cron", "0 0 30 2 *", "--window", "2d"],
        ] {
            run(&[&add[..], bad].concat(), 2).await?;
        }
        let elsewhere = ["pedido", "--cron", "0 0 * * *", "--window", "2d", "--timezone", "Brasil"];
        run(&[&add[..], &elsewhere].concat(), 3).await?;
    }
    assert_said!(said);
    Ok(())
}
