"""A composer: a template in one of its forms, which makes a message of each row."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from mailer.vocabulary.composed import Attach, Composed, Occasion

__all__ = ["Attach", "Composed", "Composer", "Occasion"]


class Composer(Protocol):
    """Makes messages. Nothing in it changes from row to row; threads and processes may each have one."""

    @property
    def sha256(self) -> str:
        """A hash of everything the messages are made of, but for the rows and the files that rows choose."""

    @property
    def variables(self) -> frozenset[str]:
        """The names it needs: columns, and what mailer gives (`campaign`, `row`, `token`, `unsubscribe_url`)."""

    @property
    def names_recipients(self) -> bool:
        """True where its own To header says whom a row goes to; else it is the column with the address."""

    @property
    def lacks_text(self) -> bool:
        """True where messages have an HTML part and no text part beside it."""

    def compose(self, columns: Mapping[str, object], address: tuple[str, str] | None, occasion: Occasion) -> Composed:
        """Make the message of one row; `address` (addr-spec and key) is None only where `names_recipients`.

        Where it is given although `names_recipients`, it is a tester's: To is that address alone, there is no Cc and no
        Bcc, the envelope has no other recipient, and the token is the tester's.

        Raises:
            AddressError, UnsafeValueError: the row has a value that cannot go into its header; it is invalid.
            TemplateError: E3xx, the row cannot be built.
        """

    def first_lack(self, columns: Iterable[str], where: str) -> str | None:
        """File and line of the template where a row of a list with only these columns fails first; None if none does.

        `where` is what the list is called.
        """
