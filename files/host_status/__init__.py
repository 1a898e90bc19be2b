"""How the bots of this VPS are, for whoever is on it: the same judgement as the playbook's, without Ansible."""
