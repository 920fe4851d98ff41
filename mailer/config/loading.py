"""Loading: flags over environment over `.env` over campaign file over the user's file over defaults."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from mailer.config.configuration import Configuration
from mailer.config.environment import environment_layer, read_env_file, with_env_file
from mailer.config.finding import campaign_file, user_settings
from mailer.config.folders import expanded
from mailer.config.keys import KEYS
from mailer.config.layer import Layer, file_layer, flag_layer
from mailer.config.merging import Sections, merge, winners
from mailer.config.presets import resolve_preset
from mailer.config.redis_url import QueueUrl, check_queue_url, has_password
from mailer.policy.smtp_url import parse_smtp_url
from mailer.vocabulary.errors import UsageError

_NO_FLAGS: Mapping[str, object] = MappingProxyType({})


def load(
    campaign: Path | None,
    *,
    flags: Mapping[str, object] = _NO_FLAGS,
    environ: Mapping[str, str],
    env_file: Path | None = None,
) -> Configuration:
    """Read, merge and check every setting.

    Args:
        campaign: A TOML file, a folder with `mailer.toml` (or a `pyproject.toml` with `[tool.mailer]`), or None for
            the current folder, where neither need be.
        flags: Values by full key (`smtp.url`); None means not given.
        environ: The environment; `MAILER_CONFIG` and the XDG variables in it say where the user's file lies.
        env_file: A `.env` file behind the environment.

    Raises:
        UsageError: E101 for an unknown key or a wrong value, E102 to E104 for the SMTP URL, E103 for a queue password
            in a TOML file, E108 and E110 for a file, E111 and E117 for the queue URL. `where` is file and
            line, variable or flag; no message repeats a secret.
    """
    here = Path.cwd()
    everything = with_env_file(environ, env_file)
    file = campaign_file(campaign)
    files = [found for found in (file, user_settings(everything)) if found is not None]
    layers = [
        flag_layer(flags, here),
        environment_layer(environ, source="environment", folder=here),
        *_env_file_layers(env_file),
        *map(file_layer, files),
    ]
    sections = merge(layers)
    given = winners(layers)
    preset = resolve_preset(sections.smtp, given, layers)
    sections = replace(sections, smtp=preset.smtp)
    _check_urls(sections, given)
    sections = _with_places(sections, given, everything)
    return Configuration(
        campaign=sections.campaign,
        smtp=sections.smtp,
        queue=sections.queue,
        delivery=sections.delivery,
        base=file.path.parent.absolute() if file else here,
        path=file.path if file else None,
        origin={**{key: _origin(key, layers) for key in KEYS}, **preset.origin},
        folders={key: layer.folder for key, layer in given.items()},
        explicit_keys=frozenset(key for key, layer in given.items() if layer.explicit) | preset.explicit_keys,
    )


def _env_file_layers(env_file: Path | None) -> list[Layer]:
    if env_file is None:
        return []
    folder = env_file.parent.absolute()
    return [environment_layer(read_env_file(env_file), source=str(env_file), folder=folder)]


def _check_urls(sections: Sections, given: Mapping[str, Layer]) -> None:
    """Refuse a bad URL now, while it is known where it stands, and a password before it is stored with a campaign."""
    if sections.smtp.url is not None:
        with _located("smtp.url", given):
            parse_smtp_url(sections.smtp.url)
    if sections.queue.url is not None:
        with _located("queue.url", given):
            if given["queue.url"].file and has_password(sections.queue.url):
                raise UsageError(
                    "E103", "the queue URL in a file contains a password", hint="set the whole URL as MAILER_REDIS_URL"
                )
            check_queue_url(sections.queue.url, allow_plain=sections.queue.allow_plain)


@contextmanager
def _located(key: str, given: Mapping[str, Layer]) -> Iterator[None]:
    """Add to an error the place where its setting stands."""
    try:
        yield
    except UsageError as error:
        error.where = given[key].place_of(key)
        raise


def _with_places(sections: Sections, given: Mapping[str, Layer], environ: Mapping[str, str]) -> Sections:
    """Make the paths absolute, each from the folder of the place that names it, and let the queue URL hide itself."""

    def placed(key: str) -> Path | None:
        path = sections.value(key)
        return expanded(path, given[key].folder, environ) if isinstance(path, Path) else None

    url = sections.queue.url
    return replace(
        sections,
        smtp=replace(sections.smtp, ca_file=placed("smtp.ca_file")),
        queue=replace(sections.queue, url=None if url is None else QueueUrl(url), data_dir=placed("queue.data_dir")),
    )


def _origin(key: str, layers: Sequence[Layer]) -> str:
    """The highest layer that gives a setting; for a table, which is merged, all of them."""
    origins = [layer.origins[key] for layer in layers if key in layer.origins]
    if isinstance(KEYS[key], dict):
        return " and ".join(origins) or "default"
    return origins[0] if origins else "default"
