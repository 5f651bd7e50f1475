"""`identity`: which records of several connections are the same company or person, and what a person says about it."""

from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from cxbridge.cli import opening
from cxbridge.cli.errors import CommandError, UsageError
from cxbridge.cli.history import resolve
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Entity, Json
from cxbridge.cli.render import Output, clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cxbridge.core.engine.bridge import Bridge
    from cxbridge.core.engine.identity_decisions import Decisions
    from cxbridge.core.ledger import Ref
    from cxbridge.core.store import Tx
    from cxbridge.core.store.identity import Match

app = typer.Typer(no_args_is_help=True, help="Who is the same company or person in several connections.")

_Kind = Annotated[str, typer.Option("--kind", metavar="KIND", help="Only `account` or only `contact`.")]
_Limit = Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")]
_One = Annotated[str, typer.Argument(metavar="ONE", help="A record: connection/stream/key, or what people call it.")]
_Other = Annotated[str, typer.Argument(metavar="OTHER", help="The record in the other connection.")]
_By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides; without it, who is logged in here.")]


@app.command("list")
def list_(
    *,
    state: Annotated[
        str, typer.Option(metavar="STATE", help="suggested, confirmed, rejected, split, or all.")
    ] = "suggested",
    kind: _Kind = "",
    limit: _Limit = 50,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """List pairs of records: those that are suggested, and wait for a person, or those in another state; the likeliest first."""
    from cxbridge.core.store import identity
    from cxbridge.core.store.identity import MatchState

    if state != "all" and state not in get_args(MatchState):
        raise UsageError(
            f"there is no such state: {state!r}", f"the states are {', '.join(get_args(MatchState))}, and all"
        )
    _check_kind(kind)
    wanted: Any = None if state == "all" else state
    output = Output(json)
    with opening.bridge(config, database, read_only=True, writing=False) as bridge, bridge.store.read() as tx:
        found = identity.find(tx, state=wanted, kind=kind or None, limit=limit)
        names = _names(tx, (ref for one in found for ref in one.pair))
        counted = identity.count(tx)
    if json:
        output.data([_match_data(one, names) for one in found])
        return
    output.table(
        ["score", "kind", "state", "one", "other", "why", "by"],
        [
            [
                f"{one.score:.2f}",
                one.kind,
                one.state,
                _called(one.left, names),
                _called(one.right, names),
                _grounds(one),
                one.decided_by,
            ]
            for one in found
        ],
    )
    totals = [f"{number} {its}" for (_, its), number in sorted(_by_state(counted, kind).items())]
    output.say(", ".join(totals) or "nothing is matched yet: pull first, with: cxbridge pull")
    if any(one.state == "suggested" for one in found):
        output.say("decide with: cxbridge identity confirm ONE OTHER, or: cxbridge identity reject ONE OTHER")


@app.command("show")
def show(entity: Entity, *, config: ConfigFile = DEFAULT_CONFIG, database: Database = None, json: Json = False) -> None:
    """Show who a record is: its counterparts, the keys it is found by, and what was said of it by rules and people."""
    from cxbridge.core.store import identity

    output = Output(json)
    with opening.bridge(config, database, read_only=True, writing=False) as bridge:
        ref = resolve(bridge, entity)
        with bridge.store.read() as tx:
            cluster = sorted(identity.clusters(tx, (ref,))[ref])
            matches = identity.of(tx, (ref,))
            kind, keys = identity.keys_of(tx, (ref,)).get(ref, ("", frozenset()))
            names = _names(tx, (*cluster, *(other for one in matches for other in one.pair)))
            runs = [run.id for run, whom in _waiting(tx) if whom in cluster]
    if not kind and not matches:
        raise CommandError(
            f"{ref} is no account or contact that is matched",
            "the daemon matches what it pulled, and so does: cxbridge pull",
        )
    if json:
        output.data(
            {
                "ref": str(ref),
                "name": names.get(ref, ""),
                "kind": kind,
                "cluster": [{"ref": str(one), "name": names.get(one, "")} for one in cluster],
                "keys": sorted(keys),
                "matches": [_match_data(one, names) for one in matches],
                "waiting_runs": runs,
            }
        )
        return
    output.line(f"{ref}  {clean(names.get(ref, ''))}")
    for other in cluster:
        if other != ref:
            output.line(f"  is also  {_called(other, names)}")
    if len(cluster) == 1:
        output.line("  is not known in any other connection yet")
    output.line(f"  keys     {clean('  '.join(sorted(keys)))}")
    if runs:
        output.line(
            f"  waiting  {len(runs)} runs wait until it is known where they write: cxbridge runs list --state held"
        )
    output.table(
        ["state", "other", "score", "why", "by", "at"],
        [
            [one.state, _called(one.other(ref), names), f"{one.score:.2f}", _grounds(one), one.decided_by, one.at]
            for one in matches
        ],
    )


@app.command("confirm")
def confirm(
    one: _One,
    other: _Other,
    *,
    by: _By = "",
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Say that two records are the same. Runs that waited for it go on with the daemon's next look."""
    _decide("confirm", one, other, by, config, database, json=json)


@app.command("reject")
def reject(
    one: _One,
    other: _Other,
    *,
    by: _By = "",
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Say that two records are not the same: nobody is asked again, and no rule joins them."""
    _decide("reject", one, other, by, config, database, json=json)


@app.command("split")
def split(
    one: _One,
    other: Annotated[
        str, typer.Argument(metavar="[OTHER]", help="Without it, ONE leaves everybody it was matched with.")
    ] = "",
    *,
    by: _By = "",
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Undo a match, or all of a record's; it stays undone, whatever keys they share, until a person confirms it anew."""
    if other:
        _decide("split", one, other, by, config, database, json=json)
        return
    output = Output(json)
    with opening.bridge(config, database, read_only=True) as bridge:
        decisions = _decisions(bridge)
        ref = resolve(bridge, one)
        made = decisions.split_off(ref, by or opening.who())
        _tell(output, bridge, made, [ref])


@app.command("unmatched")
def unmatched(
    connection: Annotated[str, typer.Argument(metavar="[CONNECTION]", help="One connection; all without.")] = "",
    *,
    kind: _Kind = "",
    limit: _Limit = 50,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Count and list who is known in one connection alone, with the likeliest counterpart and the runs that wait for one."""
    from cxbridge.core.store import identity

    _check_kind(kind)
    output = Output(json)
    kinds = [kind] if kind else list(identity.KINDS)
    counts: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    with opening.bridge(config, database, read_only=True, writing=False) as bridge, bridge.store.read() as tx:
        if connection:
            bridge.connection(connection)
        waiting: dict[Ref, int] = {}
        for _, whom in _waiting(tx):
            waiting[whom] = waiting.get(whom, 0) + 1
        for its in kinds:
            known = identity.known(tx, its, connection or None)
            matched = identity.matched(tx, its)
            # One that is known elsewhere may still be unknown where something is to be written.
            alone = [ref for ref in known if ref not in matched or ref in waiting]
            counts += _count(its, known, matched, waiting)
            # Those for whom something waits come first.
            alone.sort(key=lambda ref: (-waiting.get(ref, 0), ref))
            rows += _unmatched_rows(tx, its, alone[:limit], waiting)
        # Somebody may be named of whom there is no record at all.
        rows += _unknown_rows(tx, waiting, {row["ref"] for row in rows}, connection)
    if json:
        output.data({"counts": counts, "unmatched": rows})
        return
    output.table(
        ["connection", "kind", "records", "matched", "unmatched", "runs waiting"],
        [
            [row["connection"], row["kind"], row["records"], row["matched"], row["unmatched"], row["waiting"]]
            for row in counts
        ],
    )
    output.line()
    output.table(
        ["record", "name", "kind", "runs waiting", "likeliest", "score"],
        [[row["ref"], row["name"], row["kind"], row["waiting"], row["likeliest"], row["score"]] for row in rows],
    )


# -- deciding ----------------------------------------------------------------------------------------------------------


def _decide(what: str, one: str, other: str, by: str, config: Any, database: str | None, *, json: bool) -> None:
    output = Output(json)
    with opening.bridge(config, database, read_only=True) as bridge:
        decisions = _decisions(bridge)
        refs = [resolve(bridge, one), resolve(bridge, other)]
        made = getattr(decisions, what)(refs[0], refs[1], by or opening.who())
        _tell(output, bridge, [made], refs)


def _decisions(bridge: "Bridge") -> "Decisions":
    from cxbridge.core.engine.identity_decisions import Decisions

    # What was pulled since is matched first, so that a decision is about things as they are.
    bridge.identifier.run()
    return Decisions(bridge.identifier)


def _tell(output: Output, bridge: "Bridge", made: "Iterable[Match]", refs: "list[Ref]") -> None:
    from cxbridge.core.store import identity

    with bridge.store.read() as tx:
        clusters = identity.clusters(tx, refs)
        matches = [*made]
        names = _names(tx, (ref for one in matches for ref in one.pair))
    if output.json:
        output.data([_match_data(one, names) for one in matches])
        return
    for one in matches:
        output.line(f"{one.state}: {_called(one.left, names)} and {_called(one.right, names)}")
    for ref in refs:
        places = [one.connection for one in clusters[ref]]
        for place in sorted({one for one in places if places.count(one) > 1}):
            output.say(f"note: {ref} is several in {place} now; what is written there must name one of them")


# -- showing -----------------------------------------------------------------------------------------------------------


def _check_kind(kind: str) -> None:
    from cxbridge.core.store import identity

    if kind and kind not in identity.KINDS:
        raise UsageError(f"there is no such kind: {kind!r}", f"the kinds are {' and '.join(identity.KINDS)}")


def _names(tx: "Tx", refs: "Iterable[Ref]") -> "dict[Ref, str]":
    from cxbridge.core.store import records

    return {ref: str(getattr(record.entity(), "name", "")) for ref, record in records.get_many(tx, {*refs}).items()}


def _called(ref: "Ref", names: "dict[Ref, str]") -> str:
    return clean(f"{ref} ({names[ref]})" if names.get(ref) else str(ref))


def _grounds(match: "Match") -> str:
    """Say in a few words what speaks for a match, and what against."""
    return clean("; ".join(one.get("told") or one["key"] for one in match.evidence))


def _match_data(match: "Match", names: "dict[Ref, str]") -> dict[str, Any]:
    return {
        "kind": match.kind,
        "state": match.state,
        "left": str(match.left),
        "left_name": names.get(match.left, ""),
        "right": str(match.right),
        "right_name": names.get(match.right, ""),
        "score": match.score,
        "evidence": match.evidence,
        "decided_by": match.decided_by,
        "at": match.at,
    }


def _by_state(counted: "dict[tuple[str, Any], int]", kind: str) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for (its, state), number in counted.items():
        if not kind or its == kind:
            found["", state] = found.get(("", state), 0) + number
    return found


def _waiting(tx: "Tx") -> "list[tuple[Any, Ref]]":
    from cxbridge.core.engine.rematching import waiting, waits_for

    return [(run, whom[0]) for run in waiting(tx) if (whom := waits_for(run)) is not None]


def _count(kind: str, known: "list[Ref]", matched: "set[Ref]", waiting: "dict[Ref, int]") -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for ref in known:
        row = found.setdefault(
            ref.connection,
            {"connection": ref.connection, "kind": kind, "records": 0, "matched": 0, "unmatched": 0, "waiting": 0},
        )
        row["records"] += 1
        row["matched" if ref in matched else "unmatched"] += 1
        row["waiting"] += waiting.get(ref, 0)
    return [found[name] for name in sorted(found)]


def _unmatched_rows(tx: "Tx", kind: str, alone: "list[Ref]", waiting: "dict[Ref, int]") -> list[dict[str, Any]]:
    from cxbridge.core.store import identity

    best: dict[Ref, Match] = {}
    for match in identity.of(tx, alone):
        for ref in match.pair:
            if match.state == "suggested" and (ref not in best or match.score > best[ref].score):
                best[ref] = match
    names = _names(tx, [*alone, *(ref for match in best.values() for ref in match.pair)])
    return [
        {
            "ref": str(ref),
            "name": names.get(ref, ""),
            "kind": kind,
            "waiting": waiting.get(ref, 0),
            "likeliest": _called(best[ref].other(ref), names) if ref in best else None,
            "score": best[ref].score if ref in best else None,
        }
        for ref in alone
    ]


def _unknown_rows(tx: "Tx", waiting: "dict[Ref, int]", shown: set[str], connection: str) -> list[dict[str, Any]]:
    from cxbridge.core.store import records

    stored = records.get_many(tx, waiting)
    return [
        {"ref": str(ref), "name": "", "kind": "", "waiting": number, "likeliest": None, "score": None}
        for ref, number in sorted(waiting.items())
        if str(ref) not in shown and ref not in stored and (not connection or ref.connection == connection)
    ]
