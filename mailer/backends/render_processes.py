"""Render processes: who gets which rows, and an exchange in which nobody waits for a full pipe."""

import select
from collections.abc import Iterable, Sequence

import msgspec

from mailer.backends.render_process import RenderProcess
from mailer.interfaces.rendering import Job
from mailer.interfaces.source import Row
from mailer.vocabulary.errors import UsageError

ROOM = 2
"""Jobs that a process has at once: while it answers one, it has the next."""

_SCALARS = frozenset({str, int, float, bool, type(None)})
_encode = msgspec.msgpack.Encoder().encode


class RenderProcesses:
    """Implements `interfaces.rendering.Renderers` with other processes of this program.

    Over the socket go lengths and MessagePack; nothing is pickled. A process ends when its socket is closed, however
    its parent ended.
    """

    def __init__(self, orders: bytes, count: int, *, must_start: bool = True) -> None:
        """Start `count` processes with these orders (as `worker.rendering` reads them).

        Without `must_start` one that ends before it was ready is not missed.
        """
        self._must_start = must_start
        self._children: list[RenderProcess] = []
        try:
            for _ in range(count):
                self._children.append(RenderProcess(orders))
        except BaseException:
            self.close()
            raise

    def wait_ready(self) -> None:
        """Wait until every process is ready. Raises `UsageError` E136."""
        while waiting := [child for child in self._children if not child.has_spoken]:
            _exchange(waiting, wait=True)

    def take(self, rows: Sequence[Row]) -> Job | None:
        """See `Renderers`. Rows that would not arrive as they are stay here."""
        free = [child for child in self._children if child.takes_rows and len(child.jobs) < ROOM]
        if not free:
            return None
        words = _written(rows)
        if words is None:
            return None
        job = Job(rows)
        min(free, key=lambda child: len(child.jobs)).give(job, words)
        return job

    def collect(self, *, wait: bool) -> None:
        """See `Renderers`."""
        if not wait and not self._must_start:
            self._look_at_those_that_start()
        _exchange([child for child in self._children if child.jobs or (not wait and child.has_spoken)], wait=wait)
        if any(child.gives_all_back for child in self._children):
            # What rows need is here alone: they carry files, or the template was changed meanwhile.
            for child in self._children:
                child.takes_rows = False

    def _look_at_those_that_start(self) -> None:
        for child in [child for child in self._children if not child.has_spoken]:
            try:
                _exchange([child], wait=False)
            except UsageError:
                child.socket.close()
                child.end()
                self._children.remove(child)

    def close(self) -> None:
        """See `Renderers`."""
        for child in self._children:
            child.socket.close()
        for child in self._children:
            child.end()
        self._children = []


def _exchange(children: Iterable[RenderProcess], *, wait: bool) -> None:
    """Write and read what can be; with `wait`, until one of them has said something."""
    by_socket = {child.socket.fileno(): child for child in children}
    poll = select.poll()
    for number, child in by_socket.items():
        poll.register(number, select.POLLIN | (select.POLLOUT if child.outgoing else 0))
    while found := poll.poll(None if wait else 0):
        heard = False
        for number, events in found:
            child = by_socket[number]
            if events & select.POLLOUT:
                child.write()
                if not child.outgoing:
                    poll.modify(number, select.POLLIN)
            if events & ~select.POLLOUT:
                before = len(child.jobs), child.has_spoken
                child.read()
                heard = heard or before != (len(child.jobs), child.has_spoken)
        if heard or not wait:
            return


def _written(rows: Sequence[Row]) -> bytes | None:
    """Rows as they travel, None where one of them would arrive as another."""
    words: list[tuple[int, object]] = []
    for row in rows:
        if row.defect is not None or not _is_plain(row.columns):
            return None
        words.append((row.number, row.columns))
    try:
        return _encode(words)
    except (UnicodeEncodeError, OverflowError):
        # A lone surrogate, or a number that is no 64-bit one.
        return None


def _is_plain(value: object) -> bool:
    # By exact type: what is made of a text, Markup for instance, is not the same thing on the other side.
    kind = type(value)
    if kind in _SCALARS:
        return True
    if isinstance(value, dict) and kind is dict:
        return all(type(name) is str and _is_plain(item) for name, item in value.items())
    return isinstance(value, list) and kind is list and all(map(_is_plain, value))
