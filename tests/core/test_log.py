from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from ssd_edge.core.log import log


def test_nothing_is_printed_unless_the_program_configures_logging() -> None:
    program = "from ssd_edge.core.log import log; log.info('a'); log.warning('b'); log.error('c')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_program_that_configures_logging_gets_the_lines() -> None:
    program = "import logging; logging.basicConfig(level='INFO'); from ssd_edge.core.log import log; log.info('a')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "INFO:ssd_edge:a\n"


def test_names_that_are_no_text_reach_a_file_escaped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    handler = logging.FileHandler(tmp_path / "log.txt", encoding="utf-8")
    log.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "ssd_edge"):
            log.info("wrote caf\udce9.jpg")
    finally:
        log.removeHandler(handler)
        handler.close()
    assert (tmp_path / "log.txt").read_text(encoding="utf-8") == "wrote caf\\udce9.jpg\n"
