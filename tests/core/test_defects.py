"""An error nobody foresaw is told in full, shows no variable, and its telling never fails."""

import io
import logging

import pytest
import structlog

from cxbridge.cli import logs
from cxbridge.core import defects

_TOKEN = "tok-very-secret"


class _Spiteful(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


class _FullDisk:
    def error(self, event: str, /, **told: object) -> object:
        raise OSError(28, "No space left on device")


def _broken(token: str) -> None:
    raise ZeroDivisionError("by nought" if token else "")


def test_the_traceback_goes_out_as_text_and_shows_no_variable(capsys: pytest.CaptureFixture[str]) -> None:
    # As an application has it that embeds the engine and has not configured its log.
    structlog.reset_defaults()
    try:
        _broken(_TOKEN)
    except ZeroDivisionError as error:
        defects.tell(structlog.get_logger(), "job.failed", error, job="plan")
    told = capsys.readouterr().out
    assert "ZeroDivisionError: by nought" in told
    assert "in _broken" in told
    assert "plan" in told
    assert _TOKEN not in told


def test_neither_an_error_without_words_nor_a_full_disk_makes_the_telling_fail() -> None:
    defects.tell(structlog.get_logger(), "job.failed", _Spiteful())
    defects.tell(_FullDisk(), "job.failed", ZeroDivisionError())


class _Full(io.StringIO):
    def write(self, text: str, /) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    before = structlog.get_config()
    handlers = logging.getLogger().handlers[:]
    try:
        logs.configure(_Full())
        structlog.get_logger().error("job.failed", job="plan")
        logging.getLogger("apscheduler").warning("missed")
    finally:
        structlog.configure(**before)
        logging.getLogger().handlers[:] = handlers
