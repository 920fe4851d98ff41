"""Memory: what was found out about template sources, for a program that loads the same ones for every message."""

from collections.abc import Callable, Hashable
from threading import Lock
from types import CodeType
from typing import Generic, TypeVar

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

MOST_KEPT = 128
"""Answers that a memory keeps; the oldest goes first."""

_Found = TypeVar("_Found")


class Memory(Generic[_Found]):
    """Answers by key. A key must say all that the answer depends on. Threads may share one."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Found] = {}
        self._lock = Lock()

    def get(self, key: Hashable) -> _Found | None:
        """The answer, where it is known."""
        return self._kept.get(key)

    def keep(self, key: Hashable, found: _Found) -> None:
        """Remember an answer."""
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = found
            while len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]

    def recall(self, key: Hashable, find: Callable[[], _Found]) -> _Found:
        """The answer, found now unless it is known. What `find` raises is not remembered."""
        found = self.get(key)
        if found is None:
            found = find()
            self.keep(key, found)
        return found


_compiled = Memory[CodeType]()


class CompiledBefore(BytecodeCache):
    """What Jinja2 has compiled in this process. `kind` is all of an environment that its code depends on."""

    def __init__(self, kind: Hashable) -> None:
        self._kind = kind

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give the code of this name and source, where there is one."""
        bucket.code = _compiled.get((self._kind, bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of this name and source."""
        if bucket.code is not None:
            _compiled.keep((self._kind, bucket.key, bucket.checksum), bucket.code)
