//! What clients have set of APIs, held against what connectors say that can be set.

use serde_json::{Map, Value};

use super::Atlas;
use super::clients::check_api_name;
use super::failure::{Exit, Failure};
use crate::connector::Descriptor;
use crate::notice;

/// Bytes of an API's settings.
const SETTINGS_MAX: usize = 64 * 1024;

impl Atlas {
    /// What a client has set of an API: a JSON object, empty where nothing is.
    pub async fn settings(&self, cliente_id: i32, api: &str) -> Result<Map<String, Value>, Failure> {
        self.known_client(cliente_id).await?;
        let text = self.store().settings(cliente_id, api).await.map_err(|e| Failure::store("op-client", &e))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// Sets all of it, in the place of what was set before. Every route of the API has to be content with it.
    pub async fn set_settings(&self, cliente_id: i32, api: &str, settings: &Map<String, Value>) -> Result<(), Failure> {
        check_api_name(api)?;
        self.known_client(cliente_id).await?;
        let text = Value::Object(settings.clone()).to_string();
        if text.len() > SETTINGS_MAX {
            return Err(Failure::usage(notice!("error-settings-long", api = api, max = SETTINGS_MAX)));
        }
        let registry = self.connectors().registry().await?;
        for connector in registry.routes().into_iter().filter_map(|route| registry.connector(&route)) {
            if connector.descriptor.api == api {
                fitting(&connector.descriptor, settings, cliente_id).await?;
            }
        }
        let text = (!settings.is_empty()).then_some(text.as_str());
        let set = self.store().set_settings(cliente_id, api, text).await;
        set.map_err(|error| Failure::store("op-client", &error))
    }

    /// The same for a scrap that a schedule creates: where they do not suit, the run says so.
    pub(super) async fn settings_if_they_suit(
        &self,
        cliente_id: i32,
        descriptor: &Descriptor,
    ) -> Result<String, Failure> {
        match self.settings_for(cliente_id, descriptor).await {
            Err(failure) if failure.exit == Exit::Usage => Ok("{}".to_owned()),
            settings => settings,
        }
    }

    /// The settings of a new scrap of this route: what its schema names of what is set.
    pub(super) async fn settings_for(&self, cliente_id: i32, descriptor: &Descriptor) -> Result<String, Failure> {
        let text = self.store().settings(cliente_id, &descriptor.api).await;
        let text = text.map_err(|error| Failure::store("op-client", &error))?;
        let all = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        fitting(descriptor, &all, cliente_id).await
    }
}

/// What of an API's settings a route gets, as JSON, if its schema is content with it.
async fn fitting(descriptor: &Descriptor, all: &Map<String, Value>, cliente_id: i32) -> Result<String, Failure> {
    let own = descriptor.settings_of(all);
    let text = Value::Object(own).to_string();
    descriptor.accepts(&text).await.map(|()| text).map_err(|reason| {
        let (route, api) = (&descriptor.route, &descriptor.api);
        let notice = notice!("error-settings", client = cliente_id, api = api, route = route, reason = reason);
        Failure::new("op-client", notice, Exit::Usage)
    })
}
