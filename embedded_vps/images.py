"""The images of the embedded VPS, each built only when what goes into it changed.

Where an image registry can be reached, the official images are used; where not, stand-ins are built from Debian and
Python packages. Every command that makes images says which.
"""

import functools
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from embedded_vps import bot_image, engine, layout, rootfs
from embedded_vps.command import run
from embedded_vps.console import Console, EmbeddedVpsError

INPUTS_LABEL = f"{layout.LABEL}.inputs"
STAND_IN_LABEL = "hbot.stand-in"


@functools.cache
def registry_reached() -> bool:
    """Whether the engine can pull from the public image registry; asked once, by a small image, for at most 25 s."""
    try:
        result = run(["docker", "pull", "--quiet", layout.BUSYBOX_IMAGE], timeout=25, check=False)
    except EmbeddedVpsError:
        return False
    return result.returncode == 0


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def _tree(directory: Path) -> str:
    files = sorted(path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return _digest(*(part for path in files for part in (str(path.relative_to(directory)), path.read_bytes())))


def _inputs(tag: str) -> str | None:
    """Return the digest of what an image was built from; empty for one not built here, None for none at all."""
    labels = engine.labels("image", tag)
    return None if labels is None else labels.get(INPUTS_LABEL, "")


def _is_official(tag: str) -> bool:
    labels = engine.labels("image", tag)
    return labels is not None and STAND_IN_LABEL not in labels


def _build(
    tag: str,
    directory: Path,
    arguments: Mapping[str, str],
    console: Console,
    *,
    extra: str = "",
    fill: Callable[[Path], None] | None = None,
) -> str:
    """Build ``directory`` as ``tag`` unless that was done from the same inputs; returns the digest of the inputs.

    ``fill`` adds generated files to the build context; ``extra`` stands for them in the digest.
    """
    inputs = _digest(_tree(directory), repr(sorted(arguments.items())), extra)
    if _inputs(tag) == inputs:
        return inputs
    console.say(f"building {tag}")
    with tempfile.TemporaryDirectory(prefix="embedded-vps-") as scratch:
        context = Path(scratch) / "context"
        shutil.copytree(directory, context)
        if fill is not None:
            fill(context)
        engine.build(tag, context, arguments=arguments, label=f"{INPUTS_LABEL}={inputs}")
    return inputs


def base(distribution: rootfs.Distribution, console: Console) -> str:
    """Make the image that the others start from; returns its tag."""
    tag = f"hbot-embedded/base:{distribution.tag}"
    raw = f"hbot-embedded/rootfs:{distribution.tag}"
    if engine.inspect("image", raw) is None:
        if registry_reached():
            console.say(f"pulling {distribution.official_image}")
            engine.docker("pull", "--quiet", distribution.official_image, timeout=600)
            engine.docker("tag", distribution.official_image, raw)
        else:
            rootfs.bootstrap(distribution, raw, console)
    sources, proxy, authorities = rootfs.apt_sources(distribution), rootfs.apt_proxy(), rootfs.certificates()

    def fill(context: Path) -> None:
        (context / "apt/apt.conf.d").mkdir(parents=True)
        (context / "apt/apt.conf.d/95-builder-proxy").write_text(proxy)
        if sources is not None:
            (context / "apt/sources.list.d").mkdir()
            (context / "apt/sources.list").write_text(sources)
            # The official Debian images name their sources here; one list is enough.
            (context / "apt/sources.list.d/debian.sources").write_text("")
        (context / "ca").mkdir()
        for number, path in enumerate(authorities):
            shutil.copy(path, context / f"ca/builder-{number}.crt")
        (context / "ca/README").write_text("The certificate authorities of the machine this image was built on.\n")

    extra = _digest(sources or "", proxy, *(path.read_bytes() for path in authorities))
    _build(tag, layout.IMAGES / "base", {"ROOTFS": raw}, console, extra=extra, fill=fill)
    return tag


def _derived(name: str, distribution: rootfs.Distribution, console: Console) -> str:
    base_tag = base(distribution, console)
    tag = f"hbot-embedded/{name}:{distribution.tag}"
    _build(tag, layout.IMAGES / name, {"BASE": base_tag}, console, extra=_inputs(base_tag) or "")
    return tag


def vps(distribution: rootfs.Distribution, console: Console) -> str:
    """Make the VPS's own image; returns its tag."""
    return _derived("vps", distribution, console)


def world(console: Console) -> str:
    """Make the image of the machines elsewhere on the small internet; returns its tag."""
    return _derived("world", rootfs.DISTRIBUTIONS["debian:13"], console)


def registry(console: Console) -> str:
    """Make the local registry's image; returns its tag."""
    return _derived("registry", rootfs.DISTRIBUTIONS["debian:13"], console)


def busybox(console: Console) -> str:
    """Make or pull the small image that tests run on the VPS; returns its tag."""
    if _is_official(layout.BUSYBOX_IMAGE) or registry_reached():
        return layout.BUSYBOX_IMAGE
    base_tag = base(rootfs.DISTRIBUTIONS["debian:13"], console)
    arguments = {"BASE": base_tag}
    _build(layout.BUSYBOX_IMAGE, layout.IMAGES / "busybox", arguments, console, extra=_inputs(base_tag) or "")
    return layout.BUSYBOX_IMAGE


def bot(console: Console) -> str:
    """Make or pull the bot image and say which; returns its tag."""
    tag = layout.BOT_IMAGE
    if _is_official(tag):
        console.say(f"{tag}: the official image")
        return tag
    if registry_reached():
        console.say(f"pulling {tag}: the official image")
        engine.docker("pull", "--quiet", tag, timeout=1200)
        return tag
    base_tag = base(rootfs.DISTRIBUTIONS["debian:13"], console)
    python = bot_image.find_python()
    _build(
        tag,
        layout.IMAGES / "bot",
        {"BASE": base_tag},
        console,
        extra=_digest(_inputs(base_tag) or "", bot_image.python_version(python)),
        fill=lambda context: bot_image.fill_context(context, python, console),
    )
    console.say(f"{tag}: stand-in built from Debian and Python packages (no image registry reached)")
    return tag


def monitoring(console: Console) -> None:
    """Make or pull the images of the monitoring stack and say which."""
    official = {tag: tag for tag in (*layout.PROMETHEUS_IMAGES, layout.GRAFANA_IMAGE)}
    official[layout.CADVISOR_IMAGE] = layout.CADVISOR_OFFICIAL
    wanted = [tag for tag in official if not _is_official(tag)]
    if not wanted:
        return
    if registry_reached():
        for tag in wanted:
            console.say(f"pulling {official[tag]}: the official image")
            engine.docker("pull", "--quiet", official[tag], timeout=600)
            engine.docker("tag", official[tag], tag)
        return
    packages = _derived("monitoring_packages", rootfs.DISTRIBUTIONS["debian:13"], console)
    extra = _inputs(packages) or ""
    for tag, program in layout.PROMETHEUS_IMAGES.items():
        _build(tag, layout.IMAGES / "prometheus_family", {"BASE": packages, "PROGRAM": program}, console, extra=extra)
    for tag, name in ((layout.CADVISOR_IMAGE, "cadvisor"), (layout.GRAFANA_IMAGE, "grafana")):
        _build(tag, layout.IMAGES / name, {"BASE": packages}, console, extra=extra)
    console.say("monitoring: Prometheus's programs from Debian's packages, stand-ins for cAdvisor and Grafana's server")
