"""What must be true of an inventory, and of a VPS, before anything is changed there.

Pure functions: values come in, problems come out, nothing is read or written. The action plugins ``preflight`` (the
inventory) and ``preflight_vps`` (the machine) gather the values and report.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .alerting import receiver_faults, threshold_faults

MODES = ("paper", "live")
VARIANTS = ("a", "b", "c", "d")
CONNECTORS = ("bitget", "bitget_perpetual")

RESERVED_NAMES = frozenset(
    # Ansible's own names and this project's groups, then what has a container or a network of its own on the VPS.
    [
        *("all", "ungrouped", "localhost", "vps", "bots", "base"),
        *("alertmanager", "blackbox", "bot-exporter", "cadvisor", "exchange", "exporter", "grafana", "monitoring"),
        *("node-exporter", "paper", "prometheus", "registry", "trading"),
    ]
)
RESERVED_ENDINGS = {  # hbot-<bot>-exchange and hbot-<bot>-watchdog are containers beside a bot
    "-exchange": "a bot's paper exchange",
    "-watchdog": "a bot's watchdog",
}
BOT_NAME = re.compile(r"[a-z][a-z0-9-]*")
LONGEST_BOT_NAME = 63 - len("hbot-") - len("-exchange")  # hbot-<bot>-exchange is a host name: a DNS label

BOT_SIZES = ("bot_memory_mb", "paper_exchange_memory_mb", "watchdog_memory_mb")
LIVE_SECRETS = ("bot_password", "bot_api_key", "bot_api_secret", "bot_api_passphrase")
IMAGE_NAME = re.compile(r"(?P<name>[^@\s]+?)(:(?P<tag>\w[\w.-]*))?(@sha256:[0-9a-f]{64})?", re.ASCII)

OWN_VARIABLES = {
    "variant": "bot_variant",
    "enabled": "bot_variant",
    "trading_pair": "bot_trading_pair",
    "total_amount_quote": "bot_total_amount_quote",
}
"""Parameters of EPP that a bot's own variables carry."""

UBUNTU_RELEASES = ("22.04", "24.04")
DEBIAN_RELEASE = "13"

LEAST_RESOURCES = (
    # (up to this many bots, CPU cores, GB of disk): the resource table of the original's manual, section 8.3. Its
    # column for memory is a rule here and not a row: what the bots' limits add up to.
    (1, 2, 40),
    (3, 4, 60),
    (6, 6, 100),
)

OWN_PREFIXES = (
    "bot_",
    "epp_",
    "golive_gate_",
    "hbot_",
    "host_access_",
    "host_backup_",
    "host_base_",
    "host_docker_",
    "host_hardening_",
    "host_watchdog_",
    "monitoring_",
    "paper_exchange_",
    "vps_",
    "watchdog_",
)

CHECKED_BY_NAME = frozenset(
    [
        *("bot_mode", "bot_variant", "bot_connector", "bot_parameters", *BOT_SIZES),
        *("monitoring_receivers", "monitoring_thresholds"),
    ]
)
"""Variables with a check of their own below, which says more than a specification can."""

TYPES = {
    "bool": "boolean (true or false)",
    "dict": "mapping",
    "float": "number",
    "int": "whole number",
    "list": "list",
    "path": "path",
    "raw": "value",
    "str": "text",
}
"""What an argument specification's types are called in a message."""

CLOCK_WARNING_S = 1.0
CLOCK_REFUSAL_S = 30.0

KEY_TYPES = "ssh-(rsa|ed25519)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh[.]com"
PUBLIC_KEY = re.compile(rf"({KEY_TYPES}) [A-Za-z0-9+/]+=*( .*)?")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, in which variable, and what to do about it."""

    where: str
    variable: str
    wrong: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.variable}: {self.wrong}. Fix: {self.fix}."


@dataclass(frozen=True)
class Variable:
    """A variable's resolved value and the place (``file:line``) that set it."""

    value: Any
    where: str


@dataclass(frozen=True)
class Host:
    """A VPS or a bot: the variables it ends up with, and the inventory files that define it."""

    name: str
    files: tuple[str, ...]
    variables: Mapping[str, Variable] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The file to open for this host."""
        return self.files[0] if self.files else "the inventory"

    def value(self, name: str) -> Any:
        """The value of a variable; ``None`` when nothing sets it."""
        variable = self.variables.get(name)
        return None if variable is None else variable.value

    def problem(self, variable: str, wrong: str, fix: str) -> Problem:
        """A problem with a variable: placed where the variable is set, or in the host's own file when nothing does."""
        found = self.variables.get(variable)
        return Problem(self.file if found is None else found.where, variable, wrong, fix)


@dataclass(frozen=True)
class Inventory:
    """The machines and bots that a run is about, and the names of all machines and groups there are."""

    machines: frozenset[str]
    groups: frozenset[str]
    vps: Mapping[str, Host]
    bots: Mapping[str, Host]


@dataclass(frozen=True)
class Survey:
    """What was found on a VPS."""

    os_id: str
    os_version: str
    os_name: str
    memory_mb: int
    cpus: int
    disk_gb: float
    systemd: bool
    golive_marks: Mapping[str, Any]
    """The go-live gate's marks by bot; None for one that is none."""
    fragments: Sequence[str]
    """Names of the compose files that are there: those of its bots, and of the machine."""
    clock_offset_s: float
    """The VPS's clock minus the controller's."""
    clock_uncertainty_s: float


def report(problems: Sequence[Problem]) -> str:
    """All problems in one message."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"Preflight found {count}; nothing was changed.", *(f"  - {problem}" for problem in problems)])


def suggestion(name: str, known: Iterable[str]) -> str:
    """`` (did you mean x?)`` or nothing."""
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)
    return f" (did you mean {near[0]}?)" if near else ""


def check_inventory(
    inventory: Inventory, parameters: Mapping[str, Any], known_variables: Mapping[str, Mapping[str, Any]]
) -> tuple[Problem, ...]:
    """Everything that can be known to be wrong without asking a VPS.

    :param parameters: the JSON schema of EPP's parameters.
    :param known_variables: every variable the collection reads, with its argument specification where a role has one.
        A near miss of one of the names is a typing error.
    """
    # A value that several hosts share (group_vars) is wrong once, not once a host.
    return tuple(dict.fromkeys(_inventory_problems(inventory, parameters, known_variables)))


def _inventory_problems(
    inventory: Inventory, parameters: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]
) -> Iterator[Problem]:
    if not inventory.machines:
        yield Problem("the inventory", "vps", "the group has no machine to work on", "add one to hosts.yml")
    for vps in inventory.vps.values():
        yield from _operator(vps)
        yield from _sizes(vps, "vps_reserved_memory_mb")
        yield from _images(vps)
        yield from _monitoring(vps)
        yield from _gathering(vps, inventory)
        yield from _specifications(vps, known)
        yield from _typing_errors(vps, known)
    for bot in inventory.bots.values():
        yield from _bot_name(bot, inventory)
        yield from _bot_files(bot)
        yield from _bot_vps(bot, inventory)
        yield from _choice(bot, "bot_mode", MODES)
        yield from _choice(bot, "bot_variant", VARIANTS)
        yield from _connector(bot)
        yield from _controllers(bot)
        yield from _images(bot)
        yield from _credentials(bot)
        yield from _sizes(bot, *BOT_SIZES)
        yield from _parameters(bot, parameters)
        yield from _specifications(bot, known)
        yield from _typing_errors(bot, known)
    yield from _keys_of_their_own(inventory.bots.values())


def check_vps(vps: Host, bots: Iterable[Host], survey: Survey) -> tuple[Problem, ...]:
    """What refuses a VPS for the bots the inventory puts there."""
    # Limits that are no sizes were refused by the check of the inventory, unless their bot is no part of the run.
    running = [bot for bot in bots if bot.value("bot_enabled") is not False and not [*_sizes(bot, *BOT_SIZES)]]
    return (*_operating_system(vps, survey), *_memory(vps, running, survey), *_clock(vps, survey))


def check_elsewhere(vps: str, bots: Iterable[Host], survey: Survey, moving: str) -> tuple[Problem, ...]:
    """What refuses to make a second instance of a bot that is on this VPS while the inventory has it on another.

    :param moving: the bot that this run moves, if it does.
    """
    return tuple(
        bot.problem(
            "bot_vps",
            f"{bot.name} is on {vps}, and here it is to be on {bot.value('bot_vps')}: there would be two of it",
            f"move_bot.yml -e bot={bot.name} -e from={vps}, or bot_vps: {vps}",
        )
        for bot in bots
        if bot.name in survey.fragments and bot.value("bot_vps") != vps and bot.name != moving
    )


def check_gate(bots: Iterable[Host], objections: Callable[[Host], str]) -> tuple[Problem, ...]:
    """What refuses bots that would trade with money as the go-live gate did not let them.

    :param objections: why a live bot must not trade by the mark it has; empty when it may.
    """
    live = [bot for bot in bots if bot.value("bot_mode") == "live"]
    return tuple(
        bot.problem("bot_mode", f"{bot.name} is live here, but {wrong}", "bot_mode: paper, or golive.yml for this bot")
        for bot in live
        if (wrong := objections(bot))
    )


def vps_warnings(vps: Host, bots: Iterable[Host], survey: Survey) -> tuple[str, ...]:
    """What is said about a VPS, and refuses nothing."""
    running = sum(bot.value("bot_enabled") is not False for bot in bots)
    warnings = [*_resources(vps, running, survey)]
    if _beyond(survey, CLOCK_WARNING_S) and not _beyond(survey, CLOCK_REFUSAL_S):
        warnings.append(
            f"{_clock_reading(vps, survey)}; a bot pauses when it is more than 1 s off the exchange's clock"
        )
    return tuple(warnings)


def bot_name_fault(name: str, others: Iterable[str] = ()) -> str | None:
    """Why a bot cannot have this name; ``None`` when it can.

    :param others: names of machines and groups, which a bot's would clash with.
    """
    if not BOT_NAME.fullmatch(name):
        return f"{name!r} is no bot's name: small letters, digits and dashes, a letter first ([a-z][a-z0-9-]*)"
    if name in RESERVED_NAMES:
        return f"{name!r} is reserved"
    for ending, what in RESERVED_ENDINGS.items():
        if name.endswith(ending):
            return f"{name!r} is reserved: hbot-<bot>{ending} is the container of {what}"
    if len(name) > LONGEST_BOT_NAME:
        return f"{name!r} is longer than {LONGEST_BOT_NAME} characters, and its containers' names are host names"
    if name in others:
        return f"{name!r} is already a machine or a group of this inventory"
    return None


def image_fault(image: Any) -> str | None:
    """Why an image is not pinned; ``None`` when it is."""
    match = IMAGE_NAME.fullmatch(image) if isinstance(image, str) else None
    if match is None:
        return f"{image!r} is no image reference (name:tag or name:tag@sha256:digest)"
    if match["tag"] is None:
        return f"{image!r} has no tag, and so means whatever is newest on the day it is pulled"
    if match["tag"] == "latest":
        return f"{image!r} is tagged latest, and so means whatever is newest on the day it is pulled"
    return None


def is_public_key(line: Any) -> bool:
    """Whether this is one line of an ``authorized_keys`` file, without options."""
    return isinstance(line, str) and PUBLIC_KEY.fullmatch(line.strip()) is not None


def runs_epp(bot: Host) -> bool:
    """Whether a bot runs EPP rather than another Hummingbot script that its file names."""
    return not bot.value("bot_script")


def memory_wanted_mb(bot: Host) -> int:
    """A bot's own limit, its watchdog's and, in paper mode, that of the paper exchange beside it."""
    wanted: int = bot.value("bot_memory_mb") + bot.value("watchdog_memory_mb")
    beside: int = bot.value("paper_exchange_memory_mb")
    return wanted + beside if bot.value("bot_mode") == "paper" else wanted


def _bot_name(bot: Host, inventory: Inventory) -> Iterator[Problem]:
    fault = bot_name_fault(bot.name, inventory.machines | inventory.groups)
    if fault is not None:
        yield Problem(bot.file, "bot name", fault, "rename the bot, its file and its host_vars/ directory")


def _bot_files(bot: Host) -> Iterator[Problem]:
    if len(bot.files) > 1:
        others = " and ".join(bot.files[1:])
        yield Problem(bot.file, bot.name, f"{others} defines the same bot", "rename one of them, or delete its file")


def _bot_vps(bot: Host, inventory: Inventory) -> Iterator[Problem]:
    name = bot.value("bot_vps")
    fix = (
        f"name one of the group vps ({', '.join(sorted(inventory.machines)) or 'it is empty'}), or add it to hosts.yml"
    )
    if not name:
        yield Problem(bot.file, "bot_vps", f"{bot.name} names no VPS", fix)
    elif name not in inventory.machines:
        yield bot.problem("bot_vps", f"there is no VPS {name!r}{suggestion(str(name), inventory.machines)}", fix)


def _choice(host: Host, name: str, choices: Sequence[str]) -> Iterator[Problem]:
    value = host.value(name)
    if value is None:
        yield host.problem(name, f"{host.name} does not set it", f"one of {', '.join(choices)}")
    elif value not in choices:
        yield host.problem(
            name, f"{value!r} is unknown{suggestion(str(value), choices)}", f"one of {', '.join(choices)}"
        )


def _connector(bot: Host) -> Iterator[Problem]:
    yield from _choice(bot, "bot_connector", CONNECTORS)
    if bot.value("bot_connector") != "bitget_perpetual":
        return
    if bot.value("bot_mode") == "paper":
        yield bot.problem("bot_connector", "paper mode is spot only", "bot_connector: bitget")
    if runs_epp(bot):
        yield bot.problem("bot_connector", "EPP is a spot strategy", "bot_connector: bitget, or another bot_script")


def _controllers(bot: Host) -> Iterator[Problem]:
    if bot.value("bot_controllers") and not bot.value("bot_script"):
        wrong = "these are the controllers of another script than EPP's, and none is named"
        yield bot.problem("bot_controllers", wrong, "bot_script: {script_file_name: v2_with_controllers.py}")


def _images(host: Host) -> Iterator[Problem]:
    for name, variable in host.variables.items():
        if not name.endswith("_image"):
            continue
        fault = image_fault(variable.value)
        if fault is not None:
            yield host.problem(name, fault, "name a version, as in hummingbot/hummingbot:version-2.16.0")


def _credentials(bot: Host) -> Iterator[Problem]:
    if bot.value("bot_mode") != "live":
        return
    missing = [name for name in LIVE_SECRETS if not str(bot.value(name) or "").strip()]
    if missing:
        yield Problem(
            bot.file,
            ", ".join(missing),
            f"{bot.name} is live and has no credentials",
            f"set them in host_vars/{bot.name}/vault.yml of the inventory (`ansible-vault create` makes it)",
        )


def _keys_of_their_own(bots: Iterable[Host]) -> Iterator[Problem]:
    """One account a bot: who shares a key shares the balances, and each takes the other's fills for a fault."""
    first: dict[str, Host] = {}
    for bot in bots:
        key = str(bot.value("bot_api_key") or "").strip()
        if bot.value("bot_mode") == "live" and key and first.setdefault(key, bot) is not bot:
            wrong = f"{first[key].name} is live with the same key, and so on the same account"
            yield bot.problem("bot_api_key", wrong, "a sub-account and a key of its own for each bot")


def _sizes(host: Host, *names: str) -> Iterator[Problem]:
    for name in names:
        value = host.value(name)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            yield host.problem(name, f"{value!r} is no size", "a whole number of MiB above zero, such as 1024")


def _parameters(bot: Host, schema: Mapping[str, Any]) -> Iterator[Problem]:
    given = bot.value("bot_parameters")
    if not given and not isinstance(given, (str, int)):
        return
    if not isinstance(given, Mapping):
        yield bot.problem("bot_parameters", f"{given!r} is no mapping", "names and values, as in docs/inventory.md")
    elif not runs_epp(bot):
        wrong = f"these are EPP's, and {bot.name} runs another strategy"
        yield bot.problem("bot_parameters", wrong, "set that strategy's own in bot_script and bot_controllers")
    else:
        where = bot.variables["bot_parameters"].where
        for name in OWN_VARIABLES.keys() & given.keys():
            wrong = "this has a variable of its own, which would be overruled"
            yield Problem(where, f"bot_parameters.{name}", wrong, f"set {OWN_VARIABLES[name]} instead")
        for path, wrong in schema_faults(given, schema, schema, "bot_parameters"):
            yield Problem(where, path, wrong, "docs/parameters.md lists the parameters and their bounds")


def schema_faults(given: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[tuple[str, str]]:
    """Where a value departs from a JSON schema: pairs of path and fault.

    Understands what pydantic writes for plain models: ``$ref``, ``anyOf``, ``type``, ``enum``, ``const``, bounds,
    ``items``, ``properties`` and ``additionalProperties``. A name that a model does not know is always a fault.
    """
    if "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return schema_faults(given, target, root, path)
    if "anyOf" in schema:
        # The faults of the choice that came furthest say most.
        choices = [schema_faults(given, choice, root, path) for choice in schema["anyOf"]]
        return min(choices, key=lambda faults: (len(faults) > 0, -max((len(where) for where, _ in faults), default=0)))
    if "const" in schema and given != schema["const"]:
        return [(path, f"{given!r} is not {schema['const']!r}")]
    if "enum" in schema and given not in schema["enum"]:
        return [(path, f"{given!r} is none of {', '.join(map(str, schema['enum']))}")]
    if schema.get("type") == "object":
        return _object_faults(given, schema, root, path)
    if schema.get("type") == "array":
        if not isinstance(given, list):
            return [(path, f"{given!r} is no list")]
        items = [schema_faults(item, schema.get("items", {}), root, f"{path}[{i}]") for i, item in enumerate(given)]
        return [fault for faults in items for fault in faults]
    return _scalar_faults(given, schema, path)


def _object_faults(given: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[tuple[str, str]]:
    if not isinstance(given, Mapping):
        return [(path, f"{given!r} is no mapping")]
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", {} if not known else False)
    faults = []
    for name, value in given.items():
        inner = f"{path}.{name}"
        if name in known:
            faults += schema_faults(value, known[name], root, inner)
        elif isinstance(others, Mapping):
            faults += schema_faults(value, others, root, inner)
        else:
            faults.append((inner, f"there is no parameter {name!r}{suggestion(str(name), known)}"))
    return faults


def _scalar_faults(given: Any, schema: Mapping[str, Any], path: str) -> list[tuple[str, str]]:
    kind = schema.get("type")
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    fits = {
        "boolean": isinstance(given, bool),
        "integer": number and (isinstance(given, int) or given.is_integer()),
        "number": number,
        "string": isinstance(given, str),
        "null": given is None,
    }
    if kind in fits and not fits[kind]:
        return [(path, f"{given!r} is no {kind}")]
    if not number:
        return []
    bounds = (
        ("minimum", "less than", given < schema.get("minimum", given)),
        ("maximum", "more than", given > schema.get("maximum", given)),
        ("exclusiveMinimum", "not more than", "exclusiveMinimum" in schema and given <= schema["exclusiveMinimum"]),
        ("exclusiveMaximum", "not less than", "exclusiveMaximum" in schema and given >= schema["exclusiveMaximum"]),
    )
    return [(path, f"{given} is {how} {schema[name]}") for name, how, broken in bounds if broken]


def _operator(vps: Host) -> Iterator[Problem]:
    user = vps.value("host_access_user")
    if user == "root":
        yield vps.problem("host_access_user", "root will be barred", "another name to log in with, such as operator")
    elif not isinstance(user, str) or not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", user):
        yield vps.problem(
            "host_access_user", f"{user!r} is no user's name", "the name you log in with, such as operator"
        )
    keys = vps.value("host_access_authorized_keys")
    if not isinstance(keys, list) or not keys:
        wrong = f"the operator's user {user!r} has no key, and passwords will be barred: you would be locked out"
        yield vps.problem("host_access_authorized_keys", wrong, "list your public key: `cat ~/.ssh/id_ed25519.pub`")
        return
    for number, key in enumerate(keys, start=1):
        if not is_public_key(key):
            # It is not shown: a private key may have been put there by mistake.
            wrong = f"entry {number} is no public key"
            yield vps.problem("host_access_authorized_keys", wrong, "a line such as ~/.ssh/id_ed25519.pub holds")


def _monitoring(vps: Host) -> Iterator[Problem]:
    """What the role's own defaults leave open: a variable that nothing sets counts as its default."""
    if vps.value("monitoring_enabled") is False:
        return
    if not str(vps.value("monitoring_grafana_password") or "").strip():
        yield vps.problem(
            "monitoring_grafana_password",
            f"Grafana on {vps.name} would have no password, and there is no default one",
            f"set it in host_vars/{vps.name}/vault.yml of the inventory (`ansible-vault create` makes it), "
            "or monitoring_enabled: false",
        )
    receivers, secrets = vps.value("monitoring_receivers"), vps.value("monitoring_receiver_secrets")
    given = ([] if receivers is None else receivers, {} if secrets is None else secrets)
    for variable, wrong, fix in receiver_faults(*given):
        yield vps.problem(variable, wrong, fix)
    thresholds = vps.value("monitoring_thresholds")
    if thresholds is not None and "monitoring_thresholds" in vps.variables:
        where = vps.variables["monitoring_thresholds"].where
        for name, wrong, fix in threshold_faults(thresholds):
            yield Problem(where, f"monitoring_thresholds.{name}".rstrip("."), wrong, fix)


def _gathering(vps: Host, inventory: Inventory) -> Iterator[Problem]:
    """The VPS that keeps every VPS's samples is one of the inventory, and is monitored itself."""
    name = vps.value("monitoring_gather_on")
    if vps.value("monitoring_enabled") is False or not name:
        return
    if name not in inventory.machines:
        wrong = f"there is no VPS {name!r}{suggestion(str(name), inventory.machines)}"
        yield vps.problem("monitoring_gather_on", wrong, "the name of a host of the group vps, or nothing")
        return
    gathering = inventory.vps.get(str(name))
    if gathering is not None and gathering.value("monitoring_enabled") is False:
        yield vps.problem(
            "monitoring_gather_on",
            f"{name} is not monitored itself",
            f"monitoring_enabled: true on {name}, or another VPS",
        )


def _specifications(host: Host, known: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Values that a role would refuse, found before anything is touched."""
    for name, variable in host.variables.items():
        if name in CHECKED_BY_NAME or name not in known:
            continue
        specification = {key: value for key, value in known[name].items() if key not in ("required", "default")}
        for wrong in ArgumentSpecValidator({name: specification}).validate({name: variable.value}).error_messages:
            # Ansible's own sentence about a wrong type names classes of its inside.
            wrong_type = wrong.startswith(f"argument '{name}' is of type ")
            shown = "it" if specification.get("no_log") else repr(variable.value)
            said = f"{shown} is no {TYPES[specification.get('type', 'str')]}" if wrong_type else wrong.rstrip(".")
            yield host.problem(name, said, "docs/inventory.md says what it may be")


def _typing_errors(host: Host, known: Iterable[str]) -> Iterator[Problem]:
    for name in host.variables:
        if name in known or not name.startswith(OWN_PREFIXES):
            continue
        near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.85)
        if near:
            yield host.problem(name, "nothing reads this variable", f"write {near[0]}, or choose a name less like it")


def _operating_system(vps: Host, survey: Survey) -> Iterator[Problem]:
    if not survey.systemd:
        yield Problem(vps.file, vps.name, "systemd does not run this machine", "a VPS that boots as Ubuntu's images do")
    if survey.os_id == "ubuntu" and survey.os_version in UBUNTU_RELEASES:
        return
    fix = "install Ubuntu 22.04 or 24.04"
    if survey.os_id == "debian" and survey.os_version == DEBIAN_RELEASE:
        if vps.value("hbot_allow_debian") is True:
            return
        fix += "; for a test, hbot_allow_debian: true"
    yield vps.problem("hbot_allow_debian", f"{vps.name} runs {survey.os_name}, which is not supported", fix)


def _memory(vps: Host, bots: Sequence[Host], survey: Survey) -> Iterator[Problem]:
    reserved = vps.value("vps_reserved_memory_mb")
    wants = [memory_wanted_mb(bot) for bot in bots]
    total = reserved + sum(wants)
    if total <= survey.memory_mb:
        return
    each = ", ".join(f"{bot.name} {wanted}" for bot, wanted in zip(bots, wants, strict=True))
    yield Problem(
        ", ".join(dict.fromkeys(bot.file for bot in bots)) or vps.file,
        "bot_memory_mb",
        f"the bots on {vps.name} ({each or 'none'}) and vps_reserved_memory_mb ({reserved}) want {total} MiB of "
        f"memory, and it has {survey.memory_mb}",
        "a bigger VPS, fewer bots on this one (bot_vps, bot_enabled: false), or a lower bot_memory_mb",
    )


def _clock(vps: Host, survey: Survey) -> Iterator[Problem]:
    if _beyond(survey, CLOCK_REFUSAL_S):
        yield Problem(
            vps.file,
            vps.name,
            f"{_clock_reading(vps, survey)}: signatures of packages, TLS and the exchange's own check would fail",
            f"`timedatectl` tells which is wrong, `timedatectl set-ntp true` sets it ({CLOCK_REFUSAL_S:.0f} s allowed)",
        )


def _beyond(survey: Survey, limit_s: float) -> bool:
    return abs(survey.clock_offset_s) > limit_s + survey.clock_uncertainty_s


def _clock_reading(vps: Host, survey: Survey) -> str:
    side = "ahead of" if survey.clock_offset_s > 0 else "behind"
    return f"{vps.name}'s clock is {abs(survey.clock_offset_s):.1f} s {side} this machine's"


def _resources(vps: Host, bots: int, survey: Survey) -> Iterator[str]:
    most, cpus, disk_gb = next((row for row in LEAST_RESOURCES if bots <= row[0]), LEAST_RESOURCES[-1])
    count = "1 bot" if bots == 1 else f"{bots} bots"
    if survey.cpus < cpus:
        yield f"{vps.name} has {survey.cpus} CPU cores; {cpus} are advised for {count}"
    # A disk sold as 40 GB shows as a little less once it is formatted.
    if survey.disk_gb < disk_gb * 0.9:
        yield f"{vps.name} has a disk of {survey.disk_gb:.0f} GB; {disk_gb} are advised for {count}"
    if bots > most:
        yield f"{vps.name} runs {count}; the table of resources in docs/inventory.md ends at {most}"
