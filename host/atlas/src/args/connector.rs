//! Connectors.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct ConnectorArgs {
    #[command(subcommand)]
    pub(crate) command: ConnectorCommand,
}

#[derive(Subcommand)]
pub(crate) enum ConnectorCommand {
    /// List the files of the connectors' folder
    #[command(alias = "listar", after_help = "Example: atlas connector list")]
    List,
    /// Say what one file is, or why it is no connector
    #[command(alias = "ver", after_help = "Example: atlas connector inspect target/connectors/pedido.wasm")]
    Inspect {
        /// The component
        file: PathBuf,
    },
    /// Make a core module, as Rust compiles it with the SDK for wasm32-unknown-unknown, a component
    #[command(
        after_help = "Example: atlas connector componentize target/wasm32-unknown-unknown/release/orders.wasm orders.wasm"
    )]
    Componentize {
        /// The core module
        module: PathBuf,
        /// Where to write the component
        to: PathBuf,
    },
    /// Let a new version serve that waits for your word, or that failed its trial
    #[command(alias = "aceitar", after_help = "Example: atlas connector accept pedido --digest 1f8a3c")]
    Accept {
        /// The route
        #[arg(value_name = "ROUTE")]
        route: String,
        /// The digest that you mean, or how it begins: no other is accepted [default: whichever
        /// waits]
        #[arg(long, alias = "resumo", value_name = "DIGEST")]
        digest: Option<String>,
    },
    /// Go back to an earlier version, until the route's file changes
    #[command(alias = "reverter", after_help = "Example: atlas connector rollback pedido --to 1f8a3c")]
    Rollback {
        /// The route
        #[arg(value_name = "ROUTE")]
        route: String,
        /// A digest, or how it begins [default: the version before the present one]
        #[arg(long, alias = "para", value_name = "DIGEST")]
        to: Option<String>,
    },
    /// Have every worker on this database serve a route by this version: within seconds, and from
    /// then on
    #[command(alias = "publicar", after_help = "Example: atlas connector publish target/connectors/pedido.wasm")]
    Publish {
        /// The component. A signature beside it, as FILE.minisig, goes with it
        file: PathBuf,
        /// Accept on every host what it asks for beyond the version before it
        #[arg(long, alias = "aceitar")]
        accept: bool,
    },
    /// List what was published
    #[command(alias = "publicados", after_help = "Example: atlas connector published")]
    Published,
    /// Make a key pair to sign connectors with, in minisign's format
    #[command(alias = "chave", after_help = "Example: atlas connector keygen --key atlas.key")]
    Keygen {
        /// The secret key's new file; the public key goes beside it, as FILE.pub
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Leave the secret key unencrypted. Else its password is ATLAS_SIGNING_PASSWORD, or a line
        /// of standard input
        #[arg(long)]
        no_password: bool,
    },
    /// Sign a component; the signature goes beside it, as FILE.minisig
    #[command(alias = "assinar", after_help = "Example: atlas connector sign pedido.wasm --key atlas.key")]
    Sign {
        /// The component
        file: PathBuf,
        /// The secret key's file. Its password is ATLAS_SIGNING_PASSWORD, or a line of standard
        /// input
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The secret key has no password
        #[arg(long)]
        no_password: bool,
    },
    /// Check a component's signature
    #[command(alias = "verificar", after_help = "Example: atlas connector verify pedido.wasm --key atlas.key.pub")]
    Verify {
        /// The component
        file: PathBuf,
        /// A public key (RW…), or a file with one [default: the keys that atlas.toml lists for the
        /// route of the file's name]
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
}
