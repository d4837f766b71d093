//! A camera as clients send and see one.

use std::fmt;
use std::str::FromStr;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::{Object, SchemaType, Type};
use utoipa::{IntoParams, ToSchema};

use serde::{Deserialize, Deserializer, Serialize};
use vedette_events::CameraState;

use super::SourceUrl;
use super::settings::CameraSettings;
use crate::config::parsed;
use crate::entity::cameras;
use crate::error::{ApiError, FieldError};
use crate::filters::present;
use crate::openapi::texts;
use crate::workers::LiveStatus;

const MAX_NAME_CHARS: usize = 120;
const MAX_FPS: u32 = 240;

/// The operator's own short name of a camera.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CameraId(String);

impl CameraId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CameraId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const MAX_CHARS: usize = 64;
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if (1..=MAX_CHARS).contains(&text.len()) && text.bytes().all(is_good) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("must be 1 to {MAX_CHARS} letters, digits, `_` or `-`"))
    }
}

/// A picture size written as `1280x720`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution(String);

impl Resolution {
    /// The size as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Resolution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SIDES: std::ops::RangeInclusive<u32> = 16..=7680;
        let text = text.trim().to_ascii_lowercase();
        let sides = text
            .split_once('x')
            .and_then(|(width, height)| Some((width.parse::<u32>().ok()?, height.parse::<u32>().ok()?)));
        match sides {
            Some((width, height)) if SIDES.contains(&width) && SIDES.contains(&height) => {
                Ok(Self(format!("{width}x{height}")))
            }
            _ => Err("must be written as 1280x720, with sides from 16 to 7680".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Resolution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// What [`Resolution`] is read from, or `null`.
fn resolution_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .pattern(Some("^[0-9]{2,4}x[0-9]{2,4}$"))
        .examples(["1280x720"])
        .build()
}

/// A URL as JSON, where a webcam's number may be a number.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = CameraUrl)]
enum UrlField {
    /// A webcam, from 0 to 63.
    Number(u32),
    /// `rtsp://`, `rtsps://`, `rtspu://`, `http://`, `https://`, `file:///…`, `test://` or a webcam's number.
    Text(String),
}

impl UrlField {
    fn parse(self) -> Result<SourceUrl, String> {
        match self {
            Self::Number(number) => number.to_string().parse(),
            Self::Text(text) => text.parse(),
        }
    }
}

/// `POST /cameras/probe`, unchecked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProbeWish, examples(json!({ "url": "rtsp://user:secret@10.0.0.7/stream1" })))]
pub(super) struct ProbeRequest {
    url: UrlField,
}

impl TryFrom<ProbeRequest> for SourceUrl {
    type Error = ApiError;

    fn try_from(request: ProbeRequest) -> Result<Self, ApiError> {
        request.url.parse().map_err(|message| ApiError::validation("url", message))
    }
}

/// `POST /cameras`, unchecked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCamera, examples(json!({
    "id": "door", "name": "Front door", "url": "rtsp://user:secret@10.0.0.7/stream1"
})))]
pub(super) struct CreateRequest {
    /// Short name, which stays.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    id: String,
    url: UrlField,
    /// Name to show; the id, if not given.
    #[schema(schema_with = texts::filled_line_or_null::<MAX_NAME_CHARS>)]
    name: Option<String>,
    /// Whether it may be started; `true`, if not given.
    enabled: Option<bool>,
    /// Size to ask a webcam for.
    #[schema(schema_with = resolution_schema)]
    resolution: Option<String>,
    /// Frames a second to ask a webcam for.
    #[schema(minimum = 1, maximum = 240)]
    fps: Option<u32>,
    /// Recorded material only: play again and again at its own speed, as a live camera.
    #[serde(rename = "loop")]
    looped: Option<bool>,
    /// What is set for it alone; whatever is not given is as the configuration has it for all.
    settings: Option<CameraSettings>,
}

/// `PUT /cameras/{id}`, unchecked: what is not sent stays, `null` clears.
#[derive(Deserialize, ToSchema)]
#[schema(as = CameraChange, examples(json!({ "name": "Back door", "enabled": true })))]
pub(super) struct UpdateRequest {
    url: Option<UrlField>,
    #[schema(schema_with = texts::filled_line_or_null::<MAX_NAME_CHARS>)]
    name: Option<String>,
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = resolution_schema)]
    resolution: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 240)]
    fps: Option<Option<u32>>,
    #[serde(rename = "loop")]
    looped: Option<bool>,
    /// In place of all that is set for it alone. A camera that runs goes on with them, without a gap.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<CameraSettings>)]
    settings: Option<Option<CameraSettings>>,
}

/// A camera to be made.
#[derive(Clone, Debug)]
pub(super) struct NewCamera {
    pub(super) id: CameraId,
    pub(super) url: SourceUrl,
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) resolution: Option<Resolution>,
    pub(super) fps: Option<u32>,
    pub(super) looped: bool,
    pub(super) settings: CameraSettings,
}

/// What of a camera is to change.
#[derive(Clone, Debug, Default)]
pub(super) struct CameraChange {
    pub(super) url: Option<SourceUrl>,
    pub(super) name: Option<String>,
    pub(super) enabled: Option<bool>,
    pub(super) resolution: Option<Option<Resolution>>,
    pub(super) fps: Option<Option<u32>>,
    pub(super) looped: Option<bool>,
    pub(super) settings: Option<CameraSettings>,
}

/// Collects what is wrong with the fields of a request.
#[derive(Default)]
pub(super) struct Checks(Vec<FieldError>);

impl Checks {
    pub(super) fn take<T>(&mut self, field: &str, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|message| self.0.push(FieldError::new(field, message))).ok()
    }

    fn failed(self) -> ApiError {
        ApiError::validations(self.0)
    }
}

impl TryFrom<CreateRequest> for NewCamera {
    type Error = ApiError;

    fn try_from(request: CreateRequest) -> Result<Self, ApiError> {
        let mut checks = Checks::default();
        let id = checks.take("id", request.id.parse::<CameraId>());
        let url = checks.take("url", request.url.parse());
        let name = checks.take("name", check_name(request.name.unwrap_or(request.id)));
        let resolution = request.resolution.and_then(|text| checks.take("resolution", text.parse()));
        let fps = request.fps.and_then(|fps| checks.take("fps", check_fps(fps)));
        let settings = request.settings.unwrap_or_default();
        settings.check(&mut checks);
        match (id, url, name) {
            (Some(id), Some(url), Some(name)) if checks.0.is_empty() => Ok(Self {
                id,
                url,
                name,
                enabled: request.enabled.unwrap_or(true),
                resolution,
                fps,
                looped: request.looped.unwrap_or(false),
                settings,
            }),
            _ => Err(checks.failed()),
        }
    }
}

impl TryFrom<UpdateRequest> for CameraChange {
    type Error = ApiError;

    fn try_from(request: UpdateRequest) -> Result<Self, ApiError> {
        let mut checks = Checks::default();
        let resolution =
            request.resolution.map(|text| text.and_then(|text| checks.take("resolution", text.parse())));
        let change = Self {
            url: request.url.and_then(|url| checks.take("url", url.parse())),
            name: request.name.and_then(|name| checks.take("name", check_name(name))),
            enabled: request.enabled,
            resolution,
            fps: request.fps.map(|fps| fps.and_then(|fps| checks.take("fps", check_fps(fps)))),
            looped: request.looped,
            settings: request.settings.map(Option::unwrap_or_default),
        };
        if let Some(settings) = &change.settings {
            settings.check(&mut checks);
        }
        if checks.0.is_empty() { Ok(change) } else { Err(checks.failed()) }
    }
}

fn check_name(name: String) -> Result<String, String> {
    let name = name.trim();
    if (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && !name.contains(char::is_control) {
        return Ok(name.to_owned());
    }
    Err(format!("must have 1 to {MAX_NAME_CHARS} characters"))
}

fn check_fps(fps: u32) -> Result<u32, String> {
    if (1..=MAX_FPS).contains(&fps) { Ok(fps) } else { Err(format!("must be from 1 to {MAX_FPS}")) }
}

/// A camera as the API answers it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Camera, examples(json!({
    "id": "door", "name": "Front door", "url": "rtsp://***:***@10.0.0.7/stream1", "enabled": true,
    "resolution": "1280x720", "fps": null, "loop": false, "status": "running", "inactive_reason": null,
    "stats": { "fps": 25.0, "latency_ms": 41.5, "dropped": 0, "faces": 2, "inference_interval": 2 },
    "last_error": null, "worker": "local",
    "settings": {
        "active_hours": null, "masks": [[[0.0, 0.0], [0.3, 0.0], [0.3, 1.0], [0.0, 1.0]]], "regions": [],
        "min_face_size": null, "frame_skip": 3, "detection_threshold": null, "recognition_threshold": null,
        "motion_gate": null
    }
})))]
pub struct CameraView {
    id: String,
    name: String,
    /// Without credentials.
    url: String,
    /// Whether it may be started.
    enabled: bool,
    /// As seen while running, else as asked for.
    #[schema(required)]
    resolution: Option<String>,
    /// As asked for.
    #[schema(required)]
    fps: Option<i32>,
    #[serde(rename = "loop")]
    looped: bool,
    status: CameraState,
    /// Why a camera that was started is `stopped` now: its hours, and when they begin again.
    #[schema(required)]
    inactive_reason: Option<String>,
    stats: StatsView,
    /// What went wrong last, and what to do about it. Begins with `quarantined` of a camera that is not run because it took
    /// down its worker twice within a minute; starting it again tries it once more.
    #[schema(required)]
    last_error: Option<String>,
    /// The worker that runs it.
    #[schema(required)]
    worker: Option<String>,
    /// What is set for it alone.
    settings: CameraSettings,
}

/// Figures of the last second or so.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[schema(as = CameraFigures)]
struct StatsView {
    /// Frames analysed per second.
    fps: f32,
    /// From the decoder to the end of the pipeline.
    latency_ms: f32,
    /// Frames, since the start.
    dropped: u64,
    /// In the last frame.
    faces: u32,
    /// Faces are looked for on every n-th frame now: more seldom than the settings say (`frame_skip`) while the machine
    /// cannot keep up. 0 unless the camera is running.
    inference_interval: u32,
}

impl CameraView {
    /// The operator's short name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How it is doing.
    pub fn status(&self) -> CameraState {
        self.status
    }

    /// The worker that holds it.
    pub fn worker(&self) -> Option<&str> {
        self.worker.as_deref()
    }

    /// Whether it is doing as `other` is; figures, which change all the time, aside.
    pub fn is_doing_as(&self, other: &Self) -> bool {
        self.status == other.status
            && self.last_error == other.last_error
            && self.inactive_reason == other.inactive_reason
            && self.settings == other.settings
            && self.worker == other.worker
            && self.name == other.name
            && self.enabled == other.enabled
    }

    /// A camera and how it is doing.
    pub(super) fn new(
        camera: cameras::Model,
        url: &SourceUrl,
        settings: CameraSettings,
        live: LiveStatus,
    ) -> Self {
        let stats = live.stats;
        let seen_size = (stats.width > 0).then(|| format!("{}x{}", stats.width, stats.height));
        Self {
            id: camera.id,
            name: camera.name,
            url: url.redacted(),
            enabled: camera.enabled,
            resolution: seen_size.or(camera.resolution),
            fps: camera.fps,
            looped: camera.looped,
            status: live.state,
            inactive_reason: live.inactive_reason,
            stats: StatsView {
                fps: stats.fps,
                latency_ms: stats.latency_ms,
                dropped: stats.dropped,
                faces: stats.faces,
                inference_interval: stats.inference_interval,
            },
            last_error: live.last_error.or(camera.last_error),
            worker: live.worker,
            settings,
        }
    }
}
/// How somebody wants to look at a camera.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LiveQuery {
    /// Longest side of the pictures in pixels, at most; 320, 640 and 1280 are sent.
    #[param(minimum = 320, maximum = 4096)]
    max_side: Option<u32>,
    /// From `POST /api/cameras/{id}/live/ticket`, where no header can be sent.
    pub(super) ticket: Option<String>,
}

impl LiveQuery {
    /// The longest side wanted, in pixels.
    pub(super) fn most_px(&self) -> Result<Option<u32>, ApiError> {
        match self.max_side {
            Some(side) if !(320..=4096).contains(&side) => {
                Err(ApiError::validation("max_side", "must be from 320 to 4096"))
            }
            side => Ok(side),
        }
    }
}

/// What opens the live pictures of a camera for a moment.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({ "ticket": "AQvK…", "expires_in": 60 })))]
pub(super) struct LiveTicket {
    /// For the query of `GET /api/cameras/{id}/live`.
    pub(super) ticket: String,
    /// Seconds until it opens nothing any more.
    pub(super) expires_in: u32,
}
