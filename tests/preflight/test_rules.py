"""The preflight's rules, one by one, on values."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.module_utils.preflight import (
    Host,
    Inventory,
    Problem,
    Survey,
    Variable,
    bot_name_fault,
    check_elsewhere,
    check_gate,
    check_inventory,
    check_vps,
    image_fault,
    is_public_key,
    report,
    schema_faults,
    vps_warnings,
)
from tests.controller import KEY
from tests.preflight import epp_parameters

PARAMETERS = json.loads(epp_parameters.FILE.read_text(encoding="utf-8"))

BOT: Mapping[str, Any] = {
    "bot_vps": "vps1",
    "bot_mode": "paper",
    "bot_variant": "a",
    "bot_connector": "bitget",
    "bot_image": "hummingbot/hummingbot:version-2.16.0",
    "bot_memory_mb": 1024,
    "paper_exchange_memory_mb": 256,
    "watchdog_memory_mb": 64,
}
VPS: Mapping[str, Any] = {
    "host_access_user": "ops",
    "host_access_authorized_keys": [KEY],
    "monitoring_grafana_password": "example",
    "vps_reserved_memory_mb": 1024,
}
SURVEY = Survey(
    os_id="ubuntu",
    os_version="24.04",
    os_name="Ubuntu 24.04.1 LTS",
    memory_mb=7900,
    cpus=4,
    disk_gb=77,
    systemd=True,
    golive_marks={},
    fragments=["bot1", "docker-compose", "monitoring"],
    clock_offset_s=0.2,
    clock_uncertainty_s=0.3,
)


def host(name: str, variables: Mapping[str, Any], file: str) -> Host:
    """A host whose variables all stand in one file."""
    return Host(name, (file,), {key: Variable(value, f"{file}:7") for key, value in variables.items()})


def bot(name: str = "bot1", /, **variables: Any) -> Host:
    """A sound bot, but for ``variables``; ``None`` leaves one out."""
    own = {key: value for key, value in {**BOT, **variables}.items() if value is not None}
    return host(name, own, f"bots/{name}.yml")


def vps(**variables: Any) -> Host:
    """A sound VPS, but for ``variables``."""
    return host("vps1", {**VPS, **variables}, "hosts.yml")


def problems(*hosts: Host, known: Mapping[str, Mapping[str, Any]] | None = None) -> list[Problem]:
    """What the preflight finds wrong with these hosts."""
    inventory = Inventory(
        machines=frozenset(["vps1"]),
        groups=frozenset(["all", "ungrouped", "vps", "bots", "staging"]),
        vps={host.name: host for host in hosts if host.name == "vps1"},
        bots={host.name: host for host in hosts if host.name != "vps1"},
    )
    return list(check_inventory(inventory, PARAMETERS, known or {}))


def only(found: list[Problem]) -> Problem:
    """The one problem there is."""
    assert len(found) == 1, report(found)
    return found[0]


def test_a_sound_inventory_has_no_problem() -> None:
    assert problems(vps(), bot("bot1"), bot("bot2", bot_variant="d")) == []


def test_all_problems_come_in_one_message() -> None:
    text = report(problems(vps(host_access_authorized_keys=[]), bot(bot_mode="papr", bot_variant="e", bot_vps="vps2")))
    assert text.startswith("Preflight found 4 problems; nothing was changed.\n")
    assert text.count(" Fix: ") == 4


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("bot_mode", "papr", "did you mean paper?"),
        ("bot_mode", None, "does not set it"),
        ("bot_variant", "e", "one of a, b, c, d"),
        ("bot_variant", None, "does not set it"),
        ("bot_connector", "bitge", "did you mean bitget?"),
        ("bot_vps", "vps2", "did you mean vps1?"),
        ("bot_vps", None, "names no VPS"),
        ("bot_memory_mb", "1g", "no size"),
        ("bot_memory_mb", 0, "no size"),
        ("bot_memory_mb", True, "no size"),
        ("paper_exchange_memory_mb", -1, "no size"),
    ],
)
def test_a_bots_variable_is_refused(name: str, value: object, hint: str) -> None:
    problem = only(problems(bot(**{name: value})))
    assert problem.variable == name
    assert problem.where.startswith("bots/bot1.yml")
    assert hint in str(problem)


@pytest.mark.parametrize("name", ["bot1", "a", "bot-staging", "x" * 49])
def test_a_name_that_a_bot_can_have(name: str) -> None:
    assert bot_name_fault(name, ["vps1"]) is None


@pytest.mark.parametrize(
    "name",
    [
        *("", "Bot1", "1bot", "bot_1", "bot 1", "bot1\n", "bot.1", "-bot", "böt", "x" * 50, "vps1", "bot1-exchange"),
        *("all", "vps", "bots", "localhost", "ungrouped", "grafana", "prometheus", "alertmanager", "base", "exchange"),
    ],
)
def test_a_name_that_no_bot_can_have(name: str) -> None:
    assert bot_name_fault(name, ["vps1"]) is not None


def test_a_bots_name_is_checked() -> None:
    assert "reserved" in only(problems(bot("grafana"))).wrong


def test_a_bot_cannot_be_called_like_a_group() -> None:
    assert "staging" in str(only(problems(bot("staging"))))


def test_two_files_with_one_bot_are_both_named() -> None:
    twice = Host("bot1", ("bots/bot1.yml:3", "bots/copy.yml:3"), bot().variables)
    text = str(only(problems(twice)))
    assert "bots/bot1.yml:3" in text
    assert "bots/copy.yml:3" in text


@pytest.mark.parametrize(
    "image",
    ["a/b:1", "b:1.2", "registry.test:5000/a/b:v1", f"a/b:1@sha256:{'0' * 64}", "hummingbot/hummingbot:version-2.16.0"],
)
def test_a_pinned_image(image: str) -> None:
    assert image_fault(image) is None


@pytest.mark.parametrize(
    "image",
    [
        "a/b",
        "a/b:latest",
        "registry.test:5000/a/b",
        f"a/b@sha256:{'0' * 64}",
        f"a/b:latest@sha256:{'0' * 64}",
        "",
        "a b:1",
        5,
        None,
    ],
)
def test_an_image_that_is_not_pinned(image: object) -> None:
    assert image_fault(image) is not None


def test_every_image_of_a_host_must_be_pinned() -> None:
    assert only(problems(vps(monitoring_grafana_image="grafana/grafana"))).variable == "monitoring_grafana_image"


def test_a_live_bot_needs_all_its_secrets() -> None:
    secrets = {"bot_password": "p", "bot_api_key": "k", "bot_api_secret": "s", "bot_api_passphrase": "p"}
    assert problems(bot(bot_mode="live", **secrets)) == []
    problem = only(problems(bot(bot_mode="live", **{**secrets, "bot_api_secret": " ", "bot_api_key": ""})))
    assert problem.variable == "bot_api_key, bot_api_secret"
    assert "host_vars/bot1/vault.yml" in problem.fix


def test_a_paper_bot_needs_none() -> None:
    assert problems(bot(bot_api_key="")) == []


def test_perpetuals_are_for_live_bots_with_another_strategy() -> None:
    live = {
        "bot_mode": "live",
        "bot_password": "p",
        "bot_api_key": "k",
        "bot_api_secret": "s",
        "bot_api_passphrase": "p",
    }
    other = {"bot_script": {"script_file_name": "v2_with_controllers.py"}, "bot_controllers": [{"id": "pmm"}]}
    assert problems(bot(bot_connector="bitget_perpetual", **live, **other)) == []
    assert "spot" in str(only(problems(bot(bot_connector="bitget_perpetual", **live))))
    assert "spot" in str(only(problems(bot(bot_connector="bitget_perpetual", **other))))


def test_controllers_without_a_script_would_be_forgotten() -> None:
    problem = only(problems(bot(bot_controllers=[{"id": "pmm"}])))
    assert problem.variable == "bot_controllers"
    assert "bot_script" in problem.fix


@pytest.mark.parametrize(
    ("parameters", "path", "hint"),
    [
        ({"turnover_cap": 3}, "bot_parameters.turnover_cap", "did you mean turnover_cap_x?"),
        ({"regimes": {"upp": {}}}, "bot_parameters.regimes.upp", "did you mean up?"),
        ({"regimes": {"up": {"refresh": 9}}}, "bot_parameters.regimes.up.refresh", "did you mean refresh_s?"),
        ({"turnover_cap_x": "three"}, "bot_parameters.turnover_cap_x", "is no number"),
        ({"turnover_cap_x": 0.5}, "bot_parameters.turnover_cap_x", "not more than 1"),
        ({"balance_checks_max": 2.5}, "bot_parameters.balance_checks_max", "is no integer"),
        ({"no_trade": "yes"}, "bot_parameters.no_trade", "is no boolean"),
        ({"maker_fee_pct": "x"}, "bot_parameters.maker_fee_pct", "is no"),
        ({"variant": "b"}, "bot_parameters.variant", "set bot_variant instead"),
        (["turnover_cap_x"], "bot_parameters", "no mapping"),
        ("turnover_cap_x", "bot_parameters", "no mapping"),
    ],
)
def test_an_unknown_or_impossible_parameter(parameters: object, path: str, hint: str) -> None:
    problem = only(problems(bot(bot_parameters=parameters)))
    assert problem.variable == path
    assert hint in str(problem)


def test_parameters_that_are_sound() -> None:
    sound = {"turnover_cap_x": 3, "maker_fee_pct": None, "regimes": {"up": {"refresh_s": 60}}, "no_trade": True}
    assert problems(bot(bot_parameters=sound)) == []


def test_parameters_are_epps_alone() -> None:
    assert "another strategy" in str(only(problems(bot(bot_parameters={"no_trade": True}, bot_script={"x": 1}))))


def test_the_schema_is_in_step_with_the_strategy() -> None:
    assert epp_parameters.FILE.read_text(encoding="utf-8") == epp_parameters.schema(), (
        "run: PYTHONPATH=files python -m tests.preflight.epp_parameters"
    )


NAMES = st.sampled_from([*PARAMETERS["properties"], *PARAMETERS["$defs"]["Regimes"]["properties"], "levels_max", "x"])
SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)


@settings(deadline=None)
@given(st.recursive(SCALARS, lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=8))
def test_the_schema_can_judge_anything(value: object) -> None:
    for path, wrong in schema_faults(value, PARAMETERS, PARAMETERS, "bot_parameters"):
        assert path.startswith("bot_parameters")
        assert wrong


def test_an_operator_without_a_key_is_refused() -> None:
    problem = only(problems(vps(host_access_authorized_keys=[])))
    assert problem.variable == "host_access_authorized_keys"
    assert "locked out" in problem.wrong


def test_a_private_key_is_refused_and_not_shown() -> None:
    private = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n"
    problem = only(problems(vps(host_access_authorized_keys=[KEY, private])))
    assert "entry 2" in problem.wrong
    assert "c2VjcmV0" not in str(problem)


@pytest.mark.parametrize("user", ["root", "", None, "Max Muster", 5])
def test_a_user_that_cannot_be_the_operators(user: object) -> None:
    assert only(problems(vps(host_access_user=user))).variable == "host_access_user"


def test_public_keys() -> None:
    assert is_public_key(KEY)
    assert is_public_key("sk-ssh-ed25519@openssh.com AAAA= me\n")
    assert not is_public_key("ssh-dss AAAA")
    assert not is_public_key('command="x" ssh-ed25519 AAAA')


def test_a_misspelt_variable_is_found() -> None:
    known: dict[str, dict[str, str]] = {"bot_variant": {}, "bot_mode": {}}
    assert "write bot_variant" in only(problems(bot(bot_varient="a"), known=known)).fix
    assert problems(bot(bot_owner="me"), known=known) == [], "an operator may have variables of their own"


def test_a_roles_specification_is_applied_before_anything_is_touched() -> None:
    known = {"paper_exchange_market": {"type": "str", "choices": ["bitget", "recorded"], "required": True}}
    problem = only(problems(bot(paper_exchange_market="bitgt"), known=known))
    assert problem.variable == "paper_exchange_market"
    assert "bitget, recorded" in problem.wrong


def test_a_value_that_hosts_share_is_wrong_once() -> None:
    shared = Variable("x:latest", "group_vars/bots.yml:3")
    both = [Host(name, (f"bots/{name}.yml",), {**bot().variables, "bot_image": shared}) for name in ("bot1", "bot2")]
    assert only(problems(*both)).where == "group_vars/bots.yml:3"


@pytest.mark.parametrize("version", ["22.04", "24.04"])
def test_supported_systems(version: str) -> None:
    assert check_vps(vps(), [], survey(os_version=version)) == ()


@pytest.mark.parametrize(
    ("os_id", "os_version", "allowed"),
    [("ubuntu", "20.04", True), ("debian", "13", False), ("debian", "12", True), ("fedora", "41", True)],
)
def test_unsupported_systems(os_id: str, os_version: str, allowed: bool) -> None:
    found = check_vps(vps(hbot_allow_debian=allowed), [], survey(os_id=os_id, os_version=os_version, os_name="Other 1"))
    assert "Other 1" in str(only(list(found)))


def test_debian_13_is_admitted_by_the_flag() -> None:
    assert check_vps(vps(hbot_allow_debian=True), [], survey(os_id="debian", os_version="13")) == ()


def survey(**changes: Any) -> Survey:
    """A sound VPS of 8 GB, but for ``changes``."""
    return Survey(**{**SURVEY.__dict__, **changes})


def test_a_bot_that_is_on_another_vps_is_not_made_a_second_time() -> None:
    here, there = bot("bot1", bot_vps="vps1"), bot("bot1", bot_vps="vps2")
    assert check_elsewhere("vps1", [here, bot("bot2", bot_vps="vps2")], survey(), "") == ()
    problem = only(list(check_elsewhere("vps1", [there], survey(), "bot2")))
    assert (problem.where, problem.variable) == ("bots/bot1.yml:7", "bot_vps")
    assert "move_bot.yml -e bot=bot1 -e from=vps1" in problem.fix
    assert check_elsewhere("vps1", [there], survey(), "bot1") == (), "the run that moves it finds it there"


def test_memory_is_summed_over_the_bots_of_a_vps() -> None:
    bots = [bot("bot1"), bot("bot2"), bot("bot3", bot_mode="live")]
    wanted = 1024 + 2 * (1024 + 256 + 64) + 1024 + 64
    assert check_vps(vps(), bots, survey(memory_mb=wanted)) == ()
    problem = only(list(check_vps(vps(), bots, survey(memory_mb=wanted - 1))))
    assert problem.variable == "bot_memory_mb"
    assert problem.where == "bots/bot1.yml, bots/bot2.yml, bots/bot3.yml"
    assert f"want {wanted} MiB" in problem.wrong


def test_a_bot_that_is_switched_off_wants_no_memory() -> None:
    assert check_vps(vps(), [bot(bot_enabled=False)], survey(memory_mb=1024)) == ()


@pytest.mark.parametrize(("offset", "refused", "warned"), [(0.9, False, False), (-5, False, True), (60, True, False)])
def test_clocks(offset: float, refused: bool, warned: bool) -> None:
    seen = survey(clock_offset_s=offset)
    assert bool(check_vps(vps(), [], seen)) == refused
    assert bool(vps_warnings(vps(), [], seen)) == warned


def test_a_slow_connection_is_no_wrong_clock() -> None:
    assert vps_warnings(vps(), [], survey(clock_offset_s=3, clock_uncertainty_s=4)) == ()


@pytest.mark.parametrize(
    ("bots", "cpus", "disk_gb", "warnings"),
    [(1, 2, 38, 0), (1, 1, 38, 1), (2, 2, 40, 2), (3, 4, 58, 0), (4, 4, 60, 2), (6, 6, 97, 0), (7, 6, 97, 1)],
)
def test_the_table_of_resources_only_warns(bots: int, cpus: int, disk_gb: float, warnings: int) -> None:
    many = [bot(f"bot{number}") for number in range(bots)]
    seen = survey(cpus=cpus, disk_gb=disk_gb, memory_mb=32000)
    assert check_vps(vps(), many, seen) == ()
    assert len(vps_warnings(vps(), many, seen)) == warnings


def test_a_machine_without_systemd_is_refused() -> None:
    assert "systemd" in str(only(list(check_vps(vps(), [], survey(systemd=False)))))


def test_a_live_bot_needs_what_the_gate_let_through() -> None:
    live = bot(bot_mode="live")
    problem = only(list(check_gate([live, bot()], lambda _: "its confirmation ended")))
    assert problem.variable == "bot_mode"
    assert problem.wrong == "bot1 is live here, but its confirmation ended"
    assert problem.fix == "bot_mode: paper, or golive.yml for this bot"
    assert check_gate([live], lambda _: "") == ()


@pytest.mark.parametrize("password", [None, "", "  "])
def test_a_grafana_without_a_password_is_refused(password: str | None) -> None:
    problem = only(problems(vps(monitoring_grafana_password=password)))
    assert problem.variable == "monitoring_grafana_password"
    assert problems(vps(monitoring_grafana_password=password, monitoring_enabled=False)) == []


WEBHOOK = {"name": "hook", "type": "webhook"}
MAIL = {"name": "mail", "type": "email", "to": "a@b.example", "from": "c@b.example", "smarthost": "b.example:587"}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("receivers", "secrets", "wrong"),
    [
        ("hook", {}, "is no list of receivers"),
        ([{"name": "hook", "type": "pigeon"}], {}, "hook: 'pigeon' is no kind of receiver"),
        ([{"name": "chat", "type": "slack"}], {"chat": "u"}, "chat: channel missing"),
        ([WEBHOOK], {}, "the webhook receiver 'hook' has no secret"),
        ([WEBHOOK], {"hook": " "}, "the webhook receiver 'hook' has no secret"),
        ([WEBHOOK, WEBHOOK], {"hook": "u"}, "'hook' is there twice"),
        ([WEBHOOK | {"severities": ["loud"]}], {"hook": "u"}, "severity 'loud' is unknown"),
        ([WEBHOOK], {"hook": "u", "hok": "u"}, "'hok' is no receiver"),
        ([{"name": "../x", "type": "webhook"}], {}, "'../x' is no receiver's name"),
        ([MAIL | {"smarthost": "b.example"}], {}, "mail: smarthost 'b.example' has no port"),
        ([WEBHOOK | {"ca": "/etc/ssl/our.pem"}], {"hook": "u"}, "hook: ca is no certificate"),
        ([WEBHOOK | {"ca": f"{CERTIFICATE}-----BEGIN PRIVATE KEY-----"}], {"hook": "u"}, "hook: ca is no certificate"),
    ],
)
def test_receivers_that_could_not_work_are_refused(receivers: Any, secrets: Any, wrong: str) -> None:
    found = problems(vps(monitoring_receivers=receivers, monitoring_receiver_secrets=secrets))
    assert wrong in report(found)
    assert "monitoring_receiver" in found[0].variable


def test_a_receiver_of_each_kind_with_an_authority_of_its_own_is_let_through() -> None:
    receivers: list[dict[str, Any]] = [
        WEBHOOK,
        MAIL,
        {"name": "chat", "type": "slack", "channel": "#bots"},
        {"name": "phone", "type": "telegram", "chat_id": 1},
        {"name": "duty", "type": "pagerduty"},
    ]
    secrets = dict.fromkeys(("hook", "chat", "phone", "duty"), "told")
    with_authority = [receiver | {"ca": CERTIFICATE} for receiver in receivers]
    assert problems(vps(monitoring_receivers=with_authority, monitoring_receiver_secrets=secrets)) == []


@pytest.mark.parametrize(
    ("thresholds", "wrong"),
    [
        ({"turnover_ratio": 1000}, "1000 is out of range"),
        ({"turnover_ratio": -1}, "-1 is out of range"),
        ({"turnover_ratio": "much"}, "'much' is no number"),
        ({"turnover": 2}, "there is no such threshold"),
        (["turnover_ratio"], "is no mapping"),
    ],
)
def test_thresholds_out_of_range_are_refused(thresholds: Any, wrong: str) -> None:
    problem = only(problems(vps(monitoring_thresholds=thresholds)))
    assert wrong in problem.wrong
    assert problem.variable.startswith("monitoring_thresholds")


def test_two_live_bots_with_one_key_are_refused() -> None:
    def live(name: str, key: str, mode: str = "live") -> Host:
        return bot(
            name,
            bot_mode=mode,
            **dict.fromkeys(("bot_password", "bot_api_secret", "bot_api_passphrase"), "told") | {"bot_api_key": key},
        )

    problem = only(problems(live("bot1", "bg_one"), live("bot2", "bg_one")))
    assert problem.variable == "bot_api_key"
    assert problem.wrong == "bot1 is live with the same key, and so on the same account"
    assert "bg_one" not in str(problem)
    assert problems(live("bot1", "bg_one"), live("bot2", "bg_two")) == []
    assert problems(live("bot1", "bg_one"), live("bot2", "bg_one", "paper")) == []
