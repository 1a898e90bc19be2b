"""How the bots of this VPS are, for whoever is on it: the same judgement as the playbook's, without Ansible."""

UNREADABLE, UNWELL = 1, 2
"""Exit codes: nothing could be read; something asks for action."""
