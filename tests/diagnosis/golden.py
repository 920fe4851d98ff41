"""What is expected word for word, as files to read; MAILER_WRITE_GOLDEN=1 in the environment writes them anew."""

import json
import os
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "golden"
_CHANGING = {
    r"in \d+ ms": "in N ms",
    r"expires \d{4}-\d\d-\d\d \(\d+ days\)": "expires DATE (N days)",
    r"trustme v[\d.]+": "trustme",
    r"\[?(Errno|Error) -?\d+\]?": r"\1 N",
    # An event loop's own words for a refused connection differ from loop to loop.
    r"Connect call failed \('127\.0\.0\.1', PORT\)": "Connection refused",
    # The TLS library's own words differ from version to version.
    r'"cause": "(SSL\w*): .*"': r'"cause": "\1: …"',
}
"""What changes from run to run, or from machine to machine."""
WRITE = bool(os.environ.get("MAILER_WRITE_GOLDEN"))


def check(name: str, text: str, **masked: object) -> None:
    """Compare with the file; `masked` are values that change from run to run, by the word that stands for them."""
    for word, value in masked.items():
        text = text.replace(str(value), word)
    for pattern, shown in _CHANGING.items():
        text = re.sub(pattern, shown, text)
    file = FOLDER / name
    if WRITE:
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def check_json(name: str, document: Any, **masked: object) -> None:
    """The same for an object of a JSON document."""
    check(name, json.dumps(document, indent=2, ensure_ascii=False) + "\n", **masked)
