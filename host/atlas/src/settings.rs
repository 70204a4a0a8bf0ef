//! `atlas client settings show|set`: what a client has set of an API.

use atlas_model::notice;
use atlas_service::{Atlas, Exit, Failure};
use serde_json::{Map, Value};

use super::args::SettingsCommand;
use super::input;
use super::output::Output;

/// More than settings may have, so that those which have too much are said to.
const INPUT_MAX: u64 = 256 * 1024;

pub(super) async fn run(command: SettingsCommand, atlas: &Atlas, output: &Output) -> Result<Exit, Failure> {
    match command {
        SettingsCommand::Show { client, api } => output.json(&atlas.settings(client, &api).await?),
        SettingsCommand::Set { client, api, json } => {
            atlas.set_settings(client, &api, read(&json)?).await?;
            output.remark(&notice!("settings-set", client = client, api = api));
        }
    }
    Ok(Exit::Done)
}

fn read(file: &str) -> Result<Map<String, Value>, Failure> {
    let text = input::read(file, INPUT_MAX)?;
    serde_json::from_str(&text).map_err(|error| {
        let file = input::told(file);
        Failure::usage(notice!("error-settings-json", file = file, line = error.line(), reason = error))
    })
}
