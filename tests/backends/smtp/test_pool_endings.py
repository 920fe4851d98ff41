"""The pool when a borrower is cancelled, and when it closes: nothing is lost, nothing is left."""

import asyncio

import pytest

from mailer.backends.smtp.pool import SmtpPool
from tests.backends.smtp.pooling import Gate, MakePool, send_through, state, until
from tests.backends.smtp.sending import BAD, SETTINGS
from tests.relays.scripted import ScriptedRelay


async def test_after_a_cancelled_transaction_the_connection_is_not_reused(
    relay: ScriptedRelay, make_pool: MakePool
) -> None:
    relay.answers("RCPT", b"250 ok\r\n", times=1)
    relay.hangs_at("DOT")
    pool = make_pool(max_connections=1)
    sending = asyncio.create_task(send_through(pool))
    await relay.seen("DOT")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    async with pool.session() as session:
        assert session.is_reusable
    assert relay.connections == 2


async def test_a_cancelled_waiter_loses_nothing(make_pool: MakePool) -> None:
    pool = make_pool(max_connections=1)
    holder = Gate(pool)
    await holder.has_one.wait()
    waiter = Gate(pool)
    await until(lambda: state(pool).endswith("1 waiting"))
    waiter.task.cancel()
    await asyncio.wait([waiter.task])
    assert state(pool) == "1 lent, 0 idle, 0 opening, 0 closing, 0 waiting"
    await holder.done()
    assert (await send_through(pool)).connection_use == 1


async def test_a_waiter_cancelled_in_the_moment_it_is_served_passes_it_on(make_pool: MakePool) -> None:
    pool = make_pool(max_connections=1)
    async with pool.session():
        unlucky, lucky = Gate(pool), Gate(pool)
        await until(lambda: state(pool).endswith("2 waiting"))
    # The session is booked for the first of them by now, who has not run since.
    assert state(pool) == "1 lent, 0 idle, 0 opening, 0 closing, 1 waiting"
    unlucky.task.cancel()
    await lucky.has_one.wait()
    assert unlucky.task.cancelled()
    assert not unlucky.has_one.is_set()
    await lucky.done()
    assert state(pool) == "0 lent, 1 idle, 0 opening, 0 closing, 0 waiting"


async def test_a_right_to_open_cancelled_in_the_moment_it_is_given_goes_to_the_next(make_pool: MakePool) -> None:
    pool = make_pool(max_connections=1)
    async with pool.session() as session:
        unlucky, lucky = Gate(pool), Gate(pool)
        await until(lambda: state(pool).endswith("2 waiting"))
        await session.close()
    await until(lambda: state(pool) == "0 lent, 0 idle, 1 opening, 0 closing, 1 waiting")
    unlucky.task.cancel()
    await lucky.has_one.wait()
    await lucky.done()
    assert state(pool) == "0 lent, 1 idle, 0 opening, 0 closing, 0 waiting"


async def test_cancelled_while_an_old_reset_is_awaited_the_session_comes_back(
    relay: ScriptedRelay, make_pool: MakePool
) -> None:
    relay.refuses_recipient(BAD)
    relay.hangs_on_rset()
    pool = make_pool(max_connections=1)
    await send_through(pool, BAD)
    waiting = Gate(pool)
    await relay.seen("RSET")
    await until(lambda: state(pool).startswith("1 lent"))
    waiting.task.cancel()
    await asyncio.wait([waiting.task])
    assert state(pool) == "0 lent, 1 idle, 0 opening, 0 closing, 0 waiting"
    relay.hang_up()
    assert (await send_through(pool)).refused == {}


async def test_at_the_end_of_the_block_a_pool_is_closed(relay: ScriptedRelay) -> None:
    async with SmtpPool(relay.route(), None, SETTINGS) as pool:
        await send_through(pool)
    assert relay.verbs()[-1] == "QUIT"
    assert "closed" in repr(pool)


async def test_a_right_to_open_that_is_cancelled_goes_to_the_next(relay: ScriptedRelay, make_pool: MakePool) -> None:
    relay.answers("GREETING", b"", times=1)
    pool = make_pool(max_connections=1)
    first, second = Gate(pool), Gate(pool)
    await until(lambda: state(pool) == "0 lent, 0 idle, 1 opening, 0 closing, 1 waiting")
    first.task.cancel()
    await second.has_one.wait()
    await second.done()
    assert state(pool) == "0 lent, 1 idle, 0 opening, 0 closing, 0 waiting"


async def test_close_says_goodbye_on_every_connection(relay: ScriptedRelay, make_pool: MakePool) -> None:
    pool = make_pool()
    gates = [Gate(pool) for _ in range(3)]
    for gate in gates:
        await gate.has_one.wait()
    for gate in gates[:2]:
        await gate.done()
    await pool.close()
    await pool.close()
    assert relay.verbs().count("QUIT") == 2
    assert state(pool) == "closed, 1 lent, 0 idle, 0 opening, 0 closing, 0 waiting"
    await gates[2].done()
    assert relay.verbs().count("QUIT") == 3
    assert state(pool) == "closed, 0 lent, 0 idle, 0 opening, 0 closing, 0 waiting"


async def test_a_relay_that_hangs_on_quit_does_not_hold_the_pool_up(
    relay: ScriptedRelay, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailer.backends.smtp.session.QUIT_TIMEOUT", 0.05)
    relay.hangs_at("QUIT")
    pool = make_pool()
    await send_through(pool)
    await pool.close()
    await relay.left_by_everybody()


async def test_a_closed_pool_lends_nothing(make_pool: MakePool) -> None:
    pool = make_pool(max_connections=1)
    holder = Gate(pool)
    await holder.has_one.wait()
    waiter = Gate(pool)
    await until(lambda: state(pool).endswith("1 waiting"))
    await pool.close()
    with pytest.raises(RuntimeError, match="closed"):
        await waiter.task
    with pytest.raises(RuntimeError, match="closed"):
        await send_through(pool)
    await holder.done()


async def test_a_connection_that_opens_while_the_pool_closes_is_closed_again(
    relay: ScriptedRelay, make_pool: MakePool
) -> None:
    pool = make_pool()
    opening = Gate(pool)
    await relay.seen("EHLO")
    await pool.close()
    with pytest.raises(RuntimeError, match="closed"):
        await opening.task
    await relay.left_by_everybody()
    assert state(pool) == "closed, 0 lent, 0 idle, 0 opening, 0 closing, 0 waiting"
