"""`mailer queue`: the embedded server by hand."""

from typing import TYPE_CHECKING

from mailer.backends import embedded
from mailer.cli.opening import read_setting

if TYPE_CHECKING:
    from mailer.backends.embedded import EmbeddedStatus
    from mailer.cli.invocation import Invocation
    from mailer.cli.opening import Setting


def start(invocation: "Invocation") -> int:
    """Start or join it."""
    setting = read_setting(invocation)
    embedded.ensure(setting.data_dir)
    return _tell(invocation, setting, embedded.status(setting.data_dir))


def stop(invocation: "Invocation") -> int:
    """End it; its data stay."""
    setting = read_setting(invocation)
    stopped = embedded.stop(setting.data_dir)
    if invocation.as_json:
        invocation.document(stopped=stopped, running=False, data_dir=str(setting.data_dir))
    else:
        invocation.data("stopped; the data stay" if stopped else "it was not running")
    return 0


def show(invocation: "Invocation") -> int:
    """Say whether it runs, and where its data lie."""
    setting = read_setting(invocation)
    return _tell(invocation, setting, embedded.status(setting.data_dir))


def _tell(invocation: "Invocation", setting: "Setting", status: "EmbeddedStatus | None") -> int:
    configured = setting.configuration.queue.url is not None
    if invocation.as_json:
        invocation.document(
            running=status is not None and status.running,
            configured_elsewhere=configured,
            data_dir=str(setting.data_dir),
            url=status.url if status else None,
            server=status.server if status else None,
            version=status.version if status else None,
            pid=status.pid if status else None,
            data_bytes=status.data_bytes if status else 0,
            uptime_s=status.uptime_s if status else None,
        )
        return 0
    if status is None or not status.running:
        invocation.data(f"not running; data in {setting.data_dir}")
    else:
        invocation.data(f"{status.server} {status.version} (embedded), pid {status.pid}, {status.url}")
        invocation.data(f"data in {setting.data_dir}, {status.data_bytes / 1e6:.1f} MB")
    if configured:
        invocation.say("this environment names another queue server (queue.url), which the commands use instead")
    return 0
