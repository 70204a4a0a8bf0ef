//! The time zone in which operators name days and read times. The tables count in UTC; every day
//! that is asked for and every time that is shown goes through here, so that a list, its filter and
//! its export agree on what a day is.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, Offset, SecondsFormat, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Seconds of a day.
const DAY_S: i64 = 24 * 60 * 60;

/// A time zone of the IANA database (<https://www.iana.org/time-zones>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(chrono_tz::UTC);

    /// The zone of this name (`America/Sao_Paulo`).
    pub fn parse(name: &str) -> Option<Self> {
        name.trim().parse().ok().map(Self)
    }

    /// This machine's, by `TZ` or the system's own setting; UTC where neither names one.
    pub fn of_this_machine() -> Self {
        let by_variable = std::env::var("TZ").ok().and_then(|name| Self::parse(name.trim_start_matches(':')));
        let by_system = || iana_time_zone::get_timezone().ok().and_then(|name| Self::parse(&name));
        by_variable.or_else(by_system).unwrap_or(Self::UTC)
    }

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// A moment as this zone's clocks show it.
    pub fn local(self, moment: DateTime<Utc>) -> DateTime<Tz> {
        moment.with_timezone(&self.0)
    }

    /// A time as either database writes it, in RFC 3339 with this zone's offset and all its
    /// decimals; what is no time stays as it is.
    pub fn rfc3339(self, text: &str) -> String {
        match moment(text) {
            Some(moment) => self.local(moment).to_rfc3339_opts(SecondsFormat::AutoSi, true),
            None => text.to_owned(),
        }
    }

    /// A time in this zone for people, to the second: `2026-11-29 07:00:00 -03:00`.
    pub fn shown(self, text: &str) -> String {
        match moment(text) {
            Some(moment) => self.local(moment).format("%Y-%m-%d %H:%M:%S %:z").to_string(),
            None => text.to_owned(),
        }
    }

    /// When a day begins here. Where clocks skip midnight, it begins with the first time that they
    /// show.
    pub fn begin_of(self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(chrono::NaiveTime::MIN);
        // No zone has ever skipped more than a day (Samoa, 2011).
        let quarters = (0..=96).map(|n| midnight + TimeDelta::minutes(15 * n));
        let begin = quarters.filter_map(|time| self.0.from_local_datetime(&time).earliest()).next();
        begin.map_or_else(|| midnight.and_utc(), |begin| begin.to_utc())
    }

    /// The moments between which the days from `first` to `last` lie, as the tables write times in
    /// UTC: from the first on, and before the second. None where the calendar ends.
    pub fn between(self, first: Option<NaiveDate>, last: Option<NaiveDate>) -> (Option<String>, Option<String>) {
        let within = |moment: DateTime<Utc>| {
            let text = moment.format("%Y-%m-%d %H:%M:%S").to_string();
            // Years of four digits are what both databases compare rightly.
            (text.len() == 19 && !text.starts_with("0000")).then_some(text)
        };
        let next = last.and_then(|last| last.checked_add_days(Days::new(1)));
        (first.and_then(|day| within(self.begin_of(day))), next.and_then(|day| within(self.begin_of(day))))
    }

    /// The longest time, in seconds, of which every day here since `since` is a multiple: rows that
    /// are counted by it in UTC can be added up to days.
    pub fn step(self, since: DateTime<Utc>, until: DateTime<Utc>) -> i64 {
        let mut step = DAY_S;
        let mut at = since;
        while at <= until + TimeDelta::days(1) {
            let offset = i64::from(self.0.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc());
            step = gcd(step, offset.abs());
            at += TimeDelta::hours(12);
        }
        step
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A time as either database writes it: `2026-11-29 10:00:00.5+00`, or without an offset, which is
/// UTC.
pub fn moment(text: &str) -> Option<DateTime<Utc>> {
    let aware = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z").ok().map(|time| time.to_utc());
    let naive = || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok().map(|time| time.and_utc());
    aware.or_else(naive)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::parse(name).unwrap_or_else(|| panic!("{name}"))
    }

    fn day(text: &str) -> Option<NaiveDate> {
        Some(text.parse().unwrap_or_else(|e| panic!("{text}: {e}")))
    }

    fn between(name: &str, first: &str, last: &str) -> (String, String) {
        let (from, until) = zone(name).between(day(first), day(last));
        (from.unwrap_or_default(), until.unwrap_or_default())
    }

    #[test]
    fn a_day_is_what_the_zones_clocks_say() {
        let both = |from: &str, until: &str| (from.to_owned(), until.to_owned());
        assert_eq!(between("UTC", "2026-11-29", "2026-11-29"), both("2026-11-29 00:00:00", "2026-11-30 00:00:00"));
        assert_eq!(
            between("America/Sao_Paulo", "2026-11-29", "2026-11-30"),
            both("2026-11-29 03:00:00", "2026-12-01 03:00:00")
        );
        // Midnight was skipped, and the day had 23 hours; midnight came twice, and the day before
        // had 25.
        assert_eq!(
            between("America/Sao_Paulo", "2018-11-04", "2018-11-04"),
            both("2018-11-04 03:00:00", "2018-11-05 02:00:00")
        );
        assert_eq!(
            between("America/Sao_Paulo", "2018-02-17", "2018-02-17"),
            both("2018-02-17 02:00:00", "2018-02-18 03:00:00")
        );
        assert_eq!(
            between("Asia/Kathmandu", "2026-11-29", "2026-11-29"),
            both("2026-11-28 18:15:00", "2026-11-29 18:15:00")
        );
    }

    #[test]
    fn at_the_calendars_ends_there_is_no_bound() {
        let (from, until) = zone("Asia/Tokyo").between(day("0001-01-01"), day("9999-12-31"));
        assert_eq!((from, until), (None, Some("9999-12-31 15:00:00".to_owned())));
        let (from, until) = zone("America/Sao_Paulo").between(day("0001-01-01"), day("9999-12-31"));
        assert!(from.is_some_and(|from| from.starts_with("0001-01-01")) && until.is_none());
    }

    #[test]
    fn a_time_of_either_database_is_shown_with_the_zones_offset() {
        let saopaulo = zone("America/Sao_Paulo");
        for text in ["2026-11-29 10:00:00", "2026-11-29 10:00:00+00", "2026-11-29 15:30:00+05:30"] {
            assert_eq!(saopaulo.rfc3339(text), "2026-11-29T07:00:00-03:00", "{text}");
            assert_eq!(saopaulo.shown(text), "2026-11-29 07:00:00 -03:00", "{text}");
        }
        assert_eq!(Zone::UTC.rfc3339("2026-11-29 10:00:00.123456"), "2026-11-29T10:00:00.123456Z");
        assert_eq!(saopaulo.shown("soon"), "soon");
    }

    #[test]
    fn days_can_be_added_up_from_the_step() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap_or_else(|e| panic!("{e}"));
        let step = |name: &str| zone(name).step(at("2018-10-20T00:00:00Z"), at("2018-11-20T00:00:00Z"));
        assert_eq!(step("UTC"), DAY_S);
        assert_eq!(step("Asia/Kathmandu"), 15 * 60);
        // Clocks were put forward within these days.
        assert_eq!(step("America/Sao_Paulo"), 60 * 60);
        assert_eq!(step("America/Bogota"), 60 * 60);
        assert_eq!(step("America/Manaus"), 4 * 60 * 60);
    }
}
