//! `sample-api`: the sample source as a program, for the demonstration and for looking at Atlas by
//! hand.
//!
//! Its first line on standard output is its base URL, when it is ready; at Ctrl-C or SIGTERM it
//! prints what it served, as JSON.

mod args;

use std::io::{self, Write as _};

use clap::Parser;
use sample_api::SampleApi;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings = args::Args::parse().settings();
    // Before the line that says "ready": whoever reads it may send the signal at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let api = SampleApi::start(settings).await?;
    say(&api.base_url())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let served = api.stop().await;
    say(&serde_json::to_string_pretty(&served.to_json(false))?)
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}
