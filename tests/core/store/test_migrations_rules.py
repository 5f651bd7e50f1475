"""What a revision says of itself is true: one that expands leaves the program before it able to work; others refuse it in time."""

from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.store import Store, leases, migrate, outbox, records, runs, schema, state
from cxbridge.core.store.sole import by_file
from cxbridge.core.store.working import lock_of

NEWER = f"{int(schema.REVISION) + 1:04}"


@pytest.fixture
def engine(empty_url: str) -> Iterator[sa.Engine]:
    made = sa.create_engine(empty_url.replace("postgresql:", "postgresql+psycopg:"))
    yield made
    made.dispose()


def modules() -> list[ModuleType]:
    return list(migrate.revisions())


def shape(connection: Connection) -> dict[str, Any]:
    """What the rows of each table must look like, comparable."""
    seen = sa.inspect(connection)
    return {
        table: {
            "columns": {one["name"]: one for one in seen.get_columns(table)},
            "key": seen.get_pk_constraint(table)["constrained_columns"],
            "unique": sorted(tuple(one["column_names"]) for one in seen.get_unique_constraints(table))
            + sorted(tuple(one["column_names"]) for one in seen.get_indexes(table) if one["unique"]),
            "foreign": sorted(tuple(one["constrained_columns"]) for one in seen.get_foreign_keys(table)),
            "checks": len(seen.get_check_constraints(table)),
        }
        for table in seen.get_table_names()
        if table != "alembic_version"
    }


def contractions(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Name everything by which the program before could no longer work on the tables."""
    found = [f"{table} is gone" for table in before if table not in after]
    for table, was in before.items():
        now = after.get(table)
        if now is None:
            continue
        for name, column in was["columns"].items():
            fresh = now["columns"].get(name)
            if fresh is None:
                found.append(f"{table}.{name} is gone")
            elif repr(fresh["type"]) != repr(column["type"]):
                found.append(f"{table}.{name} has another type")
            elif column["nullable"] and not fresh["nullable"]:
                found.append(f"{table}.{name} must have a value now")
        found += [
            f"{table}.{name} is new and must have a value"
            for name, column in now["columns"].items()
            if name not in was["columns"] and not column["nullable"] and column["default"] is None
        ]
        found += [
            f"{table} is new in what it demands: {what}"
            for what in ("key", "unique", "foreign")
            if now[what] != was[what]
        ]
        if now["checks"] > was["checks"]:
            found.append(f"{table} checks more than before")
    return found


def sample(column: dict[str, Any], number: int) -> Any:
    """A value for a column, as a program might write it."""
    kind = column["type"]
    if isinstance(kind, sa.Boolean):
        return False
    if isinstance(kind, sa.Float):
        return 0.5
    if isinstance(kind, sa.Integer):
        return number
    if isinstance(kind, sa.LargeBinary):
        return b"{}"
    return f"a{number}"


def insert_as_before(connection: Connection, before: dict[str, Any]) -> None:
    """Write a row into every table with the columns that there were, those first that others point at."""
    for table in sorted(before, key=lambda name: len(before[name]["foreign"])):
        columns = before[table]["columns"]
        made = sa.table(table, *(sa.column(name, one["type"]) for name, one in columns.items()))
        # A row that another one points at has the number 9.
        connection.execute(sa.insert(made).values({name: sample(one, 9) for name, one in columns.items()}))


# Before the first one there was no program.
@pytest.mark.parametrize("module", modules()[1:], ids=lambda one: str(one.revision))
def test_a_revision_that_expands_only_adds(engine: sa.Engine, module: ModuleType) -> None:
    with engine.connect() as connection, connection.begin():
        migrate.upgrade(connection, module.down_revision)
        before = shape(connection)
        migrate.upgrade(connection, module.revision)
        found = contractions(before, shape(connection))
        assert module.expands is (found == []), found
        if module.expands:
            connection.execute(sa.text("DELETE FROM meta"))
            insert_as_before(connection, before)


ADD = "ALTER TABLE runs ADD COLUMN more "


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("DROP TABLE fires", "fires is gone"),
        ("ALTER TABLE runs DROP COLUMN reason", "runs.reason is gone"),
        ("ALTER TABLE runs RENAME COLUMN reason TO why", "runs.reason is gone"),
        (f"{ADD}integer NOT NULL DEFAULT 0", None),
        (f"{ADD}text", None),
        ("CREATE TABLE fresh (id integer NOT NULL)", None),
        ("CREATE INDEX ix_more ON runs (reason)", None),
        ("CREATE UNIQUE INDEX uq_more ON runs (reason)", "runs is new in what it demands: unique"),
    ],
)
def test_the_rule_tells_them_apart(engine: sa.Engine, words: str, told: str | None) -> None:
    with engine.connect() as connection, connection.begin():
        migrate.upgrade(connection)
        before = shape(connection)
        connection.exec_driver_sql(words)
        found = contractions(before, shape(connection))
    if told is None:
        assert found == []
    else:
        assert told in found


def test_a_column_that_must_have_a_value_is_told(engine: sa.Engine) -> None:
    with engine.connect() as connection, connection.begin():
        migrate.upgrade(connection)
        before = shape(connection)
    after = {name: {**table, "columns": dict(table["columns"])} for name, table in before.items()}
    after["runs"]["columns"]["more"] = {"type": sa.Integer(), "nullable": False, "default": None}
    after["runs"]["columns"]["wake_at"] = {**before["runs"]["columns"]["wake_at"], "nullable": False}
    assert contractions(before, after) == [
        "runs.wake_at must have a value now",
        "runs.more is new and must have a value",
    ]


def test_each_revision_says_what_it_does_and_marks_never_go_back() -> None:
    mark = 0
    for module in modules():
        assert module.tells
        assert not module.tells.endswith(".")
        assert isinstance(module.expands, bool)
        assert set(module.touches) <= set(schema.metadata.tables)
        if module.oldest_program is not None:
            assert mark <= int(module.oldest_program) <= int(module.revision)
            mark = int(module.oldest_program)
        assert module.expands or mark == int(module.revision), "one that contracts shuts out every program before it"


def test_the_mark_is_kept_in_the_store(engine: sa.Engine) -> None:
    kept = []
    with engine.connect() as connection, connection.begin():
        for module in modules():
            migrate.upgrade(connection, module.revision)
            kept.append(migrate.mark_of(connection, migrate.OLDEST))
    assert kept == [b"0001", b"0002", b"0003", b"0003", b"0003", b"0003", b"0003", b"0003"]


# -- a store that a newer program made ---------------------------------------------------------------------------------


Altered = Callable[..., None]


@pytest.fixture
def newer(empty_url: str, clock: ManualClock) -> Altered:
    """Do to a store what the next program might: more tables and columns, and a mark that says who may still work on it."""

    def newer(*words: str, mark: str | None = schema.REVISION) -> None:
        Store.open(empty_url, clock=clock).close()
        store = Store.as_found(empty_url, clock=clock)
        with store.write() as tx:
            for one in ("CREATE TABLE fresh (id integer NOT NULL)", f"{ADD}integer NOT NULL DEFAULT 7", *words):
                tx.connection.exec_driver_sql(one)
            tx.connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{NEWER}'")
            state.meta_set(tx, migrate.OLDEST, mark.encode() if mark is not None else None)
        store.close()

    return newer


def test_an_older_program_works_on_what_was_only_expanded(
    newer: Altered, empty_url: str, clock: ManualClock, item: Any, run: Any, delivery: Any, noon: Any
) -> None:
    newer()
    store = Store.open(empty_url, clock=clock)
    with store.write() as tx:
        records.apply(tx, "desk", [item("1")], noon)
        runs.start(tx, run(1))
        runs.save(tx, run(1, state="done"))
        outbox.add(tx, [delivery(1)])
    store.close()
    looking = Store.open(empty_url, clock=clock, writing=False)
    with looking.read() as tx:
        assert [one.state for one in runs.find(tx)] == ["done"]
        assert tx.connection.exec_driver_sql("SELECT more FROM runs").scalar() == 7
        assert tx.connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == NEWER
    looking.close()


@pytest.mark.parametrize("mark", [NEWER, None])
def test_below_the_mark_it_is_refused_with_what_to_do(
    newer: Altered, empty_url: str, clock: ManualClock, mark: str | None
) -> None:
    newer(mark=mark)
    for writing in (True, False):
        with pytest.raises(
            ConfigError, match=f"revision {NEWER}, which programs of revision {NEWER} and newer"
        ) as refused:
            Store.open(empty_url, clock=clock, writing=writing)
        assert refused.value.exit_code == 78
        assert "install the newer cxbridge" in str(refused.value)
        assert "restore the backup" in str(refused.value)


# -- what an upgrade would do ------------------------------------------------------------------------------------------


def contracting() -> list[Any]:
    """The next revision, as one that contracts."""
    return [
        SimpleNamespace(
            revision=NEWER,
            down_revision=schema.REVISION,
            tells="tears down",
            expands=False,
            oldest_program=NEWER,
            touches=("runs",),
        )
    ]


def test_the_plan_says_what_each_step_does_and_writes_nothing(
    engine: sa.Engine, empty_url: str, clock: ManualClock
) -> None:
    with engine.connect() as connection, connection.begin():
        migrate.upgrade(connection, "0001")
        row = {name: sample(column, 1) for name, column in shape(connection)["runs"]["columns"].items()}
        connection.execute(sa.insert(sa.table("runs", *(sa.column(name) for name in row))).values(row))
        before = {name: sorted(table["columns"]) for name, table in shape(connection).items()}
    store = Store.as_found(empty_url, clock=clock)
    with store.read() as tx:
        plan = migrate.plan(tx.connection, store.place)
    store.close()
    assert (plan.found, plan.wanted, plan.oldest, plan.beside) == ("0001", schema.REVISION, "0003", False)
    assert [(one.revision, one.expands, one.rows) for one in plan.steps] == [
        ("0002", True, {"runs": 1}),
        ("0003", True, {}),
        ("0004", True, {}),
        ("0005", True, {}),
        ("0006", True, {"records": 0}),
        ("0007", True, {"runs": 1}),
        ("0008", True, {"runs": 1, "deliveries": 0}),
    ]
    with engine.connect() as connection:
        assert {name: sorted(table["columns"]) for name, table in shape(connection).items()} == before
        assert migrate.revision_of(connection, "it") == "0001"


def test_the_plan_says_whether_the_program_before_may_work_on(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.connect() as connection, connection.begin():
        migrate.upgrade(connection)
        monkeypatch.setattr(migrate, "revisions", lambda behind=None: iter(contracting()))
        assert migrate.plan(connection, "it").beside is False
        expanding = SimpleNamespace(**{**vars(contracting()[0]), "expands": True, "oldest_program": None})
        monkeypatch.setattr(migrate, "revisions", lambda behind=None: iter([expanding]))
        assert migrate.plan(connection, "it").beside is True


def test_nobody_at_work_is_left_behind(empty_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older daemon could not go on; once it has ended, the upgrade is done."""
    from datetime import timedelta

    old = Store.open(empty_url, clock=clock)

    def tear_down(connection: Connection, revision: str = "head") -> None:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{NEWER}'")

    with monkeypatch.context() as patched:
        patched.setattr(schema, "REVISION", NEWER)
        patched.setattr(migrate, "revisions", lambda behind=None: iter(contracting()))
        patched.setattr(migrate, "upgrade", tear_down)
        if old.path is not None:
            with (
                by_file(lock_of(old.path), "run"),
                pytest.raises(StoreError, match="could not go on once they are upgraded"),
            ):
                Store.open(empty_url, clock=clock)
        else:
            with old.aside() as tx:
                held = leases.take(tx, "plan", "worker-7", timedelta(seconds=30))
            with pytest.raises(StoreError, match="worker-7 is at work on it, which could not go on"):
                Store.open(empty_url, clock=clock)
            assert held is not None
            with old.aside() as tx:
                leases.let_go(tx, held)
        with old.read() as tx:
            assert tx.connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() != NEWER
        Store.open(empty_url, clock=clock).close()
    old.close()
