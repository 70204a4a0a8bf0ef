//! Numbers and times as the reader writes them. The script does the same with what arrives later
//! (`Intl`).

use atlas_model::notice::acts_on_a_terminal;
use atlas_service::i18n::Lang;
use atlas_service::zone::Zone;
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
use maud::{Markup, html};

/// `1.234.567` or `1,234,567`.
pub(super) fn number(n: i64, lang: Lang) -> String {
    let digits = n.unsigned_abs().to_string();
    let separator = match lang {
        Lang::PtBr => '.',
        Lang::En => ',',
    };
    let mut text = String::from(if n < 0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

/// A moment in a time zone's local time; its title shows the zone's name and the offset.
pub(super) fn time(moment: DateTime<Utc>, zone: Zone, lang: Lang) -> Markup {
    let local = zone.local(moment);
    let shown = match lang {
        Lang::PtBr => local.format("%d/%m/%Y %H:%M:%S"),
        Lang::En => local.format("%Y-%m-%d %H:%M:%S"),
    };
    let exact = local.to_rfc3339_opts(SecondsFormat::Secs, true);
    html! { time datetime=(exact) title={ (exact) " " (zone.name()) } { (shown) } }
}

/// Only its hour, where the day is known: of a log's lines.
pub(super) fn clock(moment: DateTime<Utc>, zone: Zone) -> Markup {
    let local = zone.local(moment);
    let exact = local.to_rfc3339_opts(SecondsFormat::Millis, true);
    html! { time datetime=(exact) title={ (exact) " " (zone.name()) } { (local.format("%H:%M:%S")) } }
}

/// A day.
pub(super) fn day(text: &str, lang: Lang) -> String {
    match (NaiveDate::parse_from_str(text, "%Y-%m-%d"), lang) {
        (Ok(day), Lang::PtBr) => day.format("%d/%m/%Y").to_string(),
        (Ok(day), Lang::En) => day.format("%Y-%m-%d").to_string(),
        (Err(_), _) => text.to_owned(),
    }
}

/// A period.
pub(super) fn period(period: Option<&(String, String)>, lang: Lang) -> String {
    match period {
        Some((from, to)) if from == to => day(from, lang),
        Some((from, to)) => format!("{} – {}", day(from, lang), day(to, lang)),
        None => "–".to_owned(),
    }
}

/// The same as short as it can be told, for a list: what both days share stands once.
pub(super) fn short_period(period: Option<&(String, String)>, lang: Lang) -> String {
    let parsed = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let days = period.and_then(|(from, to)| Some((parsed(from)?, parsed(to)?)));
    let Some((from, to)) = days.filter(|(from, to)| from != to && from.year() == to.year()) else {
        return self::period(period, lang);
    };
    let is_same_month = from.month() == to.month();
    match lang {
        Lang::PtBr if is_same_month => format!("{}–{}", from.format("%d"), to.format("%d/%m/%Y")),
        Lang::PtBr => format!("{}–{}", from.format("%d/%m"), to.format("%d/%m/%Y")),
        Lang::En if is_same_month => format!("{} – {}", from.format("%Y-%m-%d"), to.format("%d")),
        Lang::En => format!("{} – {}", from.format("%Y-%m-%d"), to.format("%m-%d")),
    }
}

/// `12,5 s`, `3 min 05 s`, `2 h 10 min`.
pub(super) fn duration(ms: i64, lang: Lang) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..60 => {
            let text = format!("{:.1} s", ms as f64 / 1_000.0);
            if lang == Lang::PtBr { text.replace('.', ",") } else { text }
        }
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// `12,5 KiB`; 1 KiB is 1,024 bytes, as limits are counted.
pub(super) fn bytes(n: u64, lang: Lang) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 1_024.0 && unit + 1 < units.len() {
        value /= 1_024.0;
        unit += 1;
    }
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text).to_owned();
    let text = if lang == Lang::PtBr { text.replace('.', ",") } else { text };
    format!("{text} {}", units[unit])
}

/// A source's text, made safe to show: line breaks and tabs stay, other control characters and
/// marks that reverse the direction of text are escaped.
pub(super) fn sent(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        match c {
            '\n' | '\t' => shown.push(c),
            c if acts_on_a_terminal(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_reader_writes_them() {
        for (n, pt, en) in
            [(0, "0", "0"), (999, "999", "999"), (1_000, "1.000", "1,000"), (-1_234_567, "-1.234.567", "-1,234,567")]
        {
            assert_eq!((number(n, Lang::PtBr).as_str(), number(n, Lang::En).as_str()), (pt, en));
        }
        assert_eq!(number(i64::MIN, Lang::En), "-9,223,372,036,854,775,808");
    }

    #[test]
    fn durations_and_sizes_are_short() {
        assert_eq!(duration(12_345, Lang::PtBr), "12,3 s");
        assert_eq!(duration(185_000, Lang::En), "3 min 05 s");
        assert_eq!(duration(7_800_000, Lang::En), "2 h 10 min");
        assert_eq!(bytes(999, Lang::En), "999 B");
        assert_eq!(bytes(12_800, Lang::PtBr), "12,5 KiB");
        assert_eq!(bytes(256 << 20, Lang::PtBr), "256 MiB");
    }

    #[test]
    fn what_was_sent_keeps_its_lines_and_turns_none_around() {
        assert_eq!(sent("{\n\t\"é\": \"a\u{202e}b\r\u{7}\"\n}"), "{\n\t\"é\": \"a\\u{202e}b\\r\\u{7}\"\n}");
    }

    #[test]
    fn a_period_in_a_list_says_once_what_both_days_share() {
        let short = |from: &str, to: &str, lang| short_period(Some(&(from.to_owned(), to.to_owned())), lang);
        for (from, to, pt, en) in [
            ("2025-10-20", "2025-10-24", "20–24/10/2025", "2025-10-20 – 24"),
            ("2025-10-20", "2025-11-05", "20/10–05/11/2025", "2025-10-20 – 11-05"),
            ("2025-10-20", "2025-10-20", "20/10/2025", "2025-10-20"),
            ("2025-12-20", "2026-01-05", "20/12/2025 – 05/01/2026", "2025-12-20 – 2026-01-05"),
            ("ontem", "hoje", "ontem – hoje", "ontem – hoje"),
        ] {
            assert_eq!((short(from, to, Lang::PtBr).as_str(), short(from, to, Lang::En).as_str()), (pt, en));
        }
        assert_eq!(short_period(None, Lang::En), "–");
    }

    #[test]
    fn what_is_no_day_is_shown_as_it_is() {
        assert_eq!(day("2025-10-20", Lang::PtBr), "20/10/2025");
        assert_eq!(day("amanhã", Lang::PtBr), "amanhã");
    }
}
