//! Pages as bytes. The records stand in a piece of their own, shared by every answer that serves
//! them; what differs between two answers (links, counts) follows in a small second piece. So a
//! page that was rendered ahead is served without copying it.

use std::{collections::HashMap, ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{
    Charset, Malformed, Settings,
    listing::{ListKey, Listings, Period},
    record,
};

/// The records of one page.
pub(crate) struct Page {
    /// `{"data":[…` without the closing bracket.
    open: Bytes,
    /// Where each record stands in it.
    texts: Vec<Range<usize>>,
    /// The index of its first record in the whole listing.
    first: u64,
}

impl Page {
    pub(crate) fn render(settings: &Settings, key: &ListKey, numbers: &[u64], first: u64) -> Self {
        let mut open = String::with_capacity(64 + numbers.len() * settings.record_bytes.unwrap_or(1024));
        let mut texts = Vec::with_capacity(numbers.len());
        open.push_str("{\"data\":[");
        for (at, &number) in numbers.iter().enumerate() {
            if at > 0 {
                open.push(',');
            }
            let start = open.len();
            let day = key.day_of(settings, number);
            record::render(&mut open, settings, key.cliente, key.rota, number, day);
            texts.push(start..open.len());
        }
        Self { open: open.into(), texts, first }
    }

    /// The exact text of each record.
    pub(crate) fn records(&self) -> impl Iterator<Item = Bytes> + '_ {
        self.texts.iter().map(|at| self.open.slice(at.clone()))
    }

    /// The raw elements that stand on this page.
    pub(crate) fn extras<'a>(&self, all: &'a [Malformed]) -> impl Iterator<Item = &'a Malformed> + use<'a> {
        let here = self.first..self.first + self.texts.len() as u64;
        all.iter().filter(move |extra| here.contains(&extra.after))
    }

    /// The body up to, not including, the bracket that closes `data`.
    pub(crate) fn open(&self, extras: &[Malformed], charset: Option<Charset>) -> Bytes {
        if charset.is_none() && self.extras(extras).next().is_none() {
            return self.open.clone();
        }
        let mut out = b"{\"data\":[".to_vec();
        for (index, record) in (self.first..).zip(self.records()) {
            if index > self.first {
                out.push(b',');
            }
            match charset {
                Some(charset) => charset.append(&String::from_utf8_lossy(&record), &mut out),
                None => out.extend_from_slice(&record),
            }
            for extra in extras.iter().filter(|extra| extra.after == index) {
                out.push(b',');
                out.extend_from_slice(&extra.raw);
            }
        }
        out.into()
    }
}

/// The rest of a page's body.
pub(crate) struct Envelope {
    pub(crate) current_page: u64,
    pub(crate) last_page: u64,
    pub(crate) next_page_url: Option<String>,
    pub(crate) total: Option<i128>,
}

impl Envelope {
    pub(crate) fn close(&self) -> Bytes {
        let next = serde_json::Value::from(self.next_page_url.clone());
        let total = self.total.map_or(String::new(), |total| format!(",\"total\":{total}"));
        format!(
            "],\"current_page\":{},\"last_page\":{},\"next_page_url\":{next}{total}}}",
            self.current_page, self.last_page
        )
        .into()
    }
}

/// The rest of a poll's body.
pub(crate) fn close_lot(lot: Option<u64>) -> Bytes {
    lot.map_or_else(|| "],\"lote\":null}".into(), |lot| format!("],\"lote\":\"{lot:016x}\"}}").into())
}

/// Pages that were rendered ahead.
#[derive(Default)]
pub(crate) struct Prerendered(HashMap<(ListKey, u64, u64), Arc<Page>>);

impl Prerendered {
    pub(crate) fn render(settings: &Settings) -> anyhow::Result<Self> {
        let mut pages = HashMap::new();
        let listings = Listings::default();
        for ahead in &settings.prerender {
            anyhow::ensure!(
                (1..=settings.max_per_page).contains(&ahead.per_page),
                "a page size to render ahead must lie between 1 and max_per_page"
            );
            let period = Period::parse(&ahead.from, &ahead.to)?;
            let key = ListKey {
                cliente: ahead.cliente,
                rota: ahead.rota,
                period: ahead.rota.takes_period().then_some(period),
            };
            for page in 1.. {
                let first = (page - 1) * ahead.per_page;
                let window = listings.window(settings, &key, first..first + ahead.per_page);
                let rendered = Page::render(settings, &key, &window.numbers, first);
                pages.insert((shared(settings, key), page, ahead.per_page), rendered.into());
                if first + ahead.per_page >= window.total {
                    break;
                }
            }
        }
        Ok(Self(pages))
    }

    pub(crate) fn get(&self, settings: &Settings, key: ListKey, page: u64, per_page: u64) -> Option<Arc<Page>> {
        self.0.get(&(shared(settings, key), page, per_page)).cloned()
    }
}

/// Clients whose records are identical share their pages.
fn shared(settings: &Settings, mut key: ListKey) -> ListKey {
    if settings.identical_clients {
        key.cliente = 0;
    }
    key
}
