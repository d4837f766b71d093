"""An RTSP camera for the tests: a real server of a real stream, whose faults are told on standard input.

It prints `ready PORT` when it can be connected to, then answers every command, one a line, with `done`:

    freeze            frames stop, connections stay; whoever connects anew waits
    thaw              frames go on
    hang up           closes every connection, as a camera that restarts its service does
    size WIDTHxHEIGHT the pictures have another size from now on, in the middle of the stream
    jump SECONDS      timestamps jump by so much in the middle of the stream
    codec NAME        the stream is another one from now on (h264, h265, mjpeg); connections are closed
    password TEXT     the camera wants another password from now on

It ends with standard input.
"""

import argparse
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

ENCODERS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 config-interval=-1",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph265pay name=pay0 config-interval=-1",
    "mjpeg": "jpegenc ! rtpjpegpay name=pay0",
    "vp8": "vp8enc deadline=1 keyframe-max-dist=10 ! rtpvp8pay name=pay0",
    "none": None,
}


class Camera:
    def __init__(self, options):
        self.media = []
        self.frozen = False
        self.size = options.size
        self.fps = options.fps
        self.clip = options.clip
        self.server = GstRtspServer.RTSPServer()
        self.server.set_address(options.address)
        self.server.set_service(str(options.port))
        self.user = options.user
        if options.user:
            self.auth = GstRtspServer.RTSPAuth()
            self.auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            self.token = GstRtspServer.RTSPToken()
            self.token.set_string("media.factory.role", "viewer")
            self.password = options.password
            self.auth.add_digest(self.user, self.password, self.token)
            self.server.set_auth(self.auth)
        if options.certificate:
            auth = GstRtspServer.RTSPAuth()
            anyone = GstRtspServer.RTSPToken()
            anyone.set_string("media.factory.role", "viewer")
            auth.set_default_token(anyone)
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(options.certificate, options.key))
            self.server.set_auth(auth)
        self.factory = GstRtspServer.RTSPMediaFactory()
        self.factory.set_shared(True)
        transports = {"tcp": GstRtsp.RTSPLowerTrans.TCP, "udp": GstRtsp.RTSPLowerTrans.UDP}
        if options.only:
            self.factory.set_protocols(transports[options.only])
        if options.user or options.certificate:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("viewer", "media.factory.access", True)
            permissions.add_permission_for_role("viewer", "media.factory.construct", True)
            self.factory.set_permissions(permissions)
        self.factory.connect("media-configure", self.adopt)
        self.set_codec(options.codec)
        self.server.get_mount_points().add_factory("/live", self.factory)

    def adopt(self, _factory, media):
        self.media.append(media)
        self.freeze(self.frozen)

    def freeze(self, frozen):
        self.frozen = frozen
        for valve in self.elements("valve"):
            valve.set_property("drop", frozen)

    def set_codec(self, codec):
        if self.clip:
            parse = "qtdemux ! h264parse ! rtph264pay name=pay0 config-interval=-1"
            launch = f"( filesrc location={self.clip} ! {parse} )"
        elif codec == "none":
            launch = "( audiotestsrc is-live=true ! opusenc ! rtpopuspay name=pay0 )"
        else:
            width, height = self.size
            caps = f"video/x-raw,format=I420,width={width},height={height},framerate={self.fps}/1"
            launch = (
                "( videotestsrc is-live=true pattern=ball ! capsfilter name=size"
                f" caps={caps} ! valve name=valve ! {ENCODERS[codec]} )"
            )
        self.factory.set_launch(launch)

    def elements(self, name):
        for media in self.media:
            element = media.get_element().get_by_name(name)
            if element:
                yield element

    def hang_up(self):
        self.server.client_filter(lambda _server, _client: GstRtspServer.RTSPFilterResult.REMOVE)
        self.media.clear()

    def obey(self, command):
        word, _, rest = command.partition(" ")
        if command in ("freeze", "thaw"):
            self.freeze(command == "freeze")
        elif command == "hang up":
            self.hang_up()
        elif word == "size":
            self.size = tuple(rest.split("x"))
            width, height = self.size
            caps = f"video/x-raw,format=I420,width={width},height={height},framerate={self.fps}/1"
            for capsfilter in self.elements("size"):
                capsfilter.set_property("caps", Gst.Caps.from_string(caps))
        elif word == "jump":
            for payloader in self.elements("pay0"):
                pad = payloader.get_static_pad("sink")
                pad.set_offset(pad.get_offset() + int(float(rest) * Gst.SECOND))
        elif word == "codec":
            self.set_codec(rest)
            self.hang_up()
        elif word == "password":
            self.auth.remove_digest(self.user)
            self.auth.add_digest(self.user, rest, self.token)
            self.hang_up()
        else:
            raise ValueError(f"no such command: {command}")
        print("done", flush=True)
        return GLib.SOURCE_REMOVE


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--codec", choices=ENCODERS, default="h264")
    parser.add_argument("--size", type=lambda text: tuple(text.split("x")), default=("320", "240"))
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--clip", help="an MP4 with H.264 to play once, in place of test pictures")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--only", choices=("tcp", "udp"))
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    options = parser.parse_args()

    Gst.init(None)
    camera = Camera(options)
    loop = GLib.MainLoop()
    if not camera.server.attach(None):
        sys.exit(f"port {options.port} of {options.address} is taken")
    print(f"ready {camera.server.get_bound_port()}", flush=True)

    def listen():
        for line in sys.stdin:
            GLib.idle_add(camera.obey, line.strip())
        GLib.idle_add(loop.quit)

    threading.Thread(target=listen, daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
