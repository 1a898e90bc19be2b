"""What the roles put on a VPS for a bot, over a matrix of bots: no VPS, no Docker."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from host_backup.containers import code_mounts
from paper_exchange.config import read_config
from watchdog.config import read_config as read_watchdog_config

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
    assert {name, f"{name}-watchdog"} <= set(found) <= {name, f"{name}-exchange", f"{name}-watchdog"}
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
            if service is services(fragment_for(name, **inventory), name)[0]:
                assert "/watchdog/" not in mount["source"], "a bot has no hand in its watchdog"
            writable = mount["source"].startswith(f"/opt/hbot/data/{name}/") and not mount["target"].startswith("/run/")
            writable = writable or mount["target"] in ("/var/lib/watchdog", "/var/lib/watchdog_latch", "/run/alerts")
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
    assert service["depends_on"] == {
        f"{name}-watchdog": {"condition": "service_healthy"},
        f"{name}-exchange": {"condition": "service_healthy"},
    }


def test_a_watchdog_sits_beside_its_bot(fragment_for: Fragment, bot: tuple[str, dict[str, Any]]) -> None:
    """In the bot's network and no other, with a key that a live bot's container does not have, and started first."""
    name, inventory = bot
    fragment = fragment_for(name, **inventory)
    watchdog, service = fragment["services"][f"{name}-watchdog"], fragment["services"][name]
    assert watchdog["container_name"] == f"hbot-{name}-watchdog"
    assert watchdog["networks"] == service["networks"]
    assert service["depends_on"][f"{name}-watchdog"] == {"condition": "service_healthy"}
    assert "depends_on" not in watchdog, "it needs nothing but itself"
    assert "hbot.bot" not in watchdog["labels"], "what stops all bots does not stop it"
    keys = [mount["source"] for mount in watchdog["volumes"] if mount["target"] == "/run/watchdog"]
    assert keys == [f"/opt/hbot/env/{name}-{'watchdog' if inventory.get('bot_mode') == 'live' else 'exchange'}"]
    assert not any("docker.sock" in mount["source"] for mount in watchdog["volumes"])


def test_a_watchdog_acts_on_what_it_sees_when_money_is_at_stake(render_for: RenderFor) -> None:
    assert render_for("bot1")("watchdog_config")["armed"] is False
    assert render_for("bot1", bot_mode="live", **SECRETS)("watchdog_config")["armed"] is True
    assert render_for("bot1", watchdog_armed=True)("watchdog_config")["armed"] is True


def test_a_live_bots_watchdog_keeps_to_the_confirmed_maximum(render_for: RenderFor) -> None:
    def limit(**inventory: Any) -> str:
        return str(render_for("bot1", **inventory)("watchdog_config")["limits"]["max_exposure_quote"])

    assert limit(bot_mode="live", **SECRETS) == "210.0"
    assert limit(bot_mode="live", watchdog_max_exposure_quote=150, **SECRETS) == "150"
    assert limit() == "0"


def test_a_second_watchdog_sees_the_exchange_alone(render_for: RenderFor, tmp_path: Path) -> None:
    render = render_for("bot5", bot_mode="live", ansible_search_path=[str(ROOT / "roles/watchdog")], **SECRETS)
    fragment = yaml.safe_load(render("__watchdog_second_fragment.content"))
    assert list(fragment["services"]) == ["bot5-watchdog"]
    service = fragment["services"]["bot5-watchdog"]
    assert service["networks"] == ["trading"]
    assert not any("/data/" in mount["source"] for mount in service["volumes"])
    assert "canary" not in json.dumps(fragment)
    file = tmp_path / "config.json"
    file.write_text(render("__watchdog_second_file.content"))
    config = read_watchdog_config(file)
    assert (config.beside_bot, config.heartbeat, config.container) == (False, None, None)
    assert config.armed


def test_the_watchdog_accepts_its_configuration(
    render_for: RenderFor, bot: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    name, inventory = bot
    entries = render_for(name, **inventory)("__watchdog_own")
    file = tmp_path / "config.json"
    file.write_text(next(entry["content"] for entry in entries if entry["path"].endswith("config.json")))
    config = read_watchdog_config(file)
    assert config.bot == name
    epp = "bot_script" not in inventory
    assert config.order_id_prefix.startswith("hbot-") is epp
    assert config.limits.heartbeat_s == (15 if epp else 600)


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


def test_a_rehearsals_bot_can_reach_and_trusts_its_paper_exchange_alone(
    render_for: RenderFor, fragment_for: Callable[..., dict[str, Any]]
) -> None:
    ca_file = "/opt/hbot/rehearsal/tls/public/ca.pem"
    mark = {"profile": "rehearsal", "network": "hbot-rehearsal", "exchange": {"ca_file": ca_file}}
    rehearsal = fragment_for("bot5", bot_mode="live", mark=mark, **SECRETS)
    money = fragment_for("bot5", bot_mode="live", **SECRETS)
    assert rehearsal["networks"] == {"trading": {"name": "hbot-rehearsal", "external": True}}
    assert money["networks"] == {"trading": {"name": "hbot-trading", "external": True}}
    authority = ("/opt/hbot/rehearsal/tls/public", "/run/paper-ca")
    for service in ("bot5", "bot5-watchdog"):
        assert rehearsal["services"][service]["networks"] == ["trading"]
        mounts = {kind: [(each["source"], each["target"]) for each in fragment["services"][service]["volumes"]]
                  for kind, fragment in (("rehearsal", rehearsal), ("money", money))}  # fmt: skip
        assert authority in mounts["rehearsal"]
        assert not [target for _, target in mounts["money"] if target == "/run/paper-ca"]
    assert rehearsal["services"]["bot5"]["environment"]["SSL_CERT_FILE"] == "/run/paper-ca/ca.pem"
    assert "SSL_CERT_FILE" not in money["services"]["bot5"]["environment"]
    told = render_for("bot5", bot_mode="live", mark=mark, **SECRETS)("watchdog_config")
    assert told["ca_file"] == "/run/paper-ca/ca.pem"


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
        ("__watchdog_code + __watchdog_own + __watchdog_live_key", ("root", "root", "0755")),
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
    of_watchdogs = yaml.safe_load((ROOT / "roles/host_watchdog/vars/main.yml").read_text(encoding="utf-8"))
    paths += [entry["path"] for entry in of_watchdogs["__host_watchdog_entries"] if entry.get("state") == "directory"]
    shared = {path.replace("{{ hbot_root }}", "/opt/hbot") for path in paths}
    assert not shared & wanted.keys(), "host_base and host_watchdog alone make what all bots share"
    assert {str(Path(path).parent) for path in wanted} <= shared | wanted.keys()
    # What the module bot_keystore makes by itself, with the same modes.
    assert wanted["/opt/hbot/data/bot1"] == {("6420", "6420", "0750")}
    assert wanted["/opt/hbot/data/bot1/conf"] == {("6420", "6420", "0750")}
    assert wanted["/opt/hbot/data/bot1/conf/connectors"] == {("6420", "6420", "0700")}


def test_the_controller_knows_the_hash_that_the_role_deploys(
    render_for: RenderFor, bot: tuple[str, dict[str, Any]]
) -> None:
    """The preflight and the go-live gate compute on the controller what the role puts on the VPS."""
    from ansible.parsing.dataloader import DataLoader
    from ansible_collections.hbot.infra.plugins.module_utils.live_configuration import config_hash, strategy_hash
    from ansible_collections.hbot.infra.plugins.module_utils.preflight import Host, Variable

    name, inventory = bot
    render = render_for(name, **inventory)
    given = {"bot_mode": "paper", "bot_variant": "a", "bot_connector": "bitget", "bot_trading_pair": "BTC-USDT"}
    variables = {key: Variable(value, "") for key, value in (given | inventory).items()}
    assert config_hash(Host(name, (), variables), DataLoader(), []) == render("bot_config_hash")
    assert strategy_hash() == render("epp_hash")


def test_a_configuration_has_one_hash_on_paper_and_live(render_for: RenderFor) -> None:
    paper, live = (
        render_for("bot1", bot_mode=mode, paper_exchange_market=market)
        for mode, market in (("paper", "recorded"), ("live", "bitget"))
    )
    assert paper("bot_config_hash") == live("bot_config_hash")
    other = render_for("bot1", bot_parameters={"turnover_cap_x": 2.5})
    assert other("bot_config_hash") != paper("bot_config_hash")


@pytest.mark.parametrize("inventory", [inventory for _, inventory in BOTS.values()], ids=list(BOTS))
def test_the_paper_exchange_takes_its_configuration(
    render_for: RenderFor, tmp_path: Path, inventory: dict[str, Any]
) -> None:
    steps = [{"at": 60, "fault": "latency", "parameters": {"ms": 800}, "seconds": 30}, {"at": 120, "clear": "all"}]
    bad_day: dict[str, Any] = {
        "paper_exchange_scenario": steps,
        "paper_exchange_fee_tier": "vip1",
        "paper_exchange_latency_ms": 300,
    }
    calm: dict[str, Any] = {}
    for changes in (calm, bad_day):
        rendered = render_for("bot1", **{**inventory, **changes})("paper_exchange_config | to_json")
        path = tmp_path / "config.json"
        path.write_text(rendered if isinstance(rendered, str) else json.dumps(rendered))
        config = read_config(path)
        assert config.bot == "bot1"
        assert len(config.scenario) == len(changes.get("paper_exchange_scenario", ()))
        assert config.latency_ms == changes.get("paper_exchange_latency_ms", 150)


def own_files(directory: Path, *names: str) -> str:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(f"# {name}\n")
    return str(directory)


OWN = {
    "bot_script": {"script_file_name": "own_grid.py"},
    "bot_controllers": [{"id": "mine", "controller_type": "own", "controller_name": "mine"}],
}


def test_own_files_are_mounted_beside_hummingbots_and_never_over_them(
    render_for: RenderFor, fragment_for: Fragment, tmp_path: Path
) -> None:
    files = own_files(tmp_path / "own", "scripts/own_grid.py", "controllers/mine.py", "controllers/parts/one.py")
    service, _ = services(fragment_for("bot6", bot_files=files, **OWN), "bot6")
    mounts = {mount["target"]: mount for mount in service["volumes"]}
    script = mounts["/home/hummingbot/scripts/own_grid.py"]
    assert script["read_only"] is True
    assert script["source"].startswith("/opt/hbot/bot_files/")
    assert mounts["/home/hummingbot/controllers/own"]["source"].endswith("/controllers")
    trial = render_for("bot6", bot_files=files, **OWN)("__bot_trial")
    assert f"source={script['source']},target=/home/hummingbot/scripts/own_grid.py,readonly" in trial
    assert "\n" not in trial.strip()


def test_an_update_and_a_rollback_judge_a_bot_with_its_own_files(render_for: RenderFor, tmp_path: Path) -> None:
    """By the fragment, which is all that they have: with the same files as its first converge did."""
    files = own_files(tmp_path / "own", "scripts/own_grid.py", "controllers/mine.py")
    fragment = render_for("bot6", bot_files=files, **OWN)("__bot_fragment_file.content")
    service, _ = services(yaml.safe_load(fragment), "bot6")
    beside = ("/home/hummingbot/controllers/", "/home/hummingbot/scripts/")
    mounted = [(one["source"], one["target"]) for one in service["volumes"] if one["target"].startswith(beside)]
    assert len(mounted) == 4
    assert code_mounts(fragment) == mounted


def test_a_changed_own_file_is_another_configuration(render_for: RenderFor, tmp_path: Path) -> None:
    files = own_files(tmp_path / "own", "scripts/own_grid.py")
    before = render_for("bot6", bot_files=files, **OWN)("[bot_config_hash, __bot_own_directory]")
    (tmp_path / "own/scripts/own_grid.py").write_text("# another\n")
    after = render_for("bot6", bot_files=files, **OWN)("[bot_config_hash, __bot_own_directory]")
    assert before[0] != after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize("name", ["scripts/pmm.py", "scripts/deep/own_x.py", "scripts/own_x.yml", "other/x.py", "x.py"])
def test_an_own_file_that_no_bot_could_find_is_refused(render_for: RenderFor, tmp_path: Path, name: str) -> None:
    files = own_files(tmp_path / "own", name)
    with pytest.raises(Exception, match=name):
        render_for("bot6", bot_files=files, **OWN)("__bot_own_mounts")
