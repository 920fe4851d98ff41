"""Rendering ahead: batches of rows go to other processes, and come back in their order with the messages made."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from mailer.flow.intake import Intake
from mailer.interfaces.rendering import Job, Renderers
from mailer.interfaces.source import Row

MOST_AHEAD = 16
"""Batches that are read and not yet stored."""
OWN_AHEAD = 2
"""Of them, those that this process has rendered itself rather than wait."""


@dataclass(slots=True)
class _Batch:
    rows: list[Row]
    job: Job | None
    """None where it is for this process."""
    is_composed: bool = False


def rendered_ahead(batches: Iterator[list[Row]], renderers: Renderers, intake: Intake) -> Iterator[list[Row]]:
    """The same batches, in the same order; what was rendered elsewhere is handed to the intake before.

    This process renders what nobody else has room for. Raises what the batches and the renderers raise.
    """
    ahead: deque[_Batch] = deque()
    damage: list[Exception] = []
    for rows in _until_damage(batches, damage):
        ahead.append(_Batch(rows, renderers.take(rows)))
        renderers.collect(wait=False)
        while ahead and (_is_ready(ahead[0]) or ahead[-1].job is None or len(ahead) >= MOST_AHEAD):
            if not _is_ready(ahead[0]) and _compose_one(ahead, intake):
                # Whoever has become free gets the next rows before this process begins with others.
                break
            yield _first(ahead, renderers, intake)
    while ahead:
        yield _first(ahead, renderers, intake)
    if damage:
        raise damage[0]


def _until_damage(batches: Iterator[list[Row]], damage: list[Exception]) -> Iterator[list[Row]]:
    """The batches; what reading raises is kept, since the rows before it come first."""
    try:
        yield from batches
    except Exception as error:
        damage.append(error)


def _is_ready(batch: _Batch) -> bool:
    return batch.job is None or batch.job.done is not None


def _compose_one(ahead: "deque[_Batch]", intake: Intake) -> bool:
    """Render a batch of our own while the first one is not done; False where there is none, or there are enough."""
    own = [batch for batch in ahead if batch.job is None]
    waiting = next((batch for batch in own if not batch.is_composed), None)
    if waiting is None or len(own) > OWN_AHEAD:
        return False
    intake.compose_ahead(waiting.rows)
    waiting.is_composed = True
    return True


def _first(ahead: "deque[_Batch]", renderers: Renderers, intake: Intake) -> list[Row]:
    batch = ahead.popleft()
    if batch.job is not None:
        while batch.job.done is None:
            renderers.collect(wait=True)
        intake.hand_over(batch.rows, batch.job.done)
    return batch.rows
