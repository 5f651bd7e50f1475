"""The small things that outlive a process: held connections, named values, the instance key, recipes' past texts."""

import os
from datetime import datetime
from functools import lru_cache

import msgspec
import sqlalchemy as sa

from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.store import schema
from cxbridge.core.store.prepared import Prepared
from cxbridge.core.store.sealing import fits, is_sealed, seal, unseal
from cxbridge.core.store.statements import ignoring, replacing
from cxbridge.core.store.tx import Tx

_meta = schema.meta.c
_pauses = schema.pauses.c
_versions = schema.recipe_versions.c
_all_pauses = Prepared(sa.select(schema.pauses))
_value = Prepared(sa.select(_meta.value).where(_meta.name == sa.bindparam("which")))
_keep = Prepared(lambda dialect: replacing(dialect, schema.meta, "name"), columns=("name", "value"))
_keep_recipe = Prepared(
    lambda dialect: ignoring(dialect, schema.recipe_versions, "version"), columns=schema.recipe_versions.c.keys()
)
# The name under which the instance key is kept.
INSTANCE_KEY = "the instance key"


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A connection held until a person acts; `hint` says what to do."""

    connection: str
    reason: str
    hint: str
    at: datetime


def pause(tx: Tx, connection: str, reason: str, hint: str, at: datetime) -> bool:
    """Hold a connection; the first reason stays until it is resumed. True when it was not held before."""
    held = tx.connection.execute(
        ignoring(tx.dialect, schema.pauses, "connection"),
        {"connection": connection, "reason": reason, "hint": hint, "at": at},
    )
    return held.rowcount > 0


def resume(tx: Tx, connection: str) -> bool:
    """Let a connection go on; True when it was held."""
    return tx.connection.execute(sa.delete(schema.pauses).where(_pauses.connection == connection)).rowcount > 0


def pauses(tx: Tx) -> dict[str, Pause]:
    """Read the held connections by name."""
    return {one.connection: one for one in _all_pauses.structs(tx.connection, Pause)}


def meta_get(tx: Tx, name: str) -> bytes | None:
    """Read a small value that is kept under a name."""
    found: bytes | None = _value.scalar(tx.connection, {"which": name})
    return found


def meta_set(tx: Tx, name: str, value: bytes | None) -> None:
    """Keep a small value under a name; None forgets it."""
    if value is None:
        tx.connection.execute(sa.delete(schema.meta).where(_meta.name == name))
    else:
        _keep.run(tx.connection, {"name": name, "value": value})


def has_instance_key(tx: Tx) -> bool:
    """Whether the instance key was made: whoever only pulls never needs it, and to seal or open it loads a library of 7 MB.

    Raises:
        ConfigError: it is sealed and the store was opened with another key, or none.
    """
    kept = meta_get(tx, INSTANCE_KEY)
    if kept is not None and is_sealed(kept):
        fits(_key_for(tx.key), INSTANCE_KEY, kept)
    return kept is not None


def is_instance_key_due(tx: Tx) -> bool:
    """Whether it has still to be made, or to be sealed, which takes a write transaction."""
    kept = meta_get(tx, INSTANCE_KEY)
    return kept is None or (tx.key is not None and not is_sealed(kept))


def instance_key(tx: Tx) -> bytes:
    """Give the 32 random bytes that markers are made with.

    They are made once, in a write transaction, and sealed if there is a key; what was kept unsealed is sealed then, too.

    Raises:
        ConfigError: they are sealed and the store was opened with another key, or none; or they were altered in the store.
        StoreError: they have not been made yet and this is no write transaction.
    """
    kept = meta_get(tx, INSTANCE_KEY)
    if kept is None:
        if not tx.writing:
            raise StoreError(
                "the store has no instance key yet: it is made by whoever first plans or listens, so start the daemon first"
            )
        made = os.urandom(32)
        kept = made if tx.key is None else seal(tx.key, INSTANCE_KEY, made)
        meta_set(tx, INSTANCE_KEY, kept)
    elif not is_sealed(kept) and tx.key is not None and tx.writing:
        kept = seal(tx.key, INSTANCE_KEY, kept)
        meta_set(tx, INSTANCE_KEY, kept)
    return opened(kept, tx.key)


@lru_cache(maxsize=4)
def opened(kept: bytes, key: bytes | None) -> bytes:
    """Give the instance key as it was made, from how it is kept.

    Raises:
        ConfigError: it is sealed with another key than this one, or there is none.
    """
    return unseal(_key_for(key), INSTANCE_KEY, kept) if is_sealed(kept) else kept


def _key_for(key: bytes | None) -> bytes:
    if key is None:
        raise ConfigError("the store's instance key is sealed: name the key file it was sealed with")
    return key


def keep_recipe(tx: Tx, version: str, recipe: str, source: str, at: datetime) -> bool:
    """Keep a recipe's text for the runs that begin under it; True when this version is new."""
    row = {"version": version, "recipe": recipe, "source": source, "at": at}
    return _keep_recipe.run(tx.connection, row) > 0


def recipe_source(tx: Tx, version: str) -> str | None:
    """Read a recipe's text as it was in that version."""
    found: str | None = tx.connection.scalar(sa.select(_versions.source).where(_versions.version == version))
    return found
