//! The program's flags: one for each setting and each fault, so that what a test does can be done
//! by hand.

use clap::{Args as ClapArgs, Parser};
use sample_api::{Charset, Encoding, FaultKind, Faults, Malformed, Moving, Prerender, Redirect, Settings};

/// A deterministic order API that speaks Jueri v1, with faults on request.
///
/// GET
/// /sis/api/v1/{cliente}/{rota}?data_inicial=YYYY-MM-DD&data_final=YYYY-MM-DD&page=1&per_page=150,
/// rota one of cliente, produto, pedido, venda, financeiro. GET
/// /sis/api/v1/{cliente}/evento?limite=100 hands out the oldest events and their lot, until POST
/// /sis/api/v1/{cliente}/evento/ack with {"lote": "…"} acknowledges it. GET /_served says what it
/// served; POST /_faults replaces the faults at run time.
#[derive(Parser)]
#[command(name = "sample-api", version)]
pub(crate) struct Args {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// What all data follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The Bearer token that opens every client
    #[arg(long, env = "SAMPLE_API_TOKEN", default_value = "segredo", hide_env_values = true)]
    token: String,
    /// A token of one client alone, CLIENTE:TOKEN; may be repeated
    #[arg(long, value_name = "CLIENTE:TOKEN", value_parser = client_token)]
    client_token: Vec<(u32, String)>,
    /// Records of each dated route on each day
    #[arg(long, value_name = "N", default_value_t = 120)]
    per_day: u64,
    /// Records of cliente and of produto, and events
    #[arg(long, value_name = "N", default_value_t = 300)]
    catalogue: u64,
    /// Every client gets the same records, to the byte
    #[arg(long)]
    identical_clients: bool,
    /// Pad records to this size
    #[arg(long, value_name = "BYTES")]
    record_bytes: Option<usize>,
    /// A greater per_page is lowered to this
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_per_page: u64,
    /// Render a listing before serving, CLIENTE:ROTA:FROM:TO:PER_PAGE; may be repeated
    #[arg(long, value_name = "LISTING")]
    prerender: Vec<Prerender>,
    /// Do not keep the records that were served (saves memory in long runs)
    #[arg(long)]
    forget_records: bool,
    #[command(flatten)]
    faults: FaultArgs,
}

#[derive(ClapArgs)]
#[command(next_help_heading = "Faults")]
struct FaultArgs {
    /// Every answer waits so long
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
    /// The first N attempts at every page fail
    #[arg(long, value_name = "N", default_value_t = 0)]
    fail_first: u64,
    /// This page always fails
    #[arg(long, value_name = "PAGE")]
    fail_page: Option<u64>,
    /// How --fail-first and --fail-page fail
    #[arg(long, value_name = "KIND", default_value = "500")]
    fail_with: FaultKind,
    /// Retry-After of 429 and 503, as it stands
    #[arg(long, value_name = "TEXT")]
    retry_after: Option<String>,
    /// Share of attempts that fail, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    random_rate: f64,
    /// What --random-rate chooses from
    #[arg(long, value_name = "KIND", value_delimiter = ',', default_value = "429,500,reset")]
    random_kinds: Vec<FaultKind>,
    /// Bytes of each piece of a slow body
    #[arg(long, value_name = "BYTES", default_value_t = 512)]
    slow_chunk: usize,
    /// Pause between the pieces of a slow body
    #[arg(long, value_name = "MS", default_value_t = 20)]
    slow_pause_ms: u64,
    /// Pages from this one on repeat it, for ever
    #[arg(long, value_name = "PAGE")]
    repeat_from: Option<u64>,
    /// Every page has the records of page 1, and every poll the first events
    #[arg(long)]
    ignore_page: bool,
    /// Added to the declared total
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    total_lies: Option<i64>,
    /// Declare no total
    #[arg(long)]
    no_total: bool,
    /// A raw element after the record with this index, INDEX:TEXT; may be repeated
    #[arg(long, value_name = "INDEX:TEXT")]
    malformed: Vec<Malformed>,
    /// The source holds nothing
    #[arg(long)]
    empty: bool,
    /// The source moves after every N whole pages of a listing
    #[arg(long, value_name = "N")]
    move_every: Option<u64>,
    /// Records that a move adds at the end
    #[arg(long, value_name = "N", default_value_t = 0, requires = "move_every")]
    move_at_end: u64,
    /// Records that a move adds at the front
    #[arg(long, value_name = "N", default_value_t = 0, requires = "move_every")]
    move_at_front: u64,
    /// Records that a move takes from the front
    #[arg(long, value_name = "N", default_value_t = 0, requires = "move_every")]
    move_delete_front: u64,
    /// Moves after which it stands still
    #[arg(long, value_name = "N", requires = "move_every")]
    move_max: Option<u64>,
    /// Compress bodies, where the request accepts it
    #[arg(long)]
    encoding: Option<Encoding>,
    /// Send bodies in another charset
    #[arg(long)]
    charset: Option<Charset>,
    /// Redirect requests: same-origin, or an absolute URL
    #[arg(long, value_name = "WHERE")]
    redirect: Option<Redirect>,
    /// Write the request's credential into the answer, in every form
    #[arg(long)]
    echo: bool,
}

impl Args {
    pub(crate) fn settings(self) -> Settings {
        let defaults = Settings::default();
        Settings {
            port: self.port,
            seed: self.seed,
            opens: defaults.opens,
            token: self.token,
            client_tokens: self.client_token.into_iter().collect(),
            per_day: self.per_day,
            catalogue: self.catalogue,
            identical_clients: self.identical_clients,
            record_bytes: self.record_bytes,
            default_per_page: defaults.default_per_page.min(self.max_per_page),
            max_per_page: self.max_per_page,
            prerender: self.prerender,
            remember_records: !self.forget_records,
            faults: self.faults.faults(),
        }
    }
}

impl FaultArgs {
    fn faults(self) -> Faults {
        Faults {
            latency_ms: self.latency_ms,
            hold: false,
            fail_first: self.fail_first,
            fail_page: self.fail_page,
            fail_with: self.fail_with,
            retry_after: self.retry_after,
            random_rate: self.random_rate,
            random_kinds: self.random_kinds,
            slow_chunk: self.slow_chunk,
            slow_pause_ms: self.slow_pause_ms,
            repeat_from: self.repeat_from,
            ignore_page: self.ignore_page,
            total_lies: self.total_lies,
            no_total: self.no_total,
            malformed: self.malformed,
            empty: self.empty,
            moving: self.move_every.map(|every| Moving {
                every,
                at_end: self.move_at_end,
                at_front: self.move_at_front,
                delete_front: self.move_delete_front,
                max_moves: self.move_max,
            }),
            encoding: self.encoding,
            charset: self.charset,
            redirect: self.redirect,
            echo: self.echo,
            revoked: false,
        }
    }
}

fn client_token(text: &str) -> Result<(u32, String), String> {
    let (cliente, token) = text.split_once(':').ok_or("expected CLIENTE:TOKEN")?;
    let cliente = cliente.parse().map_err(|_| format!("{cliente:?} is not a client's number"))?;
    Ok((cliente, token.into()))
}
