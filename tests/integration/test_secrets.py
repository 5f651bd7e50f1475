"""A known secret is fed in, much goes wrong, and nothing that is kept, logged or raised holds it."""

import base64
import traceback
from pathlib import Path

import pytest
import structlog

from cxbridge.core.errors import VendorError
from tests.integration.scene import TOKEN, scene

FORMS = (
    TOKEN.encode(),
    base64.b64encode(f"bridge@example.test/token:{TOKEN}".encode()),
    base64.b64encode(f"bridge@example.test:{TOKEN}".encode()),
)


def test_no_secret_in_store_errors_or_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    with structlog.testing.capture_logs() as logs, caplog.at_level("DEBUG"), scene(tmp_path / "d") as stage:
        stage.ticket(7001)
        for vendor in ("zendesk", "jira"):
            for name, params in (("status", {"code": 500}), ("html", {}), ("status", {"code": 401}), ("reset", {})):
                stage.act("POST", "/faults", {"name": name, "vendor": vendor, "times": 2, "params": params})
        for _ in range(6):
            for error in stage.pull():
                told += traceback.format_exception(error)
            stage.bridge.plan()
            for connection in stage.bridge.connections:
                try:
                    stage.bridge.check(connection)
                except VendorError as error:
                    told += traceback.format_exception(error)
            stage.push()
            stage.world.clock.advance(61)
        stage.act("DELETE", "/faults")
        stage.settle()
        told.append(repr(stage.bridge.configuration))
        told.append(repr(stage.bridge.connections))
    told += [str(logs), caplog.text]
    kept = b"".join(
        file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.parent.name != "secrets"
    )
    assert len(kept) > 50_000
    for form in FORMS:
        assert form not in kept
        assert form.decode() not in "\n".join(told)
    assert any("failed for now" in line or "refused" in line for line in told), (
        "nothing went wrong: this proves nothing"
    )
