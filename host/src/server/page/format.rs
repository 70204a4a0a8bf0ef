//! Numbers and times as the reader writes them. The script does the same with what arrives later (`Intl`).

use chrono::{DateTime, NaiveDate};
use maud::{Markup, html};

use crate::i18n::Lang;
use crate::notice::acts_on_a_terminal;
use crate::server::view::rfc3339;

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

/// A time as either database writes it: in UTC until the script shows it in the reader's own zone.
pub(super) fn time(text: &str, lang: Lang) -> Markup {
    let exact = rfc3339(text);
    let shown = match (DateTime::parse_from_rfc3339(&exact), lang) {
        (Ok(time), Lang::PtBr) => time.format("%d/%m/%Y %H:%M:%S UTC").to_string(),
        (Ok(time), Lang::En) => time.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        (Err(_), _) => exact.clone(),
    };
    html! { time datetime=(exact) data-time { (shown) } }
}

/// A moment in seconds since 1970.
pub(super) fn moment(seconds: i64, lang: Lang) -> Markup {
    match DateTime::from_timestamp(seconds, 0) {
        Some(time) => self::time(&time.format("%Y-%m-%d %H:%M:%S").to_string(), lang),
        None => html! { (seconds) },
    }
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

/// What a source sent, to be read: on its own lines, and with all that would turn a line around, or not be seen, written out.
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
    fn what_is_no_day_is_shown_as_it_is() {
        assert_eq!(day("2025-10-20", Lang::PtBr), "20/10/2025");
        assert_eq!(day("amanhã", Lang::PtBr), "amanhã");
    }
}
