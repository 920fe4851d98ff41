"""`mailer` and `python -m mailer`."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; exits with one of the documented codes."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        from mailer import __version__

        print(f"mailer {__version__}")
        return
    from mailer.cli.app import run

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
