"""Files of PAM, su and login.defs are edited where they must be, and left alone where they are right."""

from collections.abc import Callable
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

FAILLOCK = """Name: lock
Priority: 0
Auth-Type: Primary
Auth:
\t[default=die]\tpam_faillock.so authfail
"""
COMMON_AUTH = """# /etc/pam.d/common-auth
auth\t[success=2 default=ignore]\tpam_unix.so nullok
auth\t[default=die]\tpam_faillock.so authfail
#auth required pam_wheel.so
"""
SU = """# su
auth       sufficient pam_rootok.so
# auth       required   pam_wheel.so
@include common-auth
"""
LINES = st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30)
TEXT = st.lists(LINES | st.sampled_from(["umask 022", "UMASK\t022", "UMASK 077", "auth required pam_wheel.so"]))


@pytest.fixture(scope="session")
def policy(load_module: Callable[[str], ModuleType]) -> ModuleType:
    """The module."""
    return load_module("login_policy")


def test_a_profile_is_enabled_when_its_rules_are_in_pams_files(policy: ModuleType) -> None:
    assert policy.disabled({"lock": FAILLOCK}, COMMON_AUTH) == []
    assert policy.disabled({"lock": FAILLOCK}, COMMON_AUTH.replace("authfail", "authsucc")) == ["lock"]
    assert policy.disabled({"lock": FAILLOCK}, COMMON_AUTH.replace("auth\t[default", "#auth\t[default")) == ["lock"]


def test_su_is_for_a_groups_members_and_for_root_still(policy: ModuleType) -> None:
    lines = policy.su_restricted(SU, "sugroup").splitlines()
    assert lines[1].endswith("pam_rootok.so")
    assert lines[2] == "auth       required   pam_wheel.so use_uid group=sugroup"
    assert lines[3:] == SU.splitlines()[2:]


def test_another_group_takes_the_place_of_the_first(policy: ModuleType) -> None:
    changed = policy.su_restricted(policy.su_restricted(SU, "wheel"), "sugroup")
    assert changed == policy.su_restricted(SU, "sugroup")


def test_a_key_is_set_where_it_stands_and_once(policy: ModuleType) -> None:
    before = "A 1\nUMASK\t022\n# UMASK is a comment\nUMASK 077\nB 2\n"
    assert policy.with_keys(before, {"UMASK": "027"}) == "A 1\n# UMASK is a comment\nUMASK\t027\nB 2\n"
    assert policy.with_keys("A 1\n", {"UMASK": "027"}) == "A 1\nUMASK\t027\n"
    assert policy.with_keys("UMASK    027\n", {"UMASK": "027"}) == "UMASK    027\n", "its own spacing is no reason"


@settings(deadline=None)
@given(lines=TEXT)
def test_what_was_edited_is_not_edited_again(policy: ModuleType, lines: list[str]) -> None:
    text = "\n".join(lines)
    edits: list[Callable[[str], str]] = [
        lambda given: str(policy.with_keys(given, {"UMASK": "027", "PASS_MIN_DAYS": "1"})),
        lambda given: str(policy.with_umask(given, "027")),
        lambda given: str(policy.su_restricted(given, "sugroup")),
    ]
    for edit in edits:
        once = edit(text)
        assert edit(once) == once
