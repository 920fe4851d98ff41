"""A Postfix of our own: its configuration, queue and log stand in one folder, apart from those of the machine."""

import shutil
import subprocess
from pathlib import Path

from benchmarks.sink import program

_MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {root}/log
maillog_file_prefixes = {root}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_event_limit_exceptions = static:all
smtpd_peername_lookup = no
"""

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
postlog unix-dgram n - n - 1 postlogd
"""


def configure(root: Path, port: int, *, settings: str, services: str) -> Path:
    """Lay it out below `root`, to listen on this port of 127.0.0.1. Returns the folder for `postfix -c`.

    It takes what this machine sends it; where that goes is said by `settings`, further lines of main.cf, and
    `services`, further lines of master.cf. Only root can start it, and Postfix's own users must be able to walk down
    to `root`.
    """
    config = root / "config"
    for folder in (config, root / "queue", root / "data"):
        folder.mkdir()
    shutil.chown(root / "data", "postfix")
    (config / "main.cf").write_text(_MAIN.format(root=root, daemons=_default("daemon_directory")) + settings)
    (config / "master.cf").write_text(_MASTER.format(port=port) + services)
    return config


def _default(name: str) -> str:
    """What was settled when this Postfix was built."""
    asked = [program("postconf"), "-d", "-h", name]
    # Postfix's own program, without a shell.
    done = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60)  # noqa: S603 (our own command)
    return done.stdout.strip()
