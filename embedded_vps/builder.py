"""The machine that the embedded VPS runs on: its packages and its Docker Engine."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from embedded_vps import engine, layout
from embedded_vps.command import run
from embedded_vps.console import Console, EmbeddedVpsError

# program that must be there -> the Debian and Ubuntu package that brings it
PACKAGES = {
    "docker": "docker.io",
    "iptables": "iptables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
DOCKER_PID = Path("/var/run/docker.pid")
CONTAINERD_PID = Path("/var/run/docker/containerd/containerd.pid")


def os_release() -> dict[str, str]:
    """Return /etc/os-release as a mapping; empty where there is none."""
    path = Path("/etc/os-release")
    if not path.exists():
        return {}
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    return {key: value.strip('"') for key, value in pairs}


def is_debian_like() -> bool:
    """Whether this machine installs packages with apt-get."""
    release = os_release()
    return "debian" in {release.get("ID", ""), *release.get("ID_LIKE", "").split()}


def install(packages: list[str], console: Console) -> None:
    """Install Debian or Ubuntu packages on this machine, or say what to install."""
    wanted = " ".join(packages)
    if not is_debian_like() or shutil.which("apt-get") is None:
        raise EmbeddedVpsError(f"this machine lacks {wanted}, and is neither Debian nor Ubuntu: install them by hand")
    if os.geteuid() != 0:
        raise EmbeddedVpsError(f"this machine lacks {wanted}. Fix: sudo apt-get install {wanted}")
    console.say(f"installing {wanted} on this machine")
    # A package's own service would be started by policy; dockerd is started below, with or without systemd.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "--quiet"], timeout=600, environment=environment)
    run(
        ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *packages],
        timeout=1200,
        environment=environment,
    )


def require(console: Console, programs: list[str] | None = None) -> None:
    """Make sure that the programs this package runs are installed."""
    table = PACKAGES | {"mmdebstrap": "mmdebstrap"}
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in (programs or list(PACKAGES)) if shutil.which(name, path=path) is None]
    # Only a machine without any engine needs the engine's package: the command alone may talk to one elsewhere.
    if missing:
        packages = sorted({table[name] for name in missing})
        if "mmdebstrap" in missing:
            packages.append("debian-archive-keyring")
        install(packages, console)


def _drop_stale_pid_file(path: Path, program: str) -> None:
    """Remove a pid file left by an engine that was killed; its number may be another program's by now."""
    try:
        pid = int(path.read_text().strip())
        running = Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        running = ""
    if running != program:
        path.unlink(missing_ok=True)


def _unmount_leftovers(root: Path) -> None:
    """Unmount what a killed engine left mounted below its data directory: it could not remove those containers."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    inside = [point for point in mounts if point.startswith((f"{root}/overlay2/", f"{root}/containers/"))]
    for point in sorted(inside, key=len, reverse=True):
        run(["umount", "--lazy", point], timeout=30, check=False)


def ensure_engine(console: Console) -> None:
    """Make sure that a Docker Engine answers: start the installed one, after an unclean end too."""
    require(console)
    if engine.answers():
        return
    if os.geteuid() != 0:
        raise EmbeddedVpsError(
            "no Docker Engine answers this user. Fix: start it (sudo systemctl start docker) and join its group "
            "(sudo usermod -aG docker $USER, then log in again), or run this as root"
        )
    if shutil.which("dockerd", path="/usr/sbin:/usr/bin:/sbin:/usr/local/bin") is None:
        install(["docker.io"], console)
    if Path("/run/systemd/system").is_dir():
        console.say("starting the Docker Engine (systemctl start docker)")
        run(["systemctl", "start", "docker"], timeout=120)
    elif not engine.answers():
        _start_daemon(console)
    deadline = time.monotonic() + 60
    while not engine.answers():
        if time.monotonic() > deadline:
            raise EmbeddedVpsError("the Docker Engine does not answer. Fix: read `journalctl -u docker`")
        time.sleep(0.5)


def _start_daemon(console: Console) -> None:
    layout.STATE.mkdir(parents=True, exist_ok=True)
    log = layout.STATE / "dockerd.log"
    console.say(f"starting the Docker Engine (log: {log})")
    _drop_stale_pid_file(DOCKER_PID, "dockerd")
    _drop_stale_pid_file(CONTAINERD_PID, "containerd")
    if run(["pgrep", "-x", "dockerd"], timeout=10, check=False).returncode != 0:
        _unmount_leftovers(Path("/var/lib/docker"))
    with log.open("ab") as output:
        daemon = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + 60
    while not engine.answers():
        if daemon.poll() is not None or time.monotonic() > deadline:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            raise EmbeddedVpsError(f"dockerd does not start; the end of {log}:\n{last}")
        time.sleep(0.3)
