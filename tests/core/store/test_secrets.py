"""Sealed tokens and the key file."""

import os
import stat
import threading

import pytest
import sqlalchemy as sa

from cxbridge.core.errors import ConfigError
from cxbridge.core.store import SealedTokens, Store, keyfile, schema
from cxbridge.core.store.sealing import is_sealed, seal, unseal

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


class TestTokens:
    def test_they_come_back_and_are_replaced(self, store):
        tokens = SealedTokens(store, KEY)
        assert tokens.read("desk") is None
        tokens.write("desk", b"first-token")
        tokens.write("chat", b"chat-token")
        tokens.write("desk", b"second-token")
        assert tokens.read("desk") == b"second-token"
        assert tokens.read("chat") == b"chat-token"

    def test_they_are_durable_on_return(self, store, store_url, clock):
        SealedTokens(store, KEY).write("desk", b"wrong-token")
        other = Store.open(store_url, clock=clock)
        assert SealedTokens(other, KEY).read("desk") == b"wrong-token"
        other.close()

    def test_the_row_hides_the_token(self, store, clock):
        SealedTokens(store, KEY).write("desk", b"wrong-token")
        with store.read() as tx:
            row = tx.connection.execute(sa.select(schema.tokens)).one()
        assert row.at == clock.now()
        assert b"wrong-token" not in row.sealed
        assert KEY not in row.sealed

    def test_the_file_holds_no_token(self, sqlite_store):
        SealedTokens(sqlite_store, KEY).write("desk", b"wrong-token")
        for path in sqlite_store.path.parent.iterdir():
            assert b"wrong-token" not in path.read_bytes()

    def test_another_key_is_refused_in_words(self, store):
        SealedTokens(store, KEY).write("desk", b"wrong-token")
        with pytest.raises(ConfigError, match="the token of desk was sealed with the key"):
            SealedTokens(store, OTHER_KEY).read("desk")

    def test_a_token_cannot_stand_in_for_another_connections(self, store):
        tokens = SealedTokens(store, KEY)
        tokens.write("desk", b"wrong-token")
        with store.write() as tx:
            tx.connection.execute(sa.update(schema.tokens).values(connection="chat"))
        with pytest.raises(ConfigError, match="the token of chat was altered"):
            tokens.read("chat")


def test_sealing_never_gives_the_same_twice():
    assert seal(KEY, "x", b"secret") != seal(KEY, "x", b"secret")
    assert unseal(KEY, "x", seal(KEY, "x", b"")) == b""


@pytest.mark.parametrize("place", [0, 4, 8, 20, -1])
def test_every_byte_of_a_sealed_value_counts(place):
    sealed = bytearray(seal(KEY, "x", b"secret" * 10))
    sealed[place] ^= 1
    assert not is_sealed(bytes(sealed)) or place != 0
    if place != 0:
        with pytest.raises(ConfigError):
            unseal(KEY, "x", bytes(sealed))


class TestKeyFile:
    def test_it_is_made_once_for_its_owner_alone(self, tmp_path):
        path = tmp_path / "key"
        key = keyfile.load_or_create(path)
        assert len(key) == 32
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert keyfile.load_or_create(path) == key
        assert [entry.name for entry in tmp_path.iterdir()] == ["key"]
        assert keyfile.load_or_create(tmp_path / "other") != key

    def test_a_wide_umask_does_not_open_it(self, tmp_path):
        before = os.umask(0)
        try:
            keyfile.load_or_create(tmp_path / "key")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o666])
    def test_it_is_refused_when_others_have_a_way_in(self, tmp_path, mode):
        path = tmp_path / "key"
        keyfile.load_or_create(path)
        path.chmod(mode)
        with pytest.raises(ConfigError, match="is open to others than its owner: run `chmod 600"):
            keyfile.load_or_create(path)

    @pytest.mark.parametrize("content", ["", "short", "zz" * 32, "00" * 31, "00" * 33, "ä" * 64])
    def test_it_is_refused_when_it_holds_no_key(self, tmp_path, content):
        path = tmp_path / "key"
        path.touch(0o600)
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ConfigError, match="holds no key of 32 bytes") as caught:
            keyfile.load_or_create(path)
        assert not content or content not in str(caught.value)
        assert path.read_text(encoding="utf-8") == content

    def test_a_missing_directory_is_named(self, tmp_path):
        with pytest.raises(ConfigError, match="cannot be made"):
            keyfile.load_or_create(tmp_path / "nowhere" / "key")

    def test_a_directory_is_no_key(self, tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            keyfile.load_or_create(tmp_path)

    def test_two_that_make_it_at_once_have_one_key(self, tmp_path):
        keys = []
        barrier = threading.Barrier(8)

        def make():
            barrier.wait()
            keys.append(keyfile.load_or_create(tmp_path / "key"))

        threads = [threading.Thread(target=make) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(keys) == 8
        assert len(set(keys)) == 1
