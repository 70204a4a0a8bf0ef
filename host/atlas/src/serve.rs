//! `atlas serve`: the page, the API, and a worker, in one process.

use std::sync::Arc;

use atlas_model::notice;
use atlas_server::{Listening, ServeSettings};
use atlas_service::i18n::Catalogue;
use atlas_service::{Atlas, Exit, Failure};

use super::args::ServeArgs;
use super::output::Output;
use super::report;
use super::signals::stop_on_interrupt;
use super::telemetry::continue_trace;

pub(super) async fn run(args: ServeArgs, atlas: &Arc<Atlas>, output: &Output) -> Result<Exit, Failure> {
    let tls = args.tls_cert.zip(args.tls_key);
    let is_tls = tls.is_some();
    let listening = Listening::at(ServeSettings {
        listen: args.listen,
        hosts: args.host,
        tls,
        path_prefix: args.path_prefix,
        behind_proxy: args.behind_proxy,
        continue_trace,
    })?;
    let url = listening.url();
    let link = atlas.make_link().await?;
    let link = format!("{url}/entrar?chave={}", link.expose());
    if output.is_json() {
        output.json(&serde_json::json!({ "endereco": url, "entrada": link }));
    } else {
        output.line(&output.text(&notice!("serve-at", url = url)));
        output.line(&output.text(&notice!("serve-link", link = link)));
    }
    if !listening.address.ip().is_loopback() && !is_tls {
        output.remark(&notice!("serve-in-the-clear"));
    }
    let texts = Catalogue::new(output.catalogue.lang());
    let complain = move |failure: &Failure, about: &str| report::print(&texts, failure, about);
    listening.serve(Arc::clone(atlas), stop_on_interrupt(output)?, complain).await?;
    output.remark(&notice!("serve-ended"));
    Ok(Exit::Done)
}
