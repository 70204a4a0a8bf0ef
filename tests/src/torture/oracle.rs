//! What must hold of the table all the while, and in the end; and the hand that queues scraps,
//! pauses them, and puts them back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Row};

use super::dice::Dice;
use super::{DAYS, PER_DAY, ROUTES};
use crate::{Rota, SampleApi};

/// How often the reader looks.
const LOOK: Duration = Duration::from_millis(700);
/// The first of the days.
const FIRST_DAY: &str = "2025-10-01";

/// A record that is there twice, and one that belongs to no day that was asked for.
const DOUBLES: &str = "SELECT cliente_id, origem, payload->>'seq' AS seq, COUNT(*) AS n FROM dados_raw \
     GROUP BY 1, 2, 3 HAVING COUNT(*) > 1 LIMIT 5";

/// What a scrap that says that it is done does not have: the numbers of its days are contiguous, so
/// that counting them does.
const GAPS: &str = "SELECT s.id, COUNT(d.id) AS there FROM scraps s LEFT JOIN dados_raw d \
       ON d.cliente_id = s.cliente_id AND d.origem = s.rota \
         AND d.payload->>'data' BETWEEN s.periodo_inicio AND s.periodo_fim \
     WHERE s.estado = 'concluido' GROUP BY s.id \
     HAVING COUNT(d.id) <> (MIN(s.periodo_fim)::date - MIN(s.periodo_inicio)::date + 1) * $1 LIMIT 5";

/// Pairs of a done scrap that do not add up to nothing.
const PAIRS: &str = "SELECT d.cliente_id, (d.payload->>'seq')::bigint / 2 AS par FROM dados_raw d \
     WHERE d.origem = 'financeiro' AND EXISTS (SELECT 1 FROM scraps s WHERE s.estado = 'concluido' \
       AND s.cliente_id = d.cliente_id AND s.rota = d.origem \
       AND d.payload->>'data' BETWEEN s.periodo_inicio AND s.periodo_fim) \
     GROUP BY 1, 2 HAVING SUM((d.payload->>'valor')::numeric) <> 0 LIMIT 5";

/// Scraps that nothing takes again by itself, and that were neither paused nor cancelled.
const GIVEN_UP: &str = "SELECT id, estado, COALESCE(motivo, '') FROM scraps \
     WHERE estado IN ('falhou', 'token_recusado', 'concluido_com_ressalva') \
       OR estado IN ('interrompido', 'suspenso') AND retomar_em IS NULL LIMIT 1";

const COUNTS: &str = "SELECT id FROM scraps WHERE lidos <> inseridos + duplicados + reencontrados + rejeitados LIMIT 5";

/// Everything that is known beforehand, and a way to the table past the proxy.
pub(super) struct Oracle {
    pool: PgPool,
    clients: u32,
    /// What the source has, for each client and route.
    served: Vec<(u32, Rota, Vec<String>)>,
}

impl Oracle {
    pub(super) fn new(url: &str, api: &SampleApi, clients: u32) -> anyhow::Result<Self> {
        // The server dies at times; a broken connection is replaced.
        let pool =
            PgPoolOptions::new().max_connections(3).acquire_timeout(Duration::from_secs(10)).connect_lazy(url)?;
        let mut served = Vec::new();
        for client in 1..=clients {
            for route in ROUTES {
                served.push((client, route, api.records(client, route, FIRST_DAY, &day(DAYS - 1))?));
            }
        }
        Ok(Self { pool, clients, served })
    }

    /// Looks until it is over, or something is wrong. Gives how often it could.
    pub(super) async fn watch(self: Arc<Self>, over: Arc<AtomicBool>) -> anyhow::Result<u64> {
        let mut looks = 0;
        while !over.load(Ordering::Relaxed) {
            tokio::time::sleep(LOOK).await;
            // A database that was just killed says nothing.
            looks += u64::from(self.look().await?);
        }
        Ok(looks)
    }

    /// Whether the database answered. An error is a finding.
    async fn look(&self) -> anyhow::Result<bool> {
        let doubles = sqlx::query(DOUBLES).fetch_all(&self.pool).await;
        let gaps = sqlx::query(GAPS).bind(i64::try_from(PER_DAY)?).fetch_all(&self.pool).await;
        let pairs = sqlx::query(PAIRS).fetch_all(&self.pool).await;
        let counts = sqlx::query(COUNTS).fetch_all(&self.pool).await;
        let given_up = sqlx::query(GIVEN_UP).fetch_all(&self.pool).await;
        let (Ok(doubles), Ok(gaps), Ok(pairs), Ok(counts), Ok(given_up)) = (doubles, gaps, pairs, counts, given_up)
        else {
            return Ok(false);
        };
        if let Some(row) = doubles.first() {
            bail!(
                "record {} of client {} is there {} times",
                row.get::<String, _>(2),
                row.get::<i32, _>(0),
                row.get::<i64, _>(3)
            );
        }
        if let Some(row) = gaps.first() {
            bail!("scrap {} says that it is done, and has {} records", row.get::<i64, _>(0), row.get::<i64, _>(1));
        }
        if let Some(row) = pairs.first() {
            bail!("pair {} of client {} does not add up", row.get::<i64, _>(1), row.get::<i32, _>(0));
        }
        if let Some(row) = given_up.first() {
            bail!(
                "scrap {} waits for a person: {} ({})",
                row.get::<i64, _>(0),
                row.get::<String, _>(1),
                row.get::<String, _>(2)
            );
        }
        if let Some(row) = counts.first() {
            bail!("the counts of scrap {} do not add up", row.get::<i64, _>(0));
        }
        Ok(true)
    }

    /// Queues a scrap for a client that has few.
    pub(super) async fn fill_the_queue(&self, dice: &mut Dice, most: i64) {
        // Rolled in any case: what follows must not depend on what the database says.
        let (client, route) = (1 + dice.roll(self.clients.into()), ROUTES[dice.index(ROUTES.len())]);
        let (first, length) = (dice.roll(DAYS), dice.roll(5));
        let (from, to) = (day(first), day((first + length).min(DAYS - 1)));
        let size = 5 + dice.roll(20);
        let insert = format!(
            "INSERT INTO scraps (cliente_id, rota, periodo_inicio, periodo_fim, tamanho_pagina) \
             SELECT {client}, '{route}', '{from}', '{to}', {size} WHERE (SELECT COUNT(*) FROM scraps \
               WHERE cliente_id = {client} AND estado <> 'concluido') < {most}"
        );
        self.execute(insert).await;
    }

    pub(super) async fn pause_one(&self, dice: &mut Dice) -> u32 {
        let skip = dice.roll(4);
        let pause = format!(
            "UPDATE scraps SET pedido = 'pausar' WHERE id = \
             (SELECT id FROM scraps WHERE estado = 'executando' ORDER BY id OFFSET {skip} LIMIT 1)"
        );
        self.execute(pause).await
    }

    pub(super) async fn cancel_one(&self, dice: &mut Dice) -> u32 {
        let skip = dice.roll(4);
        let cancel = format!(
            "UPDATE scraps SET estado = 'cancelado', epoca = epoca + 1, host = NULL, pedido = NULL WHERE id = \
             (SELECT id FROM scraps WHERE estado = 'executando' ORDER BY id OFFSET {skip} LIMIT 1)"
        );
        self.execute(cancel).await
    }

    /// What was paused and cancelled goes on. Nothing else may wait for a person.
    pub(super) async fn put_back(&self) {
        let put_back = "UPDATE scraps SET estado = 'pendente', host = NULL, retomar_em = NULL \
             WHERE estado IN ('pausado', 'cancelado')";
        self.execute(put_back.to_owned()).await;
    }

    /// Rows that it changed; none where the database does not answer.
    async fn execute(&self, sql: String) -> u32 {
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&self.pool).await;
        done.map_or(0, |done| u32::try_from(done.rows_affected()).unwrap_or(u32::MAX))
    }

    pub(super) async fn all_done(&self) -> bool {
        let left = sqlx::query_scalar("SELECT COUNT(*) FROM scraps WHERE estado <> 'concluido'");
        left.fetch_one(&self.pool).await.is_ok_and(|left: i64| left == 0)
    }

    /// What is not done, for the reader who has to find out why.
    pub(super) async fn left(&self) -> String {
        let left = "SELECT id || ' ' || estado || ' ' || COALESCE(motivo, '') FROM scraps WHERE estado <> 'concluido' LIMIT 10";
        let left: Result<Vec<String>, _> = sqlx::query_scalar(left).fetch_all(&self.pool).await;
        left.map_or_else(|error| error.to_string(), |left| left.join("; "))
    }

    /// The end: every record of the days that were asked for is there once, equal to what the
    /// source has. Gives how many scraps and records there are.
    pub(super) async fn judge(&self) -> anyhow::Result<(i64, i64)> {
        ensure!(self.look().await?, "the database does not answer");
        let mut records = 0;
        for (client, route, served) in &self.served {
            let asked: Vec<(String, String)> =
                sqlx::query_as("SELECT periodo_inicio, periodo_fim FROM scraps WHERE cliente_id = $1 AND rota = $2")
                    .bind(i32::try_from(*client)?)
                    .bind(route.name())
                    .fetch_all(&self.pool)
                    .await?;
            let days: BTreeSet<String> =
                (0..DAYS).map(day).filter(|day| asked.iter().any(|(from, to)| from <= day && day <= to)).collect();
            let expected: Vec<&String> = served.iter().filter(|record| is_of(record, &days)).collect();
            let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM dados_raw WHERE cliente_id = $1 AND origem = $2")
                .bind(i32::try_from(*client)?)
                .bind(route.name())
                .fetch_one(&self.pool)
                .await?;
            let equal: i64 = sqlx::query_scalar(
                "SELECT COUNT(DISTINCT d.id) FROM dados_raw d JOIN unnest($1::text[]) s ON d.payload = s::jsonb \
                 WHERE d.cliente_id = $2 AND d.origem = $3",
            )
            .bind(&expected)
            .bind(i32::try_from(*client)?)
            .bind(route.name())
            .fetch_one(&self.pool)
            .await?;
            let wanted = i64::try_from(expected.len())?;
            ensure!(
                rows == wanted && equal == wanted,
                "client {client}, {route}: {wanted} records were served, {rows} are there, and {equal} of them equal one"
            );
            records += rows;
        }
        // Every host that died was killed: that convicts no connector.
        let held: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM atlas_quarentena").fetch_one(&self.pool).await?;
        ensure!(held == 0, "{held} versions of connectors are held");
        let scraps = sqlx::query_scalar("SELECT COUNT(*) FROM scraps").fetch_one(&self.pool).await.context("scraps")?;
        Ok((scraps, records))
    }
}

/// A day by its number from the first on.
fn day(number: u64) -> String {
    format!("2025-10-{:02}", 1 + number)
}

/// Whether a record is of one of these days.
fn is_of(record: &str, days: &BTreeSet<String>) -> bool {
    days.iter().any(|day| record.contains(&format!("\"data\":\"{day}\"")))
}
