"""The Lua scripts: every change of a recipient's state is one of them."""

import hashlib
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from mailer.backends.redis.server import Server


class Script:
    """One script of the pinned set, run by EVALSHA and, where the server does not know it yet, by EVAL.

    redis-py's own wrapper would use SCRIPT LOAD, which the access list of a careful operator forbids.
    """

    def __init__(self, name: str, *shared: str) -> None:
        folder = files(__package__)
        parts = ("prelude", *shared, name)
        self.body = "".join(folder.joinpath(f"{part}.lua").read_text(encoding="utf-8") for part in parts)
        self.sha = hashlib.sha1(self.body.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, redis: Server, keys: list[str], *args: str | bytes | int | float) -> Any:
        """Run it. Raises redis-py's errors."""
        try:
            return await redis.evalsha(self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await redis.eval(self.body, len(keys), *keys, *args)


ACCEPT = Script("accept")
ANNOUNCE = Script("announce")
BEAT = Script("beat")
BEGIN = Script("begin")
BORN = Script("born")
CANCEL = Script("cancel")
CLAIM = Script("claim")
COMPLETE = Script("complete")
CONFIRM = Script("confirm")
CONTROL = Script("control")
DISTRUST = Script("distrust")
DROP = Script("drop")
END_RUN = Script("end_run")
ENQUEUE = Script("enqueue")
FORGET = Script("forget")
LEAD = Script("lead")
LEAVE = Script("leave")
OPEN = Script("open")
PACK = Script("pack")
PROLONG = Script("prolong")
REPLAY = Script("replay", "doubt")
REOPEN = Script("reopen")
RETIRE = Script("retire")
SEAL = Script("seal")
SWEEP = Script("sweep")
TAKE = Script("take")
TAKE_OVER = Script("take_over", "doubt")
TRANSITION = Script("transition", "doubt")
UPLOAD = Script("upload")
