"""`hbot.infra.template` says what `ansible.builtin.template` says."""

import pytest
from ansible.errors import AnsibleError

from tests.templates.conftest import ROOT, RenderFor


def test_it_says_what_ansibles_own_says(render_for: RenderFor) -> None:
    render = render_for("bot1")
    assert render("lookup('hbot.infra.template', 'fragment.yml.j2')") == render(
        "lookup('ansible.builtin.template', 'fragment.yml.j2')"
    )


def test_a_template_sees_its_own_variables_beside_the_hosts(render_for: RenderFor) -> None:
    render = render_for("bot1", ansible_search_path=[str(ROOT / "roles/host_backup")], __host_backup_directory="/opt/x")
    ours, ansibles = (
        render(f"lookup('{name}', 'script.sh.j2', template_vars={{'command': 'rollback'}})")
        for name in ("hbot.infra.template", "ansible.builtin.template")
    )
    assert "-m host_backup rollback " in ours
    assert ours == ansibles


def test_a_template_that_is_not_there_is_named(render_for: RenderFor) -> None:
    with pytest.raises(AnsibleError, match=r"there is no template nothing\.j2"):
        render_for("bot1")("lookup('hbot.infra.template', 'nothing.j2')")
