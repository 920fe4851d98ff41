"""Where the queue is: the server that a URL names, or the embedded one, started if need be."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mailer.config.folders import data_dir

if TYPE_CHECKING:
    from mailer.config.configuration import Configuration


def queue_url(configuration: "Configuration", environ: Mapping[str, str]) -> str:
    """The URL of the queue server; without a configured one the embedded server is started or joined.

    Raises:
        QueueError: E503 there is no server program, E504 it does not start.
    """
    if configuration.queue.url is not None:
        return configuration.queue.url
    from mailer.backends.embedded import ensure

    return ensure(data_dir(configuration.queue, environ))
