#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Write Docker's daemon.json, checked by dockerd itself, and say whether a reload is enough."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_daemon
short_description: Docker's daemon.json, and whether its packages are held
description:
  - Writes daemon.json after C(dockerd --validate) has accepted it, and says in RV(needs) what makes the running daemon
    follow - nothing, a reload (dockerd re-reads some keys on SIGHUP), or a restart.
  - A daemon that runs, and whose rules somebody flushed from the kernel's firewall, needs a restart as well.
  - Holds packages, so that no upgrade restarts the daemon by the way, or releases them.
version_added: 0.1.0
options:
  config:
    description: The whole of daemon.json.
    type: dict
    required: true
  path:
    description: Where it is.
    type: path
    default: /etc/docker/daemon.json
  packages:
    description: The packages to hold or release. One that is not installed is left alone.
    type: list
    elements: str
    default: []
  hold:
    description: Whether they are held.
    type: bool
    default: true
  pending:
    description:
      - A file, best below C(/run), that keeps RV(needs) until whoever makes the daemon follow removes it. So a run
        that is stopped in between is finished by the next one.
    type: str
attributes:
  check_mode:
    support: full
    description: Reports what would change, also where Docker is not installed yet; dockerd is not asked then.
  diff_mode:
    support: full
    description: The file, and the packages whose hold changes.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The daemon keeps containers running while it restarts
  hbot.infra.docker_daemon:
    config: {live-restore: true}
    packages: [docker.io, containerd]
"""

RETURN = r"""
needs:
  description: What makes the running daemon follow the file.
  type: str
  returned: always
  sample: none, reload or restart
"""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils.pending import Pending

# What dockerd re-reads on SIGHUP: docs.docker.com/reference/cli/dockerd, "Configuration reload behavior".
RELOADABLE = {
    "authorization-plugins",
    "debug",
    "default-runtime",
    "features",
    "insecure-registries",
    "labels",
    "live-restore",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "registry-mirrors",
    "runtimes",
    "shutdown-timeout",
}


DOCKERS_RULE = "FORWARD -j DOCKER-USER"

INTERFACES = Path("/sys/class/net")
OUR_BRIDGES = "hb-*"
"""Of the bots' networks."""


def parsed(text: str) -> dict[str, Any]:
    """Return a daemon.json's settings; none if it is missing or broken (dockerd would not start with it)."""
    try:
        settings = json.loads(text) if text.strip() else {}
    except ValueError:
        return {}
    return settings if isinstance(settings, dict) else {}


def needed(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Say what makes a daemon that runs with one configuration follow another."""
    differing = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    if not differing:
        return "none"
    return "reload" if differing <= RELOADABLE else "restart"


def greatest(needs: list[str]) -> str:
    """The one of several needs that covers the others."""
    return max(needs, key=["none", "reload", "restart"].index)


def wrongly_selected(module: AnsibleModule) -> list[str]:
    """Return the installed packages whose hold is not as wanted."""
    packages = module.params["packages"]
    if not packages:
        return []
    _, output, _ = module.run_command(
        ["dpkg-query", "-W", "-f", "${db:Status-Want} ${db:Status-Status} ${Package}\n", *packages]
    )
    wrong = []
    for line in output.splitlines():
        want, status, package = line.split()
        if status == "installed" and (want == "hold") != module.params["hold"]:
            wrong.append(package)
    return sorted(wrong)


def lacks_rules(module: AnsibleModule) -> bool:
    """Whether a daemon runs whose rules are gone from the kernel's firewall: somebody flushed it.

    Without them nothing is forwarded to or from a container. It puts them there when it starts, and not again; for a
    network that is made it puts the first one and those of that network, so that each network's are looked for.
    """
    iptables, ip6tables = (shutil.which(name, path="/usr/sbin:/usr/bin") for name in ("iptables", "ip6tables"))
    if iptables is None or not module.params["config"].get("iptables", True):
        return False
    if module.run_command(["systemctl", "is-active", "--quiet", "docker.service"])[0] != 0:
        return False

    def succeeds(*command: str) -> bool:
        return bool(module.run_command([*command])[0] == 0)

    if not succeeds(iptables, "--wait", "10", "-C", *DOCKERS_RULE.split()):
        return True
    words = module.run_command([iptables, "--wait", "10", "-S"])[1].split()
    if any(bridge.name not in words for bridge in INTERFACES.glob(OUR_BRIDGES)):
        return True
    # A Docker that leaves IPv6 alone has no chain there.
    filters = ip6tables is not None and succeeds(ip6tables, "--wait", "10", "-n", "-L", "DOCKER")
    return filters and not succeeds(str(ip6tables), "--wait", "10", "-C", *DOCKERS_RULE.split())


def accepted(module: AnsibleModule, path: Path, text: str) -> str:
    """Write the file beside its place, have dockerd judge it, and return its name there."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".daemon.json.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    Path(name).chmod(0o644)
    dockerd = shutil.which("dockerd", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if dockerd is None:
        Path(name).unlink()
        module.fail_json(msg="dockerd is not installed, so nothing can check daemon.json.")
    code, output, error = module.run_command([dockerd, "--validate", "--config-file", name])
    if code != 0:
        Path(name).unlink()
        module.fail_json(
            msg=f"dockerd refuses the new {path}, so it stays as it was. Look at host_docker_daemon: "
            + (error or output).strip().replace(name, str(path))
        )
    return name


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "dict", "required": True},
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
            "packages": {"type": "list", "elements": "str", "default": []},
            "hold": {"type": "bool", "default": True},
            "pending": {"type": "str"},
        },
        supports_check_mode=True,
    )
    path = Path(module.params["path"])
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    after = json.dumps(module.params["config"], indent=2, sort_keys=True) + "\n"
    selections = wrongly_selected(module)
    verb = "hold" if module.params["hold"] else "unhold"
    diff = []
    if before != after:
        diff.append({"before_header": str(path), "after_header": str(path), "before": before, "after": after})
    if selections:
        names = "".join(f"apt-mark {verb} {package}\n" for package in selections)
        diff.append({"before_header": "packages", "after_header": "packages", "before": "", "after": names})
    pending = Pending(module.params["pending"])
    diff += pending.diff()
    flushed = lacks_rules(module)
    if flushed:
        firewall = {"before_header": "the kernel's firewall", "after_header": "the kernel's firewall"}
        diff.append({**firewall, "before": "", "after": f"-A {DOCKERS_RULE}\n"})
    needs = "restart" if flushed else greatest([needed(parsed(before), module.params["config"]), *pending.left])
    if not module.check_mode:
        staged = accepted(module, path, after) if before != after else None
        if needs != "none":
            pending.note([needs])
        if staged is not None:
            module.atomic_move(staged, str(path))
        if selections:
            module.run_command(["apt-mark", verb, *selections], check_rc=True)
    module.exit_json(changed=bool(diff), needs=needs, diff=diff)


if __name__ == "__main__":
    main()
