"""The minimal system that images start from: the distribution's official image, or one made from its packages."""

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from embedded_vps import builder, engine
from embedded_vps.command import run
from embedded_vps.console import Console, EmbeddedVpsError

CERTIFICATES = Path("/usr/local/share/ca-certificates")


@dataclass(frozen=True)
class Distribution:
    """An operating system that the embedded VPS can run."""

    name: str
    official_image: str
    codename: str

    @property
    def tag(self) -> str:
        """The name as it appears in image tags."""
        return self.name.replace(":", "-")


DISTRIBUTIONS = {
    each.name: each
    for each in (
        Distribution("debian:13", "debian:13-slim", "trixie"),
        Distribution("ubuntu:22.04", "ubuntu:22.04", "jammy"),
        Distribution("ubuntu:24.04", "ubuntu:24.04", "noble"),
    )
}


def debian_mirrors() -> tuple[str, str]:
    """Return the archive and the security archive that this machine's own apt uses, Debian's public ones by default."""
    archive, security = "http://deb.debian.org/debian", "http://deb.debian.org/debian-security"
    if builder.os_release().get("ID") == "debian":
        for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
            if not path.is_file():
                continue
            for line in path.read_text(errors="replace").splitlines():
                for url in re.findall(r"https?://\S+", "" if line.lstrip().startswith("#") else line):
                    if url.rstrip("/").endswith("/debian"):
                        archive = url.rstrip("/")
                    elif url.rstrip("/").endswith("/debian-security"):
                        security = url.rstrip("/")
    return archive, security


def apt_sources(distribution: Distribution) -> str | None:
    """Return sources.list for the images; None for Ubuntu, whose official image brings its own."""
    if not distribution.name.startswith("debian:"):
        return None
    archive, security = debian_mirrors()
    code = distribution.codename
    return f"deb {archive} {code} main\ndeb {archive} {code}-updates main\ndeb {security} {code}-security main\n"


def apt_proxy() -> str:
    """Return apt configuration naming the proxy that this machine's environment names; empty without one."""
    lines = []
    for scheme in ("http", "https"):
        proxy = os.environ.get(f"{scheme}_proxy") or os.environ.get(f"{scheme}_proxy".upper())
        if proxy:
            lines.append(f'Acquire::{scheme}::Proxy "{proxy}";\n')
    return "".join(lines)


def certificates() -> list[Path]:
    """Return the certificate authorities that were added to this machine by hand."""
    return sorted(CERTIFICATES.glob("**/*.crt")) if CERTIFICATES.is_dir() else []


def bootstrap(distribution: Distribution, tag: str, console: Console) -> None:
    """Make a minimal Debian from packages and import it as an image.

    Raises EmbeddedVpsError for Ubuntu: its archive's keys are not on a Debian machine, so its images come from a
    registry.
    """
    if not distribution.name.startswith("debian:"):
        raise EmbeddedVpsError(
            f"{distribution.name} comes from an image registry, and none can be reached from here. "
            "Fix: use a machine that reaches one, or --distribution debian:13"
        )
    builder.require(console, ["mmdebstrap"])
    archive, _ = debian_mirrors()
    console.say(f"bootstrapping {distribution.name} from {archive} (about 30 s)")
    with tempfile.TemporaryDirectory(prefix="embedded-vps-") as scratch:
        tarball = Path(scratch) / "rootfs.tar"
        run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                "--include=ca-certificates",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-include=/usr/share/doc/*/copyright",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                distribution.codename,
                str(tarball),
                archive,
            ],
            timeout=900,
        )
        engine.docker("import", "--change", 'CMD ["/bin/bash"]', str(tarball), tag, timeout=300)
