"""What every test shares: the servers and the warm process are started once for all tests of a process."""

import gc
import signal
from collections.abc import Generator, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings
from hypothesis.strategies import text

from tests.cli.running import Warm, warm_process
from tests.servers import ledgers, own_server, valkey_url

__all__ = ["ledgers", "own_server", "valkey_url"]


QUICK = "not thorough"
"""The selection that `pyproject.toml` makes."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Forks for every command it is asked to run."""
    process = warm_process()
    yield process
    process.close()


def pytest_configure(config: pytest.Config) -> None:
    # Nothing is timed: a busy machine is no failure. The same code is tried with the same examples, so that what fails
    # fails again; those who look for more ask for every point, and get new ones each time.
    untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("every_point", untimed)
    settings.register_profile("thorough", untimed, derandomize=True)
    settings.register_profile("quick", untimed, derandomize=True, max_examples=10)
    asked = config.option.markexpr
    settings.load_profile("quick" if asked == QUICK else "every_point" if "every_point" in asked else "thorough")
    # A background job starts with SIGINT ignored, and so would every command that the tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Two processes for each core: half the time a test waits, for a relay, a lease, a process."""
    cores = yield
    return 2 * cores


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """In a new clone, no two processes make the same files of `__pycache__` and `.hypothesis` at the same time."""
    config = session.config
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    if (ours := getattr(config, "workerinput", None)) is not None:
        # Each begins with modules of its own.
        here = Path(__file__).parent
        paths = sorted(path.relative_to(here.parent).with_suffix("") for path in here.rglob("test_*.py"))
        for path in paths[int(ours["workerid"].removeprefix("gw")) :: ours["workercount"]]:
            # Nothing is hidden: it is imported again when it is collected, and what is wrong with it is said then.
            with suppress(Exception, pytest.skip.Exception):
                import_module(".".join(path.parts))
    elif config.getoption("dist", "no") != "no":
        # Who waits for the others makes what all strings come from.
        text().validate()


def pytest_collection_finish() -> None:
    # Modules and collected tests stay to the end: no collection of garbage needs to look at them again.
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Properties are held in both sets, with more examples in the thorough one.
    if config.option.markexpr == "thorough":
        for item in items:
            if isinstance(item, pytest.Function) and is_hypothesis_test(item.obj):
                item.add_marker(pytest.mark.thorough)
    if "every_point" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("every_point"):
                item.add_marker(pytest.mark.skip(reason="minutes long: -m every_point"))
