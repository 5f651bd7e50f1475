"""Where a vendor is and how to speak to it, as a connector declares it; it must not hold state."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cxbridge.core.errors import VendorError
from cxbridge.core.http.address import safe_url
from cxbridge.core.http.auth import Anonymous, Auth, Grant
from cxbridge.core.http.limits import Budget
from cxbridge.core.http.quotas import Quota
from cxbridge.core.http.reply import Reply

MIB = 1024 * 1024


@dataclass(frozen=True)
class Endpoint:
    """A vendor's base URL and its manners. Only what differs from vendor to vendor is here.

    `budgets(reply)` reads the limits that a reply's headers tell; `buckets(method, path)` names those that a request
    draws from (without it: all that were ever told). `refusal(reply)` is the vendor's own error table for statuses from
    400 on: give an error made with a message only, or None for the default table. `message_of(reply)` picks a short
    sentence out of an error body that is safe to show; without it nothing of a body is shown. When either stumbles over
    a body of another form (a web page, say), the status alone decides.

    `timeout` is for connecting and for each silence, in seconds; `max_body` counts bytes after decompression; a call
    that would have to wait longer than `page_wait` seconds in all raises instead. `request_id_header` names the header
    that carries the vendor's own id of a request.

    `reads(method, path)` names requests that only read although their method does not say so, such as a search by POST: they
    are tried again as reads are, and a plan may send them. `hosts` are further hosts that the credential may go to, over https
    only: a name, or what a name must end with when it begins with a dot.

    `quotas` are limits that the vendor does not tell in its replies: requests are counted against them here, and those of windows
    longer than an hour also across restarts.

    Raises:
        ValueError: when the base URL cannot be used safely.
    """

    base_url: str
    auth: Auth = field(default_factory=Anonymous)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    budgets: Callable[[Reply], Iterable[Budget]] | None = None
    buckets: Callable[[str, str], tuple[str, ...]] | None = None
    refusal: Callable[[Reply], VendorError | None] | None = None
    message_of: Callable[[Reply], str | None] | None = None
    timeout: float = 30.0
    max_body: int = 64 * MIB
    page_wait: float = 30.0
    allow_http: bool = False
    request_id_header: str = "x-request-id"
    reads: Callable[[str, str], bool] | None = None
    hosts: tuple[str, ...] = ()
    quotas: Sequence[Quota] = ()

    def __post_init__(self) -> None:
        safe_url(self.base_url, "base URL", allow_http=self.allow_http)
        if isinstance(self.auth, Grant):
            safe_url(self.auth.token_url, "token URL", allow_http=self.allow_http)
