"""The XM Directory over HTTP: directories, contacts, mailing lists, searches."""

from datetime import timedelta
from typing import Any

from cxbridge.sandbox.qualtrics import render
from cxbridge.sandbox.qualtrics.records import Contact, MailingList
from cxbridge.sandbox.qualtrics.state import BrandState
from cxbridge.sandbox.qualtrics.wire import Call, RefusedError, Reply, page

Json = Any

_FIELDS = {
    "firstName": "first_name",
    "lastName": "last_name",
    "email": "email",
    "phone": "phone",
    "extRef": "ext_ref",
    "language": "language",
}
_MOST = 1000


def directories(state: BrandState, call: Call) -> Reply:
    row = {
        "directoryId": state.directory_id,
        "name": None,
        "contactCount": len(state.contacts),
        "isDefault": True,
        "deduplicationCriteria": {
            "email": True,
            "firstName": False,
            "lastName": False,
            "externalDataReference": False,
            "phone": False,
        },
    }
    return page(call, [row], size=_size(call, 100))


def contacts(state: BrandState, call: Call) -> Reply:
    _directory(state, call)
    rows = [render.contact(one) for one in state.contacts.values()]
    return _listed(state, call, rows, _size(call, _MOST))


def contact(state: BrandState, call: Call) -> Reply:
    return Reply(render.contact(_contact(state, call), whole=True))


def search(state: BrandState, call: Call) -> Reply:
    """What is asked for by the one filter that is simulated: an e-mail address that equals the given one."""
    _directory(state, call)
    wanted = call.object().get("filter")
    if not isinstance(wanted, dict) or wanted.get("filterType") != "email" or wanted.get("comparison") != "eq":
        raise RefusedError(400, "The filter is not valid.", "DIR_1")
    email = str(wanted.get("value", "")).casefold()
    shown = call.now - timedelta(seconds=state.options.search_lag)
    rows = [
        render.contact(one) for one in state.contacts.values() if one.email.casefold() == email and one.made <= shown
    ]
    return _listed(state, call, rows, _size(call, _MOST))


def create(state: BrandState, call: Call) -> Reply:
    """Make a contact, also where the address is known: removing doubles is somebody else's business, later."""
    _directory(state, call)
    made = state.add_contact(_new(state, call.object()), "api")
    return Reply({"id": made.id})


def update(state: BrandState, call: Call) -> Reply:
    found = _contact(state, call)
    body = call.object()
    changed: dict[str, Json] = {ours: str(body[name] or "") for name, ours in _FIELDS.items() if name in body}
    if "unsubscribed" in body:
        changed["unsubscribed"] = bool(body["unsubscribed"])
    if "embeddedData" in body:
        changed["embedded"] = _embedded(body)
    state.change_contact(found, changed, "api")
    return Reply()


def mailing_lists(state: BrandState, call: Call) -> Reply:
    _directory(state, call)
    rows = [render.mailing_list(one, _count(state, one.id)) for one in state.lists.values()]
    return _listed(state, call, rows, _size(call, 100))


def mailing_list(state: BrandState, call: Call) -> Reply:
    found = _list(state, call)
    return Reply(render.mailing_list(found, _count(state, found.id)))


def create_list(state: BrandState, call: Call) -> Reply:
    _directory(state, call)
    body = call.object()
    name = body.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= 100:
        raise RefusedError(400, "A mailing list needs a name of up to 100 letters.", "PACC_1")
    made = MailingList(state.new_id("CG"), name, str(body.get("ownerId") or state.user_id), call.now)
    state.lists[made.id] = made
    state.journal("mailing_list.created", made.id, "api", name=name)
    return Reply({"id": made.id})


def list_contacts(state: BrandState, call: Call) -> Reply:
    group = _list(state, call)
    rows = [render.list_contact(one, group.id) for one in state.contacts.values() if group.id in one.lists]
    return _listed(state, call, rows, _size(call, _MOST))


def create_in_list(state: BrandState, call: Call) -> Reply:
    group = _list(state, call)
    fresh = _new(state, call.object())
    fresh.lists.add(group.id)
    made = state.add_contact(fresh, "api")
    return Reply({"id": made.id, "contactLookupId": f"CGC_{made.id[4:]}"})


def _listed(state: BrandState, call: Call, rows: list[Json], size: int) -> Reply:
    return page(call, rows, size=size, empty=state.options.empty_pages, host=state.options.proxied)


def _size(call: Call, most: int) -> int:
    given = call.query.get("pageSize", "50")
    if not given.isdigit() or not 0 < int(given) <= most:
        raise RefusedError(400, "The page size is not valid.", "BRE_0.5")
    return int(given)


def _directory(state: BrandState, call: Call) -> None:
    if call.params["directory"] != state.directory_id:
        raise RefusedError(404, "Directory not found.", "DIR_2")


def _contact(state: BrandState, call: Call) -> Contact:
    _directory(state, call)
    found = state.contacts.get(call.params["contact"])
    if found is None:
        raise RefusedError(404, "Contact not found.", "DIR_3")
    return found


def _list(state: BrandState, call: Call) -> MailingList:
    _directory(state, call)
    found = state.lists.get(call.params["list"])
    if found is None:
        raise RefusedError(404, "Mailing list not found.", "PACC_6")
    return found


def _count(state: BrandState, group: str) -> int:
    return sum(group in one.lists for one in state.contacts.values())


def _new(state: BrandState, body: dict[str, Json]) -> Contact:
    given: dict[str, Any] = {ours: str(body.get(name) or "") for name, ours in _FIELDS.items()}
    now = state.now()
    return Contact(
        id=state.new_id("CID"),
        made=now,
        changed=now,
        unsubscribed=bool(body.get("unsubscribed", False)),
        embedded=_embedded(body),
        **given,
    )


def _embedded(body: dict[str, Json]) -> dict[str, str]:
    given = body.get("embeddedData") or {}
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise RefusedError(400, "embeddedData must be an object of strings.", "DIR_4")
    return dict(given)
