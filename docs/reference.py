"""Writes docs/reference.md from the code: every command with its flags, every setting, every error and exit code.

python docs/reference.py            writes the file
python docs/reference.py --check    says whether it is what the code says (exit 1 when not)
"""

import ast
import inspect
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from mailer.cli import app as _registered  # noqa: F401 (registers the commands)
from mailer.cli.manual import ENVIRONMENT, EVERYWHERE, EXIT_CODES
from mailer.cli.registry import app
from mailer.config.keys import DEFAULTS, SHORT_NAMES
from mailer.vocabulary import settings
from mailer.vocabulary.quantity import Rate

TARGET = Path(__file__).with_name("reference.md")
CATALOGUE = Path(__file__).parent.parent / "mailer" / "cli" / "catalogue.toml"
SECTIONS = {
    "campaign": "CampaignSettings",
    "smtp": "SmtpSettings",
    "queue": "QueueSettings",
    "delivery": "DeliverySettings",
}


def reference() -> str:
    """The page."""
    lines = [
        "# Reference",
        "",
        "Generated from the code by `python docs/reference.py`.",
        "",
        "- [Commands](#commands) · [Flags of every command](#flags-of-every-command) · [Exit codes](#exit-codes)",
        "- [Settings](#settings) · [Environment](#environment) · [Errors and warnings](#errors-and-warnings)",
        "",
        "## Commands",
        "",
        *commands(),
        "## Flags of every command",
        "",
        *table(("flag", "meaning"), [(f"`{name}`", told) for name, told in EVERYWHERE.items()]),
        "## Exit codes",
        "",
        *table(("code", "meaning"), [(str(code), told) for code, told in EXIT_CODES.items()]),
        "## Settings",
        "",
        "Flags win over the environment, that over a `.env` file, over the campaign file, over the user's own",
        "file, over the default. Durations are `30s 10m 2h 2d`, sizes `10MB 256MiB`, rates `20/s 600/min 10000/h`.",
        "",
        *setting_tables(),
        "## Environment",
        "",
        *table(("variable", "meaning"), [(f"`{name}`", told) for name, told in ENVIRONMENT.items()]),
        "## Errors and warnings",
        "",
        "`mailer explain CODE` tells more of each.",
        "",
        *table(("code", "what"), list(codes())),
    ]
    return "\n".join(lines).rstrip() + "\n"


def commands() -> Iterator[str]:
    """Each command with its example, its arguments and its flags."""
    root = get_command(app)
    assert isinstance(root, typer.core.TyperGroup)  # noqa: S101 (mailer is a group)
    for name, command in sorted(root.commands.items()):
        if isinstance(command, typer.core.TyperGroup):
            for sub_name, sub in sorted(command.commands.items()):
                yield from one_command(f"mailer {name} {sub_name}", sub)
        elif not command.hidden:
            yield from one_command(f"mailer {name}", command)


def one_command(name: str, command: Any) -> Iterator[str]:
    """Heading, purpose, example, flags."""
    example, _, told = inspect.cleandoc(command.help or "").partition("\n\n")
    yield from (f"### `{name}`", "", " ".join(told.split()), "", f"`{example.removeprefix('Example: ')}`", "")
    rows: list[tuple[str, ...]] = []
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        if isinstance(parameter, typer.core.TyperArgument):
            shown = parameter.metavar or parameter.name or ""
        else:
            value = "" if parameter.is_flag else f" {parameter.metavar or 'N'}"
            shown = ", ".join(parameter.opts) + value
        rows.append((f"`{shown}`", " ".join((getattr(parameter, "help", None) or "").split())))
    yield from table(("flag", "meaning"), rows) if rows else ()


def setting_tables() -> Iterator[str]:
    """One table for each section, with the meaning that stands at each setting in the code."""
    tree = ast.parse(inspect.getsource(settings))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    short = {key: name for name, key in SHORT_NAMES.items()}
    for section, name in SECTIONS.items():
        yield from (f"### `[{section}]`", "")
        rows: list[tuple[str, ...]] = []
        body = classes[name].body
        for field, doc in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr) and isinstance(field.target, ast.Name):
                key = field.target.id
                told = " ".join(str(ast.literal_eval(doc.value)).split())
                variable = short.get(f"{section}.{key}", f"MAILER_{section}__{key}".upper())
                rows.append((f"`{key}`", default_of(section, key), told, f"`{variable}`"))
        yield from table(("key", "default", "meaning", "environment"), rows)


def default_of(section: str, key: str) -> str:
    """The default as a TOML file would have it."""
    value = getattr(DEFAULTS[section], key)
    match value:
        case None | () | {}:
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case tuple():
            return "`[" + ", ".join(_quantity(key, item) for item in value) + "]`"
        case _:
            return f"`{_quantity(key, value)}`"


def _quantity(key: str, value: object) -> str:
    if isinstance(value, Rate):
        return f'"{value}"'
    if isinstance(value, float):
        whole = int(value)
        for unit, seconds in (("d", 86_400), ("h", 3_600), ("m", 60)):
            if whole >= seconds and whole % seconds == 0:
                return f'"{whole // seconds}{unit}"'
        return f'"{whole}s"'
    if isinstance(value, int) and key.endswith(("water", "size")) and value >= 10**6:
        return f'"{value // 2**20}MiB"' if value % 2**20 == 0 else f'"{value // 10**6}MB"'
    return f'"{value}"' if isinstance(value, str) else str(value)


def codes() -> Iterator[tuple[str, str]]:
    """Every error and warning, and what it is."""
    for code, entry in sorted(tomllib.loads(CATALOGUE.read_text(encoding="utf-8")).items()):
        yield f"`{code}`", str(entry["title"])


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """A Markdown table and an empty line."""
    cells = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells] + [""]


if __name__ == "__main__":
    page = reference()
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.read_text(encoding="utf-8") == page else 1)
    TARGET.write_text(page, encoding="utf-8")
