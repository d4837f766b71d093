//! Pictures to an H.264 file, through GStreamer.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use gst::prelude::*;
use image::RgbImage;

/// Encoders in the order of preference, with settings that make the result the same on every machine.
const ENCODERS: [(&str, &str); 2] = [
    ("x264enc", "x264enc speed-preset=veryfast tune=zerolatency threads=2 bitrate=6000 key-int-max=25"),
    ("openh264enc", "openh264enc bitrate=6000000 gop-size=25 multi-thread=2"),
];

/// Encodes `pictures` into the mp4 file `path`.
pub(crate) fn h264(
    path: &Path,
    width: u32,
    height: u32,
    fps: u32,
    pictures: impl Iterator<Item = RgbImage>,
) -> Result<()> {
    gst::init().context("GStreamer does not start")?;
    let (_, encoder) = ENCODERS
        .into_iter()
        .find(|(name, _)| gst::ElementFactory::find(name).is_some())
        .context("no H.264 encoder; install gstreamer1.0-plugins-ugly (x264enc)")?;
    let pipeline = Pipeline::launch(&format!(
        "appsrc name=source format=time block=true max-buffers=4 max-bytes=0 caps=video/x-raw,format=RGB,\
         width={width},height={height},framerate={fps}/1 ! videoconvert ! video/x-raw,format=I420 ! {encoder} ! h264parse ! \
         mp4mux ! filesink name=sink"
    ))?;
    pipeline.element("sink")?.set_property("location", path.to_str().context("the path is not UTF-8")?);
    let source: gst_app::AppSrc =
        pipeline.element("source")?.downcast().map_err(|_| anyhow!("`source` is no appsrc"))?;

    pipeline.0.set_state(gst::State::Playing).context("the encoder does not start")?;
    let frame_time = |index: u64| gst::ClockTime::SECOND * index / u64::from(fps);
    for (index, picture) in (0u64..).zip(pictures) {
        let mut buffer = gst::Buffer::from_slice(picture.into_raw());
        let fields = buffer.make_mut();
        fields.set_pts(frame_time(index));
        fields.set_duration(frame_time(index + 1) - frame_time(index));
        if source.push_buffer(buffer).is_err() {
            break; // The bus says why.
        }
    }
    // Fails only when the pipeline is going down, which the bus tells too.
    let _ = source.end_of_stream();
    pipeline.run_to_the_end()
}

/// Decodes a file and counts its frames.
#[cfg(test)]
pub(crate) fn count_frames(path: &Path) -> Result<u32> {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };
    gst::init()?;
    let pipeline =
        Pipeline::launch("filesrc name=source ! decodebin ! video/x-raw ! fakesink name=sink sync=false")?;
    pipeline.element("source")?.set_property("location", path.to_str().context("the path is not UTF-8")?);
    let frames = Arc::new(AtomicU32::new(0));
    let counter = frames.clone();
    let pad = pipeline.element("sink")?.static_pad("sink").context("a sink without a pad")?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        gst::PadProbeReturn::Ok
    });
    pipeline.0.set_state(gst::State::Playing)?;
    pipeline.run_to_the_end()?;
    Ok(frames.load(Ordering::Relaxed))
}

/// A pipeline that is torn down whichever way its user returns.
struct Pipeline(gst::Pipeline);

impl Pipeline {
    fn launch(line: &str) -> Result<Self> {
        let element = gst::parse::launch(line).with_context(|| format!("cannot build `{line}`"))?;
        element.downcast().map(Self).map_err(|_| anyhow!("`{line}` is no pipeline"))
    }

    fn element(&self, name: &str) -> Result<gst::Element> {
        self.0.by_name(name).with_context(|| format!("no element `{name}`"))
    }

    fn run_to_the_end(&self) -> Result<()> {
        let bus = self.0.bus().context("a pipeline without a bus")?;
        let ends = [gst::MessageType::Eos, gst::MessageType::Error];
        match bus.timed_pop_filtered(gst::ClockTime::NONE, &ends).as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Eos(_)) => Ok(()),
            Some(gst::MessageView::Error(error)) => bail!("{}", error.error()),
            _ => bail!("the pipeline's bus was closed"),
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Going to Null cannot fail in a way a caller could mend.
        let _ = self.0.set_state(gst::State::Null);
    }
}
