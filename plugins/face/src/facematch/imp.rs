//! The body of `facematch`: keeps the gallery at hand and writes identities onto the faces.

#![expect(missing_docs, reason = "the accessors the macro makes are documented by the blurbs")]

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gst::glib::{self, Properties};
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;

use super::matcher::{Matcher, Rules};
use super::source::{GallerySource, Loaded, SourceError};
use crate::frame::{self, FrameTime};
use crate::kept::Opened;
use crate::meta::{self, FrameInfo};
use crate::settled;
use crate::stats::{self, Figures};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("facematch", gst::DebugColorFlags::empty(), Some("Vedette face matcher"))
});

/// How long the start waits for a server's gallery, so that a short recording finds it in place.
const FIRST_LOAD_PATIENCE: Duration = Duration::from_secs(2);
/// Time from one frame to the next where buffers carry none.
const UNTIMED_FRAME_MS: u64 = 40;

#[derive(Clone, Debug)]
struct Settings {
    gallery: Option<String>,
    token: Option<String>,
    threshold: f32,
    margin: f32,
    min_crops: u32,
    allow_duplicates: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gallery: None,
            token: None,
            threshold: -1.0,
            margin: -1.0,
            min_crops: 2,
            allow_duplicates: false,
        }
    }
}

impl Settings {
    fn rules(&self) -> Rules {
        let unless_packs = |value: f32| (value >= 0.0).then_some(value);
        Rules {
            threshold: unless_packs(self.threshold),
            margin: unless_packs(self.margin),
            min_crops: self.min_crops as usize,
            allow_duplicates: self.allow_duplicates,
        }
    }
}

struct State {
    /// `None` without a gallery: everybody is a stranger.
    source: Option<Arc<GallerySource>>,
    nobody: Arc<Loaded>,
    matcher: Matcher,
    told_trouble: u64,
    version: u64,
    clock_ms: u64,
}

/// The element's private part.
#[derive(Default, Properties)]
#[properties(wrapper_type = super::FaceMatch)]
pub struct FaceMatch {
    #[property(
        name = "gallery", get, set, type = Option<String>, member = gallery, mutable_ready,
        nick = "Gallery", blurb = "Who is known: a file made by `vedette gallery build` (path or file:///path) or a server's gallery (http(s)://host/path), read again when it changes; unset = everybody is a stranger"
    )]
    #[property(
        name = "token", set, type = Option<String>, member = token, mutable_ready,
        nick = "Token", blurb = "Bearer token for an http(s) gallery; cannot be read back"
    )]
    #[property(
        name = "threshold", get, set, type = f32, member = threshold, minimum = -1.0, maximum = 2.0, default = -1.0, mutable_playing,
        nick = "Threshold", blurb = "Greatest cosine distance (1 - similarity) to name someone, lower is stricter; -1 = the pack's"
    )]
    #[property(
        name = "margin", get, set, type = f32, member = margin, minimum = -1.0, maximum = 2.0, default = -1.0, mutable_playing,
        nick = "Margin", blurb = "How much more similar than the next person someone must be to be named; -1 = the pack's"
    )]
    #[property(
        name = "min-crops", get, set, type = u32, member = min_crops, minimum = 1, maximum = 50, default = 2, mutable_playing,
        nick = "Least crops", blurb = "Embedded crops of a track before someone is named; a stranger needs twice as many"
    )]
    #[property(
        name = "allow-duplicates", get, set, type = bool, member = allow_duplicates, default = false, mutable_playing,
        nick = "Allow duplicates", blurb = "Name a person on several tracks that were in sight together, as with mirrors and screens; else the likeliest track is that person and the others are unknown"
    )]
    settings: Mutex<Settings>,
    state: Mutex<Option<State>>,
    figures: Figures,
}

#[glib::object_subclass]
impl ObjectSubclass for FaceMatch {
    const NAME: &'static str = "GstVedetteFaceMatch";
    type Type = super::FaceMatch;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for FaceMatch {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> =
            LazyLock::new(|| stats::with_stats(FaceMatch::derived_properties()));
        &PROPERTIES
    }

    fn set_property(&self, id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.derived_set_property(id, value, pspec);
    }

    fn property(&self, id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == stats::PROPERTY {
            return self.stats().to_value();
        }
        self.derived_property(id, pspec)
    }
}

impl GstObjectImpl for FaceMatch {}

impl ElementImpl for FaceMatch {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Vedette face matcher",
                "Filter/Analyzer/Video",
                "Says who each face is, by a gallery of known people",
                env!("CARGO_PKG_AUTHORS"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(frame::filter_pad_templates);
        &TEMPLATES
    }
}

impl BaseTransformImpl for FaceMatch {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let (location, token) = {
            let settings = self.settings();
            (settings.gallery.clone().filter(|location| !location.is_empty()), settings.token.clone())
        };
        let source = match location {
            Some(location) => Some(open(&location, token.as_deref())?),
            None => None,
        };
        if let Some(source) = &source
            && !source.wait_for_first(FIRST_LOAD_PATIENCE)
        {
            gst::warning!(CAT, imp = self, "no gallery yet, nobody is named until it is there");
        }
        self.figures.reset();
        *self.state() = Some(State {
            source,
            nobody: Arc::new(Loaded::nobody()),
            matcher: Matcher::default(),
            told_trouble: 0,
            version: 0,
            clock_ms: 0,
        });
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *self.state() = None;
        Ok(())
    }

    fn propose_allocation(
        &self,
        _: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        // What comes after sees the same buffers: it decides.
        self.parent_propose_allocation(None, query)
    }

    fn transform_ip(&self, buffer: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let begun = Instant::now();
        let rules = self.settings().rules();
        let faces = meta::faces(buffer);
        let ended = FrameInfo::read(buffer).map(|info| info.ended).unwrap_or_default();
        let time = FrameTime::of(buffer, &self.obj().segment());

        let mut guard = self.state();
        let state = guard.as_mut().ok_or(gst::FlowError::Flushing)?;
        state.clock_ms = time.running.map_or(state.clock_ms + UNTIMED_FRAME_MS, gst::ClockTime::mseconds);
        let loaded = state.gallery();
        let trouble = state.take_trouble();
        let is_reloaded = loaded.as_ref().is_some_and(|loaded| loaded.version != state.version);
        // Crops that come before the first gallery would be lost to the decision: none is made, all are kept.
        let basis = loaded.as_ref().unwrap_or(&state.nobody).clone();
        let is_waiting = loaded.is_none();
        state.version = basis.version;
        let now_ms = state.clock_ms;
        // The search of a large gallery takes a while: nobody else waits for it.
        let mut matcher = std::mem::take(&mut state.matcher);
        drop(guard);

        if let Some(text) = trouble {
            self.figures.failed();
            gst::element_imp_warning!(self, gst::ResourceError::Read, ("{text}"));
        }
        if is_reloaded {
            gst::info!(CAT, imp = self, "gallery: {} people", basis.gallery.len());
        }
        let rules = if is_waiting { rules.undecided() } else { rules };
        let identified = matcher.identify(&basis, rules, now_ms, &faces);
        matcher.forget(now_ms, &ended);
        self.figures.worked(matcher.take_decided());
        let settled = matcher.take_settled();
        if let Some(state) = &mut *self.state() {
            state.matcher = matcher;
        }
        if !settled.is_empty() {
            // Nobody before us may care.
            self.obj().sink_pad().push_event(settled::event(&settled));
        }
        let identified = identified.map_err(|error| {
            gst::element_imp_error!(self, gst::StreamError::WrongType, ("{error}"));
            gst::FlowError::Error
        })?;
        let params = identified.iter().map(|identity| identity.iter().map(Into::into).collect()).collect();
        meta::annotate(buffer, params);
        self.figures.frame(identified.iter().flatten().count(), begun);
        Ok(gst::FlowSuccess::Ok)
    }
}

impl State {
    /// The gallery in force; `None` while a server has not answered yet.
    fn gallery(&self) -> Option<Arc<Loaded>> {
        match &self.source {
            Some(source) => source.current(),
            None => Some(self.nobody.clone()),
        }
    }

    fn take_trouble(&mut self) -> Option<String> {
        let (number, text) = self.source.as_ref()?.trouble_after(self.told_trouble)?;
        self.told_trouble = number;
        Some(text)
    }
}

impl FaceMatch {
    /// The gallery, and with it the thread that asks for its changes.
    pub(super) fn opened(&self) -> Vec<Opened> {
        let guard = self.state();
        let source = guard.as_ref().and_then(|state| state.source.clone());
        source.into_iter().map(|source| source as Opened).collect()
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stats(&self) -> gst::Structure {
        let people = self.state().as_ref().and_then(State::gallery).map_or(0, |loaded| loaded.gallery.len());
        let mut structure = self.figures.to_structure("facematch", "decisions");
        structure.set("gallery-persons", people as u64);
        structure
    }
}

fn open(location: &str, token: Option<&str>) -> Result<Arc<GallerySource>, gst::ErrorMessage> {
    GallerySource::open(location, token).map_err(|error| match error {
        SourceError::Missing(_) => gst::error_msg!(gst::ResourceError::NotFound, ("{error}")),
        SourceError::Scheme(_) => gst::error_msg!(gst::ResourceError::Settings, ("{error}")),
        _ => gst::error_msg!(gst::ResourceError::OpenRead, ("{error}")),
    })
}
