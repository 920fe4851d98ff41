"""Where data becomes lines of a terminal: no controls, no markup, and no escape byte unless colour is wanted."""

import io

from rich.console import Console, RenderableType
from rich.text import Text

from mailer.vocabulary.recipient import State
from mailer.vocabulary.reply import sanitise

COLOURS = {
    State.SENT: "green",
    State.REFUSED: "red",
    State.FAILED: "red",
    State.DEFERRED: "yellow",
    State.IN_DOUBT: "magenta",
    State.SUPPRESSED: "bright_black",
    State.CANCELLED: "bright_black",
    State.QUEUED: "cyan",
    State.CLAIMED: "cyan",
    State.SENDING: "cyan",
}
"""A colour for each state; the word always stands beside it."""


def plain(value: object, style: str = "") -> Text:
    """A value as it may be shown: controls and bidirectional marks gone, brackets just brackets; None is empty."""
    return Text("" if value is None else sanitise(str(value)), style=style)


def console(*, width: int, color: bool) -> Console:
    """A console that writes to a string and looks at nothing but its arguments, least of all at the environment."""
    return Console(
        file=io.StringIO(),
        width=width,
        height=25,  # with both given, rich asks neither TERM nor COLUMNS
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
    )


def drawn(*parts: RenderableType, width: int, color: bool) -> str:
    """The parts one below the other, `width` columns wide at most, without blanks at line ends."""
    screen = console(width=width, color=color)
    with screen.capture() as capture:
        for part in parts:
            screen.print(part)
    return "\n".join(line.rstrip() for line in capture.get().split("\n")).strip("\n")
