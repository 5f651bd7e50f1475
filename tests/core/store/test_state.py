"""Held connections, small values, the instance key, recipes' past texts."""

from datetime import timedelta

import pytest

from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.store import Store, state
from cxbridge.core.store.state import Pause

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


def test_the_first_reason_of_a_pause_stays(store, noon):
    with store.write() as tx:
        assert state.pause(tx, "desk", "credential refused", "run `cxbridge login desk`", noon)
        assert not state.pause(tx, "desk", "another", "", noon + timedelta(hours=1))
        assert state.pauses(tx) == {
            "desk": Pause(connection="desk", reason="credential refused", hint="run `cxbridge login desk`", at=noon)
        }
        assert state.resume(tx, "desk")
        assert not state.resume(tx, "desk")
        assert state.pauses(tx) == {}


def test_small_values(store):
    with store.write() as tx:
        assert state.meta_get(tx, "colour") is None
        state.meta_set(tx, "colour", b"\x00green")
        state.meta_set(tx, "colour", b"\xffblue")
        assert state.meta_get(tx, "colour") == b"\xffblue"
        state.meta_set(tx, "colour", None)
        assert state.meta_get(tx, "colour") is None


def test_a_recipes_text_is_kept_once_per_version(store, noon):
    with store.write() as tx:
        assert state.keep_recipe(tx, "v1", "hand-over", "title = 'Ä'\n", noon)
        assert not state.keep_recipe(tx, "v1", "hand-over", "another", noon)
        assert state.recipe_source(tx, "v1") == "title = 'Ä'\n"
        assert state.recipe_source(tx, "v2") is None


class TestInstanceKey:
    @pytest.fixture
    def key_with(self, store_url, clock):
        """Open the store with a key, ask for the instance key, close it again."""

        def key_with(key, *, writing=True):
            store = Store.open(store_url, clock=clock, key=key)
            try:
                with store.write() if writing else store.read() as tx:
                    return state.instance_key(tx), state.meta_get(tx, "the instance key")
            finally:
                store.close()

        return key_with

    def test_it_is_made_once(self, key_with):
        made, kept = key_with(None)
        assert len(made) == 32
        assert kept == made
        assert key_with(None, writing=False) == (made, made)

    def test_a_reader_cannot_make_it(self, key_with):
        with pytest.raises(StoreError, match="has no instance key yet"):
            key_with(None, writing=False)

    def test_it_is_sealed_where_there_is_a_key(self, key_with):
        made, kept = key_with(KEY)
        assert made not in kept
        assert key_with(KEY, writing=False) == (made, kept)

    def test_it_is_sealed_once_there_is_a_key(self, key_with):
        made, _ = key_with(None)
        assert key_with(KEY, writing=False) == (made, made)
        again, kept = key_with(KEY)
        assert again == made
        assert made not in kept

    def test_another_key_or_none_is_refused(self, key_with):
        key_with(KEY)
        with pytest.raises(ConfigError, match="is sealed: name the key file"):
            key_with(None)
        with pytest.raises(ConfigError, match="was sealed with the key"):
            key_with(OTHER_KEY)

    def test_another_key_or_none_is_refused_before_it_is_opened(self, key_with, store_url, clock):
        key_with(KEY)
        for key, told in ((None, "is sealed: name the key file"), (OTHER_KEY, "was sealed with the key")):
            store = Store.open(store_url, clock=clock, key=key)
            with store.read() as tx, pytest.raises(ConfigError, match=told):
                state.has_instance_key(tx)
            store.close()
