"""Layers become settings: the higher one wins key by key, and what comes out has the right types."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from mailer.config.keys import KEYS
from mailer.config.layer import Layer
from mailer.config.limits import form_missed
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.settings import CampaignSettings, DeliverySettings, QueueSettings, SmtpSettings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_FORMS: Mapping[str, str] = {
    "bool": "true or false",
    "dict": "a table of names and texts",
    "float": "a number",
    "int": "a whole number",
    "path": "a path, in quotes",
    "string": "a text, in quotes",
    "tuple": 'a list such as ["5m", "15m"]',
}
"""The form wanted, by the first word of pydantic's error type (`int_parsing`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """The four tables of settings, complete."""

    campaign: CampaignSettings
    smtp: SmtpSettings
    queue: QueueSettings
    delivery: DeliverySettings

    def value(self, key: str) -> object:
        """The value of a setting by its full name."""
        section, _, name = key.partition(".")
        value: object = getattr(getattr(self, section), name)
        return value


def merge(layers: Sequence[Layer]) -> Sections:
    """Merge layers, the highest first, over the defaults. Tables (`campaign.headers`) are merged name by name.

    Raises:
        UsageError: E101 for a value of the wrong type or outside its limits, saying the form wanted and where it
            stands.
    """
    merged = _validated(layers)
    if isinstance(merged, UsageError):
        raise merged
    for key, layer in winners(layers).items():
        value = merged.value(key)
        # To Python `true` is the number 1; nobody who writes it for a number means that.
        is_misplaced = isinstance(layer.values[key], bool) and not isinstance(value, bool)
        form = "a number" if is_misplaced else form_missed(key, value)
        if form:
            raise _wrong(key, layer.values[key], form, layer.place_of(key))
    _check_water(merged, layers)
    return merged


def winners(layers: Sequence[Layer]) -> dict[str, Layer]:
    """For every setting that was given, the highest layer that gives it."""
    return {key: layer for layer in reversed(layers) for key in layer.values}


_layers: ContextVar[Sequence[Layer]] = ContextVar("layers")


def _validated(layers: Sequence[Layer]) -> Sections | UsageError:
    """Let pydantic-settings merge and read. An error is returned, so that none carries pydantic's with the input."""
    # Imported here: it costs 130 ms, and `--help` needs none of it.
    from pydantic import ValidationError

    reset = _layers.set(layers)
    try:
        merged = _model()()
    except ValidationError as error:
        return _explained(error.errors(include_url=False)[0], layers)
    finally:
        _layers.reset(reset)
    return Sections(campaign=merged.campaign, smtp=merged.smtp, queue=merged.queue, delivery=merged.delivery)


@cache
def _model() -> Any:
    """The class that merges the layers of the moment; to make it takes milliseconds, which a program pays once."""
    from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

    class Merged(BaseSettings):
        model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

        campaign: CampaignSettings = CampaignSettings()
        smtp: SmtpSettings = SmtpSettings()
        queue: QueueSettings = QueueSettings()
        delivery: DeliverySettings = DeliverySettings()

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: object, **__: object
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, dict(layer.sections)) for layer in _layers.get())

    return Merged


def _explained(error: "ErrorDetails", layers: Sequence[Layer]) -> UsageError:
    names = [str(part) for part in error["loc"]]
    key = ".".join(names[:2])
    layer = next(layer for layer in layers if key in layer.values and _has(layer.values[key], names[2:]))
    reason = error.get("ctx", {}).get("error")
    if isinstance(reason, ValueError):
        what, _, form = str(reason).partition(": ")
        return UsageError("E101", f"{key}: {what}", where=layer.place_of(key), hint=form or None)
    expected = error.get("ctx", {}).get("expected")
    form = str(expected) if expected else _FORMS.get(error["type"].partition("_")[0], error["msg"])
    return _wrong(".".join(names), error["input"], form, layer.place_of(key))


def _has(value: object, names: Sequence[str]) -> bool:
    return not names or not isinstance(value, dict) or names[0] in value


def _wrong(name: str, value: object, form: str, where: str) -> UsageError:
    """A URL is never repeated: it may hold a password in whatever wrong form it came."""
    shown = "" if name in ("smtp.url", "queue.url") else f", not {_shown(value)}"
    return UsageError("E101", f"{name} has to be {form}{shown}", where=where)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _check_water(merged: Sections, layers: Sequence[Layer]) -> None:
    if merged.queue.low_water < merged.queue.high_water:
        return
    given = winners(layers)
    key = "queue.low_water" if "queue.low_water" in given else "queue.high_water"
    where = given[key].place_of(key)
    raise UsageError("E101", "queue.low_water has to be below queue.high_water", where=where, hint=_defaults())


def _defaults() -> str:
    return f"the defaults are {KEYS['queue.low_water']} and {KEYS['queue.high_water']} bytes"
