# Copyright: hbot.infra maintainers. Not for redistribution.
"""A role's template with the host's variables, without a copy of them all."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
name: template
short_description: What a role's template says for this host
version_added: 0.1.0
description:
  - As P(ansible.builtin.template#lookup), which copies all of the host's variables for each template; forty of those
    took a fifth of the time of a run that changes nothing.
options:
  _terms:
    description: Templates in the role's C(templates).
    type: list
    elements: str
    required: true
  template_vars:
    description: Variables for the template, beside the host's own.
    type: dict
    default: {}
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The jail is there
  hbot.infra.tree:
    entries:
      - path: /etc/fail2ban/jail.d/zz-own.local
        content: "{{ lookup('hbot.infra.template', 'jail.conf.j2') }}"
"""

RETURN = r"""
_raw:
  description: The text of each.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.template import trust_as_template


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core ships no types
    """Renders templates."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """The text of each term.

        Raises:
            AnsibleLookupError: there is no such template.
        """
        self.set_options(var_options=variables, direct=kwargs)
        seen = {**(variables or {}), **self.get_option("template_vars")}
        templar = self._templar.copy_with_new_env(available_variables=seen)
        texts = []
        for term in terms:
            file = self.find_file_in_search_path(variables, "templates", term)
            if not file:
                raise AnsibleLookupError(f"there is no template {term}")
            text = trust_as_template(self._loader.get_text_file_contents(file))
            texts.append(templar.template(text, escape_backslashes=False))
        return texts
