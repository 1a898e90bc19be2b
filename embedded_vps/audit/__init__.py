"""`make audit`: what other people's measuring sticks say of a bare VPS and of one after `site.yml`.

Lynis, ssh-audit, OpenSCAP with the CIS profile, and the CIS Docker Benchmark; `docs/audit.md` is made by it.
"""
