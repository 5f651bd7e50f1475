"""Reads results out of their envelope and follows `nextPage`, verbatim, to its end; it maps nothing.

The next page may be on another data center's host: only hosts of Qualtrics get the credential, and a link that leads elsewhere
ends the walk with an error instead of a silent half.
"""

from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import errors, wire

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

_PREFIX: Final = "/API/v3"


def result(reply: cx.Reply, shape: type[T]) -> T:
    """Give the result of an answer as that type.

    Raises:
        VendorError: when the answer tells an error inside, or has another form.
    """
    envelope = opened(reply)
    try:
        return msgspec.json.decode(envelope.result, type=shape)
    except msgspec.MsgspecError:
        raise cx.WireFormat(
            "the result is not of the form that this answer has", operation=f"{reply.method} {reply.path}"
        ) from None


def opened(reply: cx.Reply) -> wire.Envelope:
    """Open the envelope of an answer and look whether an error lies inside."""
    envelope = reply.decode(wire.Envelope)
    if (error := errors.inside(reply, envelope.meta)) is not None:
        raise error
    return envelope


def pages(client: cx.Client, path: str, params: dict[str, Any] | None = None) -> Iterator[list[msgspec.Raw]]:
    """Walk a list from its first page; an empty page is not its end."""
    seen = cx.Unrepeating()
    here, asked = path, params
    while True:
        page = result(client.get(here, asked), wire.Listing)
        yield page.elements
        if page.next_page is None:
            return
        seen(page.next_page)
        # The link holds its own parameters, encoded already.
        here, asked = following(here, page.next_page), None


def following(here: str, link: str) -> str:
    """Make a link something to ask for: a whole address as it is, a query alone or a path beside where we are."""
    if "://" in link.partition("?")[0]:
        return link
    if link.startswith("?"):
        return here.partition("?")[0] + link
    if link.startswith(f"{_PREFIX}/"):
        return link.removeprefix(_PREFIX)
    raise cx.WireFormat("the link to the next page is neither an address nor a query")


def read(what: str, shape: type[S], raws: list[msgspec.Raw], refused: list[str]) -> Iterator[tuple[S, msgspec.Raw]]:
    """Read records one by one; one that does not fit is refused, with the place where it does not."""
    for raw in raws:
        try:
            yield msgspec.json.decode(raw, type=shape), raw
        except msgspec.ValidationError as error:
            # The decoder's sentences can quote a value; the place never does.
            place = str(error).rpartition(" - at `")[2].rstrip("`") if " - at `" in str(error) else "its top"
            refused.append(f"a {what} is not of the expected form at {place}")
        except msgspec.DecodeError:
            refused.append(f"a {what} is not JSON")
