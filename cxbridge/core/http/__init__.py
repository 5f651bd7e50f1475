"""Speaking HTTP to vendors: the only place that knows the HTTP client, status codes, limits and tokens.

It must not know any vendor: what differs between them is declared in an `Endpoint`.
"""

from cxbridge.core.http.address import on_this_machine
from cxbridge.core.http.auth import Anonymous, Auth, Basic, Bearer, ClientCredentials, RefreshToken
from cxbridge.core.http.breaker import Breaker, BreakerState, BreakerStore
from cxbridge.core.http.client import Client, open_client
from cxbridge.core.http.direct import DirectTransport
from cxbridge.core.http.endpoint import Endpoint
from cxbridge.core.http.holds import HoldStore
from cxbridge.core.http.limits import Budget, BudgetState, Limiter
from cxbridge.core.http.paging import Unrepeating
from cxbridge.core.http.quotas import Quota, QuotaStore
from cxbridge.core.http.reply import Reply
from cxbridge.core.http.request import RequestDone
from cxbridge.core.http.tokens import MemoryTokens, SharedTokenStore, Tokens, TokenStore
from cxbridge.core.http.wire import ReadOnlyTransport, Transport, WriteRefused, user_agent

__all__ = [
    # declared by a connector
    "Endpoint",
    "Budget",
    "Quota",
    "Auth",
    "Anonymous",
    "Basic",
    "Bearer",
    "ClientCredentials",
    "RefreshToken",
    "on_this_machine",
    # handed to a connector
    "Client",
    "Reply",
    "Unrepeating",
    # for those who open clients
    "open_client",
    "Breaker",
    "BreakerState",
    "BreakerStore",
    "BudgetState",
    "DirectTransport",
    "HoldStore",
    "Limiter",
    "MemoryTokens",
    "QuotaStore",
    "ReadOnlyTransport",
    "RequestDone",
    "SharedTokenStore",
    "TokenStore",
    "Tokens",
    "Transport",
    "WriteRefused",
    "user_agent",
]
