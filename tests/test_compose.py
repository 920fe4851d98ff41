"""What can be said of compose.yaml and the Dockerfile without a Docker engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailer.config.loading import load
from tests.cli.running import Warm

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "mailer:local"}


def commands() -> list[list[str]]:
    found = [service["command"] for service in OURS.values()]
    found += [service["healthcheck"]["test"][1:] for service in OURS.values() if "healthcheck" in service]
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_in_it_exists(command: list[str], warm: Warm, tmp_path: Path) -> None:
    assert command[0] == "mailer"
    words = [word for word in command[1:] if not word.startswith(("-", "/"))]
    verbs = words[: 2 if words[0] in ("dev", "queue", "config", "suppress") else 1]
    code, helped, _ = warm.run([*verbs, "--help"], tmp_path, {"COLUMNS": "200", "PATH": ""})
    assert code == 0
    for flag in (word for word in command if word.startswith("--")):
        assert flag in helped, command


def test_every_variable_it_sets_for_us_is_a_setting(tmp_path: Path) -> None:
    for service in OURS.values():
        environ = service.get("environment", {})
        assert all(isinstance(value, str) for value in environ.values())
        found = load(None, environ={**environ, "XDG_CONFIG_HOME": str(tmp_path)})
        known = {origin for origin in found.origin.values() if origin.startswith("environment ")}
        assert known == {f"environment {name}" for name in environ}


def test_the_queue_server_forgets_nothing_and_evicts_nothing() -> None:
    command = " ".join(SERVICES["valkey"]["command"])
    assert "--appendonly yes" in command
    assert "--appendfsync always" in command
    assert "--maxmemory-policy noeviction" in command


def test_a_worker_has_longer_to_stop_than_its_grace() -> None:
    assert SERVICES["worker"]["stop_grace_period"] == "90s"


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_a_service_waits_for_is_there_and_tells_its_health() -> None:
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            assert wait["condition"] != "service_healthy" or "healthcheck" in SERVICES[name]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source.startswith(".") or source in COMPOSE["volumes"]


def test_the_image_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users[-1:] == ["mailer"]
    extras = re.search(r"'/src\[([a-z,]+)\]'", "\n".join(lines))
    assert extras is not None
    assert set(extras[1].split(",")) <= {"demo", "fast", "embedded", "tables", "text"}
