"""The simulated Gainsight as tests talk to it: requests with the key, and the tenant behind."""

from typing import Any

import httpx

from cxbridge.sandbox.server import Sandbox


class Site:
    """A running tenant."""

    def __init__(self, sandbox: Sandbox, web: httpx.Client) -> None:
        self.sandbox = sandbox
        self.world = sandbox.world
        self.web = web

    @property
    def tenant(self) -> Any:
        vendor: Any = self.world.vendors["gainsight"]
        return vendor.tenant

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {"AccessKey": "sandbox-token", **more.pop("headers", {})}
        return self.web.request(method, f"{self.sandbox.url('gainsight')}{path}", json=body, headers=headers, **more)

    def send(self, method: str, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
        """The data of an answer, or the whole envelope of a refusal."""
        reply = self.ask(method, path, body, **more)
        assert reply.status_code == status, reply.text
        told = reply.json()
        assert set(told) >= {"result", "errorCode", "errorDesc", "requestId", "message"}
        return told["data"] if told["result"] else told

    def query(self, name: str, status: int = 200, **body: Any) -> Any:
        given = {"select": ["Gsid"], "limit": 100, "offset": 0, **body}
        return self.send("POST", f"/v1/data/objects/query/{name}", given, status)

    def where(self, *conditions: tuple[str, str, list[Any]], named: str = "name") -> dict[str, Any]:
        aliases = "ABCDEFG"[: len(conditions)]
        told = [
            {named: field, "operator": operator, "value": value, "alias": alias}
            for alias, (field, operator, value) in zip(aliases, conditions, strict=True)
        ]
        return {"conditions": told, "expression": " AND ".join(aliases)}

    def control(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        reply = self.web.request(method, f"{self.sandbox.control_url}{path}", json=body)
        assert reply.status_code == status, reply.text
        return reply.json()

    def kinds(self, via: Any = "api") -> list[str]:
        return [effect.kind for effect in self.world.journal.effects(via=via, vendor="gainsight")]


ROWS = [
    {"kind": "gainsight.user", "email": "ana@example.test", "name": "Ana Ruiz"},
    {"kind": "gainsight.user", "email": "ben@example.test", "name": "Ben Okafor", "active": False},
    {
        "kind": "gainsight.company",
        "name": "Northwind Traders",
        "external_id": "HL-1001",
        "csm": "ana@example.test",
        "arr": 248000,
        "renews_in": "40d",
        "domains": ["northwind.example"],
        "tags": ["beta"],
        "score": 62,
        "trend": "Down",
        "nps": 7,
        "ago": "3d",
    },
    {"kind": "gainsight.company", "name": "Contoso", "external_id": "HL-1002", "stage": "Churned", "ago": "2d"},
    {
        "kind": "gainsight.person",
        "email": "ines@northwind.example",
        "name": "Ines Duarte",
        "company": "HL-1001",
        "title": "VP Operations",
    },
    {"kind": "gainsight.cta", "company": "HL-1001", "title": "Look in", "status": "Work In Progress", "ago": "1d"},
]
