"""The durable memory: one code for SQLite and PostgreSQL; it decides nothing, and nothing outside it knows a table.

`Store.open` gives a store, `store.write()` and `store.read()` give a transaction, and the functions of the modules here
take that transaction: `records.apply(tx, …)`, `runs.start(tx, …)`. One commit may span several modules.

Who only looks opens with `writing=False`: such a store neither writes nor waits, however busy another process keeps it.
"""

# Before every other module of the store: what imports the library first decides what it brings.
import cxbridge.core.store.library  # noqa: F401
from cxbridge.core.store import (
    approvals,
    asks,
    audit,
    breakers,
    changes,
    checkpoints,
    holds,
    identity,
    inbox,
    keeping,
    keyfile,
    letters,
    links,
    outbox,
    planning,
    receipts,
    records,
    restored,
    runs,
    state,
)
from cxbridge.core.store.breakers import KeptBreakers
from cxbridge.core.store.engine import Store
from cxbridge.core.store.holds import KeptHolds
from cxbridge.core.store.quotas import KeptQuotas
from cxbridge.core.store.tokens import SealedTokens
from cxbridge.core.store.tx import Tx

__all__ = [
    "Store",
    "Tx",
    "SealedTokens",
    "KeptQuotas",
    "KeptHolds",
    "KeptBreakers",
    "holds",
    "breakers",
    "approvals",
    "asks",
    "audit",
    "records",
    "restored",
    "changes",
    "checkpoints",
    "keeping",
    "planning",
    "letters",
    "links",
    "identity",
    "runs",
    "outbox",
    "receipts",
    "state",
    "keyfile",
    "inbox",
]
