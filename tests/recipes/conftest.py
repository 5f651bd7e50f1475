"""What tests of recipes share: the shipped files, and what the shipped connectors offer, without a network."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cxbridge.core.connector import Secret
from cxbridge.core.engine.connections import Connection
from cxbridge.core.errors import Problem
from cxbridge.core.recipes.load import load_folder
from cxbridge.plugins.gainsight import Gainsight
from cxbridge.plugins.jira import Jira
from cxbridge.plugins.qualtrics import Qualtrics
from cxbridge.plugins.slack import Slack
from cxbridge.plugins.zendesk import Zendesk
from tests.recipes.pretended import pretended

Check = Callable[..., tuple[Problem, ...]]
SHIPPED = Path(__file__).resolve().parents[2] / "recipes"


@pytest.fixture(scope="session")
def offers() -> Mapping[str, Connection]:
    """Connections to both vendors, as a recipe meets them; nothing is asked of either."""
    token = Secret("wrong-token")
    zendesk = Zendesk(
        url="http://127.0.0.1:9",
        email="bridge@example.test",
        api_token=token,
        fields={"engineering_issue": 1, "engineering_status": 2},
    )
    jira = Jira(url="http://127.0.0.1:9", email="bridge@example.test", api_token=token, projects=["ENG"])
    return {"zendesk": Connection.of("zendesk", zendesk), "jira": Connection.of("jira", jira)}


@pytest.fixture(scope="session")
def vendors(offers: Mapping[str, Connection]) -> Mapping[str, Connection]:
    """Connections to all five vendors, by the names that the shipped recipes use."""
    token, here = Secret("wrong-token"), "http://127.0.0.1:9"
    return {
        **offers,
        "gainsight": Connection.of("gainsight", Gainsight(url=here, access_key=token)),
        "qualtrics": Connection.of("qualtrics", Qualtrics(url=here, api_token=token)),
        "slack": Connection.of("slack", Slack(url=here, token=token)),
    }


@pytest.fixture(scope="session")
def roles(offers: Mapping[str, Connection]) -> Mapping[str, Connection]:
    """Both, and connections for success, surveys and chat that have nothing behind them."""
    return {**offers, **{name: pretended(name) for name in ("success", "survey", "chat")}}


@pytest.fixture
def check(tmp_path: Path, offers: Mapping[str, Connection]) -> Check:
    """Write a recipe into a folder and give what is wrong with it."""

    def run(text: str | bytes, name: str = "escalation-to-jira") -> tuple[Problem, ...]:
        body = text if isinstance(text, bytes) else text.encode()
        (tmp_path / f"{name}.toml").write_bytes(body)
        loaded = load_folder(tmp_path, offers, {})
        return tuple(problem for error in loaded.errors for problem in error.problems)

    return run
