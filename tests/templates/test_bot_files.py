"""What the roles put on a VPS for a bot, over a matrix of bots: no VPS, no Docker."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controller import ROOT

Fragment = Callable[..., dict[str, Any]]
RenderFor = Callable[..., Callable[[str], Any]]

SECRETS = {
    "bot_password": "canary-password",
    "bot_api_key": "canary-key",
    "bot_api_secret": "canary-secret",
    "bot_api_passphrase": "canary-passphrase",
}

BOTS: dict[str, tuple[str, dict[str, Any]]] = {
    "paper, relayed": ("bot1", {}),
    "paper, recorded": ("bot1", {"paper_exchange_market": "recorded", "paper_exchange_speed": 10}),
    "parked": ("bot2", {"bot_variant": "d"}),
    "stub": ("bot3", {"bot_variant": "b"}),
    "disabled": ("bot4", {"bot_enabled": False}),
    "live": ("bot5", {"bot_mode": "live", **SECRETS}),
    "long name": ("a-very-long-bot-name-that-is-still-allowed", {"paper_exchange_market": "recorded"}),
    "other image": ("bot-staging", {"bot_image": "hummingbot/hummingbot:version-2.17.0@sha256:" + "0" * 64}),
    "other script": (
        "bot6",
        {
            "bot_script": {"script_file_name": "v2_with_controllers.py"},
            "bot_controllers": [{"id": "pmm", "controller_type": "market_making", "controller_name": "pmm_simple"}],
        },
    ),
    "given secrets": ("bot7", dict(SECRETS)),
}

CONF_ENTRIES = "__bot_directories + __bot_conf_files + [__bot_client_file, __bot_fragment_file, __bot_env_file]"


@pytest.fixture(params=list(BOTS), ids=lambda name: name.replace(" ", "-"))
def bot(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """One bot of the matrix: its name and its inventory variables."""
    return BOTS[request.param]


def services(fragment: dict[str, Any], name: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The bot's service and its paper exchange's."""
    found = fragment["services"]
    assert set(found) <= {name, f"{name}-exchange"}
    return found[name], found.get(f"{name}-exchange")


def test_names_are_the_originals(fragment_for: Fragment, bot: tuple[str, dict[str, Any]]) -> None:
    name, inventory = bot
    fragment = fragment_for(name, **inventory)
    assert fragment["name"] == "hbot"
    service, exchange = services(fragment, name)
    assert service["container_name"] == f"hbot-{name}"
    assert (exchange is None) == (inventory.get("bot_mode") == "live")
    if exchange is not None:
        assert exchange["container_name"] == f"hbot-{name}-exchange"


def test_nothing_is_published_and_no_secret_is_in_sight(
    fragment_for: Fragment, render_for: RenderFor, bot: tuple[str, dict[str, Any]]
) -> None:
    name, inventory = bot
    fragment = fragment_for(name, **inventory)
    for service in fragment["services"].values():
        assert not {"ports", "expose", "network_mode", "privileged", "env_file", "cap_add", "devices"} & set(service)
    everything = json.dumps([fragment, render_for(name, **inventory)(CONF_ENTRIES)], default=str)
    assert "canary" not in everything


def test_every_container_is_confined(fragment_for: Fragment, bot: tuple[str, dict[str, Any]]) -> None:
    name, inventory = bot
    for service in fragment_for(name, **inventory)["services"].values():
        assert service["user"] == "6420:6420"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["init"] is True
        assert {"mem_limit", "memswap_limit", "cpus", "pids_limit", "healthcheck"} <= set(service)
        assert service["mem_limit"] == service["memswap_limit"]
        assert "logging" not in service, "the daemon's own limits hold (role host_docker)"
        assert not {"tty", "stdin_open"} & set(service)


def test_what_is_mounted_is_in_the_installation_and_never_made_by_docker(
    fragment_for: Fragment, bot: tuple[str, dict[str, Any]]
) -> None:
    name, inventory = bot
    for service in fragment_for(name, **inventory)["services"].values():
        for mount in service["volumes"]:
            assert mount["source"].startswith("/opt/hbot/")
            assert mount["bind"] == {"create_host_path": False}
            writable = mount["source"].startswith(f"/opt/hbot/data/{name}/") and mount["target"] != "/run/paper-ca"
            assert mount.get("read_only", False) is not (writable and "/config" not in mount["source"])


def test_a_bot_does_not_hide_hummingbots_own_directories(
    fragment_for: Fragment, bot: tuple[str, dict[str, Any]]
) -> None:
    name, inventory = bot
    service, _exchange = services(fragment_for(name, **inventory), name)
    targets = {mount["target"] for mount in service["volumes"]}
    assert not targets & {"/home/hummingbot", "/home/hummingbot/scripts", "/home/hummingbot/controllers"}


def test_a_paper_bot_is_alone_with_its_exchange(fragment_for: Fragment, bot: tuple[str, dict[str, Any]]) -> None:
    name, inventory = bot
    fragment = fragment_for(name, **inventory)
    service, exchange = services(fragment, name)
    if exchange is None:
        assert service["networks"] == ["trading"]
        assert fragment["networks"] == {"trading": {"name": "hbot-trading", "external": True}}
        assert "SSL_CERT_FILE" not in service["environment"]
        return
    own = f"paper-{name}"
    assert service["networks"] == [own]
    network = fragment["networks"][own]
    assert network["internal"] is True
    assert network["name"] == f"hbot-paper-{name}"
    bridge = network["driver_opts"]["com.docker.network.bridge.name"]
    assert bridge.startswith("hb-")
    assert len(bridge) <= 15
    assert exchange["networks"][own]["aliases"] == ["api.bitget.com", "ws.bitget.com"]
    recorded = inventory.get("paper_exchange_market") == "recorded"
    assert ("trading" in exchange["networks"]) is not recorded
    assert ("trading" in fragment["networks"]) is not recorded
    assert service["environment"]["SSL_CERT_FILE"] == "/run/paper-ca/ca.pem"
    assert service["depends_on"] == {f"{name}-exchange": {"condition": "service_healthy"}}


def test_profiles_are_the_originals(fragment_for: Fragment) -> None:
    assert fragment_for("bot1")["services"]["bot1"]["profiles"] == []
    assert fragment_for("bot2")["services"]["bot2"]["profiles"] == ["multi"]
    assert fragment_for("bot2")["services"]["bot2-exchange"]["profiles"] == ["multi"]
    assert fragment_for("bot1", bot_enabled=False)["services"]["bot1"]["profiles"] == ["disabled"]


def test_two_bots_share_nothing_that_changes(fragment_for: Fragment) -> None:
    fragments = {
        name: fragment_for(name) for name in ("bot1", "bot2", "bot10", "a-very-long-bot-name", "a-very-long-bot-name-2")
    }
    for (one, first), (other, second) in combinations(fragments.items(), 2):
        assert not set(first["services"]) & set(second["services"])
        assert not {key for key in first if key.startswith("x-")} & {key for key in second if key.startswith("x-")}
        bridges = [document["networks"][f"paper-{name}"] for name, document in ((one, first), (other, second))]
        assert bridges[0] != bridges[1]
        writable = [
            {
                mount["source"]
                for service in document["services"].values()
                for mount in service["volumes"]
                if not mount.get("read_only")
            }
            for document in (first, second)
        ]
        assert not writable[0] & writable[1]


def label(fragment: dict[str, Any], service: str) -> str:
    """The hash that makes compose recreate a container."""
    found: str = fragment["services"][service]["labels"]["hbot.config-hash"]
    return found


@pytest.mark.parametrize(
    ("change", "bot_changes", "exchange_changes"),
    [
        ({}, False, False),
        ({"bot_parameters": {"max_skew_pct": 0.001}}, True, False),
        ({"bot_total_amount_quote": 500}, True, False),
        ({"bot_variant": "d"}, True, False),
        ({"bot_client_config": {"rate_limits_share_pct": 50}}, True, False),
        ({"paper_exchange_maker_fee": 0.0008}, False, True),
        ({"paper_exchange_market": "recorded"}, True, True),
        ({"bot_healthy_within_s": 200}, False, False),
        ({"bot_password": "other"}, False, False),
    ],
)
def test_the_label_changes_exactly_with_what_is_mounted(
    fragment_for: Fragment, change: dict[str, Any], bot_changes: bool, exchange_changes: bool
) -> None:
    before, after = fragment_for("bot1"), fragment_for("bot1", **change)
    assert (label(before, "bot1") != label(after, "bot1")) is bot_changes
    assert (label(before, "bot1-exchange") != label(after, "bot1-exchange")) is exchange_changes


def files(render_for: RenderFor, name: str, **inventory: Any) -> dict[str, Any]:
    """The documents below conf/, by path."""
    entries = render_for(name, **inventory)("__bot_conf_files")
    return {entry["path"]: yaml.safe_load(entry["content"]) for entry in entries}


def test_bot_a_has_the_originals_files(render_for: RenderFor) -> None:
    found = files(render_for, "bot1")
    assert set(found) == {
        "data/bot1/conf/controllers/epp_v2_4_bot_a.yml",
        "data/bot1/conf/controllers/epp_v2_4_bot_b_stub.yml",
        "data/bot1/conf/controllers/epp_v2_4_bot_c_stub.yml",
        "data/bot1/conf/scripts/v2_epp_v2_4_bot_a.yml",
    }
    script = found["data/bot1/conf/scripts/v2_epp_v2_4_bot_a.yml"]
    assert script["script_file_name"] == "epp_v2_4.py"
    assert script["controllers_config"] == ["epp_v2_4_bot_a.yml"]
    controller = found["data/bot1/conf/controllers/epp_v2_4_bot_a.yml"]
    assert (controller["variant"], controller["enabled"], controller["no_trade"]) == ("a", True, False)
    assert controller["market_source"] == "relay"
    assert controller["speed"] == 1.0
    for variant in "bc":
        stub = found[f"data/bot1/conf/controllers/epp_v2_4_bot_{variant}_stub.yml"]
        assert (stub["variant"], stub["enabled"]) == (variant, False)


def test_bot_d_has_the_originals_files_and_never_trades(render_for: RenderFor) -> None:
    found = files(render_for, "bot2", bot_variant="d", bot_parameters={"no_trade": False, "enabled": True})
    assert set(found) == {
        "data/bot2/conf/controllers/epp_v2_4_bot_d.yml",
        "data/bot2/conf/scripts/v2_epp_v2_4_bot_d.yml",
    }
    assert found["data/bot2/conf/controllers/epp_v2_4_bot_d.yml"]["no_trade"] is True


@pytest.mark.parametrize("variant", ["b", "c"])
def test_a_stub_cannot_be_woken_by_a_parameter(render_for: RenderFor, variant: str) -> None:
    found = files(render_for, "bot3", bot_variant=variant, bot_parameters={"no_trade": False, "enabled": True})
    controller = found[f"data/bot3/conf/controllers/epp_v2_4_bot_{variant}.yml"]
    assert (controller["enabled"], controller["no_trade"]) == (False, True)


def test_a_live_bot_says_so_in_every_place(render_for: RenderFor) -> None:
    controller = files(render_for, "bot5", bot_mode="live")["data/bot5/conf/controllers/epp_v2_4_bot_a.yml"]
    assert (controller["mode"], controller["market_source"], controller["speed"]) == ("live", "exchange", 1.0)


def test_parameters_reach_the_controller(render_for: RenderFor) -> None:
    parameters = {"max_skew_pct": 0.001, "regimes": {"up": {"levels_max": 2}}}
    controller = files(render_for, "bot1", bot_parameters=parameters)["data/bot1/conf/controllers/epp_v2_4_bot_a.yml"]
    assert controller["max_skew_pct"] == 0.001
    assert controller["regimes"] == {"up": {"levels_max": 2}}


def test_another_script_takes_epps_place(render_for: RenderFor, fragment_for: Fragment) -> None:
    name, inventory = BOTS["other script"]
    found = files(render_for, name, **inventory)
    assert set(found) == {
        "data/bot6/conf/controllers/pmm.yml",
        "data/bot6/conf/scripts/v2_v2_with_controllers_bot6.yml",
    }
    assert found["data/bot6/conf/scripts/v2_v2_with_controllers_bot6.yml"] == {
        "controllers_config": ["pmm.yml"],
        "script_file_name": "v2_with_controllers.py",
    }
    command = fragment_for(name, **inventory)["services"][name]["command"]
    assert "hbot start v2_v2_with_controllers_bot6.yml --foreground" in command[-1]


def test_order_ids_fit_and_tell_bots_apart(render_for: RenderFor) -> None:
    names = [
        "bot1",
        "bot10",
        "a" * 18,
        "a" * 19,
        "a" * 30,
        "a" * 29 + "b",
        "a-very-long-bot-name-that-is-still-allowed",
    ]
    prefixes = []
    for name in names:
        found = files(render_for, name)
        script = next(document for path, document in found.items() if "/scripts/" in path)
        prefixes.append(script["order_id_prefix"])
    assert prefixes[0] == "hbot-bot1-"
    assert all(len(prefix) <= 24 and prefix.endswith("-") for prefix in prefixes)
    assert not any(one.startswith(other) for one, other in combinations(prefixes, 2))
    assert not any(other.startswith(one) for one, other in combinations(prefixes, 2))


def test_two_roles_never_want_one_directory_in_two_ways(render_for: RenderFor) -> None:
    render = render_for("bot1", paper_exchange_market="recorded")
    calls = [
        ("__paper_exchange_code + __paper_exchange_market_data + __paper_exchange_books", ("root", "root", "0755")),
        ("__bot_directories", ("6420", "6420", "0750")),
    ]
    wanted: dict[str, set[tuple[str, ...]]] = {}
    for expression, (owner, group, mode) in calls:
        for entry in render(expression):
            if entry.get("state") == "directory":
                own = (str(entry.get("owner", owner)), str(entry.get("group", group)), entry.get("mode", mode))
                wanted.setdefault(str(Path("/opt/hbot") / entry["path"]), set()).add(own)
    assert {path: ways for path, ways in wanted.items() if len(ways) > 1} == {}
    host_base = yaml.safe_load((ROOT / "roles/host_base/vars/main.yml").read_text(encoding="utf-8"))
    paths = [entry["path"] for entry in host_base["__host_base_entries"] if entry.get("state") == "directory"]
    shared = {path.replace("{{ hbot_root }}", "/opt/hbot") for path in paths}
    assert not shared & wanted.keys(), "host_base alone makes what all bots share"
    assert {str(Path(path).parent) for path in wanted} <= shared | wanted.keys()
    # What the module bot_keystore makes by itself, with the same modes.
    assert wanted["/opt/hbot/data/bot1"] == {("6420", "6420", "0750")}
    assert wanted["/opt/hbot/data/bot1/conf"] == {("6420", "6420", "0750")}
    assert wanted["/opt/hbot/data/bot1/conf/connectors"] == {("6420", "6420", "0700")}
