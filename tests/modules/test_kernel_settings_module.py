"""The kernel is compared with its file of settings by what it has now, and asked for nothing that it may refuse."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

LoadModule = Callable[[str], ModuleType]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"net.ipv4.tcp_syncookies": 1}, {}),
        ({"net.ipv4.tcp_syncookies": 0}, {"net.ipv4.tcp_syncookies": ("1", "0")}),
        ({"net/ipv4/tcp_syncookies": 0}, {"net/ipv4/tcp_syncookies": ("1", "0")}),
        ({"net.ipv4.ip_local_port_range": "32768 60999"}, {}),
        ({"net.ipv4.conf.eth0/5.rp_filter": 1}, {"net.ipv4.conf.eth0/5.rp_filter": ("0", "1")}),
        ({"-net.ipv4.tcp_syncookies": 0}, {}),
        ({"-net.ipv4.tcp_syncookies": 0, "net.ipv4.tcp_syncookies": 2}, {"net.ipv4.tcp_syncookies": ("1", "2")}),
        ({"net.ipv4.conf.*.rp_filter": 1}, {}),
        ({"net.ipv4.no_such_thing": 1}, {}),
    ],
    ids=str,
)
def test_what_differs(tmp_path: Path, load_module: LoadModule, settings: dict[str, Any], found: dict[str, Any]) -> None:
    held = {"tcp_syncookies": "1\n", "ip_local_port_range": "32768\t60999\n", "conf/eth0.5/rp_filter": "0\n"}
    for name, text in held.items():
        path = tmp_path / "net" / "ipv4" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert load_module("kernel_settings").deviations(settings, tmp_path) == found
