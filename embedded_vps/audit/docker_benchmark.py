"""The CIS Docker Benchmark, version 1.6: the daemon (section 2), its files (3) and containers at run time (4.1, 5).

Each item judges what `collect` has read and names what does not follow it; an item that names nothing is passed. What
is asked of a person (is this port needed, is this image of today) is not among them.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from embedded_vps.audit.readings import Finding, Reading, distinct

DAEMON = "the daemon"
FILES = {
    # Path: the owner, the group, and the bits that may be set.
    "/etc/docker": ("root", "root", 0o755),
    "/etc/docker/daemon.json": ("root", "root", 0o644),
    "/etc/default/docker": ("root", "root", 0o644),
    "/usr/lib/systemd/system/docker.service": ("root", "root", 0o644),
    "/usr/lib/systemd/system/docker.socket": ("root", "root", 0o644),
    "/run/docker.sock": ("root", "docker", 0o660),
    "/run/containerd/containerd.sock": ("root", "root", 0o660),
}
SENSITIVE = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr")

Inspected = dict[str, Any]
"""What `docker inspect` says of one container."""


@dataclass(frozen=True, slots=True)
class Docker:
    """What an engine says of itself: daemon.json, `docker info`, its process, its containers, and its files' owners."""

    configured: dict[str, Any]
    info: dict[str, Any]
    arguments: str
    containers: tuple[Inspected, ...]
    files: dict[str, tuple[str, str, int]]
    trusted: str


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the benchmark: number, what it asks for, and who does not follow it."""

    number: str
    title: str
    offenders: Callable[[Docker], Iterable[str]]


def collect(run: Callable[[str], str]) -> Docker:
    """Read an engine. `run` gives the output of a shell command that root runs on its machine."""
    described = run("docker ps -q | xargs -r docker inspect")
    # Some of the files are there on some machines only; an item about one that is not there passes or fails by itself.
    stats = run(f"stat -L -c '%n %U %G %a' {' '.join(FILES)} 2>/dev/null || true")
    files = {}
    for line in stats.splitlines():
        path, owner, group, mode = line.split()
        files[path] = (owner, group, int(mode, 8))
    return Docker(
        configured=json.loads(run("cat /etc/docker/daemon.json 2>/dev/null || echo '{}'")),
        info=json.loads(run("docker info --format '{{json .}}'")),
        arguments=run("ps -o args= -C dockerd"),
        containers=tuple(json.loads(described or "[]")),
        files=files,
        trusted=run("getent group docker | cut -d: -f4").strip(),
    )


def _daemon(follows: Callable[[Docker], bool]) -> Callable[[Docker], list[str]]:
    return lambda docker: [] if follows(docker) else [DAEMON]


def _each(follows: Callable[[Inspected], bool]) -> Callable[[Docker], list[str]]:
    return lambda docker: sorted(_name(one) for one in docker.containers if not follows(one))


def _name(container: Inspected) -> str:
    return str(container["Name"]).removeprefix("/")


def _host(container: Inspected) -> dict[str, Any]:
    return dict(container["HostConfig"])


def _security(docker: Docker) -> str:
    return " ".join(docker.info["SecurityOptions"])


def _option(container: Inspected, word: str) -> bool:
    return any(option.startswith(word) for option in _host(container)["SecurityOpt"] or [])


def _icc(docker: Docker) -> bool:
    return docker.configured.get("icc") is False


def _files(docker: Docker) -> list[str]:
    wrong = []
    for path, (owner, group, mode) in docker.files.items():
        wanted_owner, wanted_group, most = FILES[path]
        if (owner, group) != (wanted_owner, wanted_group) or mode & ~most:
            wrong.append(path)
    return sorted(wrong)


def _published(container: Inspected) -> list[tuple[str, str]]:
    """Address and port of this machine that lead into the container."""
    ports = container["NetworkSettings"]["Ports"] or {}
    return [(entry["HostIp"], entry["HostPort"]) for entries in ports.values() for entry in entries or []]


def _mounts(container: Inspected) -> list[dict[str, Any]]:
    return list(container["Mounts"])


def _limited_capabilities(container: Inspected) -> bool:
    dropped = {str(name).upper() for name in _host(container)["CapDrop"] or []}
    added = _host(container)["CapAdd"] or []
    return "ALL" in dropped and not added


ITEMS: tuple[Item, ...] = (
    Item("2.1", "the daemon runs without root", _daemon(lambda d: "rootless" in _security(d))),
    Item("2.2", "containers of the default bridge do not talk to each other", _daemon(_icc)),
    Item("2.3", "it logs at level info", _daemon(lambda d: d.configured.get("log-level", "info") == "info")),
    Item("2.4", "it may set iptables", _daemon(lambda d: d.configured.get("iptables", True) is True)),
    Item("2.5", "no insecure registry", _daemon(lambda d: not d.configured.get("insecure-registries"))),
    Item("2.6", "not the storage driver aufs", _daemon(lambda d: d.info["Driver"] != "aufs")),
    Item(
        "2.7",
        "it listens on no network without TLS",
        _daemon(lambda d: "tcp://" not in f"{d.arguments} {d.configured.get('hosts', '')}"),
    ),
    Item(
        "2.8",
        "containers have default limits of their processes",
        _daemon(lambda d: bool(d.configured.get("default-ulimits"))),
    ),
    Item("2.9", "user namespaces", _daemon(lambda d: "userns" in _security(d))),
    Item("2.10", "no control group of its own choice", _daemon(lambda d: not d.configured.get("cgroup-parent"))),
    Item("2.12", "a plugin authorizes its clients", _daemon(lambda d: bool(d.configured.get("authorization-plugins")))),
    Item(
        "2.13",
        "logs go to another machine",
        _daemon(lambda d: d.info["LoggingDriver"] not in {"json-file", "local", "journald", "none"}),
    ),
    Item("2.14", "no new privileges by default", _daemon(lambda d: d.configured.get("no-new-privileges") is True)),
    Item("2.15", "containers outlive a restart of the daemon", _daemon(lambda d: bool(d.info["LiveRestoreEnabled"]))),
    Item("2.16", "no proxy in user space", _daemon(lambda d: d.configured.get("userland-proxy") is False)),
    Item("2.17", "Docker's seccomp profile", _daemon(lambda d: "name=seccomp,profile=builtin" in _security(d))),
    Item("2.18", "nothing experimental", _daemon(lambda d: not d.info["ExperimentalBuild"])),
    Item("3", "its files have their owners and modes", _files),
    Item("1.1.2", "no user but root controls it", lambda d: [d.trusted] if d.trusted else []),
    Item(
        "4.1",
        "a user that is not root",
        _each(lambda c: str(c["Config"]["User"]).split(":")[0] not in {"", "0", "root"}),
    ),
    Item("5.1", "no swarm", _daemon(lambda d: d.info["Swarm"]["LocalNodeState"] == "inactive")),
    Item("5.2", "an AppArmor profile", _each(lambda c: c["AppArmorProfile"] not in {"", "unconfined"})),
    Item("5.4", "no capability of the kernel's", _each(_limited_capabilities)),
    Item("5.5", "not privileged", _each(lambda c: not _host(c)["Privileged"])),
    Item(
        "5.6",
        "no directory of the system is mounted",
        _each(lambda c: not any(mount["Source"] in SENSITIVE for mount in _mounts(c))),
    ),
    Item(
        "5.8",
        "no privileged port of the machine's",
        _each(lambda c: all(int(port) >= 1024 for _, port in _published(c))),
    ),
    Item("5.10", "a network of its own", _each(lambda c: _host(c)["NetworkMode"] != "host")),
    Item("5.11", "limited memory", _each(lambda c: _host(c)["Memory"] > 0)),
    Item("5.12", "a share of the processors", _each(lambda c: bool(_host(c)["NanoCpus"] or _host(c)["CpuShares"]))),
    Item("5.13", "a file system that it cannot write", _each(lambda c: bool(_host(c)["ReadonlyRootfs"]))),
    Item(
        "5.14",
        "ports on one address of the machine's",
        _each(lambda c: all(address not in {"", "0.0.0.0", "::"} for address, _ in _published(c))),  # noqa: S104 - compared with
    ),
    Item(
        "5.15",
        "started again five times at most",
        _each(lambda c: _host(c)["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 5}),
    ),
    Item("5.16", "processes of its own", _each(lambda c: _host(c)["PidMode"] != "host")),
    Item("5.17", "shared memory of its own", _each(lambda c: _host(c)["IpcMode"] != "host")),
    Item("5.18", "no device of the machine's", _each(lambda c: not _host(c)["Devices"])),
    Item(
        "5.20",
        "no mount that spreads",
        _each(lambda c: all(mount.get("Propagation") not in {"shared", "rshared"} for mount in _mounts(c))),
    ),
    Item("5.21", "a host name of its own", _each(lambda c: _host(c)["UTSMode"] != "host")),
    Item("5.22", "Docker's seccomp profile", _each(lambda c: not _option(c, "seccomp"))),
    Item("5.25", "no control group of its own choice", _each(lambda c: not _host(c)["CgroupParent"])),
    Item("5.26", "no new privileges", _each(lambda c: _option(c, "no-new-privileges"))),
    Item("5.27", "its health is asked", _each(lambda c: "Health" in c["State"])),
    Item("5.29", "a limited number of processes", _each(lambda c: (_host(c)["PidsLimit"] or 0) > 0)),
    Item(
        "5.30",
        "not on the default bridge",
        _each(lambda c: _host(c)["NetworkMode"] not in {"bridge", "default"}),
    ),
    Item("5.31", "not in the machine's user namespace", _each(lambda c: _host(c)["UsernsMode"] != "host")),
    Item(
        "5.32",
        "Docker's socket is not mounted",
        _each(lambda c: not any(str(mount["Source"]).endswith("docker.sock") for mount in _mounts(c))),
    ),
)


def judge(docker: Docker) -> Reading:
    """Judge an engine by every item; a finding names the item and who does not follow it."""
    found = {item: list(item.offenders(docker)) for item in ITEMS}
    findings = [Finding(f"{item.number} {name}", item.title) for item, offenders in found.items() for name in offenders]
    figures: dict[str, float] = {
        "passed": sum(not offenders for offenders in found.values()),
        "items": len(ITEMS),
        "containers": len(docker.containers),
    }
    return Reading(figures, distinct(findings), {"Docker": str(docker.info["ServerVersion"])})
