"""Threads that rest: who came last is woken first, and nobody who is woken is forgotten."""

import threading

from cxbridge.core.resting import Resting

LONG = 60.0  # seconds that nothing here takes


class Room:
    """Some threads that rest in turn, and who was woken, in order."""

    def __init__(self, many: int) -> None:
        self.lock = threading.Lock()
        self.resting = Resting(self.lock)
        self.woken: list[int] = []
        self._threads = [threading.Thread(target=self._rest, args=(number,), daemon=True) for number in range(many)]
        for number, thread in enumerate(self._threads, start=1):
            thread.start()
            while self.rests() < number:
                threading.Event().wait(0.001)

    def rests(self) -> int:
        with self.lock:
            return len(self.resting._beds)

    def _rest(self, number: int) -> None:
        with self.lock:
            self.resting.rest()
            self.woken.append(number)

    def end(self) -> None:
        with self.lock:
            self.resting.wake_all()
        for thread in self._threads:
            thread.join(LONG)
            assert not thread.is_alive()


def test_who_came_last_is_woken_first() -> None:
    room = Room(3)
    for number in range(1, 3):
        with room.lock:
            room.resting.wake()
        while len(room.woken) < number:
            threading.Event().wait(0.001)
    assert room.woken == [2, 1]
    room.end()
    assert room.woken == [2, 1, 0]


def test_where_nobody_rests_nobody_is_woken_and_nothing_is_kept_for_later() -> None:
    room = Room(0)
    with room.lock:
        room.resting.wake()
        room.resting.wake_all()
    later = Room(1)
    assert later.woken == []
    later.end()
