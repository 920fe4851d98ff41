"""The place of a queue server: the machine it runs on and the folder of its data, as far as they can be known."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from mailer.backends.redis.server import Server

MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a server stands. An empty text is not known, and differs from nothing.

    `was_replica`: what it holds came there in the open, and its place may be any.
    """

    machine: str = ""
    folder: str = ""
    was_replica: bool = False

    def moved_from(self, before: "Place") -> str | None:
        """What says that data which were there before must have been moved or copied; None where nothing does."""
        if self.was_replica:
            return None
        if "" not in (before.machine, self.machine) and before.machine != self.machine:
            return "it comes from another machine"
        if "" not in (before.folder, self.folder) and before.folder != self.folder:
            return f"it was in {before.folder}, and is in {self.folder} now"
        return None


async def place_of(redis: "Server") -> Place:
    """Where the server stands that a client talks to.

    Its machine is known only when it listens at no port: then it is ours.
    """
    try:
        about = await redis.info()
        folder = (await redis.config_get("dir")).get("dir", "")
    except ResponseError:
        return Place()
    machine = "" if about.get("tcp_port", 1) else machine_id(MACHINE_IDS, MOUNTS)
    # The id of the data that it followed until it was promoted; zeros where it never followed any.
    was_replica = str(about.get("master_replid2", "")).strip("0") != ""
    return Place(machine=machine, folder=folder, was_replica=was_replica)


def machine_id(files: tuple[Path, ...], mounts: Path) -> str:
    """A name of this machine, which does not tell its machine-id(5); empty where it has none, and in a container.

    A container has that of its image, or a new one each time, while its volume stays; its root is an overlay.
    """
    try:
        for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
            # proc(5): the fifth word is the mount point, the type follows a lone dash.
            place, _, filesystem = line.partition(" - ")
            if place.split()[4] == "/" and filesystem.split()[0] in ("overlay", "fuse-overlayfs", "aufs"):
                return ""
    except (OSError, IndexError):
        return ""
    for file in files:
        try:
            if name := file.read_text(encoding="ascii", errors="replace").strip():
                return sha256(f"mailer {name}".encode()).hexdigest()[:16]
        except OSError:
            continue
    return ""
