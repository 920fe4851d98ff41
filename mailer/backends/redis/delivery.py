"""The worker's side of the ledger: claims, marks, outcomes, and packing what is final."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Protocol

from redis import exceptions

from mailer.backends.redis.attachments import content_of
from mailer.backends.redis.campaigns import Campaigns
from mailer.backends.redis.closing import pack_chunk
from mailer.backends.redis.connection import PASSING
from mailer.backends.redis.entries import Entry, read_entries, read_messages, read_roster
from mailer.backends.redis.events import LETTERS, Event, event_of, frame
from mailer.backends.redis.frames import Frames, read_frames
from mailer.backends.redis.operation import Operation
from mailer.backends.redis.permits import Permits, Unanswered
from mailer.backends.redis.persisting import persistently
from mailer.backends.redis.recorder import Recorder
from mailer.backends.redis.scripts import CLAIM, END_RUN, TAKE_OVER
from mailer.backends.redis.suppression import suppression_note
from mailer.failpoints import reached
from mailer.policy.addressing import key_of
from mailer.vocabulary.chunk import Attempt, Claim, Claimed
from mailer.vocabulary.envelope import MailData
from mailer.vocabulary.outcome import Class, Outcome
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.reply import Reply

if TYPE_CHECKING:
    from mailer.backends.redis.jobs import Jobs
    from mailer.vocabulary.campaign import Campaign, PausedBy

CODECS_KEPT = 16
"""Campaigns whose codec a worker keeps at hand, those used last; one takes some 100 kB."""


RUNNING, BARRED = b"running", b"barred"
"""What `claim.lua` answers in front: the state of the campaign, or that the gate is closed."""


class Doorkeeper(Protocol):
    """Knows whether this worker may ask for claims."""

    async def may_claim(self) -> bool:
        """True when it may; waits a moment for it when it may not."""

    def was_barred(self) -> None:
        """A claim was asked for while the gate was closed: the queue server was started again."""


class RedisDelivery:
    """Implements `interfaces.ledger.DeliveryLedger` for one worker process. `owner` is random per process start.

    Without a `door` it asks for claims at any time, and gets them also while the gate is closed.
    """

    def __init__(
        self,
        campaigns: Campaigns,
        recorder: Recorder,
        jobs: "Jobs",
        owner: str,
        lease_holds: Callable[[], bool],
    ) -> None:
        self._campaigns = campaigns
        self._redis = campaigns.redis
        self._keys = campaigns.keys
        self._recorder = recorder
        self._jobs = jobs
        self._owner = owner
        self._permits = Permits(recorder, lease_holds)
        self.door: Doorkeeper | None = None
        self._epoch = 0
        self._in_hand: dict[str, Frames | None] = {}  # once a claim has recipients, with their codec
        self._frames: dict[str, Frames] = {}
        self._unanswered: dict[str, Unanswered] = {}

    async def campaign(self, campaign_id: str) -> "Campaign":
        """What was accepted."""
        return await self._campaigns.campaign(campaign_id)

    async def claim(self, campaign: "Campaign", chunk: int) -> Claim:
        """Take the recipients of a chunk that are queued or due."""
        self._epoch += 1
        token = f"{self._owner}.{self._epoch:x}"
        if self.door is not None and not await self.door.may_claim():
            return Claim(campaign_id=campaign.id, chunk=chunk, token=token)
        self._in_hand[token] = None
        try:
            return await self._claim(campaign, chunk, token)
        except (Exception, asyncio.CancelledError) as error:
            # It may have been applied: recipients that nobody works on must not stay with a living owner. What cannot
            # be read counts as a crash, so that in the end it is poison; a server that is away is nobody's fault.
            passing = isinstance(error, (*PASSING, exceptions.ResponseError, asyncio.CancelledError))
            await self._give_back(campaign.id, chunk, token, crashed=not passing)
            self._in_hand.pop(token, None)
            raise

    @property
    def in_hand(self) -> Collection[str]:
        """The tokens of the claims that this worker is at work on."""
        return self._in_hand

    async def _claim(self, campaign: "Campaign", chunk: int, token: str) -> Claim:
        base = self._keys.base(campaign.id)
        names = [self._keys.campaign(campaign.id), *([self._keys.gate] if self.door is not None else [])]
        reached("before_claim")
        answer: list[bytes] = await CLAIM(self._redis, names, base, chunk, token)
        if answer[0] == BARRED and self.door is not None:
            self.door.was_barred()
        reached("after_claim")
        now = int(answer[1])
        taken = {int(index): value for index, value in zip(answer[2::2], answer[3::2], strict=True)}
        claim = Claim(campaign_id=campaign.id, chunk=chunk, token=token, redis_ms=now)
        if not taken:
            if answer[0] != RUNNING:
                # The answer to an earlier try of this call may be lost: what it was granted is nobody's now.
                await self._give_back(campaign.id, chunk, token, crashed=False)
            return claim
        async with self._redis.pipeline(transaction=False) as pipe:
            for part in "mao":
                pipe.get(f"{base}{part}:{chunk}")
            messages, roster_blob, log = await pipe.execute()
        roster = read_roster(roster_blob)
        frames = read_messages(messages)
        self._in_hand[token] = await self._codec(campaign.id)
        entries = {
            entry.index: entry
            for entry in read_entries(roster, {b"%d" % index: value for index, value in taken.items()}, log or b"")
        }
        keys = {entry.email: key_of(entry.email) for entry in entries.values()}
        suppressed = await self._suppressed(keys)
        recipients = tuple(_claimed(entry, keys[entry.email], frames[entry.index]) for entry in entries.values())
        return Claim(
            campaign_id=campaign.id,
            chunk=chunk,
            token=token,
            recipients=recipients,
            suppressed=suppressed,
            redis_ms=now,
        )

    def mail_data(self, claim: Claim, recipient: Claimed) -> MailData:
        """The message, with marks for attached files; for a claim in hand. Raises ValueError when it is damaged."""
        codec = self._in_hand[claim.token]
        if codec is None:
            raise LookupError(f"claim {claim.token} has no recipients")
        return codec.restore(recipient.frame)

    async def attachment(self, campaign: "Campaign", digest: str) -> bytes:
        """The content of a file that messages of this campaign carry. Raises LookupError when it is not there."""
        return await content_of(self._redis, self._keys.base(campaign.id), digest)

    async def _give_back(self, campaign_id: str, chunk: int, token: str, *, crashed: bool) -> None:
        async def give_back() -> None:
            key, base = self._keys.campaign(campaign_id), self._keys.base(campaign_id)
            await TAKE_OVER(self._redis, [key], base, chunk, token, int(crashed))

        await persistently(give_back)

    async def _codec(self, campaign_id: str) -> Frames:
        codec = self._frames.pop(campaign_id, None)
        if codec is None:
            codec = await read_frames(self._redis, self._keys, campaign_id)
            if not codec.has_reference:
                raise ValueError(f"the reference message of {campaign_id} is missing")
        self._frames[campaign_id] = codec
        while len(self._frames) > CODECS_KEPT:
            del self._frames[next(iter(self._frames))]
        return codec

    async def _suppressed(self, keys: Mapping[str, str]) -> frozenset[str]:
        """Who is on the suppression list, of these addresses with their keys."""
        found = await self._redis.hmget(self._keys.suppressed, list(keys.values()))
        return frozenset(email for email, value in zip(keys, found, strict=True) if value is not None)

    def mark(self, claim: Claim, recipient: Claimed) -> Awaitable[bool]:
        """Ask for the durable `sending` mark: a compare-and-set on the claim's token."""
        return self._permits.ask(claim, recipient)

    def record(self, claim: Claim, recipient: Claimed, outcome: Outcome, attempt: Attempt | None = None) -> None:
        """Write an outcome, soon and together with others."""
        reached("before_record")
        quiet = outcome.state is State.QUEUED and outcome.reply is None and outcome.reason is None
        facts = attempt or Attempt(begun_ms=claim.redis_ms, ended_ms=claim.redis_ms)
        if (unanswered := self._unanswered.get(claim.token)) is None:
            unanswered = self._unanswered[claim.token] = Unanswered()
        unanswered.more()
        self._recorder.submit(
            Operation(
                claim.campaign_id,
                claim.chunk,
                recipient.index,
                claim.token,
                LETTERS[outcome.state],
                recipient.key,
                counted=int(outcome.counted and outcome.state is not State.QUEUED),
                due_ms=outcome.due_ms if outcome.due_ms is not None else 0,
                event=b"" if quiet else frame(event_of(recipient.index, outcome, facts)),
                note=suppression_note(outcome, claim) if outcome.suppress else "",
                claimed_ms=claim.redis_ms,
                heard=unanswered.fewer,
            )
        )

    async def end_run(self, claim: Claim, *, rest_s: float = 0.0) -> None:
        """All outcomes of the claim are in Redis: pack what is final, hand in a job for what is queued."""
        if (unanswered := self._unanswered.get(claim.token)) is not None:
            await unanswered.none_left.wait()
        reached("after_record")
        self._unanswered.pop(claim.token, None)
        self._recorder.memory.stow(claim.token)

        try:
            await persistently(lambda: pack_chunk(self._redis, self._keys, claim.campaign_id, claim.chunk))
            # Also where it cannot be packed: others wait for what is healthy in it.
            await persistently(lambda: self._end(claim.campaign_id, claim.chunk, claim.token, rest_s))
        finally:
            self._in_hand.pop(claim.token, None)

    async def postpone(self, campaign: "Campaign", chunk: int, rest_s: float) -> None:
        """Look at this chunk again after so many seconds."""
        await self._end(campaign.id, chunk, "", rest_s)

    async def _end(self, campaign_id: str, chunk: int, token: str, rest_s: float) -> None:
        generation = await END_RUN(
            self._redis,
            [self._keys.campaign(campaign_id)],
            self._keys.base(campaign_id),
            chunk,
            token,
            int(rest_s * 1000),
        )
        if generation >= 0:
            await self._jobs.enqueue([(campaign_id, chunk, generation)])

    async def pause(self, campaign_id: str, reason: str, by: "PausedBy") -> bool:
        """Stop a running campaign. False when it was not running."""
        paused = False

        async def pause() -> None:
            nonlocal paused
            paused = await self._campaigns.pause(campaign_id, reason, by)

        await persistently(pause)
        return paused


def _claimed(entry: Entry, key: str, frame: bytes) -> Claimed:
    last, since = entry.decisive, entry.since_operator
    was_deferred, protocol_errors = False, 0
    for event in since:
        was_deferred |= event.letter == "d"
        protocol_errors += event.reason == "protocol"
    return Claimed(
        index=entry.index,
        row=entry.row,
        email=entry.email,
        key=key,
        frame=frame,
        attempts=entry.attempts,
        crashes=entry.crashes,
        was_deferred=was_deferred,
        accepted_ms=entry.accepted_ms,
        protocol_errors=protocol_errors,
        last=_outcome(last) if last is not None else None,
    )


def _outcome(event: Event) -> Outcome:
    reply = Reply(event.code, event.enhanced_code, event.text or "") if event.code is not None else None
    return Outcome(
        state=event.state,
        phase=Phase(event.phase) if event.phase else None,
        failure=Class(event.failure) if event.failure else None,
        reason=event.reason,
        reply=reply,
        text=event.text if reply is None else None,
        counted=event.counted,
    )
