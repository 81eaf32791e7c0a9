"""GStreamer's RTSP server, a program of its own: ``python3 rtsp_server.py PORT [--file FILE] [--login USER PASSWORD]``.

It prints its address on 127.0.0.1 and serves until it is ended: a drawn camera, or an encoded file (``.mp4`` of
H.264, ``.h265.mp4`` of H.265, ``.ts`` of H.264 whose size may change) at its own pace, to each client from its
beginning. It needs Debian's ``python3-gi``, ``gir1.2-gst-rtsp-server-1.0`` and
``gstreamer1.0-plugins-{good,bad,ugly}``, and so the system's Python.
"""

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

CAMERA = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 )"
)


def launch_line(file):
    if file is None:
        return CAMERA
    if file.endswith(".ts"):
        return f'( filesrc location="{file}" ! tsdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )'
    codec = "h265" if file.endswith(".h265.mp4") else "h264"
    return f'( filesrc location="{file}" ! qtdemux ! {codec}parse ! rtp{codec}pay name=pay0 pt=96 config-interval=-1 )'


def demand_login(server, factory, user, password):
    role = GstRtspServer.RTSPToken()
    role.set_string("media.factory.role", "viewer")
    login = GstRtspServer.RTSPAuth()
    login.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), role)
    server.set_auth(login)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("viewer", permission, True)
    factory.set_permissions(permissions)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("--file")
    parser.add_argument("--login", nargs=2)
    asked = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(asked.port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch_line(asked.file))
    factory.set_shared(asked.file is None)
    if asked.login:
        demand_login(server, factory, *asked.login)
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    sys.stdout.write(f"rtsp://127.0.0.1:{server.get_bound_port()}/camera\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


main()
