"""What the processes do that a fault may end: a worker as the supervisor starts it, and a producer."""

import asyncio
import random
from typing import TYPE_CHECKING

from mailer import failpoints
from mailer.worker import __main__ as worker
from tests.faults import mutants
from tests.faults.io_errors import break_at
from tests.faults.mailing import Mailing, submit

if TYPE_CHECKING:
    from tests.faults.nursery import Birth


def live(birth: "Birth") -> int:
    """Do it; returns the exit status."""
    random.seed()
    if birth.mutant:
        mutants.become(birth.mutant)
    failpoints.arm(birth.failpoints)
    if birth.io_error:
        break_at(birth.io_error)
    if birth.kind == "worker":
        return worker.main()
    asyncio.run(submit(Mailing(**birth.arguments)))
    return 0
