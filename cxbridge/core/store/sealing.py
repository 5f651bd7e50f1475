"""Encrypting small secrets with AES-256-GCM; it keeps neither keys nor secrets."""

import hashlib
import os
from typing import TYPE_CHECKING

from cxbridge.core.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# Format mark, 4 bytes of key id, 12 bytes of nonce, ciphertext with tag.
_MARK = b"cxs1"
_NONCE = 12


def key_id(key: bytes) -> str:
    """Name a key without telling anything about it."""
    return _fingerprint(key).hex()


def seal(key: bytes, what: str, secret: bytes) -> bytes:
    """Encrypt a secret; `what` is bound to it, so that one sealed value cannot stand in for another."""
    nonce = os.urandom(_NONCE)
    return _MARK + _fingerprint(key) + nonce + _cipher(key).encrypt(nonce, secret, what.encode())


def is_sealed(value: bytes) -> bool:
    """Tell a sealed value from 32 plain bytes."""
    return value.startswith(_MARK) and len(value) > 32


def fits(key: bytes, what: str, sealed: bytes) -> int:
    """See that a value was sealed with this key, without opening it; gives where its nonce begins.

    Raises:
        ConfigError: it was sealed with another one.
    """
    head = len(_MARK) + len(_fingerprint(key))
    if sealed[len(_MARK) : head] != _fingerprint(key):
        raise ConfigError(
            f"{what} was sealed with the key {sealed[len(_MARK) : head].hex()}, not with this one ({key_id(key)}): "
            "name the key file it was sealed with"
        )
    return head


def unseal(key: bytes, what: str, sealed: bytes) -> bytes:
    """Decrypt what `seal` gave.

    Raises:
        ConfigError: it was sealed with another key, or altered since.
    """
    head = fits(key, what, sealed)
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see `_cipher`

    try:
        return _cipher(key).decrypt(sealed[head : head + _NONCE], sealed[head + _NONCE :], what.encode())
    except InvalidTag as error:
        raise ConfigError(
            f"{what} was altered in the store and is of no use: restore the store from a backup"
        ) from error


def _cipher(key: bytes) -> "AESGCM":
    # Loaded with the first secret: it takes 7 MB, and most installations have no token that is renewed.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see above

    return AESGCM(key)


def _fingerprint(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=4, person=b"cxbridge-key").digest()
