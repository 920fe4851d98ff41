"""What a worker remembers of its last seconds: the marks it was granted and the outcomes it has written."""

import math
import time
from collections.abc import Iterator, Mapping

from mailer.backends.redis.operation import Operation
from mailer.backends.redis.stowed import Stowed

KEEP_S = 15.0
"""How long an operation is kept at least: a rollback costs the last second or two. `beat.lua` counts on it: more than
that is a loss that a person has to look at."""
MOST_KEPT = 100_000
"""So many are kept at most; the oldest answered ones go first."""


class Memory:
    """The last operation of each attempt, for as long as the queue server may forget it.

    Nothing grows old by itself: a server that was away for a minute may come back without what it had answered before.
    What is left of a claim that has ended is stowed, until somebody reads it.
    """

    def __init__(self, *, keep_s: float = KEEP_S, most: int = MOST_KEPT) -> None:
        self._keep_s = keep_s
        self._most = most
        # By the claim's token, the oldest first; what is not stowed, by the index in its chunk.
        self._kept: dict[str, dict[int, Operation] | Stowed] = {}
        self._read: set[str] = set()  # the claims whose operations somebody may have in his hands
        self._count = 0

    def keep(self, operation: Operation, at: float) -> None:
        """Remember an operation in place of what was remembered of the same attempt. `at` is now (monotonic clock)."""
        operation.kept_at = at
        of_claim = self._kept.get(operation.token)
        if of_claim is None:
            of_claim = self._kept[operation.token] = {}
        elif not isinstance(of_claim, dict):
            of_claim = self._take_out(operation.token, of_claim)
        before = len(of_claim)
        of_claim[operation.index] = operation
        self._count += len(of_claim) - before
        if (excess := self._count - self._most) > 0:
            self._drop(excess)

    def stow(self, token: str) -> None:
        """Make what is remembered of a claim small: it has ended, and nothing more is expected of it.

        Should something come all the same, it is remembered like everything else. What has been read stays as it is:
        what is told of it would be told again.
        """
        of_claim = self._kept.get(token)
        if not isinstance(of_claim, dict) or token in self._read:
            return
        if all(operation.is_answered for operation in of_claim.values()):
            self._kept[token] = Stowed.of(of_claim.values())

    def forget(self) -> None:
        """Forget what is old. To be called while the server is known not to have been started again since."""
        self._drop(self._count, before=time.monotonic() - self._keep_s)

    def _drop(self, most: int, *, before: float = math.inf) -> None:
        """Drop the oldest, but not what nobody has written yet, whatever its age."""
        emptied: list[str] = []
        for token, of_claim in self._kept.items():
            if isinstance(of_claim, Stowed) and of_claim.count > most:
                # Not one goes for whom there is room.
                of_claim = self._take_out(token, of_claim)
            if isinstance(of_claim, Stowed):
                gone = of_claim.count if of_claim.kept_at < before else 0
                is_empty = gone > 0
            else:
                gone = _drop_from(of_claim, most, before)
                is_empty = not of_claim
            if is_empty:
                emptied.append(token)
            self._count -= gone
            most -= gone
            if most == 0:
                break
        for token in emptied:
            del self._kept[token]
            self._read.discard(token)

    def _take_out(self, token: str, stowed: Stowed) -> dict[int, Operation]:
        """The operations of a claim again as they were before they were stowed."""
        of_claim = self._kept[token] = {operation.index: operation for operation in stowed.operations()}
        return of_claim

    def __iter__(self) -> Iterator[Operation]:
        found: list[Operation] = []
        for token, of_claim in self._kept.items():
            self._read.add(token)
            found += (self._take_out(token, of_claim) if isinstance(of_claim, Stowed) else of_claim).values()
        return iter(found)

    def __len__(self) -> int:
        return self._count

    def by_chunk(self) -> Mapping[tuple[str, int], list[Operation]]:
        """Everything remembered, by campaign and chunk."""
        found: dict[tuple[str, int], list[Operation]] = {}
        for operation in self:
            found.setdefault((operation.campaign_id, operation.chunk), []).append(operation)
        return found


def _drop_from(of_claim: dict[int, Operation], most: int, before: float) -> int:
    """Drop the oldest of one claim. Returns how many."""
    gone: list[int] = []
    for index, oldest in of_claim.items():
        if len(gone) == most or oldest.kept_at >= before:
            break
        if oldest.is_answered:
            gone.append(index)
    for index in gone:
        del of_claim[index]
    return len(gone)
