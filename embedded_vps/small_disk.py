"""A second disk of the VPS's, so small that a test can fill it: a file on the VPS, by a loop device of this machine's.

The VPS has no right to loop devices, which are everybody's. So the disk is attached from outside, by a container that
enters the VPS's mounts and may use them. Taking it off, or the VPS's end, gives the device back.
"""

import tempfile
from pathlib import Path

from embedded_vps import engine, layout
from embedded_vps.command import run

MOUNT_POINT = "/mnt/small"
IMAGE = "/opt/small_disk.img"
MIB = 64
LOOP_DEVICES = 64
"""How many of this machine's are looked through for a free one."""

_ATTACH = f"""
mknod /dev/loop-control c 10 237
for number in $(seq 0 {LOOP_DEVICES - 1}); do mknod /dev/loop$number b 7 $number; done
status=0
mount -o loop {IMAGE} {MOUNT_POINT} || status=$?
rm -f /dev/loop-control /dev/loop[0-9]*
exit $status
"""


def attach() -> None:
    """Put an empty disk of `MIB` MiB, less what ext4 keeps for itself, at `MOUNT_POINT`.

    Raises:
        EmbeddedVpsError: this machine has no `mkfs.ext4`, or no free loop device.
    """
    detach()
    container = layout.VPS.container
    with tempfile.TemporaryDirectory() as directory:
        disk = Path(directory) / "small_disk.img"
        disk.write_bytes(bytes(MIB << 20))
        run(["mkfs.ext4", "-q", "-F", str(disk)], timeout=60)
        engine.docker("cp", str(disk), f"{container}:{IMAGE}")
    engine.execute(container, ["mkdir", "-p", MOUNT_POINT])
    image, process = engine.docker("inspect", "--format={{.Image}} {{.State.Pid}}", container).split()
    capabilities = ("SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE", "MKNOD")
    engine.docker(
        "run",
        "--rm",
        "--pid=host",
        "--network=none",
        *(f"--cap-add={name}" for name in capabilities),
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
        "--device-cgroup-rule=b 7:* rwm",
        "--device-cgroup-rule=c 10:237 rwm",
        "--entrypoint=nsenter",
        image,
        f"--target={process}",
        "--mount",
        "--",
        "sh",
        "-euc",
        _ATTACH,
    )


def detach() -> None:
    """Take it off, with all that is on it; nothing happens when it is not there."""
    remove = f"! mountpoint -q {MOUNT_POINT} || umount {MOUNT_POINT}; rm -rf {MOUNT_POINT} {IMAGE}"
    engine.execute(layout.VPS.container, ["sh", "-euc", remove])
