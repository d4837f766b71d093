#!/usr/bin/python3
"""Who comes by in a video, told by a Python program: `watch.py VIDEO [GALLERY]`.

No control plane: the elements come from libgstvedette.so, which GST_PLUGIN_PATH leads to, and their events over the bus
and by a signal. On Debian it needs python3-gi and gir1.2-gstreamer-1.0.
"""

import pathlib
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

# The file of events goes nowhere, for this program takes them from the bus.
PIPELINE = (
    "uridecodebin name=source ! videoconvert ! vedettefacedetect inference-interval=2 ! facetrack "
    "! faceembed ! facematch name=match ! eventsink name=events uri=file:///dev/null sync=false"
)


def uri(path):
    return pathlib.Path(path).resolve(strict=True).as_uri()


def watch(video, gallery=None):
    """Prints each event as a line of JSON, and returns how many there were."""
    Gst.init(None)
    pipeline = Gst.parse_launch(PIPELINE)
    pipeline.get_by_name("source").set_property("uri", uri(video))
    if gallery:
        pipeline.get_by_name("match").set_property("gallery", uri(gallery))
    told = []
    # Called on the streaming thread: whatever takes long would hold up the video.
    pipeline.get_by_name("events").connect("face-event", lambda _sink, event: told.append(event))

    pipeline.set_state(Gst.State.PLAYING)
    try:
        follow(pipeline.get_bus())
    finally:
        pipeline.set_state(Gst.State.NULL)
    return len(told)


def follow(bus):
    """Reads the bus until the video ends."""
    while True:
        message = bus.timed_pop(Gst.CLOCK_TIME_NONE)
        if message.type == Gst.MessageType.ELEMENT:
            event = message.get_structure()
            if event.get_name() == "vedette-face-event":
                print(event.get_string("event"), flush=True)
        elif message.type == Gst.MessageType.WARNING:
            print(f"watch: {message.parse_warning()[0].message}", file=sys.stderr)
        elif message.type == Gst.MessageType.ERROR:
            raise message.parse_error()[0]
        elif message.type == Gst.MessageType.EOS:
            return


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: watch.py VIDEO [GALLERY]")
    try:
        print(f"{watch(*sys.argv[1:])} events", file=sys.stderr)
    except (GLib.Error, OSError) as error:
        sys.exit(f"watch: {getattr(error, 'message', error)}")
