"""Failpoints: places in a send where a test ends the process as a power switch would.

They are there only where `MAILER_FAILPOINTS` is set when the package is imported; everywhere else `reached` does
nothing. Its value arms them: `after_mark` kills the first time the place is reached, `after_mark:3` the third time;
several are separated by commas.
"""

import os
import signal

NAMES = (
    "after_accept",
    "before_claim",
    "after_claim",
    "before_connect",
    "after_rcpt",
    "before_mark",
    "after_mark",
    "body_half",
    "dot_written",
    "reply_read",
    "before_record",
    "after_record",
    "before_arq_finish",
    "in_replay",
    "in_reconciler",
    "in_rescue",
    "in_shutdown",
)
"""In the order of a send: the first is a producer's, the last four stand where a worker heals or ends."""

_armed: dict[str, int] = {}


def arm(orders: str) -> None:
    """Say at which places the process is to die. Raises ValueError for a place that there is not."""
    _armed.clear()
    for order in filter(None, orders.split(",")):
        name, _, count = order.partition(":")
        if name not in NAMES:
            raise ValueError(f"there is no failpoint {name!r}; there are: {', '.join(NAMES)}")
        _armed[name] = int(count or 1)


if "MAILER_FAILPOINTS" in os.environ:

    def reached(name: str) -> None:
        """Die here, when it is this place's turn."""
        if name in _armed:
            _armed[name] -= 1
            if _armed[name] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    arm(os.environ["MAILER_FAILPOINTS"])
else:

    def reached(name: str) -> None:
        """Go on."""
