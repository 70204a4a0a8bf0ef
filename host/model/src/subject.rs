//! What a message is about.

use serde::{Deserialize, Serialize};

/// The thing that a message is about, where an operator can look at it or change it. Set where the
/// message is made, so that a link to it does not depend on the message's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A client that is registered, by its number.
    Client(i32),
    /// The registration of a client that is not, by its number where one was named.
    Registration(Option<i32>),
    /// Where an API of this client is.
    Address(i32),
    /// What a source wants of this client before it answers.
    Credential(i32),
    /// What is set of an API for this client.
    Settings(i32),
    /// A scrap, by its number.
    Scrap(i64),
    /// The rejected records of this scrap.
    Rejects(i64),
    /// A rejected record, by its number.
    Rejected(i64),
    /// A schedule, by its number.
    Schedule(i64),
    /// A program's token, by its number.
    Token(i64),
    /// The connector of a route; none: the folder of all of them.
    Connector(Option<String>),
    /// The database.
    Database,
}
