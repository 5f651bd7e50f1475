"""The table of faults as data: what each is, which tests elsewhere stand for a cell, and what is left out; plays none."""

from collections.abc import Mapping

FAULTS: Mapping[str, str] = {
    "F1": "kill -9 at every step boundary",
    "F2": "crash during recovery",
    "F3": "SIGTERM while busy",
    "F4": "429 with every form of Retry-After",
    "F5": "5xx, connection refused, DNS failure",
    "F6": "connect, read and pool timeout",
    "F7": "ghost write",
    "F8": "half response",
    "F9": "malformed response",
    "F10": "schema drift",
    "F11": "pages that come again, shift, begin anew, go in circles",
    "F12": "late-visible search",
    "F13": "webhook repeated, reordered, late, replayed, forged, 5 MB",
    "F14": "webhook burst, and an hour without a receiver",
    "F15": "clock skew, clocks that step, DST, leap day",
    "F16": "disk full",
    "F17": "database locked",
    "F18": "database file missing, truncated, newer, of another owner",
    "F19": "PostgreSQL lost at COMMIT",
    "F20": "token revoked, scope removed",
    "F21": "two daemons on one store",
    "F22": "hostile plugin",
    "F23": "recipe changed or deleted with work in flight",
    "F24": "upgrade and downgrade with work in flight",
    "F25": "backup restored from yesterday",
}

ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "F1": ("tests/integration/test_crashes.py::test_killed_at_a_boundary_and_started_again_everything_is_there_once",),
    "F3": ("tests/cli/test_processes.py::test_the_daemon_works_logs_json_and_ends_in_order",),
    "F15": (
        "tests/core/engine/test_sweep.py::test_cron_fires_once_when_the_clocks_go_back",
        "tests/core/engine/test_sweep.py::test_cron_does_not_skip_the_day_when_the_clocks_go_forward",
        "tests/matrix/test_leap_day.py::test_cron_fires_on_the_leap_day_and_once_on_the_days_around_it",
    ),
    "F16": (
        "tests/bounds/test_full.py::test_a_pull_on_a_full_disk_stores_nothing_and_is_whole_afterwards",
        "tests/bounds/test_full.py::test_an_outcome_that_cannot_be_recorded_is_looked_up_and_not_sent_again",
        "tests/bounds/test_ready.py::test_a_full_store_is_not_ready_webhooks_come_again_and_nothing_is_lost",
    ),
    "F17": (
        "tests/bounds/test_openings.py::test_a_lock_that_is_let_go_in_time_is_waited_for",
        "tests/bounds/test_openings.py::test_a_locked_store_gives_up_cleanly_and_works_afterwards",
    ),
    "F18": (
        "tests/bounds/test_openings.py::test_what_only_a_person_can_mend_ends_with_78_and_words",
        "tests/bounds/test_openings.py::test_a_store_of_another_user_ends_with_78_and_words",
    ),
    "F19": (
        "tests/matrix/test_commit.py::test_a_commit_that_is_cut_does_nothing_twice_and_loses_nothing",
        "tests/matrix/test_commit.py::test_a_database_that_is_gone_for_a_while_is_waited_for",
    ),
    "F21": (
        "tests/cli/test_processes.py::test_a_second_daemon_on_the_same_store_is_refused",
        "tests/integration/test_workers.py::test_a_worker_that_stood_still_finds_itself_replaced_and_says_nothing_more",
    ),
    "F22": (
        "tests/bounds/test_hostile_plugin.py::test_whatever_a_stream_does_wrong_is_its_plugins_error",
        "tests/bounds/test_hostile_plugin.py::test_a_stream_that_blocks_is_named_and_another_worker_takes_its_place",
        "tests/bounds/test_hostile_actions.py::test_an_answer_that_is_none_is_a_doubt",
    ),
    "F24": ("tests/integration/test_upgrade.py::test_forth_and_back_with_work_in_flight",),
    "F25": ("tests/integration/test_restore.py::test_work_in_flight_and_a_day_of_work_after_it",),
}
"""Tests that stand for what does not depend on a connector, beside or in place of what is played here."""

NOTES: Mapping[tuple[str, str], str] = {
    ("F8", "qualtrics"): "answers come as files, which are cut as well; what JSON is cut is the list of contacts",
    (
        "F9",
        "qualtrics",
    ): "answers come as files: the list of contacts stands for what comes as JSON; its bound is 256 MiB",
    ("F10", "qualtrics"): "answers come as files, which cannot be rewritten here: the list of contacts is",
    ("F11", "qualtrics"): "files have no pages: the list of contacts has",
    ("F14", "slack"): "not all messages are read once more to judge the checkpoint: histories may be read so seldom",
}
"""Cells that are played in another way than the others."""
