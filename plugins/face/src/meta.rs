//! What the elements write on buffers for each other and for foreign elements, and the only place that
//! reads or writes it.
//!
//! A face is a `GstVideoRegionOfInterestMeta` of type `face` with the typed structures of [`params`]. What is
//! true of the frame rather than of one face ([`FrameInfo`]) is one custom meta beside them. Built for GStreamer 1.24 or
//! newer (feature `v1_24`), each face is there a second time in upstream's own form.

#[cfg(feature = "v1_24")]
mod analytics;
mod carried;
pub mod params;

use gst::meta::CustomMeta;
use gst_video::VideoRegionOfInterestMeta;
use vedette_models::geometry::{Landmarks, Point, Polygon, Rect};

pub use params::{Age, Detection, Embedding, Gender, Identity, Keypoints, QualityFigures, TrackId};

/// `roi_type` of every face.
pub const ROI_TYPE: &str = "face";

/// Name of the custom meta behind [`FrameInfo`].
const FRAME_META: &str = "VedetteFrameMeta";

/// One face of a frame, as far as the elements before have got with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Face {
    /// Where it is, in frame pixels.
    pub rect: Rect,
    /// The detector's figures; absent where the box is only predicted.
    pub detection: Option<Detection>,
    /// The track it belongs to.
    pub track_id: Option<u64>,
    /// The five points in frame pixels; absent where the box is only predicted.
    pub landmarks: Option<Landmarks>,
    /// Written on the frames whose crop was embedded.
    pub embedding: Option<Embedding>,
    /// Written on the frames whose crop was judged.
    pub quality: Option<QualityFigures>,
    /// Written once the track is decided.
    pub identity: Option<Identity>,
    /// Estimated age.
    pub age: Option<Age>,
    /// Apparent gender.
    pub gender: Option<Gender>,
}

impl Face {
    /// Reads a region and what it has lost; structures of another form than ours count as absent.
    fn read(roi: &VideoRegionOfInterestMeta, lost: &[gst::Structure]) -> Self {
        let (x, y, width, height) = roi.rect();
        let rect = Rect::new(x as f32, y as f32, width as f32, height as f32);
        let mut face = Self { rect, ..Self::default() };
        for param in roi.params().chain(lost.iter().map(AsRef::as_ref)) {
            match param.name().as_str() {
                params::DETECTION => face.detection = Detection::try_from(param).ok(),
                params::OBJECT_ID => face.track_id = TrackId::try_from(param).ok().map(|id| id.0),
                params::KEYPOINTS => {
                    face.landmarks = Keypoints::try_from(param).ok().map(|points| points.in_frame(&rect));
                }
                params::EMBEDDING => face.embedding = Embedding::try_from(param).ok(),
                params::QUALITY => face.quality = QualityFigures::try_from(param).ok(),
                params::IDENTITY => face.identity = Identity::try_from(param).ok(),
                params::AGE => face.age = Age::try_from(param).ok(),
                params::GENDER => face.gender = Gender::try_from(param).ok(),
                _ => (),
            }
        }
        face
    }
}

/// The faces of a buffer, in the order they were added.
pub fn faces(buffer: &gst::BufferRef) -> Vec<Face> {
    buffer
        .iter_meta::<VideoRegionOfInterestMeta>()
        .filter(|roi| roi.roi_type() == ROI_TYPE)
        .zip(carried::lost(buffer))
        .map(|(roi, lost)| Face::read(&roi, &lost))
        .collect()
}

/// Adds a face to a frame of the given size. The box is cut at the frame's edges; a face that lies wholly
/// outside is not added.
pub fn add_face(
    buffer: &mut gst::BufferRef,
    frame: (u32, u32),
    rect: &Rect,
    params: impl IntoIterator<Item = gst::Structure>,
) -> bool {
    let Some(area) = whole_pixels(rect, frame) else {
        return false;
    };
    let params: Vec<gst::Structure> = params.into_iter().collect();
    #[cfg(feature = "v1_24")]
    let id = analytics::add(buffer, area, &params).unwrap_or_else(|| carried::free_id(buffer));
    #[cfg(not(feature = "v1_24"))]
    let id = carried::free_id(buffer);
    carried::remember(buffer, id, &params);
    let mut roi = VideoRegionOfInterestMeta::add(buffer, ROI_TYPE, area);
    roi.set_id(id);
    for param in params {
        roi.add_param(param);
    }
    true
}

/// Adds structures to faces already on the buffer: `params[i]` to the i-th of [`faces`].
pub fn annotate(buffer: &mut gst::BufferRef, params: Vec<Vec<gst::Structure>>) {
    carried::restore(buffer);
    let regions = buffer.iter_meta::<VideoRegionOfInterestMeta>();
    let ids: Vec<i32> = regions.filter(|roi| roi.roi_type() == ROI_TYPE).map(|roi| roi.id()).collect();
    for (id, additions) in ids.into_iter().zip(&params) {
        carried::remember(buffer, id, additions);
        #[cfg(feature = "v1_24")]
        analytics::relate(buffer, id, additions);
    }
    let rois = buffer.iter_meta_mut::<VideoRegionOfInterestMeta>().filter(|roi| roi.roi_type() == ROI_TYPE);
    for (mut roi, additions) in rois.zip(params) {
        for param in additions {
            roi.add_param(param);
        }
    }
}

/// The box in whole pixels inside the frame, at least one wide and high; `None` if no part is visible.
pub fn whole_pixels(rect: &Rect, (width, height): (u32, u32)) -> Option<(u32, u32, u32, u32)> {
    let visible = rect.clip_to(width, height);
    if visible.is_empty() {
        return None;
    }
    // Inside the frame all edges are small positive numbers: the casts cannot lose anything but fractions.
    let (left, top) = (visible.x.floor() as u32, visible.y.floor() as u32);
    let (right, bottom) = (visible.right().ceil() as u32, visible.bottom().ceil() as u32);
    let (right, bottom) = (right.min(width), bottom.min(height));
    (right > left && bottom > top).then(|| (left, top, right - left, bottom - top))
}

/// What is true of a frame as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrameInfo {
    /// Whether faces were looked for in this frame: no face then means that there is none.
    pub inferred: bool,
    /// Whether faces are followed: one without a number then is too new to have one.
    pub tracked: bool,
    /// Tracks that ended at this frame.
    pub ended: Vec<u64>,
    /// What the detector is too unsure of to call it a face, surest first: boxes as shares of the frame. A tracker may
    /// continue its tracks with them.
    pub unsure: Vec<Rect>,
    /// Where nobody may look: areas as shares of the frame. No face in one is reported, no picture shows it.
    pub masks: Vec<Polygon>,
}

impl FrameInfo {
    /// Tells GStreamer about our metas; needed once per process, before the first buffer.
    pub fn register() {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            CustomMeta::register(FRAME_META, &[]);
            carried::register();
        });
    }

    /// What is written on the buffer; `None` if the faces come from a foreign detector.
    pub fn read(buffer: &gst::BufferRef) -> Option<Self> {
        let meta = CustomMeta::from_buffer(buffer, FRAME_META).ok()?;
        let structure = meta.structure();
        let ended = structure.get::<gst::ArrayRef>("ended").map_or_else(
            |_| Vec::new(),
            |ids| {
                let id = |value: &gst::glib::SendValue| value.get::<u64>().ok();
                ids.iter().filter_map(id).collect()
            },
        );
        let flag = |name: &str| structure.get(name).unwrap_or_default();
        let unsure = structure.get::<gst::ArrayRef>("unsure").map_or_else(
            |_| Vec::new(),
            |edges| {
                let edges: Vec<f32> = edges.iter().filter_map(|value| value.get().ok()).collect();
                let (boxes, _) = edges.as_chunks();
                boxes
                    .iter()
                    .map(|[left, top, right, bottom]| Rect::from_edges(*left, *top, *right, *bottom))
                    .collect()
            },
        );
        let masks = structure.get::<gst::ArrayRef>("masks").map_or_else(
            |_| Vec::new(),
            |masks| masks.iter().filter_map(|mask| read_mask(&mask.get().ok()?)).collect(),
        );
        Some(Self { inferred: flag("inferred"), tracked: flag("tracked"), ended, unsure, masks })
    }

    /// What is to be assumed of a frame that says nothing: another detector looked at it.
    pub fn foreign() -> Self {
        Self { inferred: true, ..Self::default() }
    }

    /// Writes this on the buffer in place of what was there.
    pub fn write(&self, buffer: &mut gst::BufferRef) {
        let ended = gst::Array::new(self.ended.iter().copied());
        let edges = |rect: &Rect| [rect.x, rect.y, rect.right(), rect.bottom()];
        let unsure = gst::Array::new(self.unsure.iter().flat_map(edges));
        let present = CustomMeta::from_mut_buffer(buffer, FRAME_META).is_ok();
        let meta = if present {
            CustomMeta::from_mut_buffer(buffer, FRAME_META)
        } else {
            CustomMeta::add(buffer, FRAME_META)
        };
        // Fails only where the plugin was not initialised, and then no element exists to call this.
        if let Ok(mut meta) = meta {
            let structure = meta.mut_structure();
            structure.set("inferred", self.inferred);
            structure.set("tracked", self.tracked);
            structure.set("ended", ended);
            structure.set("unsure", unsure);
            if self.masks.is_empty() {
                structure.remove_field("masks");
            } else {
                structure.set("masks", gst::Array::new(self.masks.iter().map(write_mask)));
            }
        }
    }

    /// Whether the middle of a box, in pixels of a frame of that size, lies in a mask.
    pub fn is_masked(&self, rect: &Rect, (width, height): (u32, u32)) -> bool {
        let centre = rect.centre();
        let centre = Point::new(centre.x / width as f32, centre.y / height as f32);
        self.masks.iter().any(|mask| mask.contains(centre))
    }
}

/// The corners of a mask, x and y in turn.
fn write_mask(mask: &Polygon) -> gst::Array {
    gst::Array::new(mask.corners().iter().flat_map(|corner| [corner.x, corner.y]))
}

fn read_mask(mask: &gst::Array) -> Option<Polygon> {
    let numbers: Vec<f32> = mask.iter().filter_map(|value| value.get().ok()).collect();
    let (corners, _) = numbers.as_chunks();
    Polygon::new(corners.iter().map(|[x, y]| Point::new(*x, *y)).collect())
}

#[cfg(test)]
mod tests;
