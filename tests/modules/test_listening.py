"""What hbot.infra.access_transaction sees of sshd's sockets, on a process of this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import closing
from types import ModuleType

import pytest


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_socket_that_takes_connections_is_seen_and_one_opened_anew_is_another(
    load_module: Callable[[str], ModuleType], family: socket.AddressFamily
) -> None:
    listening, me = load_module("access_transaction").listening, str(os.getpid())
    before = listening(me)
    with closing(socket.socket(family)) as first:
        first.listen()
        seen = listening(me) - before
        assert len(seen) == 1
    assert listening(me) == before
    with closing(socket.socket(family)) as second:
        second.listen()
        assert listening(me) - before
        assert listening(me) - before != seen
    assert listening("0") == set()
