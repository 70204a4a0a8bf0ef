//! Which file serves which route, from one start to the next, by files in a folder of a test's own.

use std::sync::Arc;

use atlas_testing::guests::plain_guest;
use tempfile::TempDir;

use super::super::operator_decision::{accept, roll_back};
use super::*;

/// A folder of connectors, and what is remembered of it.
struct Ground {
    place: TempDir,
    engine: Arc<ConnectorEngine>,
}

impl Ground {
    fn new() -> Self {
        let (place, limits) = (tempfile::tempdir().unwrap(), Limits::default());
        std::fs::create_dir(place.path().join("connectors")).unwrap();
        let engine = Arc::new(ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap());
        Self { place, engine }
    }

    fn folders(&self) -> RegistryFolders {
        let [connectors, cache, state] = ["connectors", "cache", "state"].map(|name| self.place.path().join(name));
        RegistryFolders { connectors, cache: Some(cache), state: Some(state) }
    }

    fn put(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.place.path().join("connectors").join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A start, at which these routes are fetched from.
    async fn start(&self, routes: &[&str]) -> Registry {
        let (limits, trust) = (Limits::default(), Arc::default());
        let registry = Registry::load(&self.engine, &limits, &trust, &self.folders()).await.unwrap();
        for route in routes {
            assert!(registry.use_connector(route).await.is_some(), "nothing serves {route}");
        }
        registry
    }

    /// The versions that served are kept no more.
    fn lose_versions(&self) {
        for state in std::fs::read_dir(self.place.path().join("state")).unwrap() {
            for version in std::fs::read_dir(state.unwrap().path().join("versions")).unwrap() {
                std::fs::remove_file(version.unwrap().path()).unwrap();
            }
        }
    }
}

/// The version that serves a route.
fn serving(registry: &Registry, route: &str) -> Option<String> {
    registry.connector(route).map(|connector| connector.descriptor.version.clone())
}

/// Who has the route that a file claims.
fn taken_by(registry: &Registry, path: &Path) -> Option<String> {
    match registry.entry(path)?.loaded {
        Err(LoadError::RouteTaken { other, .. }) => Some(other),
        _ => None,
    }
}

#[tokio::test]
async fn a_file_that_served_a_route_does_not_take_another_files_between_two_starts() {
    let ground = Ground::new();
    ground.put("a.wasm", &plain_guest("a", "1", ""));
    ground.put("pedido.wasm", &plain_guest("pedido", "1", ""));
    ground.start(&["a", "pedido"]).await;
    let taker = ground.put("a.wasm", &plain_guest("pedido", "taker", ""));
    let registry = ground.start(&["pedido"]).await;
    assert_eq!(serving(&registry, "pedido").as_deref(), Some("1"));
    assert_eq!(taken_by(&registry, &taker).as_deref(), Some("pedido.wasm"));
}

#[tokio::test]
async fn a_file_that_is_broken_keeps_its_route_from_others_until_it_is_gone() {
    let ground = Ground::new();
    ground.put("pedido.wasm", &plain_guest("pedido", "1", ""));
    ground.start(&["pedido"]).await;
    let broken = ground.put("pedido.wasm", b"x");
    ground.lose_versions();
    let taker = ground.put("a.wasm", &plain_guest("pedido", "taker", ""));
    let registry = ground.start(&[]).await;
    assert_eq!(serving(&registry, "pedido"), None);
    assert_eq!(taken_by(&registry, &taker).as_deref(), Some("pedido.wasm"));
    std::fs::remove_file(broken).unwrap();
    assert_eq!(serving(&ground.start(&[]).await, "pedido").as_deref(), Some("taker"));
}

#[tokio::test]
async fn two_files_may_change_their_places() {
    let ground = Ground::new();
    let put = |one: &str, other: &str| {
        [("a.wasm", one), ("b.wasm", other)].map(|(file, route)| ground.put(file, &plain_guest(route, file, "")))
    };
    put("a", "b");
    ground.start(&["a", "b"]).await;
    put("b", "a");
    let registry = ground.start(&["a", "b"]).await;
    assert_eq!(
        (serving(&registry, "a").as_deref(), serving(&registry, "b").as_deref()),
        (Some("b.wasm"), Some("a.wasm"))
    );
    // While it runs, one after the other.
    for path in put("a", "b") {
        let loaded = registry.go_through(path).await;
        registry.settle(loaded).await;
    }
    for path in registry.waiting_for_a_route() {
        let loaded = registry.go_through(path).await;
        registry.settle(loaded).await;
    }
    assert_eq!(
        (serving(&registry, "a").as_deref(), serving(&registry, "b").as_deref()),
        (Some("a.wasm"), Some("b.wasm"))
    );
}

#[tokio::test]
async fn a_broken_file_goes_on_with_the_route_that_it_came_to_last() {
    let ground = Ground::new();
    for route in ["b", "a", "c"] {
        ground.put("x.wasm", &plain_guest(route, route, ""));
        ground.start(&[route]).await;
    }
    ground.put("x.wasm", b"x");
    assert_eq!(ground.start(&[]).await.routes(), ["c"]);
}

#[tokio::test]
async fn a_rollback_counts_when_the_file_is_gone_or_is_none_any_more() {
    for becomes in ["gone", "a folder"] {
        let ground = Ground::new();
        for version in ["1", "2"] {
            ground.put("pedido.wasm", &plain_guest("pedido", version, ""));
            ground.start(&["pedido"]).await;
        }
        let registry = ground.start(&["pedido"]).await;
        let path = ground.folders().connectors.join("pedido.wasm");
        std::fs::remove_file(&path).unwrap();
        if becomes == "gone" {
            registry.gone(&path);
        } else {
            std::fs::create_dir(&path).unwrap();
            let loaded = registry.go_through(path).await;
            registry.settle(loaded).await;
        }
        assert_eq!(serving(&registry, "pedido").as_deref(), Some("2"), "{becomes}");
        roll_back(&ground.folders(), Limits::default().component_bytes, "pedido", None).unwrap();
        let told = registry.reconsider("pedido").await;
        assert!(matches!(told, Some(RegistryEvent::RolledBack { .. })), "{becomes}");
        assert_eq!(serving(&registry, "pedido").as_deref(), Some("1"), "{becomes}");
    }
}

/// Has a process look at a file, after a trial that showed this.
async fn look(registry: &Registry, path: &Path, trial: Trial) -> Option<RegistryEvent> {
    let loaded = registry.go_through(path.to_owned()).await;
    registry.settle(Loaded { trial, ..loaded }).await
}

const UNTRIED: Trial = Trial::Skipped(Skipped::NoPage);

fn found() -> [Trial; 2] {
    [Trial::Records { before: 10, after: 0 }, Trial::Failed("trap".to_owned())]
}

#[tokio::test]
async fn what_one_process_finds_in_a_trial_counts_in_every_other_whichever_is_first() {
    for (trial, tried_first) in found().into_iter().flat_map(|trial| [(trial.clone(), true), (trial, false)]) {
        let ground = Ground::new();
        ground.put("pedido.wasm", &plain_guest("pedido", "1", ""));
        let (tries, untried) = (ground.start(&["pedido"]).await, ground.start(&["pedido"]).await);
        let path = ground.put("pedido.wasm", &plain_guest("pedido", "2", ""));
        if tried_first {
            look(&tries, &path, trial.clone()).await;
            look(&untried, &path, UNTRIED).await;
        } else {
            look(&untried, &path, UNTRIED).await;
            assert_eq!(serving(&untried, "pedido").as_deref(), Some("2"));
            look(&tries, &path, trial.clone()).await;
            // It fetches once more before it looks.
            untried.use_connector("pedido").await;
            untried.reconsider("pedido").await;
        }
        let later = ground.start(&["pedido"]).await;
        for process in [&tries, &untried, &later] {
            assert_eq!(serving(process, "pedido").as_deref(), Some("1"), "{trial:?}, tried first: {tried_first}");
        }
    }
}

#[tokio::test]
async fn what_a_trial_showed_outlives_the_versions_that_served_since() {
    for trial in found() {
        let ground = Ground::new();
        let version = |version: &str| plain_guest("pedido", version, "");
        ground.put("pedido.wasm", &version("1"));
        let registry = ground.start(&["pedido"]).await;
        look(&registry, &ground.put("pedido.wasm", &version("2")), trial.clone()).await;
        look(&registry, &ground.put("pedido.wasm", &version("3")), Trial::Same).await;
        assert_eq!(serving(&registry, "pedido").as_deref(), Some("3"));
        ground.put("pedido.wasm", &version("2"));
        assert_eq!(serving(&ground.start(&["pedido"]).await, "pedido").as_deref(), Some("3"), "{trial:?}");
    }
}

#[tokio::test]
async fn a_wider_list_waits_even_if_the_version_before_it_is_kept_no_more() {
    let ground = Ground::new();
    ground.put("pedido.wasm", &plain_guest("pedido", "1", "/a"));
    ground.start(&["pedido"]).await;
    ground.lose_versions();
    let path = ground.put("pedido.wasm", &plain_guest("pedido", "2", "/b"));
    let registry = ground.start(&[]).await;
    assert_eq!(serving(&registry, "pedido"), None);
    let reasons = vec![HoldReason::Unhashed { added: vec!["/b".to_owned()] }];
    assert_eq!(registry.entry(&path).unwrap().standing, Standing::Held(reasons));
    ground.put("pedido.wasm", &plain_guest("pedido", "3", "/a"));
    assert_eq!(serving(&ground.start(&[]).await, "pedido").as_deref(), Some("3"));
}

#[tokio::test]
async fn what_its_trial_refused_serves_once_the_operator_accepted_it() {
    let ground = Ground::new();
    ground.put("pedido.wasm", &plain_guest("pedido", "1", ""));
    let registry = ground.start(&["pedido"]).await;
    let path = ground.put("pedido.wasm", &plain_guest("pedido", "2", ""));
    let failed = Trial::Failed("trap".to_owned());
    look(&registry, &path, failed.clone()).await;
    assert!(registry.refused_and_accepted("pedido").await.is_empty());
    assert!(accept(&ground.folders(), "pedido", Some("0000")).is_err());
    assert_eq!(accept(&ground.folders(), "pedido", None).unwrap().version, "2");
    assert_eq!(registry.refused_and_accepted("pedido").await, std::slice::from_ref(&path));
    look(&registry, &path, failed).await;
    assert_eq!(serving(&registry, "pedido").as_deref(), Some("2"));
    assert_eq!(serving(&ground.start(&["pedido"]).await, "pedido").as_deref(), Some("2"));
}
