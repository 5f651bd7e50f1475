"""How the work stands, by the store alone: what is paused, late, in doubt, dead, held or switched off."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from cxbridge.core.config import Configuration
from cxbridge.core.connector import Stream
from cxbridge.core.engine.checkup.findings import Finding, count, ok, problem, warning
from cxbridge.core.engine.connections import Connection
from cxbridge.core.ledger import Checkpoint
from cxbridge.core.recipes.load import Loaded
from cxbridge.core.store import Store, Tx, checkpoints, condition, inbox, leases, outbox, runs, state

# A stream is late when the vendor last had nothing more this long ago, or ten times as long as it should be.
_LATE = timedelta(hours=1)
_TIMES = 10
# Records that were refused longer ago are an old story.
_LATELY = timedelta(days=7)


def standing(
    configuration: Configuration, connections: Mapping[str, Connection], store: Store, recipes: Loaded, now: datetime
) -> Iterator[Finding]:
    """Look at all of it."""
    with store.read() as tx:
        found = [
            *_daemon(tx, store),
            *_kept_back(tx, now),
            *_streams(tx, configuration, connections, now),
            *_refused(tx, now),
            *_deliveries(tx),
            *_runs(tx),
            *_webhooks(tx, configuration, connections),
        ]
    yield from found
    for error in recipes.errors:
        first = str(error).partition("\n")[0]
        yield problem("recipe", f"{error.path} is off: {first}", "mend the file, then: cxbridge recipes check", 78)
    if not recipes.errors:
        yield ok("recipes", f"{count(len(recipes.recipes), 'recipe')} can run")


def _daemon(tx: Tx, store: Store) -> Iterator[Finding]:
    if store.path is not None:
        process = condition.at_work(store.path)
        told = [] if process is None else [f"process {process}"]
    else:
        told = sorted({one.worker for one in leases.living(tx)})
    if told:
        yield ok("daemon", f"at work: {', '.join(told)}")
    else:
        yield warning("daemon", "none is at work on this store", "start it: cxbridge run")


def _kept_back(tx: Tx, now: datetime) -> Iterator[Finding]:
    for name, pause in sorted(state.pauses(tx).items()):
        code = 78 if ":" in name else 77
        yield problem(name, f"paused since {pause.at:%Y-%m-%d %H:%M} UTC: {pause.reason}", pause.hint, code)
    for broken in condition.breakers(tx):
        until = f" until {broken.retry_at:%H:%M:%S} UTC" if broken.retry_at else ""
        yield warning(
            broken.connection,
            f"left alone{until}, for its vendor failed so often: {broken.reason}",
            "look at the vendor's status page; it is tried again by itself",
        )
    for held in condition.holds(tx, now):
        of = f" ({held.bucket})" if held.bucket else ""
        yield warning(
            held.connection,
            f"nothing is sent before {held.until:%Y-%m-%d %H:%M:%S} UTC{of}, as its vendor asked",
            "nothing to do; if it comes often, pull less often: poll under [daemon]",
        )


def _streams(
    tx: Tx, configuration: Configuration, connections: Mapping[str, Connection], now: datetime
) -> Iterator[Finding]:
    kept = {(one.connection, one.stream): one for one in checkpoints.find(tx)}
    sound = 0
    for name, connection in connections.items():
        for stream in connection.streams.values():
            if stream.pages is None:
                continue
            told = _lateness(kept.get((name, stream.name)), stream, configuration.settings.daemon.poll, now)
            if told:
                yield warning(f"{name}/{stream.name}", told, f"see what it says: cxbridge pull {name}/{stream.name}")
            else:
                sound += 1
    if sound:
        yield ok("streams", f"{count(sound, 'stream')} caught up")
    lost = sorted(f"{one}/{stream}" for one, stream in kept if stream not in _named(connections, one))
    if lost:
        yield warning(
            "streams",
            f"stored, and read by no connection any more: {', '.join(lost)}",
            "nothing to do if that was meant; else mend the connection's name under [connections]",
        )


def _named(connections: Mapping[str, Connection], name: str) -> set[str]:
    connection = connections.get(name)
    return set(connection.streams) if connection else set()


def _lateness(checkpoint: Checkpoint | None, stream: Stream, poll: timedelta, now: datetime) -> str:
    if checkpoint is None:
        return "was never read"
    if checkpoint.caught_up is None:
        read = count(checkpoint.pages, "page")
        return f"is being read for the first time: {read}, the last at {checkpoint.at:%Y-%m-%d %H:%M} UTC"
    allowed = max(_LATE, _TIMES * max(poll, timedelta(seconds=stream.every)))
    if now - checkpoint.caught_up > allowed:
        return f"last caught up at {checkpoint.caught_up:%Y-%m-%d %H:%M} UTC"
    return ""


def _refused(tx: Tx, now: datetime) -> Iterator[Finding]:
    for name, what, number, at in condition.refusals(tx, now - _LATELY):
        yield warning(
            name,
            f"{count(number, 'record')} could not be read, the last at {at:%Y-%m-%d %H:%M} UTC: {what}",
            "the vendor's form may have changed: look at its settings for new fields or values, and for a newer cxbridge",
        )


_STATES = {
    "dead": ("were rejected or failed too often", "see why: cxbridge dead list"),
    "unknown": (
        "were sent and never answered",
        "they are looked up by themselves; those that cannot be: cxbridge dead list",
    ),
    "held": ("wait for a person, since nobody can tell whether they arrived", "decide: cxbridge dead list"),
}


def _deliveries(tx: Tx) -> Iterator[Finding]:
    counted: Counter[str] = Counter()
    for (_, kind), number in outbox.unsettled_counts(tx).items():
        counted[kind] += number
    for name, (told, remedy) in _STATES.items():
        if counted[name]:
            yield warning("deliveries", f"{counted[name]} {told}", remedy)
    if not any(counted[name] for name in _STATES):
        yield ok("deliveries", "none is dead, in doubt or held")


def _runs(tx: Tx) -> Iterator[Finding]:
    for recipe, number in sorted(runs.held(tx).items()):
        yield warning(
            recipe,
            f"{count(number, 'run')} held, waiting for a person",
            f"see why: cxbridge runs list --recipe {recipe} --state held",
        )


def _webhooks(tx: Tx, configuration: Configuration, connections: Mapping[str, Connection]) -> Iterator[Finding]:
    if not configuration.settings.webhooks.listen:
        yield ok("webhooks", "nothing listens, streams are read in turn")
        return
    heard = inbox.heard(tx)
    for name, connection in connections.items():
        if connection.webhook is None:
            continue
        if connection.webhook.signed and getattr(connection.connector, connection.webhook.secret, None) is None:
            yield warning(
                name,
                f"its webhooks are refused, for {connection.webhook.secret} is not set",
                f"set it, as said by: cxbridge connections webhooks {name}",
            )
        elif name not in heard:
            yield warning(
                name,
                "no webhook ever came, or long ago",
                f"set it up at the vendor: cxbridge connections webhooks {name}",
            )
        else:
            yield ok(name, f"the last webhook came at {heard[name].last_at:%Y-%m-%d %H:%M} UTC")
