"""A pool at rest replaces a session before it is worn: the next message does not wait for a connection."""

from tests.backends.smtp.pooling import MakePool, send_through, state, until
from tests.relays.scripted import ScriptedRelay


async def test_at_rest_a_session_is_replaced_before_its_limit(relay: ScriptedRelay, make_pool: MakePool) -> None:
    """Nine of ten messages: the tenth finds a connection that is open and new."""
    pool = make_pool(max_messages_per_connection=10)
    for _ in range(9):
        await send_through(pool)
    await until(lambda: state(pool) == "0 lent, 2 idle, 0 opening, 0 closing, 0 waiting")
    assert (await send_through(pool)).connection_use == 1
    assert relay.connections == 2


async def test_ahead_or_not_there_are_never_more_than_allowed(relay: ScriptedRelay, make_pool: MakePool) -> None:
    """Where one connection is allowed, the worn one goes first."""
    pool = make_pool(max_messages_per_connection=10, max_connections=1)
    uses = [(await send_through(pool)).connection_use for _ in range(12)]
    assert uses == [*range(1, 11), 1, 2]
