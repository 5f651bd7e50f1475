"""The same flow for other tools: a webhook is answered at once, and where its ticket is urgent, an issue is made at the tracker.

The priority is read from the webhook itself, as who builds such a flow by hand does it: one request an event, no signature
compared, nothing read, looked for or kept. Both tools run without a screen, speak to nobody but the tracker, and keep what they
keep by themselves.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks import measure, peers
from benchmarks.peers import N8N, NODE_RED, Node, NodePeer

# A space between the last two braces: n8n would take them for the end of its expression.
_FIELDS = (
    "{fields: {project: {key: 'ENG'}, issuetype: {id: '10004'}, labels: ['flow-' + detail.id], "
    "summary: '[' + detail.id + '] ' + detail.subject} }"
)
# n8n says how it is to be set up without a screen, and to whom it would speak by itself. How it works is left as it comes.
_QUIET = {
    "DB_TYPE": "sqlite",
    "N8N_LISTEN_ADDRESS": "127.0.0.1",
    "N8N_DIAGNOSTICS_ENABLED": "false",
    "N8N_DIAGNOSTICS_CONFIG_FRONTEND": "",
    "N8N_DIAGNOSTICS_CONFIG_BACKEND": "",
    "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
    "N8N_TEMPLATES_ENABLED": "false",
    "N8N_PERSONALIZATION_ENABLED": "false",
    "N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS": "true",
    "N8N_LOG_LEVEL": "warn",
}
_SETTING_UP = 180


class Flow(Protocol):
    """The flow as one tool is given it."""

    @property
    def peer(self) -> NodePeer:
        """Whose it is."""
        ...

    @property
    def path(self) -> str:
        """Where webhooks are taken in."""
        ...

    @property
    def node(self) -> Node:
        """What it runs on."""
        ...

    @property
    def share(self) -> float:
        """How many of the events it is sent when they come as fast as they are answered: a slow one gets few."""
        ...

    def prepare(self, place: Path, port: int, tracker: str) -> tuple[Sequence[str], Mapping[str, str]]:
        """Write what it starts from into an empty folder; gives the command and what is added to its environment."""
        ...


@dataclass(frozen=True, slots=True)
class NodeRed:
    """Node-RED, whose nodes keep nothing on disk."""

    installed: Path
    node: Node
    peer: NodePeer = NODE_RED
    path: str = "/hook"
    share: float = 1.0

    def prepare(self, place: Path, port: int, tracker: str) -> tuple[Sequence[str], Mapping[str, str]]:
        """Write its flow and its settings."""
        settings = {
            "uiHost": "127.0.0.1",
            "uiPort": port,
            "flowFile": "flows.json",
            "httpAdminRoot": False,
            "credentialSecret": False,
            "telemetry": {"enabled": False},
            "logging": {"console": {"level": "warn", "metrics": False, "audit": False}},
        }
        (place / "settings.js").write_text(f"module.exports = {json.dumps(settings)}\n")
        (place / "flows.json").write_text(json.dumps(_node_red(tracker)))
        words = [str(self.node.program), str(self.installed / self.peer.script), "--userDir", str(place)]
        return [*words, "--settings", str(place / "settings.js")], {"NODE_ENV": "production"}


@dataclass(frozen=True, slots=True)
class N8n:
    """n8n on SQLite, as it comes: it keeps each execution."""

    installed: Path
    node: Node
    peer: NodePeer = N8N
    path: str = "/webhook/hook"
    share: float = 0.1

    def prepare(self, place: Path, port: int, tracker: str) -> tuple[Sequence[str], Mapping[str, str]]:
        """Have its command line take the flow in and switch it on.

        Raises:
            Failed: when it does not.
        """
        environment = {**_QUIET, "N8N_USER_FOLDER": str(place), "N8N_PORT": str(port), "NODE_ENV": "production"}
        flow = _n8n(tracker)
        file = place / "flow.json"
        file.write_text(json.dumps([flow]))
        words = [str(self.node.program), str(self.installed / self.peer.script)]
        for more in (
            ["import:workflow", f"--input={file}"],
            ["publish:workflow", f"--id={flow['id']}"],
        ):
            done = subprocess.run(
                [*words, *more],
                check=False,
                cwd=place,
                env={**measure.environment(), **environment},
                capture_output=True,
                text=True,
                timeout=_SETTING_UP,
            )
            if done.returncode:
                raise measure.Failed(f"{more[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-500:]}")
        return [*words, "start"], environment


def found(names: Sequence[str]) -> list[Flow]:
    """Give the flows of those of these tools that are there or can be installed, in their order."""
    flows: list[Flow] = []
    kinds: Sequence[tuple[NodePeer, type[NodeRed | N8n]]] = ((NODE_RED, NodeRed), (N8N, N8n))
    for peer, made in kinds:
        if peer.name not in names or (node := peers.node_of(peer)) is None:
            continue
        if (place := peers.node_installed(peer, node)) is not None:
            flows.append(made(place, node))
    return flows


def _node_red(tracker: str) -> list[dict[str, Any]]:
    function = (
        "const detail = msg.payload.detail;\nreturn {headers: {'content-type': 'application/json'}, "
        f"payload: {_FIELDS}}};"
    )
    rule = {"t": "eq", "v": "URGENT", "vt": "str"}
    inside = {"z": "measured"}
    switch = {"property": "payload.detail.priority", "propertyType": "msg", "rules": [rule], "checkall": "true"}
    ask = {"method": "POST", "ret": "txt", "paytoqs": "ignore", "url": f"{tracker}/rest/api/3/issue", "persist": True}
    return [
        {"id": "measured", "type": "tab", "label": "measured"},
        {"id": "in", "type": "http in", "url": "/hook", "method": "post", "wires": [["answer", "urgent"]], **inside},
        {"id": "answer", "type": "http response", "statusCode": "200", "wires": [], **inside},
        {"id": "urgent", "type": "switch", "outputs": 1, "wires": [["fields"]], **switch, **inside},
        {"id": "fields", "type": "function", "func": function, "outputs": 1, "wires": [["issue"]], **inside},
        {"id": "issue", "type": "http request", "wires": [[]], **ask, **inside},
    ]


def _n8n(tracker: str) -> dict[str, Any]:
    condition = {
        "id": "one",
        "leftValue": "={{ $json.body.detail.priority }}",
        "rightValue": "URGENT",
        "operator": {"type": "string", "operation": "equals"},
    }
    strict = {"caseSensitive": True, "leftValue": "", "typeValidation": "strict"}
    conditions = {"options": strict, "combinator": "and", "conditions": [condition]}
    fields = f"={{{{ JSON.stringify({_FIELDS.replace('detail.', '$json.body.detail.')}) }}}}"
    hook = {"httpMethod": "POST", "path": "hook", "responseMode": "onReceived", "options": {}}
    issue = {
        "method": "POST",
        "url": f"{tracker}/rest/api/3/issue",
        "sendBody": True,
        "specifyBody": "json",
        "jsonBody": fields,
        "options": {},
    }
    nodes = [
        _n8n_node("Hook", "webhook", 2, hook) | {"webhookId": "measured"},
        _n8n_node("Urgent", "if", 2, {"conditions": conditions, "options": {}}),
        _n8n_node("Issue", "httpRequest", 4.2, issue),
    ]
    then = {
        one: {"main": [[{"node": two, "type": "main", "index": 0}]]}
        for one, two in (("Hook", "Urgent"), ("Urgent", "Issue"))
    }
    return {
        "id": "measured00000001",
        "name": "measured",
        "active": False,
        "settings": {"executionOrder": "v1"},
        "pinData": {},
        "tags": [],
        "nodes": nodes,
        "connections": then,
    }


def _n8n_node(name: str, kind: str, version: float, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": name.lower(),
        "name": name,
        "type": f"n8n-nodes-base.{kind}",
        "typeVersion": version,
        "position": [0, 0],
        "parameters": dict(parameters),
    }
