//! The rules that decide whether a loaded version serves, waits for the operator's decision, or is
//! refused. They use no file, clock or guest.

use atlas_http::RequestPattern;
use atlas_json::Pointer;

use super::descriptor::Descriptor;
use super::state::{Doubt, HoldReason, Lists, RouteState};
use super::trial::Trial;

/// Characters kept of the reason of a failed trial: a connector may give one as large as its
/// memory.
const REASON_KEPT: usize = 512;

/// The decision about a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It serves.
    Serve,
    /// It waits; the present version goes on.
    Hold(Vec<HoldReason>),
    /// The operator went back to this digest, and the file has not changed since.
    RollBack(String),
    /// It failed its trial; the present version goes on.
    Refuse(String),
}

/// A version, as far as the rules need it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version<'a> {
    pub(super) sha256: &'a str,
    pub(super) descriptor: &'a Descriptor,
}

/// The version that a new one is compared with: the one that serves, or served last, whether its
/// code is still kept or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) sha256: String,
    pub(super) lists: Lists,
}

/// Decides about a version of a route. `present` is the version to compare it with, if any has
/// served the route.
pub(super) fn judge(state: &RouteState, version: Version<'_>, present: Option<&Present>, trial: &Trial) -> Verdict {
    let sha256 = version.sha256;
    if let Some(rollback) = state.rollback.as_ref().filter(|rollback| rollback.over == sha256) {
        return Verdict::RollBack(rollback.to.clone());
    }
    if state.accepted.iter().any(|accepted| accepted == sha256) {
        return Verdict::Serve;
    }
    // The process that made the finding had a page for a trial, which this one may lack.
    match state.known_against(sha256) {
        Some(Doubt::Held(held)) => return Verdict::Hold(held.reasons),
        Some(Doubt::Refused(refusal)) => return Verdict::Refuse(refusal.reason),
        None => {}
    }
    let Some(present) = present.filter(|present| present.sha256 != sha256) else {
        return Verdict::Serve;
    };
    let mut reasons = widened(&present.lists, version.descriptor);
    match trial {
        Trial::Failed(reason) => return Verdict::Refuse(reason.chars().take(REASON_KEPT).collect()),
        Trial::Records { before, after } => reasons.push(HoldReason::Records { before: *before, after: *after }),
        Trial::Same | Trial::Skipped(_) => {}
    }
    if reasons.is_empty() { Verdict::Serve } else { Verdict::Hold(reasons) }
}

/// The reasons to hold a version: pointers that it leaves out of the hash, requests or a credential
/// that it declares and the present version does not.
fn widened(present: &Lists, version: &Descriptor) -> Vec<HoldReason> {
    let mut reasons = Vec::new();
    let known: Vec<Pointer> = present.unhashed.iter().filter_map(|text| Pointer::parse(text).ok()).collect();
    let covered = |pointer: &Pointer| known.iter().any(|known| known.is_prefix_of(pointer));
    let added: Vec<String> = version.unhashed.iter().filter(|p| !covered(p)).map(|p| p.as_str().to_owned()).collect();
    if !added.is_empty() {
        reasons.push(HoldReason::Unhashed { added });
    }
    let wanted = Lists::of(version).credential.unwrap_or_default();
    if let Some(before) = present.credential.as_ref().filter(|before| **before != wanted) {
        reasons.push(HoldReason::Credential { before: before.clone(), after: wanted });
    }
    let known: Vec<RequestPattern> =
        present.requests.iter().filter_map(|text| RequestPattern::parse(text).ok()).collect();
    let covered = |pattern: &RequestPattern| known.iter().any(|known| known.covers_all_of(pattern));
    let added: Vec<String> = version.requests.iter().filter(|p| !covered(p)).map(ToString::to_string).collect();
    if !added.is_empty() {
        reasons.push(HoldReason::Requests { added });
    }
    reasons
}

/// Whether a scrap that is fetched by `present` can go on with `version` from the next page: its
/// cursors mean the same, and what the host prepared for the scrap still fits. Other requests do
/// not matter: one that wants more than the present one has waited for the operator's decision
/// before it served.
pub(super) fn understands(present: &Descriptor, version: &Descriptor) -> bool {
    present.cursor_format == version.cursor_format
        && present.api == version.api
        && present.auth == version.auth
        && present.takes_period == version.takes_period
}

#[cfg(test)]
mod tests {
    use super::super::schema::SettingsSchema;
    use super::super::state::{Held, Refusal, Rollback};
    use super::super::trial::Skipped;
    use super::*;
    use atlas_http::{AuthScheme, RateBudget};

    fn descriptor(unhashed: &[&str]) -> Descriptor {
        let pointer = |text: &&str| Pointer::parse(text).unwrap_or_else(|e| panic!("{e}"));
        Descriptor {
            route: "pedido".to_owned(),
            api: "jueri".to_owned(),
            version: "1".to_owned(),
            cursor_format: 1,
            takes_period: true,
            page_size: 100,
            lag_seconds: 0,
            auth: AuthScheme::Bearer,
            rate: RateBudget::default(),
            requests: Vec::new(),
            key: Vec::new(),
            unhashed: unhashed.iter().map(pointer).collect(),
            settings_schema: SettingsSchema::default(),
        }
    }

    /// A new version with this list, against a present one with that list.
    fn verdict(state: &RouteState, before: &[&str], after: &[&str], trial: &Trial) -> Verdict {
        let (present, after) = (present(&descriptor(before)), descriptor(after));
        judge(state, Version { sha256: "new", descriptor: &after }, Some(&present), trial)
    }

    fn present(descriptor: &Descriptor) -> Present {
        Present { sha256: "old".to_owned(), lists: Lists::of(descriptor) }
    }

    fn fresh(before: &[&str], after: &[&str], trial: &Trial) -> Verdict {
        verdict(&RouteState::default(), before, after, trial)
    }

    const RECORDS: Trial = Trial::Records { before: 50, after: 49 };

    #[test]
    fn a_version_that_wants_another_credential_or_has_it_elsewhere_waits() {
        let held = |after: Descriptor| {
            let present = present(&descriptor(&[]));
            let version = Version { sha256: "new", descriptor: &after };
            match judge(&RouteState::default(), version, Some(&present), &Trial::Same) {
                Verdict::Hold(reasons) => matches!(reasons.as_slice(), [HoldReason::Credential { .. }]),
                _ => false,
            }
        };
        assert!(held(Descriptor { api: "bling".to_owned(), ..descriptor(&[]) }));
        assert!(held(Descriptor { auth: AuthScheme::Header("x-fish".to_owned()), ..descriptor(&[]) }));
        assert!(!held(descriptor(&[])));
    }

    #[test]
    fn a_version_that_takes_the_same_records_serves() {
        assert_eq!(fresh(&[], &[], &Trial::Same), Verdict::Serve);
        assert_eq!(fresh(&["/a", "/b"], &["/a"], &Trial::Same), Verdict::Serve);
        assert_eq!(fresh(&["/a"], &["/a/b"], &Trial::Same), Verdict::Serve);
    }

    #[test]
    fn a_version_that_could_not_be_tried_serves() {
        assert_eq!(fresh(&[], &[], &Trial::Skipped(Skipped::NoPage)), Verdict::Serve);
    }

    #[test]
    fn another_number_of_records_waits_for_the_operators_word() {
        let reasons = vec![HoldReason::Records { before: 50, after: 49 }];
        assert_eq!(fresh(&[], &[], &RECORDS), Verdict::Hold(reasons));
    }

    #[test]
    fn a_wider_list_of_what_is_not_hashed_waits_even_untried() {
        let reasons = vec![HoldReason::Unhashed { added: vec!["/b".to_owned(), "/c/d".to_owned()] }];
        let untried = Trial::Skipped(Skipped::NoPage);
        assert_eq!(fresh(&["/a", "/c/d/e"], &["/a", "/b", "/c/d"], &untried), Verdict::Hold(reasons));
    }

    #[test]
    fn a_wider_list_of_requests_waits_even_untried() {
        let pattern = RequestPattern::parse("POST /pedidos/*").unwrap();
        let (before, after) = (descriptor(&[]), Descriptor { requests: vec![pattern.clone()], ..descriptor(&[]) });
        let judged = |version, before: &Descriptor| {
            let version = Version { sha256: "new", descriptor: version };
            judge(&RouteState::default(), version, Some(&present(before)), &Trial::Same)
        };
        let reasons = vec![HoldReason::Requests { added: vec![pattern.to_string()] }];
        assert_eq!(judged(&after, &before), Verdict::Hold(reasons));
        assert_eq!(judged(&before, &after), Verdict::Serve);
        let narrower =
            Descriptor { requests: vec![RequestPattern::parse("POST /pedidos/7").unwrap()], ..after.clone() };
        assert_eq!(judged(&narrower, &after), Verdict::Serve);
        assert!(matches!(judged(&after, &narrower), Verdict::Hold(_)));
        assert!(understands(&after, &narrower) && understands(&after, &before));
    }

    #[test]
    fn a_version_that_fails_its_trial_is_refused_whatever_else_it_is() {
        let failed = Trial::Failed("unreachable".to_owned());
        assert_eq!(fresh(&[], &["/a"], &failed), Verdict::Refuse("unreachable".to_owned()));
        let endless = Trial::Failed("é".repeat(1 << 20));
        assert_eq!(fresh(&[], &[], &endless), Verdict::Refuse("é".repeat(REASON_KEPT)));
    }

    #[test]
    fn the_first_version_of_a_route_serves() {
        let first = descriptor(&["/a"]);
        let version = Version { sha256: "new", descriptor: &first };
        assert_eq!(judge(&RouteState::default(), version, None, &RECORDS), Verdict::Serve);
    }

    #[test]
    fn what_the_operator_accepted_serves() {
        let state = RouteState { accepted: vec!["new".to_owned()], ..RouteState::default() };
        assert_eq!(verdict(&state, &[], &["/a"], &RECORDS), Verdict::Serve);
    }

    #[test]
    fn what_was_held_or_refused_once_stays_so_without_another_trial() {
        let reasons = vec![HoldReason::Records { before: 1, after: 2 }];
        let held = Held { sha256: "new".to_owned(), version: "2".to_owned(), reasons: reasons.clone() };
        let state = RouteState { held: Some(held), ..RouteState::default() };
        assert_eq!(verdict(&state, &[], &[], &Trial::Same), Verdict::Hold(reasons));

        let refused = Refusal { sha256: "new".to_owned(), version: "2".to_owned(), reason: "trap".to_owned() };
        let state = RouteState { refused: Some(refused.clone()), ..RouteState::default() };
        assert_eq!(verdict(&state, &[], &[], &Trial::Same), Verdict::Refuse("trap".to_owned()));
        let state = RouteState { doubts: vec![Doubt::Refused(refused)], ..RouteState::default() };
        assert_eq!(verdict(&state, &[], &[], &Trial::Same), Verdict::Refuse("trap".to_owned()));
    }

    #[test]
    fn a_version_is_held_against_lists_whose_version_is_not_there_any_more() {
        let wide = descriptor(&["/a", "/b"]);
        let version = Version { sha256: "new", descriptor: &wide };
        let lost = Present { sha256: "old".to_owned(), lists: Lists::of(&descriptor(&["/a"])) };
        let untried = Trial::Skipped(Skipped::NoPage);
        let reasons = vec![HoldReason::Unhashed { added: vec!["/b".to_owned()] }];
        assert_eq!(judge(&RouteState::default(), version, Some(&lost), &untried), Verdict::Hold(reasons));
    }

    #[test]
    fn a_rollback_holds_for_the_file_that_it_was_made_over_and_no_other() {
        let rollback = |over: &str| Some(Rollback { to: "older".to_owned(), over: over.to_owned() });
        let state = RouteState { rollback: rollback("new"), accepted: vec!["new".to_owned()], ..RouteState::default() };
        assert_eq!(verdict(&state, &[], &[], &Trial::Same), Verdict::RollBack("older".to_owned()));
        let state = RouteState { rollback: rollback("another"), ..RouteState::default() };
        assert_eq!(verdict(&state, &[], &[], &Trial::Same), Verdict::Serve);
    }

    #[test]
    fn a_scrap_changes_only_to_a_version_that_understands_it() {
        let present = descriptor(&[]);
        assert!(understands(&present, &Descriptor { version: "2".to_owned(), page_size: 7, ..present.clone() }));
        assert!(!understands(&present, &Descriptor { cursor_format: 2, ..present.clone() }));
        assert!(!understands(&present, &Descriptor { api: "outra".to_owned(), ..present.clone() }));
        assert!(!understands(&present, &Descriptor { auth: AuthScheme::None, ..present.clone() }));
        assert!(!understands(&present, &Descriptor { takes_period: false, ..present.clone() }));
    }
}
