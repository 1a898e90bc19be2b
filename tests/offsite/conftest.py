"""Real servers on this machine: S3 as moto speaks it, SFTP as OpenSSH does; and a VPS's directory to back up."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from host_backup.restic import repositories
from host_backup.settings import Offsite, Retention, Settings

SSHD = "/usr/sbin/sshd"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this directory `offsite`."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("offsite")


def free_port(address: str = "127.0.0.1") -> int:
    """A port of this machine that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, address: str = "127.0.0.1") -> None:
    """Return when somebody listens."""
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.1)
        else:
            return


@dataclass(frozen=True)
class Server:
    """A server elsewhere, and how a VPS is told about it."""

    process: "subprocess.Popen[bytes]"
    offsite: Offsite
    secrets: dict[str, str]
    """Files of the VPS's secrets, by name."""

    forbidden: dict[str, str]
    """The same for somebody whom the server refuses."""

    def die(self) -> None:
        """Be gone, and the sessions with it."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def hang(self) -> None:
        """Take connections and answer nothing."""
        os.killpg(self.process.pid, signal.SIGSTOP)


def s3(place: Path) -> Server:
    """An S3 server that knows one user: after the first requests it checks signatures."""
    port = free_port()
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)],
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(port)
    request = urllib.request.Request(f"http://127.0.0.1:{port}/backups", method="PUT")  # this machine's
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310  # this machine's
    known = {"offsite.json": json.dumps({"AWS_ACCESS_KEY_ID": "known", "AWS_SECRET_ACCESS_KEY": "secret"})}
    return Server(process, Offsite(f"s3:http://127.0.0.1:{port}/backups/vps1", "100%", 60), known, {})


def sftp(place: Path, address: str = "127.0.0.1") -> Server:
    """An SFTP server: OpenSSH's own, that knows one key."""
    port = free_port(address)
    for name in ("host", "user", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)], check=True)
    (place / "sshd_config").write_text(
        f"Port {port}\nListenAddress {address}\nHostKey {place}/host\nAuthorizedKeysFile {place}/user.pub\n"
        "StrictModes no\nPasswordAuthentication no\nSubsystem sftp internal-sftp\nPidFile none\n"
    )
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    process = subprocess.Popen(
        [SSHD, "-D", "-e", "-f", str(place / "sshd_config")], stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for(port, address)
    server = f"[{address}]:{port} {(place / 'host.pub').read_text()}"
    known = {"offsite_ssh_key": (place / "user").read_text(), "offsite_known_hosts": server}
    stranger = {**known, "offsite_ssh_key": (place / "stranger").read_text()}
    location = f"sftp://root@{address}:{port}/{place}/vps1"
    return Server(process, Offsite(location, "100%", 60), known, stranger)


@pytest.fixture(params=[s3, sftp])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Each kind of server."""
    made = request.param(tmp_path_factory.mktemp("server"))
    yield made
    if made.process.poll() is None:
        os.killpg(made.process.pid, signal.SIGCONT)
        made.die()


def secrets(settings: Settings, files: dict[str, str]) -> None:
    """Write the VPS's secrets."""
    for name, text in files.items():
        (settings.secrets / name).write_text(text)
        (settings.secrets / name).chmod(0o600)


@pytest.fixture
def settings(tmp_path: Path, server: Server) -> Settings:
    """A VPS with one bot, and both repositories made."""
    files = {
        "data/bot9/conf/conf_client.yml": "instance_id: bot9\n",
        "data/bot9/data/epp_v24/bot9_a/state_paper.json": '{"body":{"engine":{"guard":{"reconcile":""}}}}',
        "data/bot9/data/epp_v24/bot9_a/commands/1.json": "{}",
        "data/bot9/logs/epp_v24/bot9_a/fills.csv": "ts,price\n1,2\n",
        "env/bot9/password": "the bot's password\n",
        "env/bot9/golive.json": "{}",
        "env/backup/password": "the key\n",
        "compose/bot9.yml": 'services:\n  bot9:\n    image: "none:1"\n',
        "backups/.keep": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with closing(sqlite3.connect(tmp_path / "data/bot9/data/trades.sqlite")) as database, database:
        database.execute("CREATE TABLE trades (id INTEGER PRIMARY KEY)")
    made = Settings(tmp_path, "vps1", "0", os.getuid(), os.getgid(), Retention(3, 1, 1, 1), server.offsite, 1)
    secrets(made, server.secrets)
    for repository in repositories(made):
        assert not repository.exists()
        repository.make()
    return made


def new_machine(settings: Settings, place: Path) -> Settings:
    """Another VPS that knows the key and the offsite repository, and nothing else."""
    made = replace(settings, root=place)
    shutil.copytree(settings.secrets, made.secrets)
    made.backups.mkdir(parents=True)
    repositories(made)[0].make()
    return made
