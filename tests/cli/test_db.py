"""`db`: an upgrade is shown before it is done, a move ends whole, and both say what they did and what is to be done now."""

import re
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from cxbridge.core.store import migrate, schema
from tests.cli.conftest import Cxbridge


@pytest.fixture
def old(folder: Path) -> Path:
    """The current folder, with a store of revision 0001."""
    engine = sa.create_engine(f"sqlite:///{folder}/cxbridge.db")
    with engine.connect() as connection, connection.begin():
        migrate.upgrade(connection, "0001")
        connection.exec_driver_sql(
            "INSERT INTO runs (id, recipe, version, part, key, once, subject, state, step, results, context, reason, hops, "
            "started_at) VALUES ('run_1', 'r', 'v', 'steps', 'k', 'o', 'a/b/c', 'done', 0, '{}', '{}', '', 0, 0)"
        )
    engine.dispose()
    return folder


class TestUpgrade:
    def test_the_plan_shows_each_step_and_does_nothing(self, cxbridge: Cxbridge, old: Path) -> None:
        before = (old / "cxbridge.db").read_bytes()
        ended = cxbridge("db", "upgrade", "--plan")
        assert ended.code == 4
        assert f"from 0001 to {schema.REVISION}" in ended.out
        assert re.search(r"0002 +expands +1 of runs +tables for webhooks", ended.out)
        assert re.search(r"0003 +expands +none +tables for several workers", ended.out)
        assert "a program of revision 0001 cannot work on it any more" in ended.err
        assert "cxbridge backup" in ended.err
        assert (old / "cxbridge.db").read_bytes() == before

    def test_as_json(self, cxbridge: Cxbridge, old: Path) -> None:
        told = cxbridge("db", "upgrade", "--plan", "--json").data
        assert (told["found"], told["wanted"], told["beside"], told["done"]) == ("0001", schema.REVISION, False, False)
        assert [(one["revision"], one["before"], one["kind"], one["rows"]) for one in told["steps"]] == [
            ("0002", "0001", "expands", {"runs": 1}),
            ("0003", "0002", "expands", {}),
            ("0004", "0003", "expands", {}),
            ("0005", "0004", "expands", {}),
            ("0006", "0005", "expands", {"records": 0}),
            ("0007", "0006", "expands", {"runs": 1}),
            ("0008", "0007", "expands", {"runs": 1, "deliveries": 0}),
        ]

    def test_it_is_done_once(self, cxbridge: Cxbridge, old: Path) -> None:
        ended = cxbridge("db", "upgrade")
        assert ended.code == 0
        assert f"from 0001 to {schema.REVISION}, done" in ended.out
        again = cxbridge("db", "upgrade")
        assert (again.code, "there is nothing to do" in again.out) == (0, True)
        assert cxbridge("db", "upgrade", "--plan").code == 0

    def test_where_there_is_no_store_none_is_made(self, cxbridge: Cxbridge, folder: Path) -> None:
        for more in (["--plan"], []):
            ended = cxbridge("db", "upgrade", *more)
            assert ended.code == 78
            assert "there is no store" in ended.err
        assert not (folder / "cxbridge.db").exists()

    def test_a_newer_store_that_leaves_room(self, cxbridge: Cxbridge, old: Path) -> None:
        cxbridge("db", "upgrade")
        with sqlite3.connect(old / "cxbridge.db") as store:
            store.execute("UPDATE alembic_version SET version_num = '9999'")
        store.close()
        ended = cxbridge("db", "upgrade")
        assert ended.code == 0
        assert "newer than this program's" in ended.out


class TestMove:
    def test_a_store_is_moved_and_taken_back(self, cxbridge: Cxbridge, played: Path) -> None:
        here, there = "sqlite:///cxbridge.db", f"sqlite:///{played}/there.db"
        runs = cxbridge("runs", "list", "--json").data
        ended = cxbridge("db", "move", here, there)
        assert ended.code == 0, ended.err
        assert f"are in {there}" in ended.out
        assert "[store] url" in ended.err
        refused = cxbridge("runs", "list")
        assert refused.code == 78
        assert there in refused.err
        assert cxbridge("runs", "list", "--json", "--database", there).data == runs

        undone = cxbridge("db", "move", "--undo", here, there)
        assert undone.code == 0, undone.err
        assert "may be worked on again" in undone.out
        assert cxbridge("runs", "list", "--json").data == runs
        assert cxbridge("runs", "list", "--database", there).code == 78

    def test_as_json(self, cxbridge: Cxbridge, played: Path) -> None:
        told = cxbridge("db", "move", "sqlite:///cxbridge.db", "sqlite:///there.db", "--json").data
        assert told["to"] == f"sqlite:///{played}/there.db"
        assert told["rows"]["records"] > 0
        assert told["finished"] is False

    @pytest.mark.parametrize(
        "words",
        [
            ["sqlite:///cxbridge.db"],
            ["--gone", "sqlite:///cxbridge.db", "sqlite:///there.db"],
            ["--undo", "sqlite:///cxbridge.db"],
            ["--undo", "--gone", "sqlite:///cxbridge.db", "sqlite:///there.db"],
        ],
    )
    def test_half_a_command_means_nothing(self, cxbridge: Cxbridge, played: Path, words: list[str]) -> None:
        ended = cxbridge("db", "move", *words)
        assert ended.code == 64
        assert "hint:" in ended.err

    def test_errors_are_words(self, cxbridge: Cxbridge, played: Path) -> None:
        assert "there is no store" in cxbridge("db", "move", "sqlite:///none.db", "sqlite:///there.db").err
        assert not (played / "none.db").exists()
        (played / "there.db").write_text("something else")
        ended = cxbridge("db", "move", "sqlite:///cxbridge.db", "sqlite:///there.db")
        assert ended.code in (75, 78)
        assert "is no database of cxbridge" in ended.err
        assert (played / "there.db").read_text() == "something else"
        refused = cxbridge("db", "move", "sqlite:///cxbridge.db", "postgresql://me:secret-word@127.0.0.1:1/x")
        assert refused.code == 75
        assert "secret-word" not in refused.err


class TestCompact:
    def test_a_store_of_an_earlier_program_is_packed(self, cxbridge: Cxbridge, old: Path) -> None:
        refused = cxbridge("db", "compact")
        assert (refused.code, "cxbridge db upgrade" in refused.err) == (78, True)
        cxbridge("db", "upgrade")
        ended = cxbridge("db", "compact")
        assert ended.code == 0
        assert re.search(r"cxbridge\.db: nothing was left to pack; \S+ MB before, \S+ MB now", ended.out)
        told = cxbridge("db", "compact", "--json").data
        assert told["rows"] == {"records": 0, "changes": 0, "payloads": 0}
        assert 0 < told["bytes_after"] <= told["bytes_before"]
