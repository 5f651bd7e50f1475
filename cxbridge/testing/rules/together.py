"""Rules about what asks for several at once: it comes to the same as one by one, and asks the vendor less often."""

from collections.abc import Iterator, Sequence

from cxbridge.core.connector import AnyEntity, Client, ReadOne, Stream
from cxbridge.core.ledger import digest_of
from cxbridge.testing.findings import Finding, Ruled, each, rule
from cxbridge.testing.lab import Lab, Tried
from cxbridge.testing.rules.writes import trials_of

# So many entities are read both ways.
_READ = 5


class TogetherRules(Ruled):
    """What connectors may offer so that a storm costs fewer requests: `Stream.several` and `Action.planted`."""

    @rule
    def test_several_are_read_as_one_by_one(self, lab: Lab) -> Iterator[Finding]:
        """`several` shows each entity as `one` does, with what is around it, and asks the vendor less often."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            if stream.several is None:
                return
            if stream.one is None:
                yield Finding(stream.name, "reads several and has no one", "give both: a webhook mostly names one")
                return
            keys = _keys(lab, stream)
            if len(keys) < 2:
                yield Finding(stream.name, "cannot be judged: it shows one entity", "put two into the lab's vendor")
                return
            with lab.client() as client:
                begun = len(lab.line.sent)
                alone = [_shown(stream.one, client, key) for key in keys]
                between = len(lab.line.sent)
                read = stream.several(client, keys)
                together = [_shown(read, client, key) for key in keys]
                ended = len(lab.line.sent)
            for key, one, other in zip(keys, alone, together, strict=True):
                if one != other:
                    remedy = "map what several brings by the same code as what one brings"
                    yield Finding(stream.name, f"shows {key} differently together than by itself", remedy)
                    return
            if ended - between >= between - begun:
                told = f"{ended - between} requests for {len(keys)} together, {between - begun} one by one"
                yield Finding(stream.name, f"saves nothing: {told}", "ask once for all keys, or leave several out")

        yield from each(lab.streams(), inspect)

    @rule
    def test_what_stands_beside_is_not_the_entity(self, lab: Lab) -> Iterator[Finding]:
        """`beside` shows what belongs to other streams, to all that `beside_streams` names, and none of what `one` shows."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            if stream.beside is None:
                return
            if stream.one is None:
                yield Finding(stream.name, "reads what stands beside an entity and has no one", "give both, or none")
                return
            keys = _keys(lab, stream)
            with lab.client() as client:
                for key in keys:
                    one, other = stream.one(client, key), stream.beside(client, key)
                    if other is None or one is None:
                        continue
                    if other.entities or other.deleted or stream.name in other.beside:
                        remedy = "read it by one, and beside it what can be asked for without it"
                        yield Finding(stream.name, f"shows {key} itself beside it", remedy)
                        return
                    if stream.beside_streams and (more := sorted(set(other.beside) - set(stream.beside_streams))):
                        remedy = "name in beside_streams all that beside shows, or it is not asked for where somebody listens"
                        yield Finding(stream.name, f"shows {', '.join(more)} beside {key} untold", remedy)
                        return
                    if twice := sorted(set(one.beside) & set(other.beside)):
                        remedy = "show each stream's entities by one or by beside: they are stored as one page"
                        yield Finding(stream.name, f"shows {', '.join(twice)} twice with {key}", remedy)
                        return

        yield from each(lab.streams(), inspect)

    @rule
    def test_planted_names_what_was_written(self, lab: Lab) -> Iterator[Finding]:
        """`planted` only reads and names the markers that something carries; what it leaves out is written without a look."""

        def inspect(tried: Tried) -> Iterator[Finding]:
            if tried.action.planted is None:
                return
            looked, fresh, never = (lab.call(tried) for _ in range(3))
            markers = [one.marker for one in (looked, fresh, never)]
            if lab.planted(tried.action, markers):
                remedy = "name those alone that something carries: each is looked for once more"
                yield Finding(tried.name, "has planted name a marker that nothing carries", remedy)
                return
            begun = len(lab.line.sent)
            lab.perform(tried.action, looked)
            between, done = len(lab.line.sent), lab.done()
            lab.perform(tried.action, fresh, fresh=True)
            ended = len(lab.line.sent)
            if lab.done() == done:
                yield Finding(tried.name, "did nothing for a marker that was fresh", "write where call.fresh is set")
            if ended - between >= between - begun:
                remedy = "leave out what looks for call.marker where call.fresh is set, or leave planted out"
                yield Finding(tried.name, "looks for its marker although it is fresh", remedy)
            lab.clock.advance(getattr(tried.action.effect, "settle", 0.0))
            if set(lab.planted(tried.action, markers)) != {looked.marker, fresh.marker}:
                remedy = "look where perform plants call.marker, as find does; a marker that is missed is written twice"
                yield Finding(tried.name, "has planted not name just those that were written", remedy)

        yield from each(trials_of(lab), inspect)


def _keys(lab: Lab, stream: Stream) -> list[str]:
    return list(dict.fromkeys(entity.source_id for entity in lab.whole(stream.name).own))[:_READ]


def _shown(read: ReadOne, client: Client, key: str) -> object:
    page = read(client, key)
    return (
        None if page is None else (_placed("", page.entities), [_placed(*one) for one in sorted(page.beside.items())])
    )


def _placed(stream: str, entities: Sequence[AnyEntity]) -> tuple[str, list[bytes]]:
    return stream, sorted(digest_of(one) for one in entities)
