"""A connection may be cut behind any byte, in either direction: the phase tells truly whether anybody has to doubt."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mailer.backends.smtp.connecting import Connector
from mailer.policy.dot_stuffing import dot_stuff
from mailer.policy.judging import judge
from mailer.vocabulary.envelope import Envelope
from mailer.vocabulary.errors import RelayError
from mailer.vocabulary.outcome import Outcome
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.route import Route, Security
from mailer.vocabulary.settings import DeliverySettings, SmtpSettings
from mailer.vocabulary.transmission import Answered, Interrupted
from tests.faults.proxy import End, Harm, Proxy
from tests.faults.sink import Sink
from tests.faults.steps import Step
from tests.thorough import thorough

ADDRESS = "a@x.test"
CONTENT = b"Message-ID: <1@x.test>\r\nTo: a@x.test\r\nX-Marker: a@x.test\r\n\r\n" + b"Hello again.\r\n" * 8
SETTINGS = SmtpSettings(connect_timeout=5, command_timeout=5, reply_timeout=5, local_hostname="client.test")


@dataclass(frozen=True)
class Came:
    """What one cut came to: on our side, and in truth."""

    outcome: Outcome | None
    phase: Phase | None
    was_taken: bool
    body_began: bool


class Wire:
    """A plain relay behind a proxy: without TLS a byte of the dialogue is a byte of the connection."""

    def __init__(self, sink: Sink, pipelining: bool) -> None:
        self.sink = sink
        self._settings = replace(SETTINGS, pipelining="auto" if pipelining else "off")

    async def send(self, up: Harm, down: Harm) -> tuple[Came, tuple[int, int]]:
        """One message over one new connection that is harmed; the bytes that came through, too."""
        taken, bodies = len(self.sink.log.read().accepted), self.sink.counts[Step.BODY]
        async with Proxy(self.sink.port, up, down) as proxy:
            route = Route(host="127.0.0.1", port=proxy.listens_on, security=Security.PLAIN)
            connector = Connector(route, None, self._settings)
            outcome = phase = None
            with suppress(RelayError):
                session = await connector.open()
                try:
                    transmission = await session.transmit(
                        Envelope("s@x.test", (ADDRESS,)), dot_stuff(CONTENT), _permitted
                    )
                finally:
                    with suppress(Exception):
                        await session.close()
                answer = transmission.answers[ADDRESS]
                assert isinstance(answer, Answered | Interrupted)
                phase = answer.phase
                outcome = judge(
                    answer,
                    attempt=1,
                    accepted_ms=0,
                    now_ms=0,
                    settings=DeliverySettings(),
                    jitter=0,
                    interrupted_before=False,
                ).outcome
            (passed,) = proxy.connections
        await self.sink.quiet()
        return (
            Came(outcome, phase, len(self.sink.log.read().accepted) > taken, self.sink.counts[Step.BODY] > bodies),
            (passed.up, passed.down),
        )


async def _permitted() -> bool:
    return True


@pytest.fixture(params=[True, *thorough(False)], ids=["pipelined", "command by command"])
async def wire(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Wire]:
    async with Sink(tmp_path / "accepted", pipelining=request.param, is_plain=True) as sink:
        yield Wire(sink, request.param)


@pytest.mark.parametrize(
    "end", [End.RST, pytest.param(End.FIN, marks=pytest.mark.every_point)], ids=["reset", "closed"]
)
@pytest.mark.parametrize("direction", ["to the relay", "from the relay"])
async def test_behind_whatever_byte_a_connection_is_cut_nobody_is_called_sent_who_is_not_nor_tried_again_who_may_be(
    wire: Wire, direction: str, end: End
) -> None:
    """Sent: taken. To be tried again: not taken, and no byte of the message has left. Else it is in doubt."""
    whole, (up, down) = await wire.send(Harm(), Harm())
    assert whole.outcome is not None
    assert whole.outcome.state is State.SENT
    seen = set()
    for last in range(up if direction == "to the relay" else down):
        harm = Harm(cut_after=last, end=end)
        found, _ = await wire.send(*((harm, Harm()) if direction == "to the relay" else (Harm(), harm)))
        state = found.outcome.state if found.outcome is not None else None
        where = f"cut behind byte {last} {direction}, in {found.phase}: {state}, taken: {found.was_taken}"
        if state is State.SENT:
            assert found.was_taken, where
        elif state is State.IN_DOUBT:
            assert found.phase in (Phase.BODY, Phase.DOT), where
        else:
            assert state in (None, State.QUEUED), where
            assert not found.was_taken, where
            assert not found.body_began, where
        seen.add(state)
    assert {None, State.QUEUED, State.IN_DOUBT} <= seen


async def test_bytes_that_come_one_by_one_or_all_together_mean_the_same(wire: Wire) -> None:
    """How a dialogue is cut into segments says nothing."""
    for harm in (Harm(segment=1), Harm(coalesce_s=0.01), Harm(delay_s=0.01), Harm(bytes_per_s=50_000)):
        found, _ = await wire.send(replace(harm), replace(harm))
        assert found.outcome is not None
        assert found.outcome.state is State.SENT
        assert found.was_taken


async def test_a_relay_that_falls_silent_is_given_up_after_its_time(tmp_path: Path) -> None:
    """A black hole ends no connection: only the clock does."""
    async with Sink(tmp_path / "accepted", is_plain=True) as sink:
        wire = Wire(sink, pipelining=True)
        wire._settings = replace(SETTINGS, connect_timeout=0.2, command_timeout=0.2, reply_timeout=0.2)
        _, (up, down) = await wire.send(Harm(), Harm())
        for last, state in ((down - 40, State.IN_DOUBT), (120, State.QUEUED), (3, None)):
            async with asyncio.timeout(5):
                found, _ = await wire.send(Harm(), Harm(cut_after=last, end=End.SILENCE))
            assert (found.outcome.state if found.outcome else None) is state, last
        assert up > 0
