//! The page in a real browser, in both languages, as wide as a desk's and as narrow as a
//! telephone's.
//!
//! `atlas serve` runs as its users run it. Whatever a test looks at has to fit its width, complain
//! of nothing and ask no other host for anything; pictures of all pages are left in
//! `target/page-screenshots/`.
//!
//! - `visit`     a visitor: server, browser, language, screen
//! - `flows`     what they come to do
//! - `bad_input` what cannot be right
//! - `everybody` every page, with axe-core

mod bad_input;
mod everybody;
mod flows;
mod visit;
