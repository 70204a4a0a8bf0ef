//! `atlas schedule add|list|pause|resume|run|remove`.

use atlas_model::{Notice, Schedule, notice};
use atlas_service::zone::Zone;
use atlas_service::{Atlas, Created, Exit, Failure, ScheduleRequest};
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

use super::args::{ScheduleArgs, ScheduleCommand};
use super::output::Output;

pub(super) async fn run(args: ScheduleArgs, atlas: &Atlas, output: &Output) -> Result<Exit, Failure> {
    match args.command {
        ScheduleCommand::Add(args) => {
            let Created { id, bound } = atlas
                .add_schedule(ScheduleRequest {
                    cliente_id: args.client,
                    rota: args.route,
                    cron: args.cron,
                    timezone: args.timezone.or_else(|| atlas.config().timezone.map(|zone| zone.name().to_owned())),
                    window: args.window,
                    page_size: args.page_size,
                    overlap: args.overlap,
                })
                .await?;
            if let Some(bound) = bound {
                output.remark(&bound);
            }
            if output.is_json() {
                output.json(&serde_json::json!({ "agenda_id": id }));
            } else {
                output.line(&id.to_string());
                output.remark(&notice!("schedule-added", id = id));
            }
        }
        ScheduleCommand::List => list(&atlas.schedules().await?, atlas.config().zone(), output),
        ScheduleCommand::Pause { id } => {
            atlas.set_schedule(id, false).await?;
            output.remark(&notice!("schedule-paused", id = id));
        }
        ScheduleCommand::Resume { id } => {
            atlas.set_schedule(id, true).await?;
            output.remark(&notice!("schedule-resumed", id = id));
        }
        ScheduleCommand::Run { id } => {
            let scrap = atlas.run_schedule(id).await?;
            if output.is_json() {
                output.json(&serde_json::json!({ "scrap_id": scrap }));
            } else {
                output.line(&scrap.to_string());
                output.remark(&notice!("scrap-queued", id = scrap));
            }
        }
        ScheduleCommand::Remove { id } => {
            atlas.remove_schedule(id).await?;
            output.remark(&notice!("schedule-removed", id = id));
        }
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct ScheduleRow<'a> {
    agenda_id: i64,
    cliente_id: i32,
    rota: &'a str,
    cron: &'a str,
    fuso: &'a str,
    janela_dias: Option<i32>,
    sobrepor: bool,
    ativa: bool,
    /// RFC 3339.
    proxima: String,
    ultimo_scrap: Option<i64>,
}

fn list(schedules: &[Schedule], zone: Zone, output: &Output) {
    let listed = |schedule: &Schedule| {
        let next = DateTime::from_timestamp(schedule.next, 0);
        next.map(|next| zone.local(next).to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
    };
    let rows: Vec<ScheduleRow<'_>> = schedules
        .iter()
        .map(|schedule| ScheduleRow {
            agenda_id: schedule.id,
            cliente_id: schedule.cliente_id,
            rota: &schedule.rota,
            cron: &schedule.cron,
            fuso: &schedule.timezone,
            janela_dias: schedule.window_days,
            sobrepor: schedule.overlap,
            ativa: schedule.active,
            proxima: listed(schedule),
            ultimo_scrap: schedule.last_scrap,
        })
        .collect();
    let headings = [
        "heading-id",
        "heading-client",
        "heading-route",
        "heading-cron",
        "heading-timezone",
        "heading-window",
        "heading-next",
        "heading-scrap",
    ];
    output.list(&headings, &rows, |row| {
        let none = || "-".to_owned();
        vec![
            row.agenda_id.to_string(),
            row.cliente_id.to_string(),
            row.rota.to_owned(),
            row.cron.to_owned(),
            row.fuso.to_owned(),
            row.janela_dias.map_or_else(none, |days| format!("{days}d")),
            if row.ativa { row.proxima.clone() } else { output.text(&Notice::new("schedule-is-paused")) },
            row.ultimo_scrap.map_or_else(none, |scrap| scrap.to_string()),
        ]
    });
}
