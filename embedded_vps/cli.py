"""The command line: ``python -m embedded_vps <command>``."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from embedded_vps import builder, engine, images, layout, machine, network, registry
from embedded_vps.console import Console, EmbeddedVpsError
from embedded_vps.lock import alone
from embedded_vps.rootfs import DISTRIBUTIONS


def _images(arguments: argparse.Namespace, console: Console) -> int:
    builder.ensure_engine(console)
    images.bot(console)
    images.busybox(console)
    images.monitoring(console)
    return 0


def _ready(console: Console) -> None:
    machine.wait_for_ssh(console)
    verdict = machine.wait_until_booted()
    if verdict != "running":
        _, failed, _ = engine.execute(
            layout.VPS.container, ["systemctl", "--failed", "--plain", "--no-legend"], check=False
        )
        console.say(f"systemd on the VPS says {verdict}: {failed.strip() or 'still starting'}")


def _up(arguments: argparse.Namespace, console: Console) -> int:
    builder.ensure_engine(console)
    machine.check_owner()
    images.bot(console)
    images.busybox(console)
    images.monitoring(console)
    with alone(layout.SHARED_LOCK, console):
        network.ensure(console)
        registry.ensure_running(console)
        for tag in layout.VPS_IMAGES:
            registry.push(tag, console)
        machine.ensure_world(console)
    machine.ensure_vps(DISTRIBUTIONS[arguments.distribution], console)
    _ready(console)
    return 0


def _reset(arguments: argparse.Namespace, console: Console) -> int:
    builder.ensure_engine(console)
    machine.check_owner()
    machine.remove_vps(console)
    return _up(arguments, console)


def _down(arguments: argparse.Namespace, console: Console) -> int:
    if not engine.answers():
        console.say("no Docker Engine answers here: nothing to remove")
        return 0
    machine.check_owner()
    machine.remove_vps(console)
    if arguments.all:
        for volume in (layout.VOLUME_APT_ARCHIVES, layout.VOLUME_APT_LISTS):
            engine.remove_volume(volume)
    with alone(layout.SHARED_LOCK, console):
        others = [vps.hostname for vps in layout.VPSES.values() if engine.state(vps.container) != "absent"]
        if others:
            console.say(f"{', '.join(others)} still there: the network, the registry and the hosts outside stay")
            return 0
        for host in (layout.OUTSIDE, layout.THIRD, layout.REGISTRY):
            if engine.remove_container(host.container):
                console.say(f"removed {host.hostname}")
        network.remove(console)
        if arguments.all:
            _forget_shared_caches(console)
    return 0


def _forget_shared_caches(console: Console) -> None:
    if engine.remove_volume(layout.VOLUME_REGISTRY):
        console.say(f"removed the cache {layout.VOLUME_REGISTRY}")
    references = engine.docker("images", "--format={{.Repository}}:{{.Tag}}").splitlines()
    ours = [name for name in references if name.startswith("hbot-embedded/")]
    ours += [name for name in references if name in layout.VPS_IMAGES]
    # Those that were pushed keep a second name, with the registry's address in front.
    pushed = tuple(registry.pushed_name(tag) for tag in layout.VPS_IMAGES)
    ours += [name for name in references if name.startswith("127.0.0.1:") and name.endswith(pushed)]
    if ours:
        console.say(f"removing {len(ours)} image tags")
        engine.docker("image", "rm", "--force", *ours, check=False)
    engine.docker("image", "prune", "--force", f"--filter=label={images.INPUTS_LABEL}", check=False)


def _status(arguments: argparse.Namespace, console: Console) -> int:
    if not engine.answers():
        print("no Docker Engine answers here")
        return 3
    for host in (*layout.VPSES.values(), layout.OUTSIDE, layout.THIRD, layout.REGISTRY):
        print(f"{host.hostname:9} {host.v4!s:15} {host.v6!s:20} {engine.state(host.container)}")
    if engine.state(layout.VPS.container) == "running":
        print(f"systemd on {layout.VPS.hostname}: {machine.wait_until_booted()}")
        return 0
    return 3


def _check_name() -> None:
    if os.environ.get(layout.VPS_VARIABLE, layout.VPS.hostname) not in layout.VPSES:
        raise EmbeddedVpsError(f"{layout.VPS_VARIABLE} is none of {', '.join(layout.VPSES)}")


def _need_vps() -> None:
    machine.check_owner()
    if engine.state(layout.VPS.container) == "absent":
        raise EmbeddedVpsError("there is no embedded VPS. Fix: python -m embedded_vps up")


def _reboot(arguments: argparse.Namespace, console: Console) -> int:
    _need_vps()
    console.say("rebooting the VPS (systemd shuts down, /run and the firewall are gone, systemd boots)")
    # A machine waits for its units, of which the bots' takes up to three minutes, before it cuts them off.
    engine.docker("restart", "--time=240", layout.VPS.container, timeout=400)
    _ready(console)
    return 0


def _kill(arguments: argparse.Namespace, console: Console) -> int:
    _need_vps()
    console.say("the VPS loses power")
    engine.docker("kill", "--signal=KILL", layout.VPS.container)
    return 0


def _start(arguments: argparse.Namespace, console: Console) -> int:
    _need_vps()
    console.say("starting the VPS")
    engine.docker("start", layout.VPS.container)
    _ready(console)
    return 0


def _enter(container: str) -> Callable[[argparse.Namespace, Console], int]:
    def execute(arguments: argparse.Namespace, console: Console) -> int:
        command = (
            [word for word in arguments.command if word != "--"]
            if arguments.command[:1] == ["--"]
            else arguments.command
        )
        terminal = ["--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
        return subprocess.run(
            ["docker", "exec", "--interactive", *terminal, container, *(command or ["bash"])], check=False
        ).returncode

    return execute


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace, Console], int], str]] = {
    "up": (_up, "make what is missing (images, registry, network, machines) and wait until sshd answers"),
    "reset": (_reset, "a fresh VPS with an empty disk; images, registry and package caches stay"),
    "down": (_down, "remove the machines and the network; images and caches stay unless --all is given"),
    "purge": (_down, "the same as down --all"),
    "status": (_status, "list the machines; code 3 when the VPS does not run"),
    "reboot": (_reboot, "reboot the VPS"),
    "kill": (_kill, "cut the VPS's power"),
    "start": (_start, "boot the VPS after kill"),
    "images": (_images, "build or pull the images that bots and tests run"),
    "exec": (_enter(layout.VPS.container), "run a command on the VPS, as root"),
    "outside": (_enter(layout.OUTSIDE.container), "run a command on the host outside"),
    "third": (_enter(layout.THIRD.container), "run a command on the third host, the one that gets banned"),
}
UNLOCKED = {"status", "exec", "outside", "third"}
ONE_MACHINE = {"reboot", "kill", "start"}
"""What does not wait for a command about another VPS of this checkout."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m embedded_vps", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True, metavar="command")
    for name, (_, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(all=name == "purge")
        if name in {"up", "reset"}:
            command.add_argument(
                "--distribution",
                choices=sorted(DISTRIBUTIONS),
                default=os.environ.get("HBOT_EMBEDDED_DISTRIBUTION", "debian:13"),
                help="the VPS's operating system (default: $HBOT_EMBEDDED_DISTRIBUTION, else debian:13)",
            )
        elif name == "down":
            command.add_argument("--all", action="store_true", help="the images and caches too")
        elif name in {"exec", "outside", "third"}:
            command.add_argument(
                "command", nargs=argparse.REMAINDER, metavar="-- command", help="what to run (default: bash)"
            )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (1: it failed and said why, 130: interrupted)."""
    arguments = _parser().parse_args(argv)
    console = Console()
    function = COMMANDS[arguments.name][0]
    try:
        _check_name()
        if arguments.name in UNLOCKED:
            return function(arguments, console)
        with ExitStack() as locks:
            if arguments.name not in ONE_MACHINE:
                locks.enter_context(alone(layout.STATE / "lock", console))
            locks.enter_context(alone(layout.STATE / f"lock-{layout.VPS.hostname}", console))
            return function(arguments, console)
    except EmbeddedVpsError as error:
        console.error(str(error))
        return 1
    except KeyboardInterrupt:
        console.error("interrupted; the same command continues where this one stopped")
        return 130
