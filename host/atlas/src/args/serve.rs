//! `atlas serve`, and who may come in.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Where to listen: an address of this machine and a port
    #[arg(long, alias = "escutar", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8321")]
    pub(crate) listen: SocketAddr,
    /// A name under which browsers find this server, beside addresses and localhost
    #[arg(long, alias = "nome", value_name = "NAME")]
    pub(crate) host: Vec<String>,
    /// Certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A proxy with TLS stands before it, and every request comes from there: the last address in
    /// X-Forwarded-For is the client's
    #[arg(long, alias = "atras-de-proxy", requires = "host", conflicts_with = "tls_cert")]
    pub(crate) behind_proxy: bool,
    /// A path in front of all others, where a proxy gives this server a part of its name: /atlas
    #[arg(long, alias = "prefixo", value_name = "PATH", default_value = "")]
    pub(crate) path_prefix: String,
    /// Scraps that this process runs at once [default: ATLAS_WORKER_SCRAPS, else 4]
    #[arg(long, value_name = "N")]
    pub(crate) scraps: Option<String>,
    /// Scraps of one client that run at once, on all hosts together [default:
    /// ATLAS_WORKER_PER_CLIENT, else 4]
    #[arg(long, alias = "por-cliente", value_name = "N")]
    pub(crate) per_client: Option<String>,
}

#[derive(Args)]
pub(crate) struct AccessArgs {
    #[command(subcommand)]
    pub(crate) command: AccessCommand,
}

#[derive(Subcommand)]
pub(crate) enum AccessCommand {
    /// A link that signs in once, within 15 minutes
    #[command(after_help = "Example: atlas access link")]
    Link {
        /// The server's address
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8321")]
        url: String,
    },
    /// Set the operator's password, read from standard input
    #[command(alias = "senha", after_help = "Example: atlas access password < password.txt")]
    Password,
    /// Tokens of programs that use the API
    #[command(after_help = "Example: atlas access token add --name painel")]
    Token(TokenArgs),
}

#[derive(Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token, which is shown this once
    #[command(after_help = "Example: atlas access token add --name painel --full")]
    Add {
        /// What people call it
        #[arg(long, alias = "nome", value_name = "NAME")]
        name: String,
        /// To change things, too; without this, only to read
        #[arg(long, alias = "total")]
        full: bool,
    },
    /// List the tokens, never their secrets
    #[command(after_help = "Example: atlas access token list")]
    List,
    /// Take a token away
    #[command(after_help = "Example: atlas access token revoke 3")]
    Revoke {
        /// Its number, as `list` shows it
        id: i64,
    },
}
