"""Zendesk's actions: each reads the ticket as it is, decides, and ends with at most one call that changes something.

Writing safely: developer.zendesk.com/api-reference/ticketing/tickets/tickets (`safe_update`, `updated_stamp`,
idempotency keys) and .../ticketing/ticket-management/tags. Nothing is repeated here but an update that lost a race and
therefore did nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from cxbridge.core import connector as cx
from cxbridge.plugins.zendesk import changes, envelopes, mapping, walks, wire
from cxbridge.plugins.zendesk.changes import Change, Prose
from cxbridge.plugins.zendesk.errors import CLOSED, ClosedTicket, KeyReused
from cxbridge.plugins.zendesk.mapping import Shape
from cxbridge.plugins.zendesk.values import clean_tags, merged_tags

# How long Zendesk remembers an idempotency key, in seconds.
KEY_WINDOW = 7200.0
# Lists by ticket and by external id are read from the database, not from the search index that lags behind.
SETTLE = 5.0
# How often an update is decided anew when somebody else was quicker.
TRIES = 3

TICKETS = "/api/v2/tickets.json"
I = TypeVar("I", bound=cx.Inputs)  # noqa: E741 - stands for "inputs"


@dataclass(frozen=True, slots=True)
class Writing:
    """What the settings say about writing: the account's words, where a link is shown, how prose is written."""

    shape: Shape
    link_field: int | None = None
    safe: bool = True
    prose: Prose = "plain"

    def actions(self) -> list[cx.Action]:
        """List the actions."""
        keyed = cx.Keyed(KEY_WINDOW, SETTLE)
        # With a note, a repetition would say it twice, so that the marker must be looked up; without one it would do
        # nothing, and `find_set` looks at the fields instead. One class covers both.
        findable = cx.Findable(SETTLE)
        again = cx.Idempotent()
        return [
            cx.Action("ticket.ensure", "tickets", self.ensure, keyed, self.find_ensured, prose=self.prose),
            cx.Action("ticket.set", "tickets", self.set, findable, self.find_set, prose=self.prose),
            cx.Action("ticket.transition", "tickets", self.transition, again),
            cx.Action("comment.add_once", "tickets", self.comment, findable, self.find_comment, prose=self.prose),
            cx.Action("tags.set", "tickets", self.tags, again),
            cx.Action("link.ensure", "tickets", self.link, again),
        ]

    def ensure(self, client: cx.Client, call: cx.Call) -> cx.Receipt:
        """Adopt the ticket that is meant, or that an earlier call made, else make one, once."""
        inputs = _inputs(call, cx.EnsureTicket)
        found = self.find_ensured(client, call)
        if found is not None:
            return replace(found, changed=False, made=())
        group = None if inputs.project is None else _group(client, inputs.project)
        ticket = changes.creation(inputs, call.marker, self.shape, self.prose, group)
        try:
            reply = client.post(TICKETS, {"ticket": ticket}, headers={"Idempotency-Key": call.marker})
        except KeyReused as error:
            # The key is known and its ticket is not to be found: it was deleted, or its external id was changed.
            raise cx.Rejected(
                f"{error.detail}, and the ticket made then is not there any more: look for it before asking again"
            ) from error
        answer = reply.decode(envelopes.TicketAnswer)
        told = "severity was left out: no custom field has that alias" if _unplaced(inputs, self.shape) else ""
        return self._receipt(answer.ticket, _CREATED, answer.audit, made=True, told=told)

    def find_ensured(self, client: cx.Client, call: cx.Call) -> cx.Receipt | None:
        """Look for the ticket that is meant, or that carries the marker as external id; of several, the first made."""
        inputs = _inputs(call, cx.EnsureTicket)
        if inputs.match is not None:
            return self._receipt(_read(client, inputs.match.removeprefix("#")), ())
        found = client.get(TICKETS, {"external_id": call.marker}).decode(envelopes.TicketList).tickets
        # The vendor's comparison may be looser than ours.
        mine = [row for row in found if row.external_id == call.marker]
        if not mine:
            return None
        first = min(mine, key=lambda row: row.id)
        return self._receipt(first, _CREATED, made=True)

    def set(self, client: cx.Client, call: cx.Call) -> cx.Receipt:
        """Give the named fields their values, and say the note, in one update; none when nothing would change."""
        return self._set(client, call, _inputs(call, cx.SetTicket))

    def find_set(self, client: cx.Client, call: cx.Call) -> cx.Receipt | None:
        """Look for the note by its marker, or, without a note, whether all fields are as wanted."""
        inputs = _inputs(call, cx.SetTicket)
        now = _read(client, _target(call))
        change = changes.wanted(inputs, now, self.shape, self.prose)
        if inputs.note is None:
            return None if change.body else self._receipt(now, change.touched)
        note = _marked(client, call)
        return None if note is None else self._receipt(now, change.touched, note=note.id)

    def transition(self, client: cx.Client, call: cx.Call) -> cx.Receipt:
        """Bring the status into a category; a resolution goes into the custom field with that alias, if any."""
        inputs = _inputs(call, cx.Transition)
        has_field = "resolution" in self.shape.fields
        custom = {"resolution": inputs.resolution} if inputs.resolution is not None and has_field else {}
        receipt = self._set(client, call, cx.SetTicket(status_category=inputs.to, custom=custom))
        if inputs.resolution is not None and not has_field:
            return replace(receipt, told="the resolution was left out: no custom field has that alias")
        return receipt

    def comment(self, client: cx.Client, call: cx.Call) -> cx.Receipt:
        """Say something on a ticket, once; whether the customer sees it is always sent along."""
        inputs = _inputs(call, cx.AddComment)
        public = changes.is_public(inputs.visibility)
        found = self.find_comment(client, call)
        if found is not None:
            return replace(found, changed=False)
        ticket = {
            "comment": changes.comment(inputs.body, self.prose, public=public),
            "metadata": changes.marked(call.marker),
        }
        answer = client.put(_path(_target(call)), {"ticket": ticket}).decode(envelopes.TicketAnswer)
        return self._receipt(answer.ticket, (), answer.audit)

    def find_comment(self, client: cx.Client, call: cx.Call) -> cx.Receipt | None:
        """Look for the comment by its marker, newest first."""
        found = _marked(client, call)
        if found is None:
            return None
        key = _target(call)
        return cx.Receipt("tickets", key, source_key=key, url=self._url(key), made=(f"comments/{found.id}",))

    def tags(self, client: cx.Client, call: cx.Call) -> cx.Receipt:
        """Add and remove single tags through the ticket's tag list.

        Both at once set the whole list, guarded by the ticket's stamp, so that it stays one call.
        """
        inputs = _inputs(call, cx.SetTags)
        key = _target(call)

        def attempt(now: wire.Ticket) -> cx.Receipt:
            before = now.tags or []
            after = merged_tags(before, inputs.add, inputs.remove)
            added = [tag for tag in after if tag not in before]
            gone = [tag for tag in before if tag not in after]
            if not added and not gone:
                return self._receipt(now, ("tags",), changed=False)
            _open(now)
            path = f"/api/v2/tickets/{key}/tags.json"
            if not gone:
                reply = client.put(path, {"tags": added})
            elif not added:
                reply = client.delete(path, {"tags": gone})
            else:
                reply = client.post(path, changes.safely({"tags": after}, now, safe=self.safe, flag="true"))
            tags = reply.decode(envelopes.TagsAnswer).tags
            return cx.Receipt("tickets", key, source_key=key, url=self._url(key), wrote={"tags": sorted(tags)})

        return _settled(client, key, attempt)

    def link(self, client: cx.Client, call: cx.Call) -> cx.Receipt:
        """Show on a ticket what it belongs with: as external id if free, else in the link field, else as a tag."""
        inputs = _inputs(call, cx.EnsureLink)
        key = _target(call)
        external_id = f"cxb:{inputs.system}:{inputs.key}"
        [tag] = clean_tags([f"cxb_{inputs.system}_{inputs.key}"])

        def attempt(now: wire.Ticket) -> cx.Receipt:
            held = {one.id: one.value for one in now.custom_fields or ()}.get(self.link_field or 0)
            shown = [part.strip() for part in str(held or "").split(",") if part.strip()]
            if now.external_id == external_id:
                return self._receipt(now, ("external_id",), changed=False, told=_SHOWN_AS_ID)
            if inputs.key in shown:
                return self._receipt(now, ("custom",), changed=False, told=_SHOWN_IN_FIELD)
            if tag in (now.tags or ()):
                return self._receipt(now, ("tags",), changed=False, told=_SHOWN_AS_TAG)
            _open(now)
            if not now.external_id:
                return self._put(client, now, Change({"external_id": external_id}, ("external_id",)), told=_SHOWN_AS_ID)
            if self.link_field is not None:
                text = ", ".join([*shown, inputs.key])
                fields = {"custom_fields": [{"id": self.link_field, "value": text}]}
                return self._put(client, now, Change(fields, ("custom",)), told=_SHOWN_IN_FIELD)
            tags = client.put(f"/api/v2/tickets/{key}/tags.json", {"tags": [tag]}).decode(envelopes.TagsAnswer).tags
            return cx.Receipt(
                "tickets",
                key,
                source_key=key,
                url=self._url(key),
                wrote={"tags": sorted(tags)},
                told=_SHOWN_AS_TAG,
            )

        return _settled(client, key, attempt)

    def _set(self, client: cx.Client, call: cx.Call, inputs: cx.SetTicket) -> cx.Receipt:
        said: dict[str, Any] = {}
        if inputs.note is not None:
            public = changes.is_public(inputs.note_visibility)
            said = {
                "comment": changes.comment(inputs.note, self.prose, public=public),
                "metadata": changes.marked(call.marker),
            }

        def attempt(now: wire.Ticket) -> cx.Receipt:
            change = changes.wanted(inputs, now, self.shape, self.prose)
            if not change.body and not said:
                return self._receipt(now, change.touched, changed=False)
            _open(now)
            return self._put(client, now, Change({**change.body, **said}, change.touched))

        return _settled(client, _target(call), attempt)

    def _put(self, client: cx.Client, now: wire.Ticket, change: Change, *, told: str = "") -> cx.Receipt:
        labels: dict[int, str] | None = None
        if "status" in change.body and now.custom_status_id is not None:
            # Read before the write, which comes last; the next pull will show the label, not the word.
            labels = walks.status_labels(client)
        body = {"ticket": changes.safely(change.body, now, safe=self.safe)}
        answer = client.put(_path(str(now.id)), body).decode(envelopes.TicketAnswer)
        return self._receipt(answer.ticket, change.touched, answer.audit, told=told, labels=labels)

    def _receipt(
        self,
        row: wire.Ticket,
        touched: Iterable[str],
        audit: wire.Audit | None = None,
        *,
        note: int | None = None,
        made: bool = False,
        changed: bool = True,
        told: str = "",
        labels: dict[int, str] | None = None,
    ) -> cx.Receipt:
        """Tell what a ticket shows now, in the form the next pull will give it."""
        shown = mapping.TicketMapping(replace(self.shape, labels=labels or {}))(row)
        wrote = {name: getattr(shown, name) for name in touched}
        if row.custom_status_id is not None and labels is None:
            # Without the account's labels the word is not what a pull would show.
            wrote.pop("status_native", None)
        notes = [note] if note is not None else _said(audit)
        return cx.Receipt(
            "tickets",
            shown.source_id,
            source_key=shown.source_key,
            url=shown.url,
            version=shown.version,
            wrote=wrote,
            made=(*([f"tickets/{row.id}"] if made else []), *(f"comments/{id_}" for id_ in notes)),
            changed=changed,
            told=told,
        )

    def _url(self, key: str) -> str:
        return f"{self.shape.site}/agent/tickets/{key}"


_CREATED = ("subject", "body_text", "external_id", *changes.PRIORITY_FIELDS, *changes.TYPE_FIELDS, "tags", "custom")
_SHOWN_AS_ID = "shown as the external id"
_SHOWN_IN_FIELD = "shown in the link field"
_SHOWN_AS_TAG = "shown as a tag"


def _inputs(call: cx.Call, kind: type[I]) -> I:
    if not isinstance(call.inputs, kind):
        raise cx.PluginError("zendesk", f"the action takes {kind.__name__}, not {type(call.inputs).__name__}")
    return call.inputs


def _target(call: cx.Call) -> str:
    if call.target is None:
        raise cx.Rejected("the action needs a ticket to act on")
    return call.target


def _path(key: str) -> str:
    if not (key.isascii() and key.isdigit()):
        raise cx.Rejected("a Zendesk ticket is named by its number")
    return f"/api/v2/tickets/{key}.json"


def _read(client: cx.Client, key: str) -> wire.Ticket:
    row = client.get(_path(key)).decode(envelopes.TicketAnswer).ticket
    if row.status == "deleted":
        raise cx.NotFound("the ticket was deleted")
    return row


def _open(row: wire.Ticket) -> None:
    if row.status == "closed":
        raise ClosedTicket(CLOSED)


def _settled(client: cx.Client, key: str, attempt: Callable[[wire.Ticket], cx.Receipt]) -> cx.Receipt:
    for left in reversed(range(TRIES)):
        try:
            return attempt(_read(client, key))
        except cx.Conflict:
            # The update was refused whole, so that deciding anew on what is there now repeats nothing.
            if not left:
                raise
    raise AssertionError("the last try neither answered nor failed")


def _marked(client: cx.Client, call: cx.Call) -> wire.Comment | None:
    for raws in walks.comments_of(client, _target(call), newest_first=True):
        for row, _ in wire.read("comment", wire.Comment, raws, []):
            if mapping.marker_in(row.metadata) == call.marker:
                return row
    return None


def _said(audit: wire.Audit | None) -> list[int]:
    """List the comments that an update brought into being, as its audit tells them."""
    found: list[int] = []
    for raw in () if audit is None else audit.events:
        for kind, one in wire.read("event", wire.ChildKind, [raw], []):
            if kind.type == "Comment":
                found += [row.id for row, _ in wire.read("comment", wire.Comment, [one], [])]
    return found


def _unplaced(inputs: cx.EnsureTicket, shape: Shape) -> bool:
    return inputs.severity is not None and "severity" not in shape.fields


def _group(client: cx.Client, name: str) -> int:
    """Find the team that a project names, by id or by name."""
    if name.isascii() and name.isdigit():
        return int(name)
    for body, _ in walks.by_list(client, "/api/v2/groups.json", envelopes.GroupList, None, {}):
        for row, _ in wire.read("group", wire.Group, body.groups, []):
            if row.name.casefold() == name.casefold():
                return row.id
    raise cx.Rejected(f"no group is called {name}: in Zendesk, project names the group that gets the ticket")
