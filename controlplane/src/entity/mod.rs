//! The tables as SeaORM sees them, one file a table. Services are the only ones to use them.

pub mod alert_cooldowns;
pub mod alert_deliveries;
pub mod alert_rules;
pub mod alerts;
pub mod api_keys;
pub mod camera_leases;
pub mod camera_outages;
pub mod camera_visitors;
pub mod cameras;
pub mod detection_confidences;
pub mod detection_hours;
pub mod detection_totals;
pub mod detections;
pub mod discarded_pictures;
pub mod erasures;
pub mod errands;
pub mod face_templates;
pub mod persons;
pub mod revoked_tokens;
pub mod sessions;
pub mod system_logs;
pub mod task_leases;
pub mod users;
pub mod visitor_days;
pub mod workers;
