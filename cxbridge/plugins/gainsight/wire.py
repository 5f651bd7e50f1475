"""Gainsight's JSON as types, and requests to read it: both shapes of `data`, no data told as an error; no meaning.

support.gainsight.com › API and Developer Docs: Company, Custom Object, Data Management and Call To Action (CTA) API.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import errors

T = TypeVar("T")

# No cap of an API is a number that this does not divide.
_ROUND: Final = 100

QUERY: Final = "/v1/data/objects/query"
DESCRIBE: Final = "/v1/meta/services/objects/describe"
COMPANY: Final = "/v1/data/objects/Company"
CTA: Final = "/v2/cockpit/cta/"
CTA_LIST: Final = "/v2/cockpit/cta/list"
PICKLISTS: Final = "/v2/cockpit/admin/picklist/lite"
PEOPLE: Final = "/v1/peoplemgmt/v1.0/people"
ACTIVITY: Final = "/v1/ant/es/activity"
TOKEN: Final = "/v1/users/m2m/oauth/token"  # noqa: S105 - a path

_READS: Final = re.compile(rf"{QUERY}/[A-Za-z0-9_]+|{DESCRIBE}|{CTA_LIST}")


def reads(method: str, path: str) -> bool:
    """Name the requests that only read although they are sent by POST."""
    return method == "POST" and _READS.fullmatch(path) is not None


class Option(msgspec.Struct, frozen=True):
    """One option of a picklist; `value` is its GSID, which rows hold."""

    label: str = ""
    value: str = ""
    active: bool = True


class FieldMeta(msgspec.Struct, frozen=True):
    updateable: bool = True
    createable: bool = True


class Field(msgspec.Struct, frozen=True, rename="camel"):
    """One field as describe tells it."""

    field_name: str
    data_type: str = ""
    options: list[Option] | None = None
    meta: FieldMeta = msgspec.field(default_factory=FieldMeta)


class Object(msgspec.Struct, frozen=True, rename="camel"):
    object_name: str = ""
    fields: list[Field] = []


class Choice(msgspec.Struct, frozen=True):
    """One option of the cockpit's vocabulary."""

    name: str
    gsid: str | None = None
    active: bool = True


class Outcomes(msgspec.Struct, frozen=True):
    """What became of each record of a cockpit write, by its referenceId; some may have failed although the answer says success."""

    success: list[dict[str, Any]] = []
    failure: list[dict[str, Any]] = []


class _Records(msgspec.Struct, frozen=True):
    records: list[msgspec.Raw] | None


def data(reply: cx.Reply) -> msgspec.Raw:
    """Give what an answer brings.

    Raises:
        VendorError: the answer says that it failed, whatever its status.
        WireFormat: it is none of the vendor's answers.
    """
    told = reply.decode(errors.Envelope)
    if told.result is not True:
        if told.result is None and told.error_code is None:
            raise _unknown(reply, "the answer lacks the vendor's envelope")
        raise errors.failure(reply, told)
    return told.data


def decoded(reply: cx.Reply, shape: type[T]) -> T:
    """Give what an answer brings as that type."""
    try:
        return msgspec.json.decode(data(reply), type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _unknown(reply, "the data of the answer are of an unknown form") from None


def rows(reply: cx.Reply) -> list[msgspec.Raw]:
    """Give the rows of an answer, which are `data` itself or `data.records`."""
    content = data(reply)
    if bytes(content).lstrip()[:1] == b"[":
        return decoded(reply, list[msgspec.Raw])
    if bytes(content) == b"null":
        return []
    return decoded(reply, _Records).records or []


def query(
    client: cx.Client,
    name: str,
    select: Sequence[str],
    where: Sequence[tuple[str, str, Sequence[Any]]] = (),
    *,
    order: str | None = None,
    limit: int,
    offset: int = 0,
) -> list[msgspec.Raw]:
    """Ask the data API for rows; `where` holds field, operator and values, all of which must be met.

    Raises:
        NoObject: the tenant has no such object.
    """
    asked: dict[str, Any] = {"select": list(dict.fromkeys(select)), "limit": limit, "offset": offset}
    if where:
        asked["where"] = _where(where, "name")
    if order is not None:
        asked["orderBy"] = {order: "asc"}
    try:
        return rows(client.post(f"{QUERY}/{name}", asked))
    except errors.NoRows:
        return []


def is_full(count: int, asked: int) -> bool:
    """Tell whether there may be more rows behind those that came.

    A page that is not full ends a list, and nothing else does. A tenant that quietly gives fewer than were asked for gives a round
    number: such a page is taken for a full one, which costs one request more where it was not.
    """
    return count >= asked or (count >= _ROUND and count % _ROUND == 0)


def list_ctas(
    client: cx.Client,
    select: Sequence[str],
    where: Sequence[tuple[str, str, Sequence[Any]]],
    size: int,
    number: int = 1,
) -> list[msgspec.Raw]:
    """Ask the cockpit for calls to action, page `number` counted from 1; they come in no order."""
    asked = {
        "select": list(dict.fromkeys(select)),
        "where": _where(where, "fieldName"),
        "linkedObject": True,
        "pageSize": size,
        "pageNumber": number,
    }
    try:
        return rows(client.post(CTA_LIST, asked))
    except errors.NoRows:
        return []


def vocabulary(client: cx.Client) -> dict[str, list[Choice]]:
    """Read the labels of types, reasons, statuses and priorities."""
    asked = {"category": "CTA_STATUS,CTA_PRIORITY,CTA_TYPE,CTA_REASON", "et": "COMPANY"}
    return decoded(client.get(PICKLISTS, asked), dict[str, list[Choice]])


def describe(client: cx.Client, names: Sequence[str]) -> list[Object]:
    """Read which fields objects have, with the options of picklists.

    Raises:
        NoObject: the tenant lacks one of them.
    """
    asked = {
        "objectNames": list(names),
        "populatePickListOptions": True,
        "removeDeleted": True,
        "removeHidden": False,
        "includeChilds": False,
    }
    return decoded(client.post(DESCRIBE, asked), list[Object])


def _where(conditions: Sequence[tuple[str, str, Sequence[Any]]], named: str) -> Mapping[str, Any]:
    aliases = [chr(ord("A") + number) for number in range(len(conditions))]
    told = [
        {named: field, "alias": alias, "operator": operator, "value": list(values)}
        for alias, (field, operator, values) in zip(aliases, conditions, strict=True)
    ]
    return {"conditions": told, "expression": " AND ".join(aliases)}


def _unknown(reply: cx.Reply, what: str) -> cx.WireFormat:
    return cx.WireFormat(
        what, connection=reply.connection, operation=f"{reply.method} {reply.path}", status=reply.status
    )
