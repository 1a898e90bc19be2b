# Copyright: hbot.infra maintainers. Not for redistribution.
"""From an inventory's monitoring variables to the files of the stack."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from ansible_collections.hbot.infra.plugins.module_utils import alerting


def plain(document: Any) -> Any:
    """The document without the tags that Ansible puts on its values, which PyYAML cannot write."""
    return json.loads(json.dumps(document))


def alertmanager_configuration(receivers: Sequence[Mapping[str, Any]], heartbeat_url: str) -> str:
    """Alertmanager's configuration, as YAML."""
    configuration = alerting.alertmanager_configuration(plain(receivers), str(heartbeat_url))
    return yaml.safe_dump(configuration, sort_keys=False, width=120)


def threshold_rules(thresholds: Mapping[str, float]) -> str:
    """Prometheus's rules that hold the thresholds, as YAML."""
    return yaml.safe_dump(alerting.threshold_rules(plain(thresholds)), sort_keys=False)


def placed(files: Mapping[str, Mapping[str, Any]], directory: str) -> list[dict[str, Any]]:
    """Files of the lookup hashed_files as entries of hbot.infra.tree below a directory."""
    return [{"path": f"{directory}/{name}", **file} for name, file in files.items()]


def secret_files(secrets: Mapping[str, str], directory: str, attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One file a secret, as entries of hbot.infra.tree."""
    return [
        {"path": f"{directory}/{name}", "content": str(secret).strip(), **attributes}
        for name, secret in secrets.items()
    ]


def authority_files(receivers: Sequence[Mapping[str, Any]], directory: str) -> list[dict[str, Any]]:
    """One file for each receiver's own certificate authority, as entries of hbot.infra.tree."""
    return [
        {
            "path": f"{directory}/{alerting.AUTHORITY.format(name=receiver['name'])}",
            "content": f"{str(receiver['ca']).strip()}\n",
        }
        for receiver in receivers
        if receiver.get("ca")
    ]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Any]:
        """By name."""
        return {
            "alertmanager_configuration": alertmanager_configuration,
            "threshold_rules": threshold_rules,
            "placed": placed,
            "secret_files": secret_files,
            "authority_files": authority_files,
        }
