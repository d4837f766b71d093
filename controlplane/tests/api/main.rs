//! The control plane over real HTTP, each test on a server and a database of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod app;
mod assets;
mod auth;
mod cameras;
mod command_line;
mod config;
mod detect;
mod errors;
mod gallery;
mod gallery_build;
mod health;
mod ingest;
mod instances;
mod media;
mod persons;
mod workers;
