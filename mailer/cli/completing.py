"""`mailer completion`: the script that lets a shell complete commands, flags and their values."""

import os
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation

VARIABLE = "_MAILER_COMPLETE"
"""Set by the script when it asks us what could come next."""

Shell = Literal["bash", "zsh", "fish"]


def show_completion(invocation: "Invocation", shell: Shell) -> int:
    """Print the script for a shell."""
    # Typer offers this only as a flag of every command; the function behind the flag is what we want.
    from typer._completion_shared import get_completion_script

    script = get_completion_script(prog_name="mailer", complete_var=VARIABLE, shell=shell)
    if invocation.as_json:
        invocation.document(shell=shell, script=script)
    else:
        invocation.data(script)
    return 0


def is_asked() -> bool:
    """True when a shell asks what could come next."""
    return VARIABLE in os.environ


def prepare() -> None:
    """Teach the parser the dialects of the shells."""
    from typer._completion_classes import completion_init

    completion_init()
