"""The tutorial's connector and its vendor, and ways to spoil one thing about them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import msgspec

from cxbridge.core import connector as cx
from cxbridge.testing import Lab, Trial

Make = Callable[["Right"], Lab]
Walk = Callable[[cx.Client, cx.Json], Iterator[cx.Page]]

WRONG: list[tuple[str, Make]] = []


class Right:
    """The tutorial's connector and its vendor, to be spoilt."""

    def __init__(self, pulse: ModuleType, tests: ModuleType) -> None:
        self.pulse = pulse
        self.Pulse: Any = pulse.Pulse
        self.fake: Any = tests.FakePulseWithReplies()
        self.thanks = Trial("comment.add_once", cx.AddComment(visibility="internal", body="Called back."), "s-1")

    def lab(self, connector: type[cx.Connector] | None = None, **changed: Any) -> Lab:
        given: dict[str, Any] = {
            "settings": {"url": "https://pulse.test", "token": "right-token"},
            "vendor": self.fake,
            "change": self.fake.change,
            "trials": [self.thanks],
            "page_size": {"?limit": 2},
            **changed,
        }
        return Lab(connector=connector or self.Pulse, **given)

    def with_streams(self, *spoilt: Callable[[cx.Stream], cx.Stream], **changed: Any) -> Lab:
        """Spoil every stream."""

        class Wrong(self.Pulse):  # type: ignore[misc, name-defined]  # made from the tutorial's text
            def streams(self) -> list[cx.Stream]:
                found = list(super().streams())
                for spoil in spoilt:
                    found = [spoil(stream) for stream in found]
                return found

        return self.lab(Wrong, **changed)

    def with_pages(self, spoil: Callable[[Walk], Walk]) -> Lab:
        """Spoil how every stream is read."""
        return self.with_streams(lambda stream: replace(stream, pages=spoil(stream.pages)) if stream.pages else stream)

    def with_entities(self, spoil: Callable[[Any], Any]) -> Lab:
        """Spoil every entity."""

        def spoilt(walk: Walk) -> Walk:
            def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
                for page in walk(client, cursor):
                    yield replace(page, entities=[spoil(entity) for entity in page.entities])

            return pages

        return self.with_pages(spoilt)

    def with_action(self, **changed: Any) -> Lab:
        """Spoil the action."""

        class Wrong(self.Pulse):  # type: ignore[misc, name-defined]  # as above
            def actions(self) -> list[cx.Action]:
                [action] = super().actions()
                return [replace(action, **changed)]

        return self.lab(Wrong)

    def with_check(self, check: Callable[[Any, cx.Client], cx.Identity]) -> Lab:
        class Wrong(self.Pulse):  # type: ignore[misc, name-defined]  # as above
            def check(self, client: cx.Client) -> cx.Identity:
                return check(super(), client)

        return self.lab(Wrong)


def breaks(rule: str) -> Callable[[Make], Make]:
    """Note a wrong connector under the rule that must catch it."""

    def note(make: Make) -> Make:
        WRONG.append((rule, make))
        return make

    return note


def changed(entity: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(entity, **fields)
