"""Addresses in cells that a spreadsheet opens: none is taken for a formula, and every one can be read back."""

import re

# What makes a spreadsheet take a cell for a formula (CWE-1236), also behind apostrophes of our own or of the address.
_NEEDS_SHIELD = re.compile("'*[=+@-]")


def shield(address: str) -> str:
    """The address, with an apostrophe in front where it begins like a formula."""
    return f"'{address}" if _NEEDS_SHIELD.match(address) else address


def unshield(cell: str) -> str:
    """The address that `shield` made the cell of."""
    return cell[1:] if cell.startswith("'") and _NEEDS_SHIELD.match(cell[1:]) else cell
