//! Who comes by in a video, told by a program of one's own: `watch VIDEO [GALLERY]`. No control plane: the elements are
//! registered in the program itself, and their events come over the bus and by a signal.
//!
//! `vedette gallery build` makes a gallery; `vedette models fetch opencv` fetches the models.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gst::MessageView;
use gst::prelude::*;

/// The file of events goes nowhere, for this program takes them from the bus.
const PIPELINE: &str = "uridecodebin name=source ! videoconvert ! vedettefacedetect inference-interval=2 ! facetrack \
                        ! faceembed ! facematch name=match ! eventsink name=events uri=file:///dev/null sync=false";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [video] => watch(video, None),
        [video, gallery] => watch(video, Some(gallery)),
        _ => Err("usage: watch VIDEO [GALLERY]".into()),
    };
    match outcome {
        Ok(events) => {
            eprintln!("{events} events");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("watch: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints each event as a line of JSON, and returns how many there were.
fn watch(video: &str, gallery: Option<&str>) -> Result<usize, Box<dyn Error>> {
    gst::init()?;
    gstvedette::plugin_register_static()?;
    let pipeline =
        gst::parse::launch(PIPELINE)?.downcast::<gst::Pipeline>().map_err(|_| "it is no pipeline")?;
    let element = |name: &str| pipeline.by_name(name).ok_or_else(|| format!("the pipeline has no {name}"));
    element("source")?.set_property("uri", uri(video)?);
    if let Some(gallery) = gallery {
        element("match")?.set_property("gallery", uri(gallery)?);
    }
    // Called on the streaming thread, before the message is on the bus: whatever takes long would hold up the video.
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    element("events")?.connect("face-event", false, move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        None
    });

    let bus = pipeline.bus().ok_or("the pipeline has no bus")?;
    // What keeps it from playing is told on the bus.
    let _ = pipeline.set_state(gst::State::Playing);
    let outcome = follow(&bus);
    pipeline.set_state(gst::State::Null)?;
    outcome?;
    Ok(count.load(Ordering::Relaxed))
}

/// Reads the bus until the video ends.
fn follow(bus: &gst::Bus) -> Result<(), Box<dyn Error>> {
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            MessageView::Element(element) => {
                let event = element.structure().filter(|event| event.name() == "vedette-face-event");
                if let Some(event) = event {
                    println!("{}", event.get::<&str>("event")?);
                }
            }
            MessageView::Warning(warning) => eprintln!("watch: {}", warning.error()),
            MessageView::Error(error) => return Err(error.error().into()),
            MessageView::Eos(_) => return Ok(()),
            _ => (),
        }
    }
    Ok(())
}

fn uri(path: &str) -> Result<String, Box<dyn Error>> {
    Ok(gst::glib::filename_to_uri(Path::new(path).canonicalize()?, None)?.into())
}
