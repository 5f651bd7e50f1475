"""A TCP proxy that breaks what goes through it, in Toxiproxy's words and with its control API. Knows no protocol.

It stands in front of any server: a simulated vendor, PostgreSQL. What belongs here: proxies, toxics, the HTTP control API. What
never does: anything about HTTP or SQL, for which the sandbox's own faults are better.

    with Proxies() as proxies:
        proxies.add("pg", upstream="127.0.0.1:5432")
        proxies.toxic("pg", "latency", latency=200, jitter=50)
        ... connect to proxies.address("pg") ...
"""

from cxbridge.sandbox.proxy.running import Proxies
from cxbridge.sandbox.proxy.switchboard import RefusedError
from cxbridge.sandbox.proxy.toxics import ATTRIBUTES, Toxic, UnknownToxicError

__all__ = ["ATTRIBUTES", "Proxies", "RefusedError", "Toxic", "UnknownToxicError"]
