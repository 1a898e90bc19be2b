"""Say what is wrong with a bot's configuration before it is deployed, with Hummingbot's own classes.

Run inside the bot image, at Hummingbot's directory, as ``python -m controllers.epp.check conf``. Every script
configuration in ``conf/scripts``, every controller configuration in ``conf/controllers`` and ``conf/conf_client.yml``
is loaded as Hummingbot would load it, whether it is EPP's or a stock one. One line per fault; the exit code is 0 when
there is none, 1 when there is, 2 when the arguments are wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError


def main(arguments: list[str] | None = None) -> int:
    """Check one ``conf`` directory and print what is wrong."""
    parser = argparse.ArgumentParser(prog="controllers.epp.check", description="check a Hummingbot conf directory")
    parser.add_argument("conf", type=Path, help="the directory with conf_client.yml, scripts/ and controllers/")
    options = parser.parse_args(arguments)
    if not options.conf.is_dir():
        parser.error(f"{options.conf} is not a directory")
    asyncio.set_event_loop(asyncio.new_event_loop())  # parts of Hummingbot make asyncio objects when imported
    faults = [*check_client(options.conf), *check_scripts(options.conf), *check_controllers(options.conf)]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def check_client(conf: Path) -> list[str]:
    """``conf_client.yml`` against Hummingbot's own map; a missing file is made by Hummingbot."""
    from hummingbot.client.config.client_config_map import ClientConfigMap

    path = conf / "conf_client.yml"
    if not path.exists():
        return []
    document, faults = _read(path)
    return faults or _load(path, ClientConfigMap, document)


def check_scripts(conf: Path) -> list[str]:
    """Every script configuration: its script exists, its keys are right, its controllers are there."""
    from hummingbot.strategy.strategy_v2_base import StrategyV2ConfigBase

    faults = []
    for path in sorted((conf / "scripts").glob("*.yml")):
        document, unreadable = _read(path)
        faults += unreadable
        if unreadable:
            continue
        script = str(document.get("script_file_name") or "")
        if not script.endswith(".py"):
            faults.append(f"{path}: script_file_name: name the script, as epp_v2_4.py")
            continue
        config_class, problem = _find_class(
            f"scripts.{script.removesuffix('.py')}", StrategyV2ConfigBase, {"StrategyV2ConfigBase"}
        )
        if config_class is None:
            faults.append(f"{path}: script_file_name: {problem}")
            continue
        faults += _load(path, config_class, document)
        faults += [
            f"{path}: controllers_config: {name} is not in {conf / 'controllers'}"
            for name in document.get("controllers_config") or []
            if not (conf / "controllers" / str(name)).is_file()
        ]
    return faults


def check_controllers(conf: Path) -> list[str]:
    """Every controller configuration: its controller exists, its keys are right, its id is its own."""
    from hummingbot.strategy_v2.controllers.controller_base import ControllerConfigBase

    faults = []
    ids: dict[str, Path] = {}
    bases = {"ControllerConfigBase", "MarketMakingControllerConfigBase", "DirectionalTradingControllerConfigBase"}
    for path in sorted((conf / "controllers").glob("*.yml")):
        document, unreadable = _read(path)
        faults += unreadable
        if unreadable:
            continue
        kind, name = document.get("controller_type"), document.get("controller_name")
        if not kind or not name:
            faults.append(f"{path}: controller_type and controller_name are required")
            continue
        config_class, problem = _find_class(f"controllers.{kind}.{name}", ControllerConfigBase, bases)
        if config_class is None:
            faults.append(f"{path}: controller_name: {problem}")
            continue
        faults += _load(path, config_class, document)
        owner = ids.setdefault(str(document.get("id")), path)
        if owner != path:
            faults.append(f"{path}: id: {document.get('id')!r} is already {owner.name}'s")
    return faults


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        return {}, [f"{path}: {' '.join(str(error).split())}"]
    if not isinstance(document, dict):
        return {}, [f"{path}: not a mapping of keys to values"]
    return document, []


def _find_class(module: str, base: type, bases: set[str]) -> tuple[type | None, str]:
    """The class Hummingbot would take: the first subclass of ``base`` by name that is none of ``bases``."""
    try:
        found = importlib.import_module(module)
    except Exception as error:
        return None, f"module {module} cannot be imported: {type(error).__name__}: {error}"
    for name, member in inspect.getmembers(found, inspect.isclass):
        if issubclass(member, base) and name not in bases:
            return member, ""
    return None, f"module {module} has no configuration class"


def _load(path: Path, config_class: Any, document: dict[str, Any]) -> list[str]:
    try:
        config_class(**document)
    except ValidationError as error:
        return [
            f"{path}: {'.'.join(str(part) for part in fault['loc']) or 'as a whole'}: {fault['msg']}"
            for fault in error.errors()
        ]
    except Exception as error:
        return [f"{path}: {type(error).__name__}: {error}"]
    return []


if __name__ == "__main__":
    sys.exit(main())
