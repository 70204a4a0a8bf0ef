//! The recorded state of one route, and its changes, without touching a file.

use chrono::{SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::descriptor::Descriptor;
use crate::load::Connector;

/// Versions of a route that can be gone back to.
pub const HISTORY: usize = 10;
/// Accepted digests kept for one route: older ones have long been replaced.
const ACCEPTED_MAX: usize = 32;
/// Replaced versions of one route whose trial's finding is kept: as many as accepted ones.
const DOUBTS_MAX: usize = 32;

/// The recorded state of one route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteState {
    /// The name of the file in the folder that serves the route; empty if that file serves another
    /// route by now.
    pub file: String,
    /// The digest that serves.
    pub serving: Option<String>,
    /// The versions that served, the newest first, at most [`HISTORY`].
    pub history: Vec<KeptVersion>,
    /// Digests that the operator accepted.
    pub accepted: Vec<String>,
    /// What waits for the operator's decision.
    pub held: Option<Held>,
    /// The version in the file, if it failed its trial.
    pub refused: Option<Refusal>,
    /// Findings of trials of versions that were replaced since, the newest first: one that comes
    /// back where there is no page to try it on is still recognised.
    pub doubts: Vec<Doubt>,
    /// The operator's rollback, if there is one.
    pub rollback: Option<Rollback>,
    /// The publication that was put into the folder last.
    pub published: Option<String>,
}

/// A version that served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptVersion {
    /// Its digest.
    pub sha256: String,
    /// Its own version, for people.
    pub version: String,
    /// When it took over, RFC 3339.
    pub since: String,
    /// The lists that the next version may not widen by itself. `None` if an earlier Atlas recorded
    /// this version.
    #[serde(default)]
    pub lists: Option<Lists>,
}

/// The lists of a version's description that the next version may not widen without the operator's
/// acceptance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lists {
    /// The requests that it makes, beside GET and HEAD.
    pub requests: Vec<String>,
    /// What it leaves out of the content hash.
    pub unhashed: Vec<String>,
    /// The API whose credential it wants, and its place in a request; `None` if not recorded.
    pub credential: Option<String>,
}

/// A version that waits for the operator's decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its digest.
    pub sha256: String,
    /// Its own version, for people.
    pub version: String,
    /// Why.
    pub reasons: Vec<HoldReason>,
}

/// Why a version does not take over by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// From the same answers it took another number of records.
    Records {
        /// How many the page had.
        before: usize,
        /// How many it took.
        after: usize,
    },
    /// It declares requests that the present version does not.
    Requests {
        /// The patterns that are new.
        added: Vec<String>,
    },
    /// It wants the credential of another API, or has it stand in another place of the requests.
    Credential {
        /// What the present version wants.
        before: String,
        /// What it wants.
        after: String,
    },
    /// A call of it ended a host's process, and did so again alone.
    EndedProcess {
        /// The signal's name.
        signal: String,
    },
    /// It leaves more out of the content hash: every row that it fetches again would look new.
    Unhashed {
        /// The pointers that are new.
        added: Vec<String>,
    },
}

/// A version that failed its trial.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refusal {
    /// Its digest.
    pub sha256: String,
    /// Its own version, for people.
    pub version: String,
    /// How.
    pub reason: String,
}

/// A finding against a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// It waits for the operator's decision.
    Held(Held),
    /// It failed its trial.
    Refused(Refusal),
}

/// A version that the operator's decision can let serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its digest.
    pub sha256: String,
    /// Its own version, for people.
    pub version: String,
}

/// A version that the operator went back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// The digest that serves.
    pub to: String,
    /// The digest of the file that it serves instead of; empty if none could be read there. The
    /// rollback ends when the file is another.
    pub over: String,
}

impl Lists {
    /// The lists of a description.
    pub(crate) fn of(descriptor: &Descriptor) -> Self {
        Self {
            requests: descriptor.requests.iter().map(ToString::to_string).collect(),
            unhashed: descriptor.unhashed.iter().map(|pointer| pointer.as_str().to_owned()).collect(),
            credential: Some(format!("{}: {:?}", descriptor.api, descriptor.auth)),
        }
    }
}

impl KeptVersion {
    /// The record of a version that takes over now.
    pub(crate) fn of(connector: &Connector) -> Self {
        Self {
            sha256: connector.sha256.clone(),
            version: connector.descriptor.version.clone(),
            since: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            lists: Some(Lists::of(&connector.descriptor)),
        }
    }
}

impl Doubt {
    pub(crate) fn sha256(&self) -> &str {
        match self {
            Self::Held(held) => &held.sha256,
            Self::Refused(refusal) => &refusal.sha256,
        }
    }

    /// Whether the finding came from running the version. Findings about its lists are made anew at
    /// each start, and need not be kept.
    fn is_of_a_trial(&self) -> bool {
        match self {
            Self::Held(held) => {
                let shown = |reason: &HoldReason| {
                    matches!(reason, HoldReason::Records { .. } | HoldReason::EndedProcess { .. })
                };
                held.reasons.iter().any(shown)
            }
            Self::Refused(_) => true,
        }
    }

    fn is_of_an_ended_process(&self) -> bool {
        let ended = |reason: &HoldReason| matches!(reason, HoldReason::EndedProcess { .. });
        matches!(self, Self::Held(held) if held.reasons.iter().any(ended))
    }

    fn waiting(&self) -> Waiting {
        let (sha256, version) = match self {
            Self::Held(held) => (&held.sha256, &held.version),
            Self::Refused(refusal) => (&refusal.sha256, &refusal.version),
        };
        Waiting { sha256: sha256.clone(), version: version.clone() }
    }
}

impl RouteState {
    /// Records that a version serves from now on, from this file. Returns false, and changes
    /// nothing, if another process has a finding against it, or the operator went back from it,
    /// which the caller does not know yet.
    pub(crate) fn take_over(&mut self, file: &str, version: KeptVersion) -> bool {
        let sha256 = version.sha256.clone();
        let is_gone_back_from = self.rollback.as_ref().is_some_and(|rollback| rollback.over == sha256);
        if is_gone_back_from || self.known_against(&sha256).is_some() {
            return false;
        }
        file.clone_into(&mut self.file);
        match self.history.first_mut().filter(|newest| newest.sha256 == sha256) {
            Some(newest) => newest.lists = version.lists,
            None => {
                self.history.retain(|known| known.sha256 != sha256);
                self.history.insert(0, version);
                self.history.truncate(HISTORY);
            }
        }
        self.serving = Some(sha256);
        self.rollback = None;
        self.set_aside();
        true
    }

    /// Records a finding against a version. `instead` is the version that serves in its place, in
    /// case another process let it take over before.
    pub(crate) fn doubt(&mut self, doubt: Doubt, instead: Option<String>) {
        let sha256 = doubt.sha256();
        if self.is_accepted(sha256) {
            return;
        }
        if instead.is_some() && self.serving.as_deref().is_none_or(|serving| serving == sha256) {
            self.serving = instead;
        }
        self.set_aside();
        self.doubts.retain(|known| known.sha256() != sha256);
        match doubt {
            Doubt::Held(held) => self.held = Some(held),
            Doubt::Refused(refusal) => self.refused = Some(refusal),
        }
    }

    /// The finding against a version, unless the operator accepted it.
    pub(crate) fn known_against(&self, sha256: &str) -> Option<Doubt> {
        let known = self.present_doubts().chain(self.doubts.iter().cloned());
        known.filter(|_| !self.is_accepted(sha256)).find(|doubt| doubt.sha256() == sha256)
    }

    /// Whether a version is held for having ended a process.
    pub(crate) fn ended_a_process(&self, sha256: &str) -> bool {
        self.known_against(sha256).is_some_and(|doubt| doubt.is_of_an_ended_process())
    }

    /// What waits for the operator's decision.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        self.present_doubts().next().map(|doubt| doubt.waiting())
    }

    /// Accepts the waiting version, if its digest begins like this; or one that is quarantined for
    /// a crash, even if another waits by now. Returns the accepted one.
    pub(crate) fn accept(&mut self, digest: Option<&str>) -> Option<Waiting> {
        let begins = |doubt: &Doubt, digest: &str| !digest.is_empty() && doubt.sha256().starts_with(digest);
        let is_meant = |doubt: &Doubt| digest.is_none_or(|digest| begins(doubt, digest));
        let present = self.present_doubts().next().filter(is_meant);
        let ended = |doubt: &&Doubt| digest.is_some() && doubt.is_of_an_ended_process() && is_meant(doubt);
        let accepted = present.or_else(|| self.doubts.iter().find(ended).cloned())?.waiting();
        self.accept_beforehand(&accepted.sha256);
        Some(accepted)
    }

    /// Accepts a version, whether it waits or has not arrived yet.
    pub(crate) fn accept_beforehand(&mut self, sha256: &str) {
        self.held = self.held.take().filter(|held| held.sha256 != sha256);
        self.refused = self.refused.take().filter(|refused| refused.sha256 != sha256);
        self.accepted.retain(|known| known != sha256);
        self.accepted.insert(0, sha256.to_owned());
        self.accepted.truncate(ACCEPTED_MAX);
        self.rollback = self.rollback.take().filter(|rollback| rollback.over != sha256);
    }

    /// The version to go back to: the one whose digest begins like this, else the one that served
    /// before the present one.
    pub(crate) fn earlier(&self, digest: Option<&str>) -> Option<&KeptVersion> {
        match digest {
            Some(digest) => self.history.iter().find(|version| version.sha256.starts_with(digest)),
            None => {
                let serving = self.serving.as_deref();
                let present = self.history.iter().position(|version| Some(version.sha256.as_str()) == serving);
                self.history.get(present.map_or(0, |present| present + 1))
            }
        }
    }

    /// The lists of a version that served. They are empty if an earlier Atlas recorded it; a new
    /// version with any entry then waits for the operator.
    pub(crate) fn lists_of(&self, sha256: &str) -> Lists {
        let known = self.history.iter().find(|version| version.sha256 == sha256);
        known.and_then(|version| version.lists.clone()).unwrap_or_default()
    }

    pub(crate) fn is_accepted(&self, sha256: &str) -> bool {
        self.accepted.iter().any(|accepted| accepted == sha256)
    }

    /// The findings against the version in the file.
    fn present_doubts(&self) -> impl Iterator<Item = Doubt> {
        self.held.clone().map(Doubt::Held).into_iter().chain(self.refused.clone().map(Doubt::Refused))
    }

    /// Sets the findings aside once another version is in the file: those of trials are kept for
    /// the case that the old version comes back.
    fn set_aside(&mut self) {
        let replaced: Vec<Doubt> = self.present_doubts().filter(Doubt::is_of_a_trial).collect();
        (self.held, self.refused) = (None, None);
        for doubt in replaced {
            self.doubts.retain(|known| known.sha256() != doubt.sha256());
            self.doubts.insert(0, doubt);
        }
        self.doubts.truncate(DOUBTS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(sha256: &str) -> KeptVersion {
        KeptVersion { sha256: sha256.to_owned(), version: "1".to_owned(), ..KeptVersion::default() }
    }

    fn state(serving: &str, history: &[&str]) -> RouteState {
        let history = history.iter().map(|sha256| version(sha256)).collect();
        RouteState { serving: Some(serving.to_owned()), history, ..RouteState::default() }
    }

    fn held(sha256: &str) -> Doubt {
        let reasons = vec![HoldReason::Records { before: 10, after: 0 }];
        Doubt::Held(Held { sha256: sha256.to_owned(), version: "2".to_owned(), reasons })
    }

    fn refused(sha256: &str) -> Doubt {
        Doubt::Refused(Refusal { sha256: sha256.to_owned(), version: "2".to_owned(), reason: "trap".to_owned() })
    }

    fn earlier<'a>(state: &'a RouteState, digest: Option<&str>) -> Option<&'a str> {
        state.earlier(digest).map(|version| version.sha256.as_str())
    }

    fn accept(state: &mut RouteState, digest: Option<&str>) -> Option<String> {
        state.accept(digest).map(|accepted| accepted.sha256)
    }

    #[test]
    fn the_version_before_the_present_one_is_gone_back_to_step_by_step() {
        let history = ["cc3", "bb2", "aa1"];
        assert_eq!(earlier(&state("cc3", &history), None), Some("bb2"));
        assert_eq!(earlier(&state("bb2", &history), None), Some("aa1"));
        assert_eq!(earlier(&state("aa1", &history), None), None);
        assert_eq!(earlier(&state("cc3", &history), Some("aa")), Some("aa1"));
        assert_eq!(earlier(&state("cc3", &history), Some("dd")), None);
    }

    #[test]
    fn accepting_takes_what_is_held_or_refused_once_and_ends_a_rollback_over_it() {
        for doubt in [held("new"), refused("new")] {
            let rollback = Rollback { to: "old".to_owned(), over: "new".to_owned() };
            let mut state = RouteState { rollback: Some(rollback), ..RouteState::default() };
            state.doubt(doubt, None);
            assert_eq!(accept(&mut state, None).as_deref(), Some("new"));
            assert_eq!((state.accepted.as_slice(), &state.rollback), (&["new".to_owned()][..], &None));
            assert_eq!((state.known_against("new"), accept(&mut state, None)), (None, None));
        }
    }

    #[test]
    fn only_the_digest_that_was_meant_is_accepted() {
        let mut state = RouteState::default();
        state.doubt(held("aa1"), None);
        // It was replaced before the operator answered.
        state.doubt(held("bb2"), None);
        assert_eq!((accept(&mut state, Some("aa")), accept(&mut state, Some(""))), (None, None));
        assert_eq!(state.waiting().map(|waiting| waiting.sha256).as_deref(), Some("bb2"));
        assert_eq!(accept(&mut state, Some("bb")).as_deref(), Some("bb2"));
    }

    #[test]
    fn a_version_that_ended_a_process_is_accepted_by_its_digest_though_another_waits() {
        let mut state = RouteState::default();
        let reasons = vec![HoldReason::EndedProcess { signal: "SIGABRT".to_owned() }];
        state.doubt(Doubt::Held(Held { sha256: "aa1".to_owned(), version: "1".to_owned(), reasons }), None);
        state.doubt(held("bb2"), None);
        assert!(state.known_against("aa1").is_some());
        assert_eq!(accept(&mut state, Some("aa")).as_deref(), Some("aa1"));
        assert_eq!(state.known_against("aa1"), None);
        assert_eq!(accept(&mut state, None).as_deref(), Some("bb2"));
    }

    #[test]
    fn what_one_process_found_is_not_undone_by_another_that_takes_over() {
        for doubt in [held("new"), refused("new")] {
            let mut state = state("old", &["old"]);
            state.doubt(doubt, Some("old".to_owned()));
            let before = state.clone();
            assert!(!state.take_over("pedido.wasm", version("new")));
            assert_eq!(state, before);
            accept(&mut state, None);
            assert!(state.take_over("pedido.wasm", version("new")));
        }
    }

    #[test]
    fn what_took_over_before_something_was_found_serves_no_more() {
        let mut state = state("old", &["old"]);
        assert!(state.take_over("pedido.wasm", version("new")));
        state.doubt(held("new"), Some("old".to_owned()));
        assert_eq!(state.serving.as_deref(), Some("old"));
        state.doubt(refused("newer"), Some("older".to_owned()));
        assert_eq!(state.serving.as_deref(), Some("old"));
    }

    #[test]
    fn what_was_gone_back_from_does_not_take_over() {
        let mut state = state("old", &["new", "old"]);
        state.rollback = Some(Rollback { to: "old".to_owned(), over: "new".to_owned() });
        assert!(!state.take_over("pedido.wasm", version("new")));
        assert!(state.take_over("pedido.wasm", version("newer")) && state.rollback.is_none());
    }

    #[test]
    fn what_a_trial_showed_is_known_of_a_version_that_comes_back() {
        let mut state = state("old", &["old"]);
        state.doubt(held("bad"), None);
        state.doubt(refused("worse"), None);
        assert!(state.take_over("pedido.wasm", version("good")));
        assert_eq!(state.waiting(), None);
        assert_eq!(
            (state.known_against("bad"), state.known_against("worse")),
            (Some(held("bad")), Some(refused("worse")))
        );
        assert_eq!(state.known_against("good"), None);
    }

    #[test]
    fn what_lists_say_of_a_version_is_not_known_of_it_for_ever() {
        let reasons = vec![HoldReason::Unhashed { added: vec!["/a".to_owned()] }];
        let mut state = state("old", &["old"]);
        state.doubt(Doubt::Held(Held { sha256: "wide".to_owned(), version: "2".to_owned(), reasons }), None);
        assert!(state.take_over("pedido.wasm", version("good")));
        assert_eq!(state.known_against("wide"), None);
    }

    #[test]
    fn what_an_earlier_atlas_wrote_down_is_read() {
        let text = r#"{"serving":"aa","history":[{"sha256":"aa","version":"1","since":"2025-10-20T12:00:00Z"}],
            "refused":{"sha256":"bb","reason":"trap"}}"#;
        let state: RouteState = serde_json::from_str(text).unwrap();
        assert_eq!(state.lists_of("aa"), Lists::default());
        assert_eq!(state.waiting().map(|waiting| waiting.sha256).as_deref(), Some("bb"));
    }
}
