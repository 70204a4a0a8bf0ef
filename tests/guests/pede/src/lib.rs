//! A connector that asks for whatever the source tells it to, as one might that an attacker has
//! taken over: the first page is the plan, `{"requests": ["POST /pedidos/1", "GET /clientes
//! tenantId", …]}`, and each of its requests is a page. What stands behind the target are names of
//! headers, which it sets.

use atlas_connector_sdk::{Connector, Descriptor, FetchError, Method, Page, Request, RequestPattern, Scrap};

struct Pede;

impl Connector for Pede {
    fn describe(_definition: Option<&str>) -> Result<Descriptor, String> {
        let pattern = |method| RequestPattern { method, path: "/pedidos/*".to_owned() };
        let requests = vec![pattern(Method::Post), pattern(Method::Delete)];
        Ok(Descriptor { requests, ..Descriptor::new("pede", "bling", env!("CARGO_PKG_VERSION")) })
    }

    fn fetch_page(_scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError> {
        let Some(asked) = cursor else {
            let plan = Request::get("plano").send()?.ok()?;
            let mut requests = Vec::new();
            while let Some(request) = plan.text(&format!("/requests/{}", requests.len()))? {
                requests.push(request);
            }
            return Ok(Page::json(Vec::new()).then(requests));
        };
        let (name, target) = asked.split_once(' ').unwrap_or(("", asked));
        let method = match name {
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            _ => Method::Get,
        };
        // Taken for a passing fault, whatever it is: what is refused for good must not be tried
        // again all the same.
        let mut words = target.split(' ');
        let request = Request::new(method, words.next().unwrap_or_default());
        let request = words.fold(request, |request, header| request.header(header, "7"));
        let answer = request.send().map_err(|error| FetchError::retry(format!("{error:?}")))?;
        Ok(Page::json(vec![format!("{{\"request\": {asked:?}, \"status\": {}}}", answer.status())]))
    }
}

atlas_connector_sdk::export!(Pede);
