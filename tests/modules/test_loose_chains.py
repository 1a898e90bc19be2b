"""UFW's chains that nothing leads to any more are deleted; those that rules lead to are left alone."""

from collections.abc import Callable
from types import ModuleType

LoadModule = Callable[[str], ModuleType]

FLUSHED = """\
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
:ufw-before-input - [0:0]
:ufw-user-input - [0:0]
-A FORWARD -j ufw-before-forward
COMMIT
"""


def test_only_chains_that_input_does_not_lead_to_are_deleted(load_module: LoadModule) -> None:
    loose_chains = load_module("access_transaction").loose_chains
    assert loose_chains(FLUSHED.splitlines(), "").splitlines() == [
        "*filter",
        "-D FORWARD -j ufw-before-forward",
        "-F ufw-before-input",
        "-F ufw-user-input",
        "-X ufw-before-input",
        "-X ufw-user-input",
        "COMMIT",
    ]
    assert loose_chains(FLUSHED.splitlines(), "6") == ""
    whole = FLUSHED.replace("-A FORWARD", "-A INPUT -j ufw-before-input\n-A FORWARD")
    assert loose_chains(whole.splitlines(), "") == ""
    assert loose_chains([], "") == "", "a machine without UFW"
