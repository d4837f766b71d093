//! What the end-to-end tests, the demo and the benchmark share.
//!
//! A clip with known truth is made from the photos in `tests/media` ([`clip`], [`truth`]), a real server is
//! started on a data folder of its own ([`server`]) and driven over its REST API ([`api`]) the way any other program
//! would, the dashboard and the API's pages in a real browser ([`browser`]): nothing here reaches into the product's
//! crates but for the wire types. The benchmarks measure it against Python programs ([`python`], [`peer`]).

pub mod api;
pub mod browser;
pub mod checkout;
pub mod clip;
pub mod database;
pub mod elements;
mod encode;
pub mod load;
pub mod material;
pub mod measure;
pub mod peer;
pub mod portrait;
pub mod processes;
pub mod python;
pub mod server;
pub mod terminal;
pub mod truth;
