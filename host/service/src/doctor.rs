//! Checks of this installation, each with its remedy.

use std::collections::BTreeSet;
use std::path::Path;

use atlas_model::{Client, Concern, Notice, Subject, notice};
use atlas_pipeline::client_budgets;
use serde::Serialize;

use super::atlas::Atlas;
use super::failure::Failure;
use super::messages::load_notice;
use crate::config::{Config, ERROR_LOG};

/// Clients whose usage is looked at: those with most rows.
const USAGES_LOOKED_AT: i64 = 1_000;
/// From so many per cent on, a budget is worth a word.
const NEARLY_SPENT: u64 = 80;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Warning,
    /// Something will not work.
    Bad,
}

/// The result of one check.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Its severity.
    pub health: Health,
    /// The message; its `.fix` has the remedy.
    pub notice: Notice,
}

fn ok(notice: Notice) -> Finding {
    let health = Health::Ok;
    Finding { health, notice }
}

fn warning(notice: Notice) -> Finding {
    let health = Health::Warning;
    Finding { health, notice }
}

fn bad(notice: Notice) -> Finding {
    let health = Health::Bad;
    Finding { health, notice }
}

impl Atlas {
    /// Runs all checks; a failed one becomes a finding and does not stop the others.
    pub async fn doctor(config: Config) -> Vec<Finding> {
        match Self::connect(config).await {
            Ok(atlas) => atlas.examine().await,
            Err(failure) => vec![error_log(), bad(failure.notice)],
        }
    }

    /// The same of an installation that is open.
    pub async fn examine(&self) -> Vec<Finding> {
        let mut findings = vec![error_log()];
        findings.push(ok(notice!("doctor-database", location = self.config().store.location())));
        self.look_at_tables(&mut findings).await;
        self.look_at_connectors(&mut findings).await;
        findings
    }

    async fn look_at_tables(&self, findings: &mut Vec<Finding>) {
        let schema = match self.store().schema().await {
            Ok(schema) => schema,
            Err(error) => return findings.push(bad(Failure::store("op-connect", &error).notice)),
        };
        if let Some(notice) = self.unfit_table().await {
            return findings.push(bad(notice));
        }
        if !schema.missing_tables.is_empty() {
            let tables = schema.missing_tables.join(", ");
            return findings.push(warning(notice!("doctor-tables-missing", tables = tables)));
        }
        if schema.hash_is_unique {
            findings.push(ok(notice!("doctor-tables", server = schema.server, version = schema.version)));
        } else {
            findings.push(bad(notice!("doctor-hash-not-unique")));
        }
        match self.store().concerns().await {
            Ok(concerns) => findings.extend(concerns.iter().map(of_concern)),
            Err(error) => findings.push(bad(Failure::store("op-connect", &error).notice)),
        }
        match self.clients().await {
            Ok(clients) if clients.is_empty() => {
                findings.push(warning(notice!("doctor-no-clients").about(Subject::Registration(None))))
            }
            Ok(clients) => {
                findings.push(ok(notice!("doctor-clients", count = clients.len())));
                for client in clients.iter().filter(|client| client.apis.is_empty()) {
                    let id = client.cliente_id;
                    let notice = notice!("doctor-client-without-url", client = id);
                    findings.push(warning(notice.about(Subject::Address(id))));
                }
                self.look_at_secrets(&clients, findings).await;
                match self.defaults_asked().await {
                    Ok(asked) => findings.extend(asked.into_iter().map(warning)),
                    Err(failure) => findings.push(bad(failure.notice)),
                }
            }
            Err(failure) => findings.push(bad(failure.notice)),
        }
        self.look_at_usage(findings).await;
        match self.store().orphans().await {
            Ok(ids) => findings.extend(
                ids.into_iter().map(|id| warning(notice!("doctor-scrap-abandoned", id = id).about(Subject::Scrap(id)))),
            ),
            Err(error) => findings.push(bad(Failure::store("op-connect", &error).notice)),
        }
    }

    /// Clients whose budgets of what is kept for them are nearly spent.
    async fn look_at_usage(&self, findings: &mut Vec<Finding>) {
        let usages = match self.store().usages(USAGES_LOOKED_AT).await {
            Ok(usages) => usages,
            Err(error) => return findings.push(bad(Failure::store("op-connect", &error).notice)),
        };
        for (client, usage) in usages {
            let limits = self.config().limits_of("", client);
            for budget in client_budgets(&limits, usage) {
                if budget.used >= budget.most / 100 * NEARLY_SPENT {
                    let (name, used, most) = (budget.name, budget.used, budget.most);
                    findings.push(warning(notice!(
                        "doctor-budget-nearly-spent",
                        client = client,
                        name = name,
                        used = used,
                        most = most
                    )));
                }
            }
        }
    }

    /// What an existing `dados_raw` is, where that is no plain table and cannot be given a unique
    /// index: no command of ours mends it.
    pub(super) async fn unfit_table(&self) -> Option<Notice> {
        self.store().schema().await.ok().filter(|schema| !schema.hash_is_unique)?;
        let concerns = self.store().concerns().await.ok()?;
        let kind = concerns.iter().find(|concern| matches!(concern, Concern::Kind(_)))?;
        Some(of_concern(kind).notice)
    }

    /// Triggers, rules, column types and rights of an existing database that keep records out of
    /// the table, or may.
    pub async fn concerns(&self) -> Result<Vec<Finding>, Failure> {
        let concerns = self.store().concerns().await.map_err(|error| Failure::store("op-init", &error))?;
        Ok(concerns.iter().map(of_concern).collect())
    }

    /// Checks that stored secrets can be decrypted. Stops at the first that cannot, since one key
    /// seals all.
    async fn look_at_secrets(&self, clients: &[Client], findings: &mut Vec<Finding>) {
        for client in clients {
            let apis = client.apis.iter().map(|api| api.api.as_str());
            for api in [""].into_iter().chain(apis) {
                if let Err(error) = self.store().access(client.cliente_id, api).await {
                    return findings.push(bad(Failure::store("op-connect", &error).notice));
                }
            }
        }
    }

    async fn look_at_connectors(&self, findings: &mut Vec<Finding>) {
        let registry = match self.connectors().registry().await {
            Ok(registry) => registry,
            Err(failure) => return findings.push(bad(failure.notice)),
        };
        let folder = self.config().connectors.display();
        match registry.routes() {
            routes if routes.is_empty() => findings.push(bad(notice!("doctor-no-connectors", folder = folder))),
            routes => {
                findings.push(ok(notice!("doctor-connectors", folder = folder, routes = routes.join(", "))));
            }
        }
        let mut apis = BTreeSet::new();
        for entry in registry.entries() {
            match &entry.loaded {
                Ok(connector) => drop(apis.insert(connector.descriptor.api.clone())),
                Err(error) => findings.push(bad(load_notice(&entry.path, error))),
            }
        }
        let unknown: BTreeSet<&str> = self.config().apis().filter(|api| !apis.contains(*api)).collect();
        for api in unknown {
            findings.push(warning(notice!("doctor-api-of-nobody", api = api)));
        }
    }
}

/// The finding about a property of the database.
fn of_concern(concern: &Concern) -> Finding {
    match concern {
        Concern::Trigger(name) => warning(notice!("doctor-trigger", name = name)),
        Concern::Rule(name) => bad(notice!("doctor-rule", name = name)),
        Concern::Kind(kind @ "partitioned") => warning(notice!("doctor-table-kind", kind = kind)),
        Concern::Kind(kind) => bad(notice!("doctor-table-kind", kind = kind)),
        Concern::RowSecurity => warning(notice!("doctor-row-security")),
        Concern::ColumnType { column, found, wanted } => {
            let notice = notice!("doctor-column-type", column = column, found = found, wanted = wanted);
            // An integer does for a long time.
            if *column == "id" && found == "integer" { warning(notice) } else { bad(notice) }
        }
        Concern::NoDefault(column) => bad(notice!("doctor-column-default", column = column)),
        Concern::Encoding(encoding) => bad(notice!("doctor-encoding", encoding = encoding)),
        Concern::Right { on, right } => bad(notice!("doctor-right", on = on, right = right)),
    }
}

/// Whether errors can be written down here.
fn error_log() -> Finding {
    // access(2) alone: opening the file would create it.
    let place = if Path::new(ERROR_LOG).exists() { ERROR_LOG } else { "." };
    match rustix::fs::access(place, rustix::fs::Access::WRITE_OK) {
        Ok(()) => ok(notice!("doctor-error-log", file = ERROR_LOG)),
        Err(error) => warning(notice!("doctor-error-log-unwritable", file = ERROR_LOG, reason = error)),
    }
}
