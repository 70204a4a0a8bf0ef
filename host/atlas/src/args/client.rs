//! Clients and their credentials.

use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct ClientArgs {
    #[command(subcommand)]
    pub(crate) command: ClientCommand,
}

impl ClientArgs {
    /// The client that is registered, and its base URL, if the command registers one.
    pub(crate) fn registers(&self) -> Option<(i32, &str)> {
        match &self.command {
            ClientCommand::Add { client, base_url, .. } => Some((*client, base_url)),
            _ => None,
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum ClientCommand {
    /// Register a client, or one more API of it
    #[command(
        alias = "adicionar",
        after_help = "Example: printf %s TOKEN | atlas client add 2151 --token - --base-url https://erp.example/sis/api/v1"
    )]
    Add {
        /// The client's id
        client: i32,
        /// `-` reads the token from standard input
        #[arg(long, value_name = "-")]
        token: String,
        /// Where the API is
        #[arg(long, value_name = "URL")]
        base_url: String,
        /// One API of several [default: the client's default]
        #[arg(long, value_name = "NAME")]
        api: Option<String>,
        /// The API may be at a private address [default: only if the base URL is at one now]
        #[arg(long, alias = "permitir-rede-privada")]
        allow_private: bool,
    },
    /// List the clients
    #[command(alias = "listar", after_help = "Example: atlas client list --output json")]
    List,
    /// Change a client's token, base URL, or whether it is active
    #[command(
        alias = "alterar",
        after_help = "Example: atlas client set 2151 --base-url https://erp.example/sis/api/v1"
    )]
    Set {
        /// The client's id
        client: i32,
        /// `-` reads the token from standard input
        #[arg(long, value_name = "-")]
        token: Option<String>,
        /// Where the API is
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
        /// One API of several [default: the client's default]
        #[arg(long, value_name = "NAME")]
        api: Option<String>,
        /// The API may be at a private address [default: only if the base URL was at one when it
        /// was set]
        #[arg(long, alias = "permitir-rede-privada")]
        allow_private: bool,
        /// Let scraps of this client run
        #[arg(long, conflicts_with = "inactive", alias = "ativo")]
        active: bool,
        /// Let no scrap of this client run
        #[arg(long, alias = "inativo")]
        inactive: bool,
    },
    /// The credential of one API: a token, or several parts
    #[command(
        alias = "credencial",
        after_help = "Example: atlas client credential set 2151 --api bling --base-url https://api.bling.com.br/Api/v3 --parts bling.env"
    )]
    Credential(CredentialArgs),
    /// What is set of one API, as its connectors' schemas name it
    #[command(
        alias = "configuracoes",
        after_help = "Example: atlas client settings set 2151 --api jueri --json loja.json"
    )]
    Settings(SettingsArgs),
    /// Let a client's default token and address serve one more API
    #[command(alias = "vincular", after_help = "Example: atlas client bind 2151 --api jueri")]
    Bind {
        /// The client's id
        client: i32,
        /// The API, as `atlas connector list` shows it
        #[arg(long, value_name = "NAME")]
        api: String,
    },
    /// Seal every secret with the key of ATLAS_NEW_KEY or ATLAS_NEW_KEY_FILE, those in the clear
    /// too
    #[command(alias = "trocar-chave", after_help = "Example: ATLAS_NEW_KEY_FILE=new.key atlas client rekey")]
    Rekey,
    /// Remove a client that has no data, or one API of it
    #[command(alias = "remover", after_help = "Example: atlas client remove 2151")]
    Remove {
        /// The client's id
        client: i32,
        /// Only this API
        #[arg(long, value_name = "NAME")]
        api: Option<String>,
    },
}

#[derive(Args)]
pub(crate) struct CredentialArgs {
    #[command(subcommand)]
    pub(crate) command: CredentialCommand,
}

#[derive(Subcommand)]
pub(crate) enum CredentialCommand {
    /// Set the credential of an API, in the place of any that it has
    #[command(alias = "definir", after_help = PARTS)]
    Set(CredentialSet),
    /// List the names of what is registered, never the secrets
    #[command(alias = "ver", after_help = "Example: atlas client credential show 2151")]
    Show {
        /// The client's id
        client: i32,
        /// Only this API's
        #[arg(long, value_name = "NAME")]
        api: Option<String>,
    },
    /// Remove the credential of an API
    #[command(alias = "remover", after_help = "Example: atlas client credential remove 2151 --api bling")]
    Remove {
        /// The client's id
        client: i32,
        /// The API
        #[arg(long, value_name = "NAME")]
        api: String,
    },
}

#[derive(Args)]
pub(crate) struct SettingsArgs {
    #[command(subcommand)]
    pub(crate) command: SettingsCommand,
}

#[derive(Subcommand)]
pub(crate) enum SettingsCommand {
    /// Show what is set, as JSON
    #[command(alias = "ver", after_help = "Example: atlas client settings show 2151 --api jueri")]
    Show {
        /// The client's id
        client: i32,
        /// The API
        #[arg(long, value_name = "NAME")]
        api: String,
    },
    /// Set it, in the place of what was set before; scraps that are created from now on have it
    #[command(
        alias = "definir",
        after_help = "Example: echo '{\"loja\": 3}' | atlas client settings set 2151 --api jueri --json -"
    )]
    Set {
        /// The client's id
        client: i32,
        /// The API
        #[arg(long, value_name = "NAME")]
        api: String,
        /// A JSON object, from a file; `-` reads it from standard input
        #[arg(long, value_name = "FILE")]
        json: String,
    },
}

const PARTS: &str = "Parts are a JSON object, or lines NAME=value: token; username, password; client_id, client_secret, \
refresh_token, token_url, scope, client_auth (basic or body); or what the connector calls its placeholders.\n\n\
Example: atlas client credential set 2151 --api bling --base-url https://api.bling.com.br/Api/v3 --parts - < bling.env";

#[derive(Args)]
pub(crate) struct CredentialSet {
    /// The client's id
    pub(crate) client: i32,
    /// The API
    #[arg(long, value_name = "NAME")]
    pub(crate) api: String,
    /// Where the API is
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Its parts, from a file; `-` reads them from standard input
    #[arg(long, alias = "partes", value_name = "FILE", conflicts_with = "token")]
    pub(crate) parts: Option<String>,
    /// `-` reads a single token from standard input
    #[arg(long, value_name = "-")]
    pub(crate) token: Option<String>,
}
