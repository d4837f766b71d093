//! Vedette's control plane: the REST API, people, cameras, events and users, and the worker that runs the cameras.
//!
//! A request goes from [`server`] (connection, headers, log) through the table in [`routes`] to one resource's
//! `handler` (HTTP), its `service` (what is to be done, in plain types) and the tables in [`entity`]; errors come
//! back as [`error::ApiError`] and are rendered in one place. The binary `vedette` is [`cli`] and nothing else.

pub mod alerts;
pub mod analytics;
pub mod api_keys;
pub mod assets;
pub mod audit;
pub mod auth;
pub mod cameras;
pub mod cli;
pub mod config;
pub mod counters;
mod counting;
pub mod crypto;
pub mod database;
pub mod detect;
pub mod detections;
mod discards;
mod email;
pub mod entity;
pub mod error;
pub mod filters;
pub mod gallery;
pub mod health;
pub mod ingest;
pub mod limits;
pub mod live;
pub mod logging;
pub mod logs;
pub mod metrics;
pub mod openapi;
pub mod persons;
mod picture;
pub mod redis_link;
pub mod retention;
pub mod routes;
mod schedule;
pub mod secrets;
pub mod server;
pub mod sessions;
mod sorting;
pub mod startup;
pub mod state;
pub mod storage;
pub mod supervisor;
pub mod upload;
pub mod users;
pub mod viewing;
pub mod vision;
pub mod workers;
