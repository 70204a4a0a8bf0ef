//! Which store a URL names.

use std::path::Path;

use super::super::{StoreUrl, open};
use super::database::Database;

fn sqlite_file(url: &str) -> Option<String> {
    match StoreUrl::parse(url)? {
        StoreUrl::Sqlite(path) => path.to_str().map(str::to_owned),
        StoreUrl::Postgres(_) => None,
    }
}

#[test]
fn a_sqlite_url_names_a_file() {
    assert_eq!(sqlite_file("sqlite:atlas.db").as_deref(), Some("atlas.db"));
    assert_eq!(sqlite_file("sqlite://atlas.db").as_deref(), Some("atlas.db"));
    assert_eq!(sqlite_file("sqlite:data/my atlas.db").as_deref(), Some("data/my atlas.db"));
    assert_eq!(sqlite_file("sqlite:/var/lib/atlas.db").as_deref(), Some("/var/lib/atlas.db"));
    assert_eq!(sqlite_file("sqlite:///var/lib/atlas.db").as_deref(), Some("/var/lib/atlas.db"));
}

#[test]
fn a_postgres_url_names_a_server_and_a_database() {
    for url in ["postgres://ana:secret@db.example:6543/sales", "postgresql://ana:secret@db.example:6543/sales"] {
        let Some(StoreUrl::Postgres(options)) = StoreUrl::parse(url) else { panic!("{url}") };
        assert_eq!(options.get_host(), "db.example");
        assert_eq!(options.get_port(), 6543);
        assert_eq!(options.get_username(), "ana");
        assert_eq!(options.get_database(), Some("sales"));
    }
}

#[test]
fn a_password_may_hold_escaped_signs_and_a_query_may_follow() {
    let url = "postgres://ana:p%40ss%2Fword@localhost/sales?sslmode=disable";
    let Some(StoreUrl::Postgres(options)) = StoreUrl::parse(url) else { panic!("{url}") };
    assert_eq!((options.get_host(), options.get_database()), ("localhost", Some("sales")));
}

#[test]
fn what_names_neither_is_refused() {
    let refused = [
        "",
        "atlas.db",
        "sqlite:",
        "sqlite://",
        "mysql://localhost/atlas",
        "http://localhost",
        "postgres:",
        "postgres://localhost:no-port/atlas",
        "POSTGRES",
    ];
    for url in refused {
        assert!(StoreUrl::parse(url).is_none(), "{url}");
    }
}

#[test]
fn a_server_is_named_by_its_parts() {
    let url = StoreUrl::postgres_from_parts("db.example", 6543, "sales", "ana", &super::secret("p@ss/word"));
    let StoreUrl::Postgres(options) = url else { panic!("no server") };
    assert_eq!((options.get_host(), options.get_port()), ("db.example", 6543));
    assert_eq!((options.get_username(), options.get_database()), ("ana", Some("sales")));
}

#[test]
fn a_server_behind_a_socket_is_not_told_as_one_of_this_machines_ports() {
    let url = StoreUrl::postgres_from_parts("/var/run/postgresql", 6543, "sales", "ana", &super::secret("p@ss"));
    assert_eq!(url.location(), "postgres://ana@/sales?host=/var/run/postgresql&port=6543");
}

#[tokio::test]
async fn a_location_shows_no_password() -> anyhow::Result<()> {
    let database = Database::postgres().await?;
    let (role, url) = database.role().await?;
    let location = url.location();
    assert!(location.starts_with(&format!("postgres://{role}@")), "{location}");
    // The role's password.
    assert!(!location.contains("suite@") && !location.contains(":suite"), "{location}");
    Ok(())
}

#[tokio::test]
async fn a_sqlite_file_that_is_not_there_is_created_and_a_missing_folder_is_an_error() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("new.db");
    let url = StoreUrl::Sqlite(file.clone());
    open(&url, None).await?;
    assert_eq!(url.location(), format!("sqlite:{}", file.display()));
    assert!(file.is_file());
    let lost = folder.path().join(Path::new("no/such/folder.db"));
    assert_eq!(super::fault(open(&StoreUrl::Sqlite(lost), None).await), Some(super::Fault::Unavailable));
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable() -> anyhow::Result<()> {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let url = StoreUrl::postgres_from_parts("127.0.0.1", port, "atlas", "atlas", &super::secret("none"));
    assert_eq!(super::fault(open(&url, None).await), Some(super::Fault::Unavailable));
    Ok(())
}

#[tokio::test]
async fn a_new_sqlite_file_is_opened_and_initialised_by_several_at_once() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = StoreUrl::Sqlite(folder.path().join("atlas.db"));
        opening.spawn(async move { open(&url, None).await?.init().await });
    }
    while let Some(opened) = opening.join_next().await {
        opened??;
    }
    Ok(())
}
