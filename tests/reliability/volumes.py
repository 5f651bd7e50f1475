"""How much each suite of this programme does in one run; `CXBRIDGE_SOAK=10` does ten times as much."""

import os


def soak() -> float:
    """How many times the usual volume is wanted."""
    return float(os.environ.get("CXBRIDGE_SOAK", "1") or "1")


def _scaled(usual: int, least: int = 1) -> int:
    return max(least, round(usual * soak()))


def is_soak() -> bool:
    """Whether this run is the long one: what is sampled otherwise is then done whole."""
    return soak() >= 10


def crash_variations() -> int:
    """In how many variations each shape goes through the crash sweep: other ids, other delays of the vendors."""
    return _scaled(1)


def crash_pairs() -> int:
    """How many double crashes are played for each shape."""
    return _scaled(24)


def all_pairs() -> bool:
    """Whether some shapes are played with every second crash that there is."""
    return is_soak()


def kills() -> int:
    """How many real processes are killed."""
    return _scaled(300)


def stateful_examples() -> int:
    """How many examples the state machine plays."""
    return _scaled(500)


def stateful_steps() -> int:
    """How many steps an example of the state machine has."""
    return 200 if is_soak() else 50


def simulation_seeds() -> int:
    """How many simulated days are played."""
    return _scaled(200)


def matrix_seeds() -> int:
    """How many seeds each cell of the fault matrix is played with."""
    return 20 if is_soak() else _scaled(1)


def fuzz_seconds() -> float:
    """For how long each fuzz target is worked on."""
    return 30.0 * soak()
