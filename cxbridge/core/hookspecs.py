"""The hooks a plugin may implement: typed and few. Each says when it fires, in which transaction, and what an exception does."""

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from cxbridge.core.canonical import Sentiment
    from cxbridge.core.connector import Connector

hookspec = pluggy.HookspecMarker("cxbridge")


@hookspec
def cxbridge_connectors() -> "list[type[Connector]]":  # type: ignore[empty-body]  # a hook spec has no body
    """Name the connectors this plugin brings.

    Fires once when the configuration is read, before any connection is opened and outside any transaction. An exception
    switches the plugin off: its connections report the cause, the others run.
    """


@hookspec(firstresult=True)
def cxbridge_sentiment(text: str, language: str | None, asked: str | None) -> "Sentiment | None":
    """Judge a text that a customer wrote; None when this plugin cannot, then the next one is asked.

    `language` is ISO 639-1, or None when nobody knows it. `asked` is the question that the text answers, where there was one:
    "Nothing." is praise after "What could we do better?" and a complaint after "What was good?". The answer names its model and
    that model's version; where a language cannot be read, its label is `unknown` and it has no score.

    Fires when a recipe asks for `sentiment(…)`, once for a text while it is remembered, and possibly inside the transaction that
    decides about a page of changes: an implementation is quick, keeps nothing, and uses neither store nor network. An exception
    is logged, and the text counts as unknown; nothing else stops.
    """


@hookspec(firstresult=True)
def cxbridge_language(text: str) -> str | None:
    """Tell the language of a text in ISO 639-1; None when this plugin cannot, then the next one is asked.

    Fires, and fails, like `cxbridge_sentiment`, when a recipe asks for `language(…)`.
    """
