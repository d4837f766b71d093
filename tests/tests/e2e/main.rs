//! The whole product from outside: real server, real worker, real H.264, no stand-ins.
//!
//! Tests run one after the other, whatever the number of test threads: each wants the machine for itself.

mod api_pages;
mod cameras;
mod demo;
mod elements;
mod failures;
mod gallery;
mod live_view;
mod memory;
mod readme;
mod recognition;
mod scene;
mod survival;
