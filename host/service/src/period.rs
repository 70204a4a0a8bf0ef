//! Periods as people type them, and the slices of a long one.

use atlas_connectors::Descriptor;
use atlas_model::notice;
use chrono::{Datelike, Days, NaiveDate};

use super::failure::Failure;
use super::scrap_request::ScrapRequest;
use crate::zone::Zone;

/// Slices of one scrap.
const SLICES_MAX: usize = 1_000;

/// First and last day, ISO 8601.
pub(super) type Period = (String, String);

/// The period that is asked for, if the route takes one.
pub(super) fn period(request: &ScrapRequest, descriptor: &Descriptor) -> Result<Option<Period>, Failure> {
    let days = days_of(request, descriptor)?;
    Ok(days.map(written))
}

/// The slices that a scrap is divided into; none if it is not, or if one would be all of it.
pub(super) fn slices(request: &ScrapRequest, descriptor: &Descriptor) -> Result<Vec<Period>, Failure> {
    let Some(text) = &request.slice else { return Ok(Vec::new()) };
    let length = days(text).ok_or_else(|| Failure::usage(notice!("error-slice", value = text)))?;
    let Some(period) = days_of(request, descriptor)? else {
        return Err(Failure::usage(notice!("error-period-not-taken", route = request.rota)));
    };
    let slices: Vec<Period> = divide(period, length).take(SLICES_MAX + 1).map(written).collect();
    match slices.len() {
        0 | 1 => Ok(Vec::new()),
        2..=SLICES_MAX => Ok(slices),
        _ => Err(Failure::usage(notice!("error-slices", value = text, max = SLICES_MAX))),
    }
}

/// `2d`, `1w`: a number of days, at least one.
pub(super) fn days(text: &str) -> Option<u32> {
    let days = text.strip_suffix('d').map(|days| (days, 1)).or_else(|| text.strip_suffix('w').map(|weeks| (weeks, 7)));
    let (number, unit) = days?;
    number.parse::<u32>().ok()?.checked_mul(unit).filter(|days| *days > 0)
}

fn days_of(request: &ScrapRequest, descriptor: &Descriptor) -> Result<Option<(NaiveDate, NaiveDate)>, Failure> {
    let route = &request.rota;
    match (&request.from, &request.to, descriptor.takes_period) {
        (None, None, false) => Ok(None),
        (_, _, false) => Err(Failure::usage(notice!("error-period-not-taken", route = route))),
        (Some(from), Some(to), true) => {
            let (first, last) = (date(from)?, date(to)?);
            if first > last {
                return Err(Failure::usage(notice!("error-period-turned", from = from, to = to)));
            }
            Ok(Some((first, last)))
        }
        _ => Err(Failure::usage(notice!("error-period-missing", route = route))),
    }
}

/// A day, as ISO 8601 writes it and in no other way: `20/10/2025` may be read in two.
fn date(text: &str) -> Result<NaiveDate, Failure> {
    let iso = text.len() == "2025-10-20".len() && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    // No database has the year 0.
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|date| iso && date.year() > 0);
    date.ok_or_else(|| Failure::usage(notice!("error-date", value = text)))
}

/// The moments between which records were collected that lie on these days of a zone, both
/// included, as the tables write times.
pub fn collected(
    zone: Zone,
    first: Option<&str>,
    last: Option<&str>,
) -> Result<(Option<String>, Option<String>), Failure> {
    let (from, to) = (first.map(date).transpose()?, last.map(date).transpose()?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(Failure::usage(notice!("error-period-turned", from = from, to = to)));
    }
    Ok(zone.between(from, to))
}

/// One slice after the other, of so many days; the last may be shorter.
fn divide((first, last): (NaiveDate, NaiveDate), days: u32) -> impl Iterator<Item = (NaiveDate, NaiveDate)> {
    let end = move |start: NaiveDate| {
        start.checked_add_days(Days::new(u64::from(days) - 1)).map_or(last, |end| end.min(last))
    };
    let starts = std::iter::successors(Some(first), move |start| end(*start).succ_opt().filter(|next| *next <= last));
    starts.map(move |start| (start, end(start)))
}

fn written((first, last): (NaiveDate, NaiveDate)) -> Period {
    (first.to_string(), last.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slices_hold_every_day_of_the_period_once_and_no_other(
            start in 0_u64..60_000, length in 0_u64..2_000, days in prop_oneof![1_u32..40, Just(u32::MAX)],
        ) {
            let first = NaiveDate::default() + Days::new(start);
            let last = first + Days::new(length);
            let slices: Vec<_> = divide((first, last), days).collect();
            let held: Vec<NaiveDate> =
                slices.iter().flat_map(|(from, to)| from.iter_days().take_while(move |day| day <= to)).collect();
            let all: Vec<NaiveDate> = first.iter_days().take_while(|day| *day <= last).collect();
            prop_assert_eq!(held, all);
            let lengths: Vec<i64> = slices.iter().map(|(from, to)| (*to - *from).num_days() + 1).collect();
            let (shortest, whole) = lengths.split_last().expect("one at least");
            prop_assert!(whole.iter().all(|length| *length == i64::from(days)) && *shortest <= i64::from(days));
        }
    }

    #[test]
    fn the_last_day_that_there_is_ends_the_last_slice() {
        let slices: Vec<_> = divide((NaiveDate::MAX - Days::new(4), NaiveDate::MAX), 3).collect();
        assert_eq!(slices.len(), 2);
        assert_eq!(slices[1].1, NaiveDate::MAX);
    }

    #[test]
    fn a_day_is_one_that_every_database_has() {
        assert!(date("2025-10-20").is_ok());
        for text in ["0000-01-01", "-001-01-01", "+200-01-01", "+12345-01-01", "2025-1-20", "20/10/2025", ""] {
            assert!(date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days_and_weeks_are_numbers_of_days() {
        assert_eq!([days("1d"), days("2w"), days("31d")], [Some(1), Some(14), Some(31)]);
        for text in ["", "d", "0d", "-1d", "1", "1m", "1.5d", "4294967295w"] {
            assert_eq!(days(text), None, "{text}");
        }
    }
}
