"""What tests of recipes share: the shipped files, and what the shipped connectors offer, without a network."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from cxbridge.core.connector import Secret
from cxbridge.core.engine.connections import Connection
from cxbridge.plugins.jira import Jira
from cxbridge.plugins.zendesk import Zendesk

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
