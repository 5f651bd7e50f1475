"""One request as the endpoints see it, and how they read its body."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cxbridge.sandbox.gainsight.errors import bad_request
from cxbridge.sandbox.gainsight.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose credential was accepted; `actor` is who the journal names, `params` what stands in the path."""

    tenant: Tenant
    actor: str
    body: bytes
    query: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The body as an object.

        Raises:
            ApiError: it is none.
        """
        try:
            found = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise bad_request("The body is not JSON.") from None
        if not isinstance(found, dict):
            raise bad_request("The body is not an object.")
        return found
