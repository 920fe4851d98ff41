"""Desks to run commands from, and mail servers for them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailer.backends import embedded
from mailer.capture.server import CaptureServer
from tests.cli.backstage import Backstage
from tests.cli.desk import Desk
from tests.cli.running import Warm
from tests.relays.scripted import ScriptedRelay

MakeDesk = Callable[[], Desk]


@pytest.fixture(scope="module")
def backstage() -> Iterator[Backstage]:
    stage = Backstage()
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def relay(backstage: Backstage, tmp_path_factory: pytest.TempPathFactory) -> CaptureServer:
    """A mail server that keeps everything. Tests share it: each of them writes to a domain of its own."""
    return backstage.enter(CaptureServer(tmp_path_factory.mktemp("capture"), port=0))


@pytest.fixture(scope="module")
def shared_queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a queue server that the first command starts and the others join."""
    folder = tmp_path_factory.mktemp("q")
    yield folder
    embedded.stop(folder)


@pytest.fixture
def desk(tmp_path: Path, shared_queue: Path, relay: CaptureServer, warm: Warm) -> Iterator[Desk]:
    """A desk whose queue other tests have used before: with campaigns of theirs in it, but no worker."""
    desk = Desk(tmp_path, shared_queue, relay, warm)
    yield desk
    desk.close(stop_queue=False)


@pytest.fixture
def own_desk(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, relay: CaptureServer, warm: Warm
) -> Iterator[Desk]:
    """A desk with a queue of its own, not started yet."""
    desk = Desk(tmp_path, tmp_path_factory.mktemp("q") / "data", relay, warm)
    yield desk
    desk.close(stop_queue=True)


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[[Desk, ScriptedRelay], ScriptedRelay]]:
    """Put a mail server that misbehaves on order in the place of the one a desk has."""
    stage = Backstage()

    def put(desk: Desk, relay: ScriptedRelay, *, user: str = "") -> ScriptedRelay:
        stage.enter(relay)
        ca_file = desk.write("scripted-ca.pem", relay.certificates.ca_pem)
        desk.environ |= {
            "MAILER_SMTP_URL": f"smtp+starttls://{user and f'{user}@'}127.0.0.1:{relay.port}",
            "MAILER_SMTP_CA_FILE": str(ca_file),
        }
        return relay

    yield put
    stage.close()
