//! `atlas doctor`.

use atlas_service::config::Config;
use atlas_service::{Atlas, Exit, Failure, Health};

use super::output::Output;

pub(super) async fn run(config: Config, output: &Output) -> Result<Exit, Failure> {
    let findings = Atlas::doctor(config).await;
    for finding in &findings {
        let text = output.text(&finding.notice);
        let fix = output.catalogue.fix(&finding.notice).filter(|_| finding.health != Health::Ok);
        if output.is_json() {
            output.json(&serde_json::json!({ "estado": finding.health, "texto": text, "o_que_fazer": fix }));
            continue;
        }
        let sign = match finding.health {
            Health::Ok => "✅",
            Health::Warning => "⚠️",
            Health::Bad => "❌",
        };
        output.line(&format!("{sign} {text}"));
        if let Some(fix) = fix {
            output.line(&format!("   👉 {fix}"));
        }
    }
    let bad = findings.iter().any(|finding| finding.health == Health::Bad);
    Ok(if bad { Exit::Configuration } else { Exit::Done })
}
