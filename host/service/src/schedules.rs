//! Schedules: workers create their scraps when they are due; the first worker to see it does.

use std::str::FromStr;

use atlas_connectors::Descriptor;
use atlas_model::{Fired, Firing, NewSchedule, NewScrap, Schedule, Subject, notice};
use atlas_store::{Fault, StoreError};
use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};

use super::atlas::Atlas;
use super::failure::Failure;
use super::kind::Kind;
use super::scrap_request::{Created, ScrapRequest};

/// The longest window: what is older is a scrap of its own.
const WINDOW_MAX: i32 = 3_660;
const SECONDS_OF_A_DAY: u64 = 86_400;

/// A request to add a schedule.
#[derive(Debug, Clone)]
pub struct ScheduleRequest {
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub rota: String,
    /// When: five fields.
    pub cron: String,
    /// The time zone that they are read in; none: UTC.
    pub timezone: Option<String>,
    /// What a scrap asks for, such as `2d` or `1w`.
    pub window: Option<String>,
    /// Records a page; none: the connector's own.
    pub page_size: Option<i32>,
    /// Whether a scrap is created although the one before has not ended.
    pub overlap: bool,
}

/// When a schedule is due, as cron says it in a time zone.
struct Times {
    cron: Cron,
    zone: Tz,
}

impl Times {
    fn parse(cron: &str, timezone: &str) -> Result<Self, Failure> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        let parsed = parser.parse(cron);
        let cron = parsed.map_err(|error| Failure::usage(notice!("error-cron", value = cron, reason = error)))?;
        let zone = Tz::from_str(timezone).map_err(|_| Failure::usage(notice!("error-timezone", value = timezone)))?;
        Ok(Self { cron, zone })
    }

    /// The next moment after this one, in seconds since 1970. However many were missed until then,
    /// they are one.
    fn after(&self, moment: DateTime<Utc>) -> Result<i64, Failure> {
        let next = self.cron.find_next_occurrence(&moment.with_timezone(&self.zone), false);
        let never = |error: croner::errors::CronError| {
            let cron = self.cron.as_str();
            Failure::usage(notice!("error-cron", value = cron, reason = error))
        };
        Ok(next.map_err(never)?.timestamp())
    }
}

impl Atlas {
    /// Adds a schedule, and gives its number.
    pub async fn add_schedule(&self, request: ScheduleRequest) -> Result<Created, Failure> {
        let timezone = request.timezone.as_deref().unwrap_or("UTC");
        let times = Times::parse(&request.cron, timezone)?;
        let now = Utc::now();
        let next = times.after(now)?;
        let connector = self.connectors().connector(&request.rota).await?;
        let window_days = window(request.window.as_deref(), &connector.descriptor)?;
        let today = now.with_timezone(&times.zone).date_naive().to_string();
        // All that is asked of a scrap is asked of one that would be created today.
        let day = window_days.map(|_| today);
        let page_size = request.page_size;
        let as_scrap = ScrapRequest {
            cliente_id: request.cliente_id,
            rota: request.rota,
            from: day.clone(),
            to: day,
            page_size,
            slice: None,
            batch: None,
            retries: None,
            paused: false,
        };
        self.check_scrap(&as_scrap).await?;
        let bound = self.bind_for(as_scrap.cliente_id, &as_scrap.rota).await?;
        let schedule = NewSchedule {
            cliente_id: as_scrap.cliente_id,
            rota: as_scrap.rota,
            cron: request.cron,
            timezone: timezone.to_owned(),
            window_days,
            page_size: page_size.unwrap_or(0),
            overlap: request.overlap,
            next,
        };
        let id = self.store().add_schedule(&schedule).await.map_err(|error| Failure::store("op-schedule", &error))?;
        Ok(Created { id, bound })
    }

    /// All schedules.
    pub async fn schedules(&self) -> Result<Vec<Schedule>, Failure> {
        self.store().schedules().await.map_err(|error| Failure::store("op-schedule", &error))
    }

    /// Lets a schedule create no scraps, or again those that are due from now on.
    pub async fn set_schedule(&self, id: i64, active: bool) -> Result<(), Failure> {
        let schedule = self.schedule(id).await?;
        // One that cannot be read any more can be paused all the same.
        let next =
            if active { Times::parse(&schedule.cron, &schedule.timezone)?.after(Utc::now())? } else { schedule.next };
        let set = self.store().set_schedule(id, active, next).await;
        there(id, set.map_err(|error| Failure::store("op-schedule", &error))?)
    }

    /// Removes a schedule. Its scraps stay.
    pub async fn remove_schedule(&self, id: i64) -> Result<(), Failure> {
        let removed = self.store().remove_schedule(id).await;
        there(id, removed.map_err(|error| Failure::store("op-schedule", &error))?)
    }

    /// Creates a schedule's scrap now, beside those that are due, and gives its number.
    pub async fn run_schedule(&self, id: i64) -> Result<i64, Failure> {
        let schedule = self.schedule(id).await?;
        let connector = self.connectors().connector(&schedule.rota).await?;
        let times = Times::parse(&schedule.cron, &schedule.timezone)?;
        let settings = self.settings_if_they_suit(schedule.cliente_id, &connector.descriptor).await?;
        let scrap = scrap(&schedule, &connector.descriptor, settings, Utc::now().with_timezone(&times.zone));
        let fired = self.store().fire(&Firing { schedule: &schedule, next: schedule.next, scrap: &scrap }).await;
        match fired.map_err(|error| Failure::store("op-schedule", &error))? {
            Fired::Scrap(id) => Ok(id),
            Fired::Overlaps => {
                let last = schedule.last_scrap.unwrap_or(0);
                let notice = notice!("error-schedule-overlaps", id = id, scrap = last);
                Err(Failure::usage(notice.about(Subject::Scrap(last))))
            }
            Fired::Passed => {
                Err(Failure::usage(notice!("error-schedule-paused", id = id).about(Subject::Schedule(id))))
            }
        }
    }

    /// Creates the scraps of all schedules that are due and whose connectors are here.
    pub(super) async fn fire_schedules(&self) -> Result<(), Failure> {
        let now = Utc::now();
        let sort = |error: StoreError| Failure::store("op-schedule", &error);
        for schedule in self.store().due_schedules(now.timestamp()).await.map_err(sort)? {
            // Another host may have the connector.
            let Ok(connector) = self.connectors().connector(&schedule.rota).await else { continue };
            let times = Times::parse(&schedule.cron, &schedule.timezone);
            let Ok((times, next)) = times.and_then(|times| times.after(now).map(|next| (times, next))) else {
                tracing::warn!(
                    agenda = schedule.id,
                    cron = schedule.cron,
                    fuso = schedule.timezone,
                    "no time is read in it"
                );
                continue;
            };
            let settings = self.settings_if_they_suit(schedule.cliente_id, &connector.descriptor).await?;
            let scrap = scrap(&schedule, &connector.descriptor, settings, now.with_timezone(&times.zone));
            match self.store().fire(&Firing { schedule: &schedule, next, scrap: &scrap }).await {
                Ok(Fired::Overlaps) => {
                    tracing::info!(agenda = schedule.id, "its last scrap has not ended: none is created this time");
                }
                Ok(Fired::Scrap(id)) => tracing::info!(agenda = schedule.id, scrap = id, "created"),
                Ok(Fired::Passed) => {}
                Err(error) if matches!(error.fault, Fault::Unavailable | Fault::TooSlow | Fault::Collision) => {
                    return Err(sort(error));
                }
                // Removed meanwhile, with its client perhaps.
                Err(error) => tracing::warn!(agenda = schedule.id, %error, "no scrap was created"),
            }
        }
        Ok(())
    }

    /// One schedule.
    pub async fn schedule(&self, id: i64) -> Result<Schedule, Failure> {
        let found = self.schedules().await?.into_iter().find(|schedule| schedule.id == id);
        found.ok_or_else(|| unknown(id))
    }
}

fn unknown(id: i64) -> Failure {
    Failure::not_found(notice!("error-schedule-unknown", id = id).about(Subject::Schedule(id)))
}

fn there(id: i64, is_there: bool) -> Result<(), Failure> {
    if is_there { Ok(()) } else { Err(unknown(id)) }
}

/// `2d`, `1w`: days, the present one included.
fn window(text: Option<&str>, descriptor: &Descriptor) -> Result<Option<i32>, Failure> {
    let Some(text) = text else {
        if descriptor.takes_period {
            let notice = notice!("error-window-missing", route = descriptor.route);
            return Err(Failure::new("op-usage", notice, Kind::Usage));
        }
        return Ok(None);
    };
    if !descriptor.takes_period {
        return Err(Failure::usage(notice!("error-period-not-taken", route = descriptor.route)));
    }
    let days = super::period::days(text)
        .and_then(|days| i32::try_from(days).ok())
        .filter(|days| (1..=WINDOW_MAX).contains(days));
    days.map(Some).ok_or_else(|| Failure::usage(notice!("error-window", value = text)))
}

/// The scrap that a schedule creates at this moment.
fn scrap(schedule: &Schedule, descriptor: &Descriptor, settings: String, now: DateTime<Tz>) -> NewScrap {
    NewScrap {
        cliente_id: schedule.cliente_id,
        rota: schedule.rota.clone(),
        period: schedule.window_days.map(|days| {
            let (from, to) = period(days, schedule.last_day.as_deref(), descriptor.lag_seconds, now.date_naive());
            (from.to_string(), to.to_string())
        }),
        page_size: schedule.page_size,
        settings,
        host: None,
        slices: Vec::new(),
        batch: None,
        retries: None,
        paused: false,
    }
}

/// The period of a schedule's next scrap: `days` days, today included, or more where the last
/// scrap's last day is further back. That day was not over then, and records of the days before it
/// may have appeared since, for as long as the source lags. So no record is left out, however many
/// times were missed.
fn period(days: i32, last_day: Option<&str>, lag_seconds: u64, today: NaiveDate) -> (NaiveDate, NaiveDate) {
    let back = |day: NaiveDate, days: u64| day.checked_sub_days(Days::new(days)).unwrap_or(day);
    let window = back(today, u64::try_from(days.saturating_sub(1)).unwrap_or(0));
    let last = last_day.and_then(|day| day.parse().ok());
    let unread = last.map(|last| back(last, lag_seconds.div_ceil(SECONDS_OF_A_DAY)));
    (unread.map_or(window, |unread| unread.min(window)), today)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn asked(days: i32, last_day: Option<&str>, lag_seconds: u64) -> String {
        let (from, to) = period(days, last_day, lag_seconds, day("2025-10-24"));
        format!("{from} {to}")
    }

    #[test]
    fn a_window_ends_today_and_reaches_back_to_what_may_not_have_been_read() {
        assert_eq!(asked(1, None, 0), "2025-10-24 2025-10-24");
        assert_eq!(asked(2, None, 0), "2025-10-23 2025-10-24");
        // The last one's last day was not over, and the source may lag behind it.
        assert_eq!(asked(1, Some("2025-10-23"), 0), "2025-10-23 2025-10-24");
        assert_eq!(asked(1, Some("2025-10-23"), 1), "2025-10-22 2025-10-24");
        assert_eq!(asked(1, Some("2025-10-23"), 2 * SECONDS_OF_A_DAY), "2025-10-21 2025-10-24");
        // Ten days without a worker.
        assert_eq!(asked(2, Some("2025-10-14"), 3600), "2025-10-13 2025-10-24");
        assert_eq!(asked(7, Some("2025-10-23"), 0), "2025-10-18 2025-10-24");
    }

    #[test]
    fn cron_is_read_in_its_time_zone_and_what_was_missed_is_missed_once() {
        let times = Times::parse("0 */6 * * *", "America/Sao_Paulo").unwrap_or_else(|e| panic!("{e:?}"));
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap_or_else(|e| panic!("{e}"));
        let next = |text: &str| {
            let next = times.after(at(text)).unwrap_or_else(|e| panic!("{e:?}"));
            DateTime::from_timestamp(next, 0).map(|next| next.to_rfc3339()).unwrap_or_default()
        };
        assert_eq!(next("2025-10-24T01:00:00Z"), "2025-10-24T03:00:00+00:00");
        assert_eq!(next("2025-10-24T03:00:00Z"), "2025-10-24T09:00:00+00:00");
        assert_eq!(next("2025-10-29T22:10:00Z"), "2025-10-30T03:00:00+00:00");
        for bad in ["", "* * * *", "0 0 0 * * *", "61 * * * *", "a b c d e", "0 0 30 2 *"] {
            let never = Times::parse(bad, "UTC").and_then(|times| times.after(at("2025-10-24T00:00:00Z")));
            assert!(never.is_err(), "{bad:?}");
        }
        assert!(Times::parse("* * * * *", "Sao Paulo").is_err());
    }
}
