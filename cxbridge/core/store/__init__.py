"""The durable memory: one code for SQLite and PostgreSQL; it decides nothing, and nothing outside it knows a table.

`Store.open` gives a store, `store.write()` and `store.read()` give a transaction, and the functions of the modules here
take that transaction: `records.apply(tx, …)`, `runs.start(tx, …)`. One commit may span several modules.

Who only looks opens with `writing=False`: such a store neither writes nor waits, however busy another process keeps it.
"""

from cxbridge.core.store import (
    approvals,
    asks,
    changes,
    checkpoints,
    identity,
    inbox,
    keyfile,
    links,
    outbox,
    planning,
    receipts,
    records,
    runs,
    state,
)
from cxbridge.core.store.engine import Store, Tx
from cxbridge.core.store.quotas import KeptQuotas
from cxbridge.core.store.tokens import SealedTokens

__all__ = [
    "Store",
    "Tx",
    "SealedTokens",
    "KeptQuotas",
    "approvals",
    "asks",
    "records",
    "changes",
    "checkpoints",
    "planning",
    "links",
    "identity",
    "runs",
    "outbox",
    "receipts",
    "state",
    "keyfile",
    "inbox",
]
