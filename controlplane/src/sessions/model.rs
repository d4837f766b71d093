//! A visit as clients see one, and what a list of them can be asked for.

use chrono::{DateTime, Utc};
use sea_orm::Order;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::Object;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::entity::sessions::{self, Column};
use crate::error::ApiError;
use crate::sorting;

/// A visit as the API answers it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Session, examples(json!({
    "id": "01920000-0000-7000-8000-000000000007", "person_id": "01920000-0000-7000-8000-000000000003",
    "person_name": "Ada Lovelace", "camera_id": "door", "entry_time": "2026-01-01T12:00:00Z",
    "exit_time": "2026-01-01T12:04:30Z", "last_seen": "2026-01-01T12:04:30Z", "duration_s": 270.0,
    "detection_count": 4, "open": false
})))]
pub(crate) struct SessionView {
    id: Uuid,
    person_id: Uuid,
    #[schema(required)]
    person_name: Option<String>,
    camera_id: String,
    entry_time: DateTime<Utc>,
    /// `null` while the person may still be there.
    #[schema(required)]
    exit_time: Option<DateTime<Utc>>,
    last_seen: DateTime<Utc>,
    /// Seconds from the first sight to the last so far.
    duration_s: f64,
    detection_count: i32,
    /// Whether the person may still be there.
    open: bool,
}

impl SessionView {
    /// A visit of somebody of that name.
    pub(super) fn new(session: sessions::Model, person_name: Option<String>) -> Self {
        let duration = session.exit_time - session.entry_time;
        Self {
            id: session.id,
            person_id: session.person_id,
            person_name,
            camera_id: session.camera_id,
            entry_time: session.entry_time,
            exit_time: (!session.is_open).then_some(session.exit_time),
            last_seen: session.exit_time,
            duration_s: duration.num_milliseconds() as f64 / 1000.0,
            detection_count: session.detection_count,
            open: session.is_open,
        }
    }
}

/// What visits can be sorted by; their length is no column.
const SORT_COLUMNS: [(&str, Option<Column>); 5] = [
    ("entry_time", Some(Column::EntryTime)),
    ("exit_time", Some(Column::ExitTime)),
    ("duration_s", None),
    ("detection_count", Some(Column::DetectionCount)),
    ("camera_id", Some(Column::CameraId)),
];

fn sort_schema() -> Object {
    sorting::schema(&SORT_COLUMNS)
}

/// What `GET /api/sessions` can be asked for besides a page. A visit lies in a period when any part of it does.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionFilter {
    pub(super) person_id: Option<Uuid>,
    pub(super) camera_id: Option<String>,
    /// Not over before.
    pub(super) from: Option<DateTime<Utc>>,
    /// Begun before.
    pub(super) to: Option<DateTime<Utc>>,
    /// Those that last, or those that are over.
    pub(super) open: Option<bool>,
    /// A column, with `-` before it to turn the order round.
    #[param(schema_with = sort_schema)]
    pub(super) sort: Option<String>,
}

impl SessionFilter {
    /// The order asked for; latest entry first if none is.
    pub(super) fn order(&self) -> Result<(Option<Column>, Order), ApiError> {
        sorting::order(self.sort.as_deref().unwrap_or("-entry_time"), &SORT_COLUMNS)
    }

    /// Whether it lets through all visits there are, or all of one camera.
    pub(super) fn is_of_camera(&self) -> bool {
        self.person_id.is_none() && self.from.is_none() && self.to.is_none() && self.open.is_none()
    }

    /// Says what does not hold.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from > to
        {
            return Err(ApiError::validation("from", "must not be after `to`"));
        }
        Ok(())
    }
}
