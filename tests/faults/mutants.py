"""Mutants: the mailer made wrong on purpose. A harness that does not notice one of them would notice nothing."""

import hashlib
from typing import Any

from mailer.backends.redis.delivery import RedisDelivery
from mailer.backends.redis.recorder import LOST, Recorder
from mailer.backends.redis.replay import Replayer
from mailer.backends.redis.scripts import ANNOUNCE, CLAIM, TAKE_OVER, TRANSITION, Script
from mailer.backends.smtp.conversation import Conversation
from mailer.policy import judging
from mailer.vocabulary.outcome import Outcome
from mailer.vocabulary.recipient import State

NAMES = {
    "m1": "an outcome is recorded after the send, and nothing is marked before it",
    "m2": "the reconciler queues again what was being sent",
    "m3": "sent is recorded before the relay has answered",
    "m4": "nobody looks at the token of a claim",
    "m5": "what was claimed counts as done",
    "m6": "a connection whose send was cancelled is used again",
    "m7": "errors of the queue server are ignored when an outcome is recorded",
    "m8": "counters are not changed together with the records",
    "m9": "nobody puts back what a queue server has forgotten",
    "m10": "claims are given before everybody has put back what he remembers",
    "m11": "a refused mark does not keep the message back",
    "m12": "a message cut off in its body is sent again",
    "m13": "two workers may claim the same recipient",
}

IN_A_SESSION = ("m6",)
"""To be seen where a send is cancelled and its process goes on; a worker ends then. See `cancellation`."""


class NotAMutantError(Exception):
    """What a mutant changes is not there any more: it would be as right as the original."""


def become(name: str) -> None:
    """Make this process wrong in one way. Raises NotAMutantError when there is nothing left to be made wrong."""
    _MUTATIONS[name]()


def _put(owner: Any, name: str, wrong: Any) -> Any:
    """Put something wrong in the place of what is there; returns what was there."""
    right = getattr(owner, name, None)
    if right is None:
        raise NotAMutantError(f"{owner.__name__} has no {name}")
    setattr(owner, name, wrong)
    return right


def _rewrite(script: Script, old: str, new: str) -> None:
    if old not in script.body:
        raise NotAMutantError(f"no script has this line: {old}")
    script.body = script.body.replace(old, new)
    script.sha = hashlib.sha1(script.body.encode(), usedforsecurity=False).hexdigest()


def _m1() -> None:
    async def always() -> bool:
        return True

    _put(RedisDelivery, "mark", lambda *_: always())


def _m2() -> None:
    _rewrite(TAKE_OVER, "if letter == 'g' then", "if false then")


def _m3() -> None:
    async def early(self: RedisDelivery, claim: Any, recipient: Any) -> bool:
        if await mark(self, claim, recipient):
            self.record(claim, recipient, Outcome(state=State.SENT))
            return True
        return False

    mark = _put(RedisDelivery, "mark", early)


def _m4() -> None:
    _rewrite(
        TRANSITION,
        "local letter, held = sub(value, 1, 1), sub(value, 5)",
        "local letter, held = sub(value, 1, 1), token",
    )


def _m5() -> None:
    _rewrite(
        TAKE_OVER, "local into, reason, text, phase, failure = 'q'", "local into, reason, text, phase, failure = 'S'"
    )


def _m6() -> None:
    def forgetful(self: Conversation, cause: str) -> None:
        if cause != "cancelled":
            abort(self, cause)

    abort = _put(Conversation, "abort", forgetful)


def _m7() -> None:
    async def careless(self: Recorder, batch: list[Any]) -> list[int] | None:
        answers = await send(self, batch)
        return [LOST] * len(batch) if answers is None else answers

    send = _put(Recorder, "_send", careless)


def _m8() -> None:
    _rewrite(
        TRANSITION,
        "  book(c, deltas)\n  settle(c, now)",
        "  call('HINCRBY', c, 'sent', deltas['S'] or 0)\n  settle(c, now)",
    )


def _m9() -> None:
    async def forgetful(self: Replayer) -> int:
        return 0

    _put(Replayer, "replay", forgetful)


def _m10() -> None:
    _rewrite(CLAIM, "if KEYS[2] and call('HGET', KEYS[2], 'run') ~= run_id() then", "if false then")
    _rewrite(ANNOUNCE, "if v[1] == run then return 0 end", "if true then return 0 end")


def _m11() -> None:
    async def deaf(self: RedisDelivery, claim: Any, recipient: Any) -> bool:
        await mark(self, claim, recipient)
        return True

    mark = _put(RedisDelivery, "mark", deaf)


def _m12() -> None:
    _put(judging, "_CUT_AFTER_BODY", judging._CUT_BEFORE_BODY)


def _m13() -> None:
    _rewrite(CLAIM, "if letter == 'q' or letter == 'd' then", "if letter == 'q' or letter == 'd' or letter == 'c' then")


_MUTATIONS = {name: globals()[f"_{name}"] for name in NAMES}
