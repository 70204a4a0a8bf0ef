//! The URL of a database.

use std::path::PathBuf;

use atlas_model::Secret;
use sqlx::postgres::PgConnectOptions;

/// The kind of a database, and its location.
#[derive(Clone)]
pub enum StoreUrl {
    /// A PostgreSQL server and database.
    Postgres(Box<PgConnectOptions>),
    /// An embedded database in a file.
    Sqlite(PathBuf),
}

impl StoreUrl {
    /// Reads `postgres://…`, `postgresql://…` or `sqlite:FILE`; `None` if it is neither.
    pub fn parse(url: &str) -> Option<Self> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            url.parse().ok().map(|options: PgConnectOptions| Self::Postgres(Box::new(without_brackets(options))))
        } else {
            let file = url.strip_prefix("sqlite:")?;
            let file = file.strip_prefix("//").unwrap_or(file);
            // Parameters and databases in memory, as other programs write them, would otherwise
            // become files of that name.
            let is_file = !file.is_empty() && !file.contains('?') && file != ":memory:";
            is_file.then(|| Self::Sqlite(file.into()))
        }
    }

    /// The database's location for messages, without a password.
    pub fn location(&self) -> String {
        match self {
            Self::Postgres(options) => {
                let (user, host, port) = (options.get_username(), options.get_host(), options.get_port());
                let name = options.get_database().unwrap_or(user);
                let socket = options.get_socket().map(|folder| folder.display().to_string());
                match socket.or_else(|| host.starts_with('/').then(|| host.to_owned())) {
                    // The server of a socket need not be the one that listens at this port.
                    Some(folder) => format!("postgres://{user}@/{name}?host={folder}&port={port}"),
                    None if host.contains(':') => format!("postgres://{user}@[{host}]:{port}/{name}"),
                    None => format!("postgres://{user}@{host}:{port}/{name}"),
                }
            }
            Self::Sqlite(file) => format!("sqlite:{}", file.display()),
        }
    }

    /// The file of an embedded database that is not there yet, or empty: its absolute path.
    pub fn missing_file(&self) -> Option<PathBuf> {
        let Self::Sqlite(file) = self else { return None };
        let is_missing = match std::fs::metadata(file) {
            Ok(found) => found.len() == 0,
            // Any other error is told when the file is opened.
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        is_missing.then(|| std::path::absolute(file).unwrap_or_else(|_| file.clone()))
    }

    /// A server by its parts, as `DB_HOST`, `DB_PORT`, `DB_NAME`, `DB_USER` and `DB_PASSWORD` give
    /// them.
    pub fn postgres_from_parts(host: &str, port: u16, name: &str, user: &str, password: &Secret) -> Self {
        let options = PgConnectOptions::new_without_pgpass()
            .host(host)
            .port(port)
            .database(name)
            .username(user)
            .password(password.expose());
        Self::Postgres(Box::new(without_brackets(options)))
    }
}

/// The same with an IPv6 address as resolvers take it: a URL writes it in brackets (RFC 3986,
/// 3.2.2).
fn without_brackets(options: PgConnectOptions) -> PgConnectOptions {
    let address = options.get_host().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
    match address {
        Some(address) => options.host(&address),
        None => options,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_connected_to_without_its_brackets_and_shown_with_them() {
        let by_url = StoreUrl::parse("postgres://u:senha@[::1]:5433/b");
        let by_parts = ["::1", "[::1]"]
            .map(|host| Some(StoreUrl::postgres_from_parts(host, 5433, "b", "u", &Secret::new("senha".to_owned()))));
        for url in by_parts.into_iter().chain([by_url]) {
            let Some(StoreUrl::Postgres(options)) = &url else { panic!("no server") };
            assert_eq!(options.get_host(), "::1");
            assert_eq!(url.map(|url| url.location()).as_deref(), Some("postgres://u@[::1]:5433/b"));
        }
    }
}
