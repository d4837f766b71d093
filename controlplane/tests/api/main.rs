//! The control plane over real HTTP, each test on a server and a database of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod analytics;
mod app;
mod assets;
mod at_rest;
mod audit;
mod auth;
mod cameras;
mod command_line;
mod compression;
mod config;
mod conformance;
mod cors;
mod detect;
mod detections;
mod errors;
mod gallery;
mod gallery_build;
mod health;
mod import;
mod ingest;
mod instances;
mod keys;
mod live;
mod logs;
mod media;
mod metrics;
mod migrations;
mod openapi;
mod persons;
mod proxy;
mod rate_limit;
mod redis;
mod redis_server;
mod redis_stream;
mod refusals;
mod retention;
#[path = "../s3/server.rs"]
mod s3_server;
mod sessions;
mod storage;
mod tls;
mod traces;
mod users;
mod verify;
mod workers;
