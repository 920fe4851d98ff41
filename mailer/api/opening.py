"""Where `from_env` finds its desk. Tests of other projects put one in memory here."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.api.queue_desk import QueueDesk

if TYPE_CHECKING:
    from mailer.api.desk import Desk


def desk_of(path: str | Path | None, env_file: str | Path | None, settings: Mapping[str, object]) -> "Desk":
    """A desk with the settings of this process."""
    return QueueDesk(
        Path(path) if path is not None else None,
        dict(os.environ),
        Path(env_file) if env_file is not None else None,
        settings,
    )
