//! The elements within this process, so that their figures can be read when they have run.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use gst::prelude::*;
use nix::sys::resource::{UsageWho, getrusage};

use crate::{checkout, measure};

/// What a pipeline cost from start to end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Time on the wall.
    pub wall: Duration,
    /// Processor time of the whole process, user and system.
    pub cpu: Duration,
}

/// Makes this build's elements known.
///
/// # Errors
/// When GStreamer does not start or the elements are not built.
pub fn load() -> Result<()> {
    gst::init()?;
    gst::Plugin::load_file(checkout::built("libgstvedette.so")?)?;
    Ok(())
}

/// A pipeline from launch text.
///
/// # Errors
/// When the text is wrong.
pub fn pipeline(launch: &str) -> Result<gst::Pipeline> {
    let parsed = gst::parse::launch(launch).with_context(|| launch.to_owned())?;
    parsed.downcast().ok().context("the launch text makes no pipeline")
}

/// Plays pipelines to their ends, all at the same time, and leaves them as they are.
///
/// # Errors
/// When one fails.
pub fn play(pipelines: &[gst::Pipeline]) -> Result<Cost> {
    let (begun, cpu) = (Instant::now(), own_cpu()?);
    for pipeline in pipelines {
        // What went wrong is on the bus.
        let _ = pipeline.set_state(gst::State::Playing);
    }
    for pipeline in pipelines {
        await_end(pipeline)?;
    }
    Ok(Cost { wall: begun.elapsed(), cpu: own_cpu()?.saturating_sub(cpu) })
}

/// Plays one pipeline to its end. [`stop`] it when its figures are read.
///
/// # Errors
/// When it cannot be made or fails.
pub fn play_once(launch: &str) -> Result<(gst::Pipeline, Cost)> {
    let pipeline = pipeline(launch)?;
    let cost = play(std::slice::from_ref(&pipeline))?;
    Ok((pipeline, cost))
}

/// Takes pipelines down.
pub fn stop(pipelines: &[gst::Pipeline]) {
    for pipeline in pipelines {
        // Nobody is left who could mind.
        let _ = pipeline.set_state(gst::State::Null);
    }
}

fn await_end(pipeline: &gst::Pipeline) -> Result<()> {
    let bus = pipeline.bus().context("the pipeline has no bus")?;
    let types = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bus.timed_pop_filtered(gst::ClockTime::NONE, &types).context("the bus was taken away")?;
    match message.view() {
        gst::MessageView::Error(error) => bail!("{}: {:?}", error.error(), error.debug()),
        _ => Ok(()),
    }
}

/// A figure of an element's `stats`; nothing if there is none of that name.
pub fn count(pipeline: &gst::Pipeline, element: &str, figure: &str) -> u64 {
    stats(pipeline, element).and_then(|stats| stats.get(figure).ok()).unwrap_or_default()
}

/// The same for a figure in milliseconds.
pub fn time(pipeline: &gst::Pipeline, element: &str, figure: &str) -> Duration {
    let ms: f64 = stats(pipeline, element).and_then(|stats| stats.get(figure).ok()).unwrap_or_default();
    Duration::from_secs_f64(ms.max(0.0) / 1000.0)
}

fn stats(pipeline: &gst::Pipeline, element: &str) -> Option<gst::Structure> {
    pipeline.by_name(element).map(|element| element.property("stats"))
}

/// Processor time of this process so far.
///
/// # Errors
/// When the system does not tell.
pub fn own_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("the system does not tell the processor time")?;
    Ok(measure::cpu_of(&usage))
}
