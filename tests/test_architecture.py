"""The walls of the house, read from the imports."""

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "mailer"

MAY_IMPORT: dict[str, set[str]] = {
    "vocabulary": set(),
    "policy": {"vocabulary"},
    "interfaces": {"vocabulary"},
    "flow": {"vocabulary", "policy", "interfaces", ""},
    "backends": {"vocabulary", "policy", "interfaces", "failpoints", ""},
    "reports": {"vocabulary", "policy"},
    "logs": set(),
    "failpoints": set(),
    "config": {"vocabulary", "policy", "interfaces", "backends"},
    "capture": {"vocabulary", "policy"},
    "demo": {"vocabulary"},
    "worker": {"vocabulary", "policy", "interfaces", "flow", "backends", "config", "logs", "failpoints", ""},
    "cli": {
        "vocabulary",
        "policy",
        "interfaces",
        "flow",
        "backends",
        "reports",
        "config",
        "capture",
        "demo",
        "worker",
        "web",
        "logs",
        "",
    },
    "api": {
        "vocabulary",
        "policy",
        "interfaces",
        "flow",
        "backends",
        "reports",
        "config",
        "worker",
        "logs",
        "",
    },
    "web": {"vocabulary", "policy", "interfaces", "flow", "reports", "capture", "config"},
    "scaffold": {""},
    "sources": {"backends"},
    "testing": {"vocabulary", "policy", "interfaces", "flow", "backends", "config", "capture", "api", "logs"},
    "": {"vocabulary", "api"},
    "__main__": {"cli", ""},
}
"""Room by room: what it may see. The empty name is the package: its version and the public names."""

PURE = {
    "vocabulary": {"msgspec", "pydantic_core"},
    "interfaces": set[str](),
    "policy": {
        "msgspec",
        "jinja2",
        "markupsafe",
        "email_validator",
        "idna",
        "markdown_it",
        "css_inline",
        "html_to_markdown",
    },
}
"""Third parties that the inner rooms may use."""

INPUT_OUTPUT = {"asyncio", "socket", "subprocess", "threading", "urllib.request", "time", "os"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports_of(path: Path) -> set[str]:
    names = set[str]()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports name the whole path"
            names.add(node.module or "")
    return names


def test_imports_go_one_way() -> None:
    for path in modules():
        room = room_of(path)
        for name in imports_of(path):
            if name.split(".")[0] == "mailer":
                other = [*name.split("."), ""][1]
                assert other == room or other in MAY_IMPORT[room], f"{path} imports {name}"


def test_the_inner_rooms_use_no_third_party_but_the_named_ones() -> None:
    import sys

    for path in modules():
        if (allowed := PURE.get(room_of(path))) is not None:
            foreign = {name.split(".")[0] for name in imports_of(path)} - {"mailer"} - set(sys.stdlib_module_names)
            assert foreign <= allowed, f"{path} uses {foreign - allowed}"


def test_decisions_wait_for_nothing_and_do_no_input_or_output() -> None:
    for path in modules():
        if room_of(path) in ("vocabulary", "policy"):
            assert not any(isinstance(node, ast.AsyncFunctionDef | ast.Await) for node in ast.walk(tree_of(path)))
            if "rendering" not in path.parts:
                assert not imports_of(path) & INPUT_OUTPUT, path


def test_arq_is_known_in_two_places_at_most() -> None:
    knowing = {
        path.relative_to(PACKAGE).as_posix()
        for path in modules()
        if any(name.split(".")[0] == "arq" for name in imports_of(path))
    }
    assert knowing == {"backends/redis/jobs.py", "worker/queue_reader.py"}


def test_nothing_is_pickled() -> None:
    for path in modules():
        assert "pickle" not in imports_of(path), path


def test_only_the_configuration_and_the_edges_read_the_environment() -> None:
    # The embedded server gets a cleaned environment handed on, and a place for its socket.
    exempt = {"backends/embedded.py", "backends/embedded_folder.py", "failpoints.py"}
    reading = {"config", "cli", "api", "worker", "testing"}
    for path in modules():
        if room_of(path) not in reading and path.relative_to(PACKAGE).as_posix() not in exempt:
            assert "os.environ" not in path.read_text(), path


def test_no_room_is_called_utils() -> None:
    assert not [path for path in modules() if path.stem in ("utils", "helpers", "common_utils", "misc")]
