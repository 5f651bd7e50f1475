"""The key that markers and the addresses of webhooks are made with: it is made by the first who needs one that stays."""

import secrets
from contextlib import closing

from cxbridge.core.store import Store, state


def lasting(store: Store, url: str, key: bytes) -> bytes:
    """Give the instance key of a store, which is made if need be, once in its life; `key` seals it.

    Raises:
        ConfigError: it was altered in the store. StoreError: it has to be made, and the store cannot be written now.
    """
    with store.read() as tx:
        if not state.is_instance_key_due(tx):
            return state.instance_key(tx)
    if store.writing:
        with store.write() as tx:
            return state.instance_key(tx)
    with closing(Store.open(url, clock=store.clock, key=key)) as writer:
        return lasting(writer, url, key)


def for_looking(store: Store) -> bytes:
    """Give the instance key, or one that is made up and that nothing was ever made with.

    Raises:
        ConfigError: it was altered in the store.
    """
    with store.read() as tx:
        return state.instance_key(tx) if state.has_instance_key(tx) else secrets.token_bytes(32)
