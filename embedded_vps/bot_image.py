"""What goes into the stand-in bot image: the builder's CPython 3.12 and Hummingbot's wheel with its requirements.

Debian 13 has only Python 3.13, and Hummingbot's wheel is for 3.12; so a CPython 3.12 installation of this machine is
copied. The wheels are downloaded here, with this machine's pip configuration and certificates, and installed without a
network.
"""

import os
import shutil
import sys
from pathlib import Path

from embedded_vps import layout
from embedded_vps.command import run
from embedded_vps.console import Console, EmbeddedVpsError

WHEELHOUSE = layout.STATE / "wheelhouse"
PLATFORMS = (
    "manylinux_2_39",
    "manylinux_2_34",
    "manylinux_2_28",
    "manylinux_2_17",
    "manylinux2014",
    "manylinux_2_5",
    "manylinux1",
)
# Not needed to run a bot, and most of an installation's size.
LEFT_OUT = ("test", "site-packages", "idlelib", "tkinter", "turtledemo", "lib2to3", "config-*", "__pycache__")


def find_python() -> Path:
    """Return the prefix of a CPython 3.12 installation on this machine, one with its own standard library below it.

    Raises EmbeddedVpsError when there is none.
    """
    candidates = [Path(sys.base_prefix)] if sys.version_info[:2] == (3, 12) else []
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += sorted(pyenv.glob("versions/3.12.*"), reverse=True)
    candidates += sorted((Path.home() / ".local/share/uv/python").glob("cpython-3.12*"), reverse=True)
    found = shutil.which("python3.12")
    if found:
        candidates.append(Path(found).resolve().parent.parent)
    for prefix in candidates:
        # A distribution's /usr is no installation of its own: its library is spread over the system.
        if (
            prefix != Path("/usr")
            and (prefix / "bin/python3.12").exists()
            and (prefix / "lib/python3.12/os.py").exists()
        ):
            return prefix
    raise EmbeddedVpsError(
        "no CPython 3.12 installation with a prefix of its own was found, and the stand-in bot image needs one to "
        "copy. Fix: `pyenv install 3.12`, or use a machine that reaches an image registry"
    )


def python_version(prefix: Path) -> str:
    """Return the full version of a CPython installation."""
    return run([str(prefix / "bin/python3.12"), "--version"], timeout=30).stdout.strip()


def _copy_python(prefix: Path, target: Path) -> None:
    (target / "bin").mkdir(parents=True)
    (target / "lib").mkdir()
    shutil.copy2(prefix / "bin/python3.12", target / "bin/python3.12", follow_symlinks=True)
    for library in (prefix / "lib").glob("libpython3*.so*"):
        shutil.copy2(library, target / "lib" / library.name, follow_symlinks=False)
    standard_library = target / "lib/python3.12"
    shutil.copytree(
        prefix / "lib/python3.12", standard_library, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT)
    )
    (standard_library / "site-packages").mkdir()


def _download(requirements: Path, prefix: Path, console: Console) -> None:
    WHEELHOUSE.mkdir(parents=True, exist_ok=True)
    wanted = len(requirements.read_text().splitlines())
    console.say(f"downloading Hummingbot's {wanted} wheels (200 MB; those already in {WHEELHOUSE} are kept)")
    arguments = [
        str(prefix / "bin/python3.12"), "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version=3.12", "--implementation=cp",
        "--abi=cp312", "--abi=abi3", "--abi=none", *(f"--platform={name}_x86_64" for name in PLATFORMS),
        f"--find-links={WHEELHOUSE}", f"--dest={WHEELHOUSE}", f"--requirement={requirements}",
    ]  # fmt: skip
    run(arguments, timeout=1200)


def fill_context(context: Path, prefix: Path, console: Console) -> None:
    """Add the interpreter and the wheels to the bot image's build context."""
    if os.uname().machine != "x86_64":
        raise EmbeddedVpsError(
            "the stand-in bot image is for x86_64 only. Fix: a machine that reaches an image registry"
        )
    requirements = context / "requirements.lock"
    _download(requirements, prefix, console)
    console.say(f"copying {python_version(prefix)} from {prefix}")
    _copy_python(prefix, context / "python")
    (context / "wheelhouse").mkdir()
    for wheel in WHEELHOUSE.glob("*.whl"):
        try:
            os.link(wheel, context / "wheelhouse" / wheel.name)
        except OSError:  # another file system
            shutil.copy(wheel, context / "wheelhouse" / wheel.name)
    console.say("installing them in the image (about a minute)")
