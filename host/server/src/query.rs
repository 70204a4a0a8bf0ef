//! The names of a query. Each address takes those it knows and refuses all others: a filter that is
//! misspelt and ignored would answer with everything, and an export would carry it away.

use std::collections::HashMap;

use atlas_model::notice;
use atlas_service::{Failure, Kind};
use axum::http::Method;
use url::form_urlencoded;

/// Names of the tables' columns, which answers bear too, beside the names that the page, the
/// command line and the API share.
const ALIASES: [(&str, &str); 3] = [("cliente_id", "cliente"), ("origem", "rota"), ("scrap_id", "scrap")];

/// The query names of each operation of the API, by its method and its address as the router has
/// it.
#[derive(Default)]
pub(super) struct QueryNames(pub(super) HashMap<(Method, String), Vec<String>>);

impl QueryNames {
    /// The names that an operation takes.
    pub(super) fn of(&self, method: &Method, route: &str) -> &[String] {
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        self.0.get(&(method, route.to_owned())).map_or(&[], Vec::as_slice)
    }
}

/// The shared name for what may be called otherwise, too.
pub(super) fn shared(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, shared)| shared)
}

/// Refuses a query with a name that is not among those that are known, or that is given twice.
pub(super) fn check<N: AsRef<str>>(query: &str, known: &[N]) -> Result<(), Failure> {
    let mut given: Vec<String> = Vec::new();
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        let shared = shared(&name).to_owned();
        let refused = |notice| Err(Failure::new("op-access", notice, Kind::Malformed));
        if !known.iter().any(|known| known.as_ref() == shared) {
            let shown: String = name.chars().take(80).collect();
            let all: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
            return refused(match all.is_empty() {
                true => notice!("web-query-none", name = shown),
                false => notice!("web-query-unknown", name = shown, known = all.join(", ")),
            });
        }
        if given.contains(&shared) {
            return refused(notice!("web-query-twice", name = shared));
        }
        given.push(shared);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_refused_that_is_not_known_or_given_twice_under_whatever_name() {
        let key = |query: &str, known: &[&str]| check(query, known).err().map(|failure| failure.notice.key);
        let known = ["cliente", "rota"];
        for fine in ["", "cliente=7", "rota=&cliente=7", "cliente_id=7", "origem=pedido&cliente=7", "&"] {
            assert_eq!(key(fine, &known), None, "{fine}");
        }
        for unknown in ["Cliente=7", "client=7", "cliente=7&x=", "cliente%00=7", "cliente[]=7", "=7"] {
            assert_eq!(key(unknown, &known).as_deref(), Some("web-query-unknown"), "{unknown}");
        }
        for twice in ["cliente=7&cliente=7", "cliente=7&cliente_id=8", "rota=a&origem=b"] {
            assert_eq!(key(twice, &known).as_deref(), Some("web-query-twice"), "{twice}");
        }
        assert_eq!(key("x=1", &[]).as_deref(), Some("web-query-none"));
    }
}
