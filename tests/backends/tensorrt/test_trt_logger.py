from __future__ import annotations

import gc

from ssd_edge.backends.tensorrt.module import Listener
from tests.engines.standin_tensorrt import make_tensorrt


def test_errors_and_warnings_are_kept_once_and_in_order() -> None:
    trt, told = make_tensorrt("10.3.0"), []
    heard = Listener(trt, ignored=lambda message: "driver" in message)
    heard.logger.log(trt.ILogger.ERROR, "early")
    with heard.reporting(told.append):
        for severity, message in (
            ("ERROR", "one"), ("WARNING", "careful"), ("INTERNAL_ERROR", "two"), ("ERROR", "one"),
            ("ERROR", "no driver"), ("INFO", "nothing"), ("VERBOSE", "nothing"),
        ):  # fmt: skip
            heard.logger.log(getattr(trt.ILogger, severity), message)
    heard.logger.log(trt.ILogger.ERROR, "late")
    assert heard.errors == ["early", "one", "two", "late"]
    assert (heard.warnings, told) == (["careful"], ["one", "two"])


def test_the_newest_are_kept() -> None:
    trt = make_tensorrt("10.3.0")
    heard = Listener(trt)
    for number in range(2500):
        heard.logger.log(trt.ILogger.ERROR, str(number))
    assert heard.errors == [str(number) for number in range(500, 2500)]


def test_a_module_has_one_logger_and_whoever_listens_hears_it() -> None:
    trt = make_tensorrt("8.5.2.2")
    first = Listener(trt)
    first.logger.log(trt.ILogger.ERROR, "before")
    second = Listener(trt)
    assert first.logger is second.logger is not Listener(make_tensorrt("8.5.2.2")).logger
    first.logger.log(trt.ILogger.ERROR, "after")
    assert (first.errors, second.errors) == (["before", "after"], ["after"])


def test_who_is_gone_does_not_listen() -> None:
    trt = make_tensorrt("11.4.0.106")
    heard, gone = Listener(trt), Listener(trt)
    forgotten = gone.errors
    del gone
    gc.collect()
    heard.logger.log(trt.ILogger.ERROR, "late")
    assert (heard.errors, forgotten) == (["late"], [])
