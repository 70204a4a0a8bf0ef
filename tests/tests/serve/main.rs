//! `atlas serve` as browsers, programs and strangers meet it: the program itself, over the network.
//!
//! - `client`   who asks
//! - `doors`    who is let in, and what they may do
//! - `api`      the API: the same twice, parts of listings, exports, failures
//! - `clients`  what is stored of them goes nowhere else
//! - `crowds`   bodies, connections and listeners without end
//! - `events`   what listeners are told
//! - `ends`     how it starts, stops and dies
//! - `attacks`  what strangers, hostile pages and hostile data try
//! - `document` the API against its own document
//! - `greedy`   who wants more than their share
//! - `large`    a hundred thousand scraps
//! - `asked`    what was asked for, and nothing else: searches, exports, names, days
//! - `requests` what a request is known by
//! - `shape`    how answers come: compressed, below a path, for as long as was promised

mod api;
mod asked;
mod attacks;
mod client;
mod clients;
mod crowds;
mod document;
mod doors;
mod ends;
mod events;
mod greedy;
mod large;
mod requests;
mod shape;
