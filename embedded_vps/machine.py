"""The machines: the VPS itself, and the two hosts elsewhere on its small internet."""

import os
import socket
import time
from pathlib import Path

from embedded_vps import engine, images, layout, network, rootfs
from embedded_vps.command import run
from embedded_vps.console import Console, EmbeddedVpsError
from embedded_vps.lock import alone

# What systemd, sshd, UFW and a nested Docker need. Not among them, so that nothing inside can change the machine below:
# SYS_TIME (the clock), SYS_MODULE, SYS_RAWIO, SYSLOG, WAKE_ALARM, MAC_ADMIN. `--privileged` would give them all, and is
# refused on machines whose own set is smaller.
CAPABILITIES = {
    "AUDIT_CONTROL": 30, "AUDIT_READ": 37, "AUDIT_WRITE": 29, "CHOWN": 0, "DAC_OVERRIDE": 1, "DAC_READ_SEARCH": 2,
    "FOWNER": 3, "FSETID": 4, "IPC_LOCK": 14, "IPC_OWNER": 15, "KILL": 5, "LEASE": 28, "LINUX_IMMUTABLE": 9,
    "MKNOD": 27, "NET_ADMIN": 12, "NET_BIND_SERVICE": 10, "NET_BROADCAST": 11, "NET_RAW": 13, "SETFCAP": 31,
    "SETGID": 6, "SETPCAP": 8, "SETUID": 7, "SYS_ADMIN": 21, "SYS_BOOT": 22, "SYS_CHROOT": 18, "SYS_NICE": 23,
    "SYS_PTRACE": 19, "SYS_RESOURCE": 24, "SYS_TTY_CONFIG": 26,
}  # fmt: skip

OWNER_LABEL = f"{layout.LABEL}.checkout"
IMAGE_LABEL = f"{layout.LABEL}.distribution"
TAKE_OVER = "HBOT_EMBEDDED_TAKE_OVER"


def grantable(bounding_set: int) -> list[str]:
    """Return those of CAPABILITIES that a bounding set (the CapBnd mask of /proc/PID/status) holds."""
    return sorted(name for name, bit in CAPABILITIES.items() if bounding_set >> bit & 1)


def _bounding_set() -> int:
    """Return the engine's bounding set; where its process cannot be seen, this process's."""
    status = Path("/proc/self/status")
    pids = run(["pgrep", "-x", "dockerd"], timeout=10, check=False).stdout.split()
    if pids and Path(f"/proc/{pids[0]}/status").exists():
        status = Path(f"/proc/{pids[0]}/status")
    line = next(line for line in status.read_text().splitlines() if line.startswith("CapBnd:"))
    return int(line.split()[1], 16)


def ensure_key() -> None:
    """Make the operator's key pair where it is missing."""
    if not layout.KEY.exists():
        layout.STATE.mkdir(parents=True, exist_ok=True)
        comment = "operator of the embedded VPS"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(layout.KEY)], timeout=30)


def _inbox() -> dict[str, str]:
    """Return the files that make the container this machine: path -> content."""
    resolvers = network.upstream_resolvers()
    if not resolvers:
        raise EmbeddedVpsError(
            "this machine's /etc/resolv.conf names only loopback resolvers, which the VPS cannot ask. "
            "Fix: name a resolver that other machines can reach"
        )
    vps = layout.VPS
    return {
        "/etc/embedded-vps/resolv.conf": "".join(f"nameserver {address}\n" for address in resolvers),
        "/etc/embedded-vps/hostname": f"{vps.hostname}\n",
        "/etc/embedded-vps/hosts": (
            "127.0.0.1 localhost\n"
            f"127.0.1.1 {vps.hostname}\n"
            "::1 localhost ip6-localhost ip6-loopback\n"
            "ff02::1 ip6-allnodes\n"
            "ff02::2 ip6-allrouters\n"
        ),
        "/root/.ssh/authorized_keys": layout.KEY.with_suffix(".pub").read_text(),
    }


def _copy_in(container: str, files: dict[str, str]) -> None:
    """Put files into a created container before its first start."""
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        directories = sorted({str(Path(path).parent) for path in files})
        for directory in directories:
            entry = tarfile.TarInfo(directory.lstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o700 if directory.endswith(".ssh") else 0o755
            archive.addfile(entry)
        for path, content in files.items():
            data = content.encode()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(data), 0o600 if "/.ssh/" in path else 0o644
            archive.addfile(entry, io.BytesIO(data))
    engine.docker("cp", "-", f"{container}:/", stdin=buffer.getvalue())


def check_owner() -> None:
    """Refuse to touch a VPS that another checkout, which still exists, has made; unless told to take it over."""
    owner = (engine.labels("container", layout.VPS.container) or {}).get(OWNER_LABEL)
    if os.environ.get(TAKE_OVER) or owner in {None, str(layout.REPOSITORY)}:
        return
    if (Path(str(owner)) / "embedded_vps").is_dir():
        raise EmbeddedVpsError(
            f"the embedded {layout.VPS.hostname} of this machine belongs to the checkout {owner}. Fix: run "
            f"`make demo-down` in {owner}, or set {TAKE_OVER}=yes to lose it, or take another with "
            f"{layout.VPS_VARIABLE}=vps2"
        )


def ensure_vps(distribution: rootfs.Distribution, console: Console) -> bool:
    """Make sure that the VPS runs; returns whether it was made anew.

    One made by a checkout that is gone, or never started, or of another distribution, is replaced.
    """
    check_owner()
    ensure_key()
    image = images.vps(distribution, console)
    found = engine.inspect("container", layout.VPS.container)
    if found is not None:
        own = found["Config"]["Labels"] or {}
        stale = (
            found["State"]["Status"] == "created"
            or own.get(OWNER_LABEL) != str(layout.REPOSITORY)
            or own.get(IMAGE_LABEL) != distribution.name
        )
        if not stale:
            if found["State"]["Status"] != "running":
                console.say("starting the VPS")
                engine.docker("start", layout.VPS.container)
            return False
    remove_vps(console)
    _create(distribution, image, console)
    return True


def _create(distribution: rootfs.Distribution, image: str, console: Console) -> None:
    console.say(f"booting the VPS, {distribution.name}, at {layout.VPS.v4} and {layout.VPS.v6}")
    engine.docker(
        "create",
        f"--name={layout.VPS.container}",
        f"--hostname={layout.VPS.hostname}",
        f"--label={layout.LABEL}=vps",
        f"--label={OWNER_LABEL}={layout.REPOSITORY}",
        f"--label={IMAGE_LABEL}={distribution.name}",
        *(f"--cap-add={name}" for name in grantable(_bounding_set())),
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
        "--security-opt=systempaths=unconfined",
        "--cgroupns=private",
        "--env=container=docker",
        "--tmpfs=/run:exec,mode=755",
        "--tmpfs=/run/lock",
        "--tmpfs=/tmp:exec,mode=1777",
        "--stop-signal=SIGRTMIN+3",
        "--stop-timeout=60",
        # `reboot` inside ends the container; a machine comes back.
        "--restart=unless-stopped",
        f"--network={layout.NETWORK}",
        f"--ip={layout.VPS.v4}",
        f"--ip6={layout.VPS.v6}",
        "--sysctl=net.ipv6.conf.all.disable_ipv6=0",
        # On the engine's own file system: overlay2 does not work on top of a container's overlay.
        f"--volume={layout.VOLUME_DOCKER}:/var/lib/docker",
        f"--volume={layout.VOLUME_APT_ARCHIVES}:/var/cache/apt/archives",
        f"--volume={layout.VOLUME_APT_LISTS}:/var/lib/apt/lists",
        image,
    )
    _copy_in(layout.VPS.container, _inbox())
    engine.docker("start", layout.VPS.container)


def remove_vps(console: Console) -> None:
    """Remove the VPS and its disk (its package cache stays)."""
    if engine.state(layout.VPS.container) == "running":
        # Closed connections, so that an operator's multiplexed SSH does not hang on a machine that is gone.
        engine.execute(layout.VPS.container, ["pkill", "-x", "sshd-session|sshd"], timeout=20, check=False)
    if engine.remove_container(layout.VPS.container):
        console.say("removed the old VPS")
    engine.remove_volume(layout.VOLUME_DOCKER)


def ensure_world(console: Console) -> None:
    """Make sure that the two hosts outside run."""
    image = images.world(console)
    wanted = engine.inspect("image", image)
    for host in (layout.OUTSIDE, layout.THIRD):
        found = engine.inspect("container", host.container)
        if found is not None:
            same = wanted is not None and found["Image"] == wanted["Id"]
            if same and found["State"]["Status"] == "running":
                continue
            engine.remove_container(host.container)
        console.say(f"starting the host {host.hostname} at {host.v4} and {host.v6}")
        engine.docker(
            "run",
            "--detach",
            "--init",
            f"--name={host.container}",
            f"--hostname={host.hostname}",
            f"--label={layout.LABEL}=world",
            f"--network={layout.NETWORK}",
            f"--ip={host.v4}",
            f"--ip6={host.v6}",
            # To play an attacker on the VPS's own network segment: routes of its own, and loopback addresses sent out.
            "--cap-add=NET_ADMIN",
            "--cap-add=NET_RAW",
            "--sysctl=net.ipv4.conf.all.route_localnet=1",
            "--sysctl=net.ipv6.conf.all.disable_ipv6=0",
            "--restart=unless-stopped",
            image,
        )


def wait_for_ssh(console: Console, timeout: float = 180) -> None:
    """Wait until sshd answers on both address families, then record the machine's host keys."""
    deadline = time.monotonic() + timeout
    for address in (str(layout.VPS.v4), str(layout.VPS.v6)):
        while not _greets(address):
            if engine.state(layout.VPS.container) != "running":
                log = engine.docker("logs", "--tail=10", layout.VPS.container, check=False)
                raise EmbeddedVpsError(f"the VPS does not stay up; its last words:\n{log}")
            if time.monotonic() > deadline:
                raise EmbeddedVpsError(
                    f"the VPS's sshd does not answer at {address} after {timeout:.0f} s. Its console: "
                    f"docker logs {layout.VPS.container}; a fresh one: python -m embedded_vps reset"
                )
            time.sleep(0.1)
    with alone(layout.STATE / "lock-known_hosts", console):
        _record_host_keys()
    console.say(
        f"the VPS answers: ssh -i {_shown(layout.KEY)} -o UserKnownHostsFile={_shown(layout.KNOWN_HOSTS)} "
        f"root@{layout.VPS.v4}"
    )


def _shown(path: Path) -> str:
    """Return a path as a person would type it."""
    here = Path.cwd()
    return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _record_host_keys() -> None:
    """Write known_hosts from the machine's own files: nothing is trusted at first sight."""
    _, keys, _ = engine.execute(layout.VPS.container, ["sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub"], timeout=20)
    names = f"{layout.VPS.v4},{layout.VPS.v6},{layout.VPS.hostname}"
    old = layout.KNOWN_HOSTS.read_text().splitlines() if layout.KNOWN_HOSTS.exists() else []
    lines = [line for line in old if not line.startswith(f"{names} ")]
    for key in keys.splitlines():
        kind, blob, *_ = key.split()
        lines.append(f"{names} {kind} {blob}")
    fresh = "".join(f"{line}\n" for line in lines)
    if fresh.splitlines() != old:
        scratch = layout.KNOWN_HOSTS.with_suffix(".new")
        scratch.write_text(fresh)
        scratch.replace(layout.KNOWN_HOSTS)


def wait_until_booted(timeout: int = 180) -> str:
    """Wait until systemd has finished booting; returns its verdict: ``running``, ``degraded``, …; ``starting`` when it
    is at it for longer than ``timeout`` seconds."""
    ask = f"timeout {timeout} systemctl is-system-running --wait || systemctl is-system-running"
    _, verdicts, _ = engine.execute(layout.VPS.container, ["sh", "-c", ask], timeout=timeout + 60, check=False)
    return verdicts.split()[-1] if verdicts.split() else ""
