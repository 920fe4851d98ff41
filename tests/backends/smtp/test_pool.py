"""The pool, judged by what it says of itself and by what the relay sees."""

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from mailer.backends.smtp.pool import SmtpPool
from mailer.vocabulary.errors import RelayError
from tests.backends.smtp.pooling import Gate, MakePool, send_through, state, until
from tests.backends.smtp.sending import BAD, SETTINGS, send
from tests.relays.scripted import ScriptedRelay

if TYPE_CHECKING:
    from mailer.interfaces.session import Session, SessionPool

USER, PASSWORD = "news@client.test", "canary-password"


async def test_nothing_is_opened_before_it_is_needed(relay: ScriptedRelay, make_pool: MakePool) -> None:
    pool = make_pool()
    assert state(pool) == "0 lent, 0 idle, 0 opening, 0 closing, 0 waiting"
    assert relay.connections == 0


async def test_messages_one_after_the_other_share_a_connection(relay: ScriptedRelay, make_pool: MakePool) -> None:
    pool = make_pool()
    uses = [(await send_through(pool)).connection_use for _ in range(5)]
    assert uses == [1, 2, 3, 4, 5]
    assert relay.connections == 1
    assert state(pool) == "0 lent, 1 idle, 0 opening, 0 closing, 0 waiting"


async def test_never_more_connections_than_allowed(relay: ScriptedRelay, make_pool: MakePool) -> None:
    pool = make_pool(max_connections=3)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(30):
            tasks.create_task(send_through(pool))
    assert len(relay.deliveries) == 30
    assert relay.connections == 3
    assert state(pool) == "0 lent, 3 idle, 0 opening, 0 closing, 0 waiting"


async def test_the_session_used_last_goes_out_first(make_pool: MakePool) -> None:
    pool = make_pool()
    first, second = Gate(pool), Gate(pool)
    await first.has_one.wait()
    await second.has_one.wait()
    await first.done()
    await second.done()
    async with pool.session() as newest:
        pass
    async with pool.session() as again:
        assert again is newest


async def test_who_waits_longest_is_served_first(make_pool: MakePool) -> None:
    pool = make_pool(max_connections=1)
    order: list[int] = []

    async def borrow(number: int) -> None:
        async with pool.session():
            order.append(number)

    holder = Gate(pool)
    await holder.has_one.wait()
    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(borrow(number))
        await until(lambda: state(pool) == "1 lent, 0 idle, 0 opening, 0 closing, 4 waiting")
        await holder.done()
    assert order == [0, 1, 2, 3]


async def test_of_those_who_wait_the_borrower_with_the_fewest_is_served_first(make_pool: MakePool) -> None:
    pool = make_pool(max_connections=3)
    held = [Gate(pool, borrower) for borrower in "aab"]
    for gate in held:
        await gate.has_one.wait()
    now = time.monotonic()
    assert not pool.is_wanted("a", now)
    waiting = [Gate(pool, borrower) for borrower in "aabc"]
    await until(lambda: state(pool).endswith("4 waiting"))
    assert pool.is_wanted("a", now)
    assert not pool.is_wanted("b", now)
    # c has none; then a, and then b, have come down to fewer than the other.
    for gate, next_one in zip(held, (3, 0, 2), strict=True):
        before = {other for other in waiting if other.has_one.is_set()}
        await gate.done()
        await waiting[next_one].has_one.wait()
        assert {other for other in waiting if other.has_one.is_set()} == before | {waiting[next_one]}
    for gate in waiting:
        await gate.done()
    assert state(pool) == "0 lent, 3 idle, 0 opening, 0 closing, 0 waiting"


async def test_nobody_overtakes_those_who_wait(make_pool: MakePool) -> None:
    pool = make_pool(max_connections=1)
    holder = Gate(pool)
    await holder.has_one.wait()
    waiter = Gate(pool)
    await until(lambda: state(pool).endswith("1 waiting"))
    holder.leave.set()
    await holder.task
    newcomer = Gate(pool)
    await waiter.has_one.wait()
    assert not newcomer.has_one.is_set()
    await waiter.done()
    await newcomer.done()


async def test_the_first_connection_opens_alone(relay: ScriptedRelay, make_pool: MakePool) -> None:
    relay.hangs_at("GREETING")
    pool = make_pool()
    tasks = [asyncio.create_task(send_through(pool)) for _ in range(4)]
    await until(lambda: state(pool) == "0 lent, 0 idle, 1 opening, 0 closing, 3 waiting")
    assert relay.connections <= 1
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert state(pool) == "0 lent, 0 idle, 0 opening, 0 closing, 0 waiting"


async def test_a_wrong_password_is_tried_once_for_everybody_who_waits(make_pool: MakePool) -> None:
    async with ScriptedRelay(logins={USER: PASSWORD}) as relay:
        pool = SmtpPool(relay.route(user=USER), "wrong", SETTINGS)
        results = await asyncio.gather(*(send_through(pool) for _ in range(8)), return_exceptions=True)
        assert [result.code for result in results if isinstance(result, RelayError)] == ["E411"] * 8
        assert relay.verbs().count("AUTH") == 1
        assert PASSWORD not in repr(pool)


async def test_a_route_that_recovers_is_used_again(relay: ScriptedRelay, make_pool: MakePool) -> None:
    relay.says_421_at("GREETING", times=1)
    pool = make_pool()
    with pytest.raises(RelayError) as error:
        await send_through(pool)
    assert error.value.retryable
    assert (await send_through(pool)).refused == {}


async def test_a_failed_opening_does_not_disturb_those_who_wait_for_a_working_session(
    relay: ScriptedRelay, make_pool: MakePool
) -> None:
    pool = make_pool(max_connections=2)
    holder = Gate(pool)
    await holder.has_one.wait()
    relay.says_421_at("GREETING", times=2)
    opener, waiter = (asyncio.create_task(send_through(pool)) for _ in range(2))
    await until(lambda: state(pool) == "1 lent, 0 idle, 1 opening, 0 closing, 0 waiting")
    await asyncio.wait([opener, waiter])
    assert all(isinstance(task.exception(), RelayError) for task in (opener, waiter))
    await holder.done()
    assert (await send_through(pool)).refused == {}
    assert relay.connections == 3


async def test_a_connection_is_replaced_after_so_many_messages(relay: ScriptedRelay, make_pool: MakePool) -> None:
    pool = make_pool(max_messages_per_connection=2, max_connections=1)
    uses = [(await send_through(pool)).connection_use for _ in range(5)]
    assert uses == [1, 2, 1, 2, 1]
    assert relay.verbs(1)[-1] == relay.verbs(2)[-1] == "QUIT"


async def test_a_connection_is_replaced_after_so_much_time(relay: ScriptedRelay, make_pool: MakePool) -> None:
    pool = make_pool(max_connection_age=0.0)
    await send_through(pool)
    await send_through(pool)
    assert relay.connections == 2
    await relay.seen("QUIT", 2)


async def test_a_connection_is_replaced_after_many_refusals_in_a_row(relay: ScriptedRelay, make_pool: MakePool) -> None:
    relay.refuses_recipient(BAD)
    pool = make_pool()
    for _ in range(9):
        assert list((await send_through(pool, BAD)).refused) == [BAD]
    assert relay.connections > 1


async def test_an_idle_connection_says_goodbye(relay: ScriptedRelay, make_pool: MakePool) -> None:
    pool = make_pool(idle_timeout=0.05)
    await send_through(pool)
    await relay.seen("QUIT")
    await relay.left_by_everybody()
    await until(lambda: state(pool) == "0 lent, 0 idle, 0 opening, 0 closing, 0 waiting")
    assert (await send_through(pool)).connection_use == 1


@pytest.mark.thorough
@pytest.mark.parametrize("farewell", [b"", b"421 4.4.2 idle for too long\r\n"])
async def test_a_connection_that_died_while_idle_costs_nobody_anything(
    relay: ScriptedRelay, make_pool: MakePool, farewell: bytes
) -> None:
    pool = make_pool(max_connections=1)
    async with pool.session() as session:
        await send(session)
    relay.hang_up(farewell)
    await session.ended()
    assert (await send_through(pool)).connection_use == 1
    assert relay.connections == 2


async def test_a_connection_that_hangs_on_rset_costs_nobody_anything(relay: ScriptedRelay, make_pool: MakePool) -> None:
    relay.refuses_recipient(BAD)
    relay.hangs_on_rset()
    pool = make_pool(max_connections=1, command_timeout=0.3)
    assert list((await send_through(pool, BAD)).refused) == [BAD]
    assert (await send_through(pool)).refused == {}
    assert relay.connections == 2


@pytest.mark.parametrize("at", ["MAIL", "DOT"])
async def test_after_an_unclean_end_the_next_message_has_a_new_connection(
    relay: ScriptedRelay, make_pool: MakePool, at: str
) -> None:
    relay.says_421_at(at, times=1)
    pool = make_pool(max_connections=1)
    await send_through(pool)
    assert (await send_through(pool)).connection_use == 1
    assert relay.connections == 2


async def test_a_session_closed_by_its_borrower_is_not_reused(relay: ScriptedRelay, make_pool: MakePool) -> None:
    pool = make_pool()
    async with pool.session() as session:
        await send(session)
        await session.close()
    await send_through(pool)
    assert relay.connections == 2


async def test_pool_and_session_fit_the_sockets_of_the_interface(make_pool: MakePool) -> None:
    pool: SessionPool = make_pool()
    async with pool.session("campaign") as lent:
        session: Session = lent
        assert session.is_reusable
