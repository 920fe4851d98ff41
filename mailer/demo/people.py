"""The demo's list: ordinary people, and one address for every way a message can end."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from mailer.vocabulary.recipient import State

FEWEST = 50
SUPPRESSED = "gone.for.good@quiet.example"

_FIRST = ("Anna", "Bela", "Chloé", "Dmitri", "Ebba", "Femi", "Grete", "Hiro", "Inès", "Jürgen", "Kofi", "Lucía", "Maja")
_LAST = ("Almeida", "Brandt", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Horvat", "Ito", "Jansen", "Kowalski")
_CITIES = ("Lisbon", "Hamburg", "Lyon", "Kraków", "Turku", "Porto", "Graz", "Osaka", "Accra", "Zadar", "Gent")
_DOMAINS = ("shop.example", "mail.example", "post.example", "school.example", "bakery.example")

_SPECIAL: tuple[tuple[str, State], ...] = (
    *((f"bounce+550-{n}@mail.example", State.REFUSED) for n in (1, 2, 3)),
    *((f"full+552-{n}@post.example", State.REFUSED) for n in (1, 2)),
    ("reject+554@school.example", State.REFUSED),
    *((f"defer+451-{n}@bakery.example", State.DEFERRED) for n in (1, 2, 3, 4)),
    *((f"greylist-{n}@shop.example", State.SENT) for n in (1, 2)),
    ("slow+1s@shop.example", State.SENT),
    ("drop@mail.example", State.IN_DOUBT),
    (SUPPRESSED, State.SUPPRESSED),
)
_NAMELESS = "nameless@school.example"
_DUPLICATES, _INVALID = 3, 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to come of the demo: the state of every special address, and the counts."""

    special: dict[str, State]
    states: Counter[str]
    invalid: int
    duplicate: int

    @property
    def accepted(self) -> int:
        """Rows that become recipients."""
        return self.states.total()


def plan(messages: int) -> Plan:
    """What a list of `messages` rows is to come to."""
    special = {**dict(_SPECIAL), _NAMELESS: State.FAILED}
    states = Counter(state.value for state in special.values())
    states["sent"] += messages - len(special) - _DUPLICATES - _INVALID
    return Plan(special, states, _INVALID, _DUPLICATES)


def write_list(path: Path, messages: int) -> None:
    """Write the list as JSON Lines; the special addresses stand spread over it."""
    with path.open("w", encoding="utf-8") as stream:
        for row in _rows(messages):
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def _rows(messages: int) -> Iterator[dict[str, object]]:
    special = iter([*_SPECIAL, (_NAMELESS, State.FAILED)])
    count = len(_SPECIAL) + 1
    step = max(1, (messages - _DUPLICATES - _INVALID) // count)
    placed = 0
    for number in range(1, messages - _DUPLICATES - _INVALID + 1):
        person = _person(number)
        if number % step == 0 and placed < count:
            person["email"], _ = next(special)
            placed += 1
            if person["email"] == _NAMELESS:
                del person["first_name"]
        yield person
    for number in range(_DUPLICATES):
        # Of those between the special ones, however close these stand.
        yield _person(number * step + 1)
    yield {**_person(messages), "email": "two@@signs.example"}


def _person(number: int) -> dict[str, object]:
    first, last = _FIRST[number % len(_FIRST)], _LAST[number % len(_LAST)]
    return {
        "email": f"reader{number}@{_DOMAINS[number % len(_DOMAINS)]}",
        "first_name": first,
        "last_name": last,
        "city": _CITIES[number * 7 % len(_CITIES)],
        "number": number,
    }


def template_folder() -> Path:
    """The demo's template."""
    return Path(str(files(__package__).joinpath("template")))
