"""Sources: what a template is made of, read once, so that nothing changes under a campaign that is being sent."""

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePath

from mailer.policy.rendering.errors import Spot
from mailer.policy.rendering.files import read_all_templates, read_template


class Sources:
    """Template sources by name: files below `root`, named by their path, and texts that a campaign sets itself.

    Only `read` and `read_all` touch the disk. `text` and all else know what has been read. `shown` is the root as a
    person calls it, and as errors do.
    """

    def __init__(self, root: Path, settings: Mapping[str, str], *, shown: PurePath | None = None) -> None:
        self.root = root
        self.shown = root if shown is None else shown
        self._settings = frozenset(settings)
        self._texts = dict(settings)

    def read(self, name: str) -> str | None:
        """The source `name`, from the disk the first time; None where there is none. Raises `TemplateError` E303."""
        if name not in self._texts:
            text = read_template(self.root, name, shown=self.shown)
            if text is None:
                return None
            self._texts[name] = text
        return self._texts[name]

    def read_all(self) -> None:
        """Read every file below the root. Raises `TemplateError` E303."""
        self._texts = read_all_templates(self.root, shown=self.shown) | self._texts

    @property
    def names(self) -> list[str]:
        """The names of all that has been read, settings included."""
        return list(self._texts)

    def text(self, name: str) -> str | None:
        """The source `name` if it has been read."""
        return self._texts.get(name)

    def spot(self, name: str, line: int) -> Spot:
        """Line `line`, from 1, of a source that has been read; 0 is the source as a whole."""
        lines = self._texts[name].splitlines()
        shown = name if name in self._settings else (self.shown / name).as_posix()
        return Spot(shown, line, lines[line - 1] if 0 < line <= len(lines) else "")

    def find(self, text: str, first: str) -> str | None:
        """The first line that has `text`, shown; the source `first` is looked at before the others."""
        for name in sorted(self._texts, key=lambda name: name != first):
            before, found, _ = self._texts[name].partition(text)
            if found:
                return self.spot(name, before.count("\n") + 1).show()
        return None

    @property
    def sha256(self) -> str:
        """A hash of every name and source read so far, in hexadecimal; the order of reading is no part of it."""
        digest = hashlib.sha256()
        for name, text in sorted(self._texts.items()):
            for content in (name.encode(), text.encode()):
                digest.update(len(content).to_bytes(8, "big"))
                digest.update(content)
        return digest.hexdigest()
