"""What a start may load: the list is what keeps `--help` and `import mailer` quick."""

import json
import subprocess
import sys
from importlib.metadata import packages_distributions

from tests.cli.running import ROOT

HELP = {"annotated-doc", "click", "shellingham", "typer", "typing_extensions", "mailer"}
"""Distributions that `mailer --help` may load besides the standard library."""


def distributions_of(script: str) -> set[str]:
    """The distributions whose modules a script loads, and our rooms."""
    code = f"import sys\n{script}\nimport json\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}
    known = packages_distributions()
    # What Python itself loads at its start (`.pth` files of an environment) is not ours.
    return {known[name][0].lower() for name in loaded if name in known} - started_by_python()


def started_by_python() -> set[str]:
    code = "import sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    known = packages_distributions()
    return {known[name][0].lower() for name in json.loads(done.stdout) if name in known}


def test_help_loads_these_distributions_and_no_other() -> None:
    loaded = distributions_of("from mailer.__main__ import main\ntry:\n    main(['--help'])\nexcept SystemExit: pass")
    assert loaded <= HELP


def test_importing_mailer_loads_no_other_distribution() -> None:
    assert distributions_of("import mailer") <= {"mailer"}


def test_telling_the_version_loads_no_other_distribution() -> None:
    loaded = distributions_of(
        "from mailer.__main__ import main\ntry:\n    main(['--version'])\nexcept SystemExit: pass"
    )
    assert loaded <= {"mailer"}
