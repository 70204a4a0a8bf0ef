//! `atlas client settings show|set`: what a client has set of an API.

use std::io::Read;

use serde_json::{Map, Value};

use super::args::SettingsCommand;
use super::output::Output;
use crate::notice;
use crate::service::{Atlas, Exit, Failure};

/// More than settings may have, so that those which have too much are said to.
const INPUT_MAX: u64 = 256 * 1024;

pub(super) async fn run(command: SettingsCommand, atlas: &Atlas, output: &Output) -> Result<Exit, Failure> {
    match command {
        SettingsCommand::Show { client, api } => output.json(&atlas.settings(client, &api).await?),
        SettingsCommand::Set { client, api, json } => {
            atlas.set_settings(client, &api, &read(&json)?).await?;
            output.remark(&notice!("settings-set", client = client, api = api));
        }
    }
    Ok(Exit::Done)
}

fn read(file: &str) -> Result<Map<String, Value>, Failure> {
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().take(INPUT_MAX).read_to_string(&mut text),
        file => std::fs::File::open(file).and_then(|file| file.take(INPUT_MAX).read_to_string(&mut text)),
    };
    let bad = |reason: String| Failure::usage(notice!("error-settings-json", file = file, reason = reason));
    read.map_err(|error| bad(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| bad(error.to_string()))
}
