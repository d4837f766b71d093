//! The tables as SeaORM sees them, one file a table. Services are the only ones to use them.

pub mod camera_leases;
pub mod cameras;
pub mod detections;
pub mod errands;
pub mod face_templates;
pub mod persons;
pub mod revoked_tokens;
pub mod sessions;
pub mod users;
pub mod workers;
