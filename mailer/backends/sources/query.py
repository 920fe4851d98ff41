"""Rows of a database: any DB-API connection (PEP 249), fetched in batches."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from mailer.vocabulary.errors import SourceError

BATCH = 500


class Cursor(Protocol):
    """The part of a DB-API cursor that is used."""

    @property
    def description(self) -> Any:
        """A sequence for each column, its name first; None where there are no rows."""

    def execute(self, sql: str, parameters: Any = ..., /) -> object:
        """Run a statement."""

    def fetchmany(self, size: int = ..., /) -> Sequence[Any]:
        """The next rows; empty at the end."""

    def close(self) -> object:
        """Give it up."""


class Connection(Protocol):
    """The part of a DB-API connection that is used."""

    def cursor(self) -> Any:
        """A new cursor."""


def query(
    connection: Connection, sql: str, parameters: Sequence[object] | Mapping[str, object] = (), *, batch: int = BATCH
) -> Iterator[dict[str, object]]:
    """Run a statement when the first row is asked for, and give each row as a dict by column name.

    Rows are fetched `batch` at a time (default 500). The database's own errors come out as they are, and so do its
    values; where the rows are handed over, dates, `Decimal` and `UUID` become text. A template refuses bytes:
    `select encode(column, 'hex')`, or `decode()` them.

    Raises:
        SourceError: E201 the statement returns no rows at all (it is no SELECT), E209 two columns have one name.
    """
    cursor: Cursor = connection.cursor()
    try:
        # Some drivers treat % in the statement differently as soon as parameters are given.
        if parameters:
            cursor.execute(sql, parameters)
        else:
            cursor.execute(sql)
        names = _names(cursor, sql)
        while rows := cursor.fetchmany(batch):
            for row in rows:
                yield dict(zip(names, row, strict=True))
    finally:
        cursor.close()


def _names(cursor: Cursor, sql: str) -> list[str]:
    if cursor.description is None:
        raise SourceError("E201", "the statement returns no rows", where=sql[:200], hint="a SELECT is needed")
    names = [str(column[0]) for column in cursor.description]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SourceError("E209", f"the statement has two columns {twice!r}", where=sql[:200], hint="select … as …")
    return names
