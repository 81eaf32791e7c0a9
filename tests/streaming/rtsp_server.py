"""GStreamer's RTSP server with a drawn camera, a program of its own: ``python3 rtsp_server.py PORT [USER PASSWORD]``.

It prints its address on 127.0.0.1 and serves until it is ended. It needs Debian's ``python3-gi``,
``gir1.2-gst-rtsp-server-1.0`` and ``gstreamer1.0-plugins-{good,ugly}``, and so the system's Python.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

CAMERA = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 )"
)


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


def main(port, login):
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(CAMERA)
    factory.set_shared(True)
    if login:
        demand_login(server, factory, *login)
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    sys.stdout.write(f"rtsp://127.0.0.1:{server.get_bound_port()}/camera\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


main(sys.argv[1], sys.argv[2:])
