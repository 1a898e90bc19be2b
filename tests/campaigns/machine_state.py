"""What a converged VPS is, for comparing two of them; runs there, as root, from standard input.

Says, as JSON, one line for each thing: files with mode, owner and hash, packages, units, firewall, containers. What
belongs to one moment or one machine (keys, logs, books, samples, leases) is left out or is told without its contents.
"""

import hashlib
import json
import os
import re
import stat
import subprocess
from pathlib import Path

PLACES = ("/etc", "/opt/hbot", "/usr/local", "/var/lib/hbot-access", "/var/spool/cron")
OF_ITS_OWN = re.compile(
    r"/opt/hbot/(backups|retired|evidence|monitoring/(data|textfile))/|/opt/hbot/data/[^/]+/(logs|data|exchange)/"
    r"|/opt/hbot/watchdog/(state|leases|silences|containers)/|/etc/(mtab|resolv\.conf|hostname|hosts|ld\.so\.cache)$|/__pycache__/"
    r"|/etc/(alternatives|ssl/certs|fail2ban/fail2ban\.sqlite)|/etc/.*-$|/etc/(passwd|group|shadow|gshadow|subuid|subgid)$"
)
"""Places that fill by themselves, and files that a package's scripts write in the order of their installation."""


def files() -> dict[str, str]:
    """Every entry of the places, with what it is."""
    found = {}
    for place in PLACES:
        for parent, directories, names in os.walk(place):
            for name in (*directories, *names):
                path = Path(parent, name)
                if not OF_ITS_OWN.search(str(path)):
                    found[str(path)] = described(path)
    return found


def described(path: Path) -> str:
    """Kind, mode, owner and contents of an entry."""
    try:
        status = path.lstat()
        words = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
        if stat.S_ISLNK(status.st_mode):
            return f"{words} -> {path.readlink()}"
        if stat.S_ISREG(status.st_mode):
            return f"{words} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    except OSError:  # it was replaced while it was looked at
        return "gone"
    return words


def lines_of(name: str, *command: str) -> dict[str, str]:
    """What a command says, a thing a line."""
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return {f"{name}: {line.split()[0]}": line for line in said.splitlines() if line.strip()}


def accounts() -> dict[str, str]:
    """Who may do what: names, shells and groups, whatever numbers their packages got."""
    users = [line.split(":") for line in Path("/etc/passwd").read_text(encoding="utf-8").splitlines()]
    groups = [line.split(":") for line in Path("/etc/group").read_text(encoding="utf-8").splitlines()]
    shadow = {line.split(":")[0]: line.split(":")[1][:1] for line in Path("/etc/shadow").read_text().splitlines()}
    return {f"user: {user[0]}": f"{user[5]} {user[6]} {shadow[user[0]]}" for user in users} | {
        f"group: {group[0]}": ",".join(sorted(group[3].split(","))) for group in groups
    }


def firewall() -> dict[str, str]:
    """The rules that say what gets in: each chain's in their order, whichever chain was made first."""
    found = {}
    for program in ("iptables", "ip6tables"):
        said = subprocess.run([f"{program}-save", "-t", "filter"], capture_output=True, text=True, check=False).stdout
        ours = re.compile(r"^(:INPUT|:FORWARD|-A (INPUT|DOCKER-USER|ufw6?-(user|before|after)\S*) )")
        rules = [re.sub(r"\[\d+:\d+\]", "", line).strip() for line in said.splitlines() if ours.match(line)]
        found[f"firewall: {program}"] = "\n".join(sorted(rules, key=lambda rule: rule.split()[:2][-1]))
    return found


def main() -> None:
    """Say all of it."""
    shown = '{{.Names}} {{.Image}} {{.Status}} {{.Label "hbot.config-hash"}}'
    containers = lines_of("container", "docker", "ps", "--all", "--format", shown)
    said = files() | accounts() | firewall()
    said |= lines_of("package", "dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev} ${Version}\n")
    said |= lines_of("held", "apt-mark", "showhold")
    said |= lines_of("unit", "systemctl", "list-unit-files", "--no-legend", "--state=enabled,disabled,masked")
    said |= {name: re.sub(r"Up .*?(?= \(|  |$)", "Up", line) for name, line in containers.items()}
    print(json.dumps(said))


if __name__ == "__main__":
    main()
