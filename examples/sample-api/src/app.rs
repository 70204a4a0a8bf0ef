//! What every request shares.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use crate::{
    FaultKind, Faults, Settings,
    dice::Dice,
    listing::{ListKey, Listings},
    log::{Authorization, Log, WholePage},
    opens::Tokens,
    page::{Page, Prerendered},
    request::Request,
};

pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) address: SocketAddr,
    pub(crate) listings: Listings,
    pub(crate) prerendered: Prerendered,
    pub(crate) log: Log,
    pub(crate) tokens: Tokens,
    faults: RwLock<Arc<Faults>>,
    /// Attempts at each page since the faults were set.
    attempts: Mutex<HashMap<(ListKey, u64), u64>>,
}

impl App {
    pub(crate) fn new(settings: Settings, address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            prerendered: Prerendered::render(&settings)?,
            faults: RwLock::new(Arc::new(settings.faults.clone())),
            settings,
            address,
            listings: Listings::default(),
            log: Log::default(),
            tokens: Tokens::default(),
            attempts: Mutex::default(),
        })
    }

    pub(crate) fn faults(&self) -> Arc<Faults> {
        self.faults.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_faults(&self, faults: Faults) -> anyhow::Result<()> {
        faults.check()?;
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(faults);
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    pub(crate) fn authorization(&self, cliente: Option<u32>, request: &Request) -> Authorization {
        let token =
            cliente.and_then(|cliente| self.settings.client_tokens.get(&cliente)).unwrap_or(&self.settings.token);
        self.settings.opens.judge(token, &self.tokens, request)
    }

    /// Counts an attempt at a page, and says whether and how it fails.
    pub(crate) fn attempt(&self, faults: &Faults, list: ListKey, page: u64) -> Option<FaultKind> {
        self.log.attempt(list, page);
        let attempt = {
            let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            let attempt = attempts.entry((list, page)).or_default();
            *attempt += 1;
            *attempt
        };
        let fault = if faults.fail_page == Some(page) || attempt <= faults.fail_first {
            Some(faults.fail_with)
        } else {
            let days = list.period.map_or([0; 2], |it| {
                [it.from, it.to].map(|day| u64::from(chrono::Datelike::num_days_from_ce(&day).unsigned_abs()))
            });
            let mut dice = Dice::new(&[
                self.settings.seed,
                u64::from(list.cliente),
                list.rota as u64,
                days[0],
                days[1],
                page,
                attempt,
            ]);
            (dice.fraction() < faults.random_rate).then(|| *dice.pick(&faults.random_kinds))
        };
        if let Some(kind) = fault {
            self.log.fault(kind);
        }
        fault
    }

    /// The records of a page, the number of records of the whole listing, and whether the page was
    /// rendered ahead.
    pub(crate) fn page(&self, list: ListKey, page: u64, per_page: u64) -> (Arc<Page>, u64, bool) {
        let first = (page - 1) * per_page;
        let window = self.listings.window(&self.settings, &list, first..first + per_page);
        if !window.moved
            && let Some(ready) = self.prerendered.get(&self.settings, list, page, per_page)
        {
            return (ready, window.total, true);
        }
        let page = Page::render(&self.settings, &list, &window.numbers, first);
        (page.into(), window.total, false)
    }

    pub(crate) fn page_served(&self, page: WholePage) {
        let list = page.list;
        self.log.whole_page(page, self.settings.remember_records);
        self.listings.page_served(&self.settings, &list, self.faults().moving);
    }
}
