//! What a summary says.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::buckets::Width;
use crate::detections::DetectionView;

/// Answer of `GET /api/analytics/summary`.
///
/// It counts appearances: a track gives several events, and the one that says who it is counts. What a list of
/// detections shows besides, updates and ends of tracks, would count the same face again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Summary {
    pub(super) period: PeriodView,
    pub(super) total_detections: u64,
    pub(super) known_detections: u64,
    pub(super) unknown_detections: u64,
    /// Different people who are enrolled.
    pub(super) unique_visitors: u64,
    /// Those who appeared most often, the most frequent first.
    pub(super) top_visitors: Vec<TopVisitor>,
    /// A bar for each hour, day, week or month, without gaps.
    pub(super) timeline: Vec<Bar>,
    /// Every camera there is or that saw someone, the busiest first.
    pub(super) cameras: Vec<CameraSummary>,
    /// The last appearances, the latest first.
    pub(super) recent: Vec<DetectionView>,
}

/// The period a summary is about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Period)]
pub(super) struct PeriodView {
    pub(super) from: DateTime<Utc>,
    /// Not part of it.
    pub(super) to: DateTime<Utc>,
    /// IANA name of the zone whose hours and days the bars are.
    pub(super) timezone: &'static str,
    /// What a bar stands for.
    pub(super) bucket: Width,
}

/// Someone who came often.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TopVisitor {
    pub(super) person_id: Uuid,
    pub(super) name: String,
    pub(super) count: u64,
    pub(super) last_seen: DateTime<Utc>,
}

/// A bar of the time line.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Bar {
    /// When the hour, day, week or month begins, be it before the period.
    pub(super) start: DateTime<Utc>,
    pub(super) count: u64,
    pub(super) known: u64,
    pub(super) unknown: u64,
}

/// One camera's share.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CameraSummary {
    pub(super) camera_id: String,
    /// The id, if the camera is gone.
    pub(super) name: String,
    pub(super) detections: u64,
    pub(super) unique_visitors: u64,
}
