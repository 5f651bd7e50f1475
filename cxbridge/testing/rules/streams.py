"""Rules about what streams declare, and about the pages and entities they give."""

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, get_args

import msgspec

from cxbridge.core.canonical import KIND_OF
from cxbridge.core.connector import AnyEntity, Entity, Page, Rows, Stream
from cxbridge.core.ledger import decode_entity, digest_of, encode_entity
from cxbridge.testing.findings import Finding, Ruled, each, rule
from cxbridge.testing.lab import Lab

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_KINDS = get_args(AnyEntity)
# So many pages are looked at row by row.
_LOOKED_AT = 5


class StreamRules(Ruled):
    """What can be read, and in which shape it comes."""

    @rule
    def test_streams_say_what_they_are(self, lab: Lab) -> Iterator[Finding]:
        """Each stream has a name of its own, canonical kinds, an order, and pages or the stream that brings its entities."""
        streams = lab.connect().streams()
        names = [stream.name for stream in streams]
        for stream in streams:
            if not _NAME.fullmatch(stream.name):
                yield Finding(stream.name, "is no name for a stream", "lower case letters, digits and _")
            if names.count(stream.name) > 1:
                yield Finding(stream.name, "is the name of two streams", "one name, one stream")
            if not stream.kinds or any(kind not in _KINDS for kind in stream.kinds):
                yield Finding(
                    stream.name, "lists something that is no canonical kind", "kinds=(cx.Ticket,) and the like"
                )
            if stream.order not in ("changed", "scan"):
                yield Finding(stream.name, f"has the order {stream.order!r}", '"changed" or "scan"')
            if stream.every < 0:
                yield Finding(
                    stream.name,
                    f"is to be read every {stream.every} seconds",
                    "give a time, or 0 for as often as the daemon polls",
                )
            if stream.pages is None and stream.filled_by is None:
                yield Finding(stream.name, "has neither pages nor filled_by", "name the stream whose pages carry it")
            if stream.filled_by is not None and stream.filled_by not in names:
                yield Finding(
                    stream.name, f"is filled by {stream.filled_by}, which is no stream", "name one of its own"
                )

    @rule
    def test_every_stream_shows_something(self, lab: Lab) -> Iterator[Finding]:
        """The lab's vendor has something for every stream, of every kind, and all of its records can be read."""
        shown: defaultdict[str, set[type[Entity]]] = defaultdict(set)
        for name, entity in lab.everything():
            shown[name].add(type(entity))
        for stream in lab.connect().streams():
            missing = [kind.__name__ for kind in stream.kinds if kind not in shown[stream.name]]
            if missing:
                remedy = "put one into the lab's vendor, or mend the stream: the other rules judge by what they see"
                yield Finding(stream.name, f"showed no {' and no '.join(missing)}", remedy)
        for stream in lab.streams():
            for reason in dict.fromkeys(lab.whole(stream.name).refused):
                yield Finding(
                    stream.name, f"refused a record of the healthy vendor: {reason}", "read it, or mend the lab"
                )

    @rule
    def test_pages_hold_what_their_stream_declares(self, lab: Lab) -> Iterator[Finding]:
        """Entities are of the stream's kinds, `beside` names declared streams, `raw` goes with `entities` one by one."""
        kinds = {stream.name: stream.kinds for stream in lab.connect().streams()}

        def inspect(stream: Stream) -> Iterator[Finding]:
            for page in lab.whole(stream.name).pages:
                yield from _shape(stream, page, kinds)

        yield from each(lab.streams(), inspect)

    @rule
    def test_rows_say_all_that_they_are_mapped_by(self, lab: Lab) -> Iterator[Finding]:
        """A row is mapped to the same each time, under one mapping in each reading, and its key at a glance is its entity's."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            if stream.pages is None:
                return
            mappings: dict[str, bytes] = {}
            for _ in range(2):
                with lab.client() as client:
                    for page in islice(stream.pages(client, None), _LOOKED_AT):
                        for name, rows in page.rows.items():
                            yield from _judged(name, rows)
                            if mappings.setdefault(name, rows.mapping) != rows.mapping:
                                remedy = "make it of code, settings and names that were looked up, and of nothing else"
                                yield Finding(
                                    name, "has another mapping each time: no row would be known again", remedy
                                )

        yield from each(lab.streams(), inspect)

    @rule
    def test_gaps_are_fields_that_stay_empty(self, lab: Lab) -> Iterator[Finding]:
        """A gap is a canonical field of the stream's kinds that this platform never fills."""
        filled: defaultdict[str, set[str]] = defaultdict(set)
        for name, entity in lab.everything():
            filled[name] |= _filled(entity)
        for stream in lab.connect().streams():
            fields = {name for kind in stream.kinds for name in kind.__struct_fields__}
            for gap in stream.gaps:
                if gap not in fields:
                    yield Finding(
                        stream.name, f"the gap {gap} is no field of its kinds", "spell it as the canonical field"
                    )
                elif gap in filled[stream.name]:
                    remedy = "take it out of gaps: a recipe that reads it would be refused for nothing"
                    yield Finding(stream.name, f"the gap {gap} is filled", remedy)

    @rule
    def test_entities_survive_the_store(self, lab: Lab) -> Iterator[Finding]:
        """What is stored comes back byte for byte: every value has the type that its field says."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            for name, entity in lab.whole(stream.name).placed:
                try:
                    back = decode_entity(KIND_OF[type(entity)], encode_entity(entity))
                except msgspec.ValidationError as error:
                    remedy = "give each field a value of its canonical type; text for ids, one of the words for a word"
                    yield Finding(name, f"an entity cannot be read back: {error}", remedy)
                    return
                if encode_entity(back) != encode_entity(entity):
                    field, held, kept = next(_changed(entity, back))
                    remedy = "give it a value of its canonical type: 7.0 for a float, plain JSON in custom"
                    yield Finding(name, f"{field} is stored as {held} and comes back as {kept}", remedy)
                    return

        yield from each(lab.streams(), inspect)

    @rule
    def test_keys_name_one_entity(self, lab: Lab) -> Iterator[Finding]:
        """`source_id` is text that names one entity of its stream, and no other."""
        seen: dict[tuple[str, str], bytes] = {}
        told: set[str] = set()
        for name, entity in lab.everything():
            key: Any = entity.source_id
            if not isinstance(key, str) or not key or key != key.strip() or not key.isprintable():
                if name not in told:
                    yield Finding(name, f"the key {key!r} is no key", "the platform's own immutable id, as text")
                told.add(name)
                continue
            digest = digest_of(entity)
            if seen.setdefault((name, key), digest) != digest and name not in told:
                remedy = "take an id that is unique in the stream; what came twice must be the same both times"
                yield Finding(name, f"the key {key} names two entities of different content", remedy)
                told.add(name)

    @rule
    def test_times_are_utc(self, lab: Lab) -> Iterator[Finding]:
        """Every time names its zone, and the zone is UTC."""
        told: set[tuple[str, str]] = set()
        for name, entity in lab.everything():
            for field in entity.__struct_fields__:
                value = getattr(entity, field)
                if isinstance(value, datetime) and value.utcoffset() != timedelta(0) and (name, field) not in told:
                    told.add((name, field))
                    wrong = "names no zone" if value.tzinfo is None else "is not in UTC"
                    yield Finding(
                        name, f"{field} {wrong}", "read the vendor's time with its zone, then .astimezone(UTC)"
                    )

    @rule
    def test_refs_lead_to_declared_streams(self, lab: Lab) -> Iterator[Finding]:
        """Refs are local (`stream/key`), of streams that are read, and at least one of each kind leads to an entity."""
        declared = {stream.name for stream in lab.connect().streams()}
        there: set[str] = set()
        refs: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
        told: set[tuple[str, str]] = set()
        for name, entity in lab.everything():
            there.add(f"{name}/{entity.source_id}")
            for field in entity.refs:
                held = getattr(entity, field)
                for ref in held if isinstance(held, list) else [] if held is None else [held]:
                    stream, _, key = str(ref).partition("/")
                    if stream in declared and key:
                        refs[name, field, stream].append(ref)
                    elif (field, stream) not in told:
                        told.add((field, stream))
                        remedy = (
                            "write refs as stream/key of a stream that streams() lists, or leave the field to a gap"
                        )
                        yield Finding(f"{name}.{field}", f"the ref {ref} leads to no declared stream", remedy)
        for (name, field, stream), found in refs.items():
            if not there.intersection(found):
                remedy = f"the key in a ref is the source_id that {stream} gives that entity"
                yield Finding(f"{name}.{field}", f"no ref leads to an entity, such as {found[0]}", remedy)


def _shape(stream: Stream, page: Any, kinds: dict[str, tuple[type[Entity], ...]]) -> Iterator[Finding]:
    if not isinstance(page, Page):
        yield Finding(stream.name, f"yielded {type(page).__name__}", "yield cx.Page(entities, cursor=…)")
        return
    for entity in page.entities:
        if type(entity) not in stream.kinds:
            yield Finding(stream.name, f"yielded {type(entity).__name__}", "list it in kinds, or put it beside")
    for name, entities in page.beside.items():
        if name not in kinds:
            yield Finding(
                stream.name, f"put entities beside for {name}, which is no stream", "declare it, filled_by this"
            )
        elif any(type(entity) not in kinds[name] for entity in entities):
            yield Finding(stream.name, f"put a wrong kind beside for {name}", "give each stream the kinds it declares")
    if page.raw and len(page.raw) != len(page.entities):
        told = f"gave {len(page.raw)} raw payloads for {len(page.entities)} entities"
        yield Finding(stream.name, told, "one each, in the same order, or none at all")
    if any(not isinstance(raw, bytes) for raw in page.raw):
        yield Finding(stream.name, "gave raw payloads that are no bytes", "give the vendor's own bytes")
    deleted: list[Any] = list(page.deleted)
    if any(not isinstance(key, str) or not key for key in deleted):
        yield Finding(stream.name, "gave deleted keys that are no keys", "give the source_id of what was deleted")


def _judged(name: str, rows: Rows) -> Iterator[Finding]:
    for row in rows.raw:
        made, again = rows.make(row), rows.make(row)
        if made != again:
            yield Finding(
                name, "maps a row to something else each time", "map it by nothing but the row, mapping and also"
            )
        told = rows.key(row)
        if not isinstance(made, str) and told not in (None, made.source_id):
            remedy = "tell the source_id that make gives it, or None"
            yield Finding(name, f"tells the key {told} of a row that is {made.source_id}", remedy)


def _changed(entity: AnyEntity, back: AnyEntity) -> Iterator[tuple[str, str, str]]:
    for name in entity.__struct_fields__:
        held, kept = (msgspec.json.encode(getattr(one, name)).decode() for one in (entity, back))
        if held != kept:
            yield name, held, kept


def _filled(entity: AnyEntity) -> set[str]:
    defaults = {field.name: field.default for field in msgspec.structs.fields(entity)}
    empty: tuple[Any, ...] = (None, "", [], {})
    return {
        name for name, default in defaults.items() if (value := getattr(entity, name)) != default and value not in empty
    }
