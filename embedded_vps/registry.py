"""The local image registry: what the VPS pulls from, by the same names as from the public one."""

import http.client
import json
import time

from embedded_vps import engine, images, layout
from embedded_vps.console import Console, EmbeddedVpsError

PORT = 5000
MANIFESTS = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    )
)


def _published_port() -> int:
    address = engine.docker("port", layout.REGISTRY.container, f"{PORT}/tcp").splitlines()[0]
    return int(address.rpartition(":")[2])


def _request(path: str) -> tuple[int, str, bytes]:
    """Ask the registry; returns the status (0: no answer), the content digest and the body."""
    connection = http.client.HTTPConnection(str(layout.REGISTRY.v4), PORT, timeout=5)
    try:
        connection.request("GET", path, headers={"Accept": MANIFESTS})
        response = connection.getresponse()
        return response.status, response.headers.get("Docker-Content-Digest", ""), response.read()
    except (OSError, http.client.HTTPException):
        return 0, "", b""
    finally:
        connection.close()


def ensure_running(console: Console) -> None:
    """Make sure that the registry's container runs from the present image and answers."""
    image = images.registry(console)
    found = engine.inspect("container", layout.REGISTRY.container)
    wanted = engine.inspect("image", image)
    if found is not None and (
        wanted is None or found["Image"] != wanted["Id"] or found["State"]["Status"] == "created"
    ):
        engine.remove_container(layout.REGISTRY.container)
        found = None
    if found is None:
        console.say(f"starting the image registry at {layout.REGISTRY.v4}:{PORT}")
        engine.docker(
            "run",
            "--detach",
            f"--name={layout.REGISTRY.container}",
            f"--hostname={layout.REGISTRY.hostname}",
            f"--label={layout.LABEL}=registry",
            f"--network={layout.NETWORK}",
            f"--ip={layout.REGISTRY.v4}",
            f"--ip6={layout.REGISTRY.v6}",
            # Pushing goes over loopback, which every engine accepts without TLS.
            f"--publish=127.0.0.1::{PORT}",
            f"--volume={layout.VOLUME_REGISTRY}:/var/lib/docker-registry",
            "--restart=unless-stopped",
            image,
        )
    elif found["State"]["Status"] != "running":
        engine.docker("start", layout.REGISTRY.container)
    deadline = time.monotonic() + 60
    while _request("/v2/")[0] != http.client.OK:
        if time.monotonic() > deadline:
            log = engine.docker("logs", "--tail=5", layout.REGISTRY.container, check=False)
            raise EmbeddedVpsError(f"the local image registry does not answer at {layout.REGISTRY.v4}:{PORT}. {log}")
        time.sleep(0.2)


def _path(tag: str) -> tuple[str, str]:
    name, _, version = tag.rpartition(":")
    return (name if "/" in name else f"library/{name}"), version


def pushed_name(tag: str) -> str:
    """What a tag's name ends with after a push: `/library/busybox:1.36`."""
    name, version = _path(tag)
    return f"/{name}:{version}"


def offers(tag: str) -> bool:
    """Whether the registry holds exactly the engine's image of this tag."""
    name, version = _path(tag)
    status, digest, _ = _request(f"/v2/{name}/manifests/{version}")
    found = engine.inspect("image", tag)
    if status != http.client.OK or found is None:
        return False
    return any(str(known).endswith(digest) for known in found.get("RepoDigests") or [])


def push(tag: str, console: Console) -> None:
    """Put the engine's image of this tag into the registry, unless it is there."""
    if offers(tag):
        return
    console.say(f"pushing {tag} to the local registry")
    name, version = _path(tag)
    address = f"127.0.0.1:{_published_port()}/{name}:{version}"
    engine.docker("tag", tag, address)
    engine.docker("push", "--quiet", address, timeout=900)
    # The tag goes again; the image keeps the digest that `offers` compares.


def tags(name: str) -> list[str]:
    """Return the tags that the registry holds of a repository."""
    status, _, body = _request(f"/v2/{name}/tags/list")
    return [str(tag) for tag in json.loads(body).get("tags") or []] if status == http.client.OK else []
