# Copyright: hbot.infra maintainers. Not for redistribution.
"""Files on the controller together with a hash that names exactly them."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
name: hashed_files
short_description: Files on the controller, with a hash that names exactly them
version_added: 0.1.0
description:
  - Lists files that are to stand on a host in a directory named after their contents, which is what the V(immutable)
    entries of M(hbot.infra.tree) are.
  - Tests (C(tests), C(conftest.py)) and compiled Python are left out, so that they change no hash and reach no host.
options:
  _terms:
    description:
      - The name of a directory in this collection's C(files), wherever that is installed; or the absolute path
        of a directory or a file.
    type: list
    elements: str
    required: true
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The strategy is on the host
  hbot.infra.tree:
    root: /opt/hbot/strategies
    entries:
      - path: "{{ strategy.hash }}/epp"
        state: immutable
        files: "{{ strategy.files }}"
  vars:
    strategy: "{{ lookup('hbot.infra.hashed_files', 'epp') }}"
"""

RETURN = r"""
_raw:
  description: One dictionary a term.
  type: list
  elements: dict
  contains:
    hash:
      description: The first 16 hex digits of the sha256 over all relative paths and contents.
      type: str
    files:
      description: Maps a relative path to C({src}), the file on the controller.
      type: dict
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

FILES = Path(__file__).resolve().parents[2] / "files"

_LEFT_OUT = {"tests", "__pycache__", "conftest.py"}
_LEFT_OUT_SUFFIXES = (".pyc", ".pyo")


def hashed(term: str) -> dict[str, Any]:
    """The files of one term and their hash.

    Raises:
        FileNotFoundError: there is no such directory or file, or nothing is in it.
    """
    source = term if term.startswith("/") else str(FILES / term)
    found = {Path(source).name: source} if Path(source).is_file() else dict(_files(source))
    if not found:
        raise FileNotFoundError(f"there is no {source}, or no file in it")
    digest = hashlib.sha256()
    for name in sorted(found):
        data = Path(found[name]).read_bytes()
        # Lengths keep two trees apart whose concatenations are alike.
        digest.update(f"{len(name)}:{name}{len(data)}:".encode())
        digest.update(data)
    return {"hash": digest.hexdigest()[:16], "files": {name: {"src": found[name]} for name in sorted(found)}}


def _files(source: str) -> Iterator[tuple[str, str]]:
    """The files below a directory that belong, by their path in it. Every task of a bot asks: pathlib would be slow."""
    for directory, below, names in os.walk(source):
        below[:] = [name for name in below if _belongs(name)]
        inside = f"{directory}/".removeprefix(f"{source}/")
        for name in names:
            if _belongs(name):
                yield f"{inside}{name}", f"{directory}/{name}"


def _belongs(name: str) -> bool:
    return not name.startswith(".") and name not in _LEFT_OUT and not name.endswith(_LEFT_OUT_SUFFIXES)


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core ships no types
    """The lookup."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """One dictionary a term."""
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return [hashed(str(term)) for term in terms]
        except OSError as error:
            raise AnsibleLookupError(f"hbot.infra.hashed_files: {error}") from error
