"""No spelling of a credential is shown, and what is no credential is."""

from __future__ import annotations

import pytest

from ssd_edge.core.secrets import hide_in_pipeline, hide_in_text, hide_in_url

SECRET = "hunter2"
URLS = (
    "rtsp://admin:hunter2@10.0.0.2:554/live",
    "rtsp://admin:hun/ter2hunter2@127.0.0.1:9/live",
    "rtsp://ad min:hunter2@127.0.0.1:9/live",
    "rtsp://admin:p@ss/hunter2@h/live",
    "rtsp://admin:#hunter2?@h/live",
    "rtsp://admin:123/hunter2@h/live",
    "rtsp://hunter2@h/live",
    "rtsp://:hunter2@h/live",
    "rtsp://127.0.0.1:9/user=admin_password=hunter2_channel=1_stream=0.sdp",
    "rtsp://127.0.0.1:9/cam;user=admin;pwd=hunter2",
    "http://127.0.0.1:9/snap.cgi?user=admin&pwd=hunter2",
    "http://127.0.0.1:9/snap.cgi?usr=admin&Passwort=hunter2&channel=1",
    "http://127.0.0.1:9/snap.cgi?auth=hunter2",
    "http://127.0.0.1:9/snap.cgi?hunter2hunter2",
    "https://h/a.m3u8?X-Amz-Signature=hunter2&X-Amz-Expires=60",
    "https://h/a.m3u8#access_token=hunter2",
    "http://h/a.mp4?contact=me@hunter2",
    "rtmp://live.example/app/hunter2-abcd-1234-efgh",
    "rtsps://192.168.1.1:7441/hunter2AbCdEf1234",
    "http://h/videostream.cgi?loginuse=admin&loginpas=hunter2",
    "http://h/a?a=1;password=hunter2",
    "RTSP://ADMIN:hunter2@H/x",
    "srt://h:9000?passphrase=hunter2",
    "rtsp://admin:%68unter2hunter2@h/x",
    "rtsp://[fe80::1]:554/live?token=hunter2",
)
PIPELINES = (
    "rtspsrc location=rtsp://127.0.0.1:9/l user-id=admin user-pw=hunter2 ! decodebin ! appsink",
    "rtspsrc location=rtsp://a:hunter2@127.0.0.1:9/l ! decodebin ! appsink",
    'rtspsrc location="rtsp://a:hunter2@127.0.0.1:9/l" user-pw="hunter2 x" ! appsink',
    "souphttpsrc location=http://h/x?t=hunter2 user-pw='my hunter2' cookies=sid=hunter2 ! appsink",
    'souphttpsrc extra-headers="x, Authorization=(string)hunter2" ! appsink',
    "rtspsrc user-pw = hunter2 location=rtsp://h/x ! appsink",
    "x passphrase=hunter2 proxy-pw=hunter2 ! appsink",
)


@pytest.mark.parametrize("url", URLS)
def test_no_credential_of_a_url_is_shown(url: str) -> None:
    shown = hide_in_url(url)
    assert SECRET not in shown
    assert "***" in shown
    assert SECRET not in hide_in_text(f"cannot open '{url.replace(' ', '%20')}': refused")


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_no_credential_of_a_pipeline_is_shown(pipeline: str) -> None:
    assert SECRET not in hide_in_pipeline(pipeline)


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://10.0.0.2:554/Streaming/Channels/101",
        "http://10.0.0.2/a@2x.mp4",
        "http://h/a%20film.mp4",
        "rtsp://h/cam/realmonitor?channel=1&subtype=0",
        "rtsp://h/h264Preview_01_main",
        "http://h/axis-cgi/mjpg/video.cgi?resolution=640x480&fps=5",
        "udp://239.0.0.1:1234",
        "rtsp://[fe80::1]:554/live",
        "http://127.0.0.1:8147/video.mp4",
    ],
)
def test_what_is_no_credential_is_shown(url: str) -> None:
    assert hide_in_url(url) == url


def test_a_pipeline_without_credentials_is_shown_but_for_what_is_not_known() -> None:
    plain = (
        "nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM), width=(int)1280, height=(int)720, "
        "framerate=(fraction)30/1 ! nvvidconv ! video/x-raw, format=(string)BGR ! appsink drop=1 max-buffers=1"
    )
    assert hide_in_pipeline(plain) == plain


def test_the_user_stays_for_who_has_several() -> None:
    assert hide_in_url("rtsp://me:secret@10.0.0.2:554/live") == "rtsp://me:***@10.0.0.2:554/live"
    assert hide_in_url("http://h/s.cgi?channel=1&pwd=x") == "http://h/s.cgi?channel=1&pwd=***"
