//! Settings of clients for their APIs, checked against the schemas of the APIs' connectors. Secret
//! settings are stored sealed with the client's API and nowhere else: a scrap's copy has none of
//! them, and its pages get those that are set when it runs.

use std::sync::Arc;

use atlas_connectors::{Connector, Descriptor, SecretSettings};
use atlas_model::{Secret, Subject, notice};
use atlas_store::StoreError;
use serde_json::{Map, Value};

use super::atlas::Atlas;
use super::clients::check_api_name;
use super::failure::Failure;
use super::kind::Kind;
use super::patience::Patience;

/// Bytes of an API's settings.
const SETTINGS_MAX: usize = 64 * 1024;
/// What is shown in a secret's place; set in its place, it leaves the secret as it is.
const UNSHOWN: &str = "***";
/// Scraps whose settings are read at a time.
const SCRAPS_READ: i64 = 500;

/// A scrap's settings as its pages get them.
pub(super) struct WholeSettings {
    /// A JSON object, with the secrets in their places.
    pub(super) text: String,
    /// The secrets' texts.
    pub(super) secrets: Vec<Secret>,
}

impl Atlas {
    /// A client's settings for an API, as a JSON object, empty where there are none. Secrets are
    /// replaced by `UNSHOWN`.
    pub async fn settings(&self, cliente_id: i32, api: &str) -> Result<Map<String, Value>, Failure> {
        self.known_client(cliente_id).await?;
        let mut all = self.set_of(cliente_id, api).await?;
        let hidden = self.hidden_settings(api).await?;
        for (name, value) in &mut all {
            if hidden.contains(name) {
                *value = Value::from(UNSHOWN);
            }
        }
        Ok(all)
    }

    /// Replaces a client's settings for an API. A secret that is not named, or is blank or
    /// `UNSHOWN`, stays as it was; `null` removes it. The schemas of all routes of the API have to
    /// accept the result.
    pub async fn set_settings(
        &self,
        cliente_id: i32,
        api: &str,
        mut settings: Map<String, Value>,
    ) -> Result<(), Failure> {
        check_api_name(api)?;
        self.known_client(cliente_id).await?;
        let hidden = self.hidden_settings(api).await?;
        for (name, before) in self.set_of(cliente_id, api).await? {
            if hidden.contains(&name) && settings.get(&name).is_none_or(says_nothing) {
                settings.insert(name, before);
            }
        }
        settings.retain(|name, value| !(hidden.contains(name) && (value.is_null() || says_nothing(value))));
        for connector in self.connectors_of(api).await? {
            checked(&connector.descriptor, &settings, cliente_id).await?;
        }
        let is_empty = settings.is_empty();
        let text = Secret::new(Value::Object(settings).to_string());
        if text.expose().len() > SETTINGS_MAX {
            return Err(Failure::usage(notice!("error-settings-long", api = api, max = SETTINGS_MAX)));
        }
        let set = self.store().set_settings(cliente_id, api, (!is_empty).then_some(&text)).await;
        set.map_err(|error| Failure::store("op-client", &error))
    }

    /// The settings of a scrap that a schedule creates; empty where the schema refuses them, since
    /// its run reports that.
    pub(super) async fn settings_if_they_suit(
        &self,
        cliente_id: i32,
        descriptor: &Descriptor,
    ) -> Result<String, Failure> {
        match self.settings_for(cliente_id, descriptor).await {
            Err(failure) if failure.kind == Kind::Usage => Ok("{}".to_owned()),
            settings => settings,
        }
    }

    /// The settings of a new scrap of this route: what its schema names of what is set, without
    /// secrets.
    pub(super) async fn settings_for(&self, cliente_id: i32, descriptor: &Descriptor) -> Result<String, Failure> {
        let all = self.set_of(cliente_id, &descriptor.api).await?;
        let mut own = checked(descriptor, &all, cliente_id).await?;
        descriptor.secret_settings().take_from(&mut own);
        Ok(Value::Object(own).to_string())
    }

    /// A scrap's settings with the client's secrets in their places, as they are set now.
    pub(super) async fn with_secrets(
        &self,
        cliente_id: i32,
        settings: &str,
        descriptor: &Descriptor,
        patience: Patience<'_>,
    ) -> Result<WholeSettings, Failure> {
        let secrets = descriptor.secret_settings();
        let Ok(mut own) = serde_json::from_str::<Map<String, Value>>(settings) else {
            return Ok(WholeSettings { text: settings.to_owned(), secrets: Vec::new() });
        };
        if secrets.is_empty() {
            return Ok(WholeSettings { text: settings.to_owned(), secrets: Vec::new() });
        }
        let stored = patience.wait(|| self.store().settings(cliente_id, &descriptor.api)).await;
        let all = read(stored, cliente_id, &descriptor.api)?;
        // A value that the scrap has from before its schema called it a secret gives way to the
        // client's.
        let mut taken = secrets.take_from(&mut own);
        taken.extend(secrets.take_from(&mut descriptor.settings_of(&all)));
        let mut texts = Vec::new();
        taken.values().for_each(|value| collect_texts(value, &mut texts));
        own.extend(taken);
        Ok(WholeSettings { text: Value::Object(own).to_string(), secrets: texts })
    }

    /// Takes the secrets out of the scraps that have copies of them: from before scraps had none,
    /// or before the connector's schema called them secrets. Once in a process.
    pub(super) async fn clear_scraps_of_secrets(&self) -> Result<(), Failure> {
        let clear = async || {
            let failed = |error| Failure::store("op-run", &error);
            let registry = self.connectors().registry().await?;
            for connector in registry.routes().into_iter().filter_map(|route| registry.connector(&route)) {
                let (secrets, route) = (connector.descriptor.secret_settings(), &connector.descriptor.route);
                let mut after = 0;
                while !secrets.is_empty() {
                    let scraps = self.store().scrap_settings(route, after, SCRAPS_READ).await.map_err(failed)?;
                    let Some((last, _)) = scraps.last() else { break };
                    after = *last;
                    for (id, before) in scraps {
                        let Ok(mut own) = serde_json::from_str(&before) else { continue };
                        if !secrets.take_from(&mut own).is_empty() {
                            let now = Value::Object(own).to_string();
                            self.store().replace_scrap_settings(id, &before, &now).await.map_err(failed)?;
                        }
                    }
                }
            }
            Ok(())
        };
        self.scraps_cleared.get_or_try_init(clear).await.copied()
    }

    /// A client's stored settings for an API, secrets included.
    async fn set_of(&self, cliente_id: i32, api: &str) -> Result<Map<String, Value>, Failure> {
        read(self.store().settings(cliente_id, api).await, cliente_id, api)
    }

    /// Which settings of an API are not shown.
    async fn hidden_settings(&self, api: &str) -> Result<Hidden, Failure> {
        let connectors = self.connectors_of(api).await?;
        Ok(Hidden {
            by_routes: connectors.iter().map(|connector| connector.descriptor.secret_settings()).collect(),
            all: connectors.is_empty(),
        })
    }

    async fn connectors_of(&self, api: &str) -> Result<Vec<Arc<Connector>>, Failure> {
        let registry = self.connectors().registry().await?;
        let all = registry.routes().into_iter().filter_map(|route| registry.connector(&route));
        Ok(all.filter(|connector| connector.descriptor.api == api).collect())
    }
}

/// Settings that are not shown.
struct Hidden {
    by_routes: Vec<SecretSettings>,
    /// Without a connector of the API here, it is not known which of them are secrets.
    all: bool,
}

impl Hidden {
    fn contains(&self, name: &str) -> bool {
        self.all || self.by_routes.iter().any(|secrets| secrets.contains(name))
    }
}

/// Parses stored settings. A text that Atlas did not write is an error: taken for empty, it would
/// be overwritten.
fn read(stored: Result<Option<Secret>, StoreError>, cliente_id: i32, api: &str) -> Result<Map<String, Value>, Failure> {
    let stored = stored.map_err(|error| Failure::store("op-client", &error))?;
    let Some(text) = stored else { return Ok(Map::new()) };
    serde_json::from_str(text.expose()).map_err(|_| {
        let notice = notice!("error-settings-broken", client = cliente_id, api = api);
        Failure::new("op-client", notice, Kind::Configuration)
    })
}

/// Whether a submitted value leaves the stored secret as it is: blank, or the placeholder.
fn says_nothing(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty() || text == UNSHOWN)
}

/// The texts in a value.
fn collect_texts(value: &Value, texts: &mut Vec<Secret>) {
    match value {
        Value::String(text) => texts.push(Secret::new(text.clone())),
        Value::Array(elements) => elements.iter().for_each(|element| collect_texts(element, texts)),
        Value::Object(members) => members.values().for_each(|member| collect_texts(member, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The part of an API's settings that a route's schema names; fails if the schema refuses it.
async fn checked(
    descriptor: &Descriptor,
    all: &Map<String, Value>,
    cliente_id: i32,
) -> Result<Map<String, Value>, Failure> {
    let own = descriptor.settings_of(all);
    let text = Value::Object(own.clone()).to_string();
    descriptor.accepts(&text).await.map(|()| own).map_err(|reason| {
        let (route, api) = (&descriptor.route, &descriptor.api);
        let notice = notice!("error-settings", client = cliente_id, api = api, route = route, reason = reason);
        Failure::new("op-client", notice.about(Subject::Settings(cliente_id)), Kind::Usage)
    })
}
