"""The embedded VPS: a systemd machine with its own sshd and Docker in a container, and a small internet around it.

It exists so that everything in this repository can be shown and tested with one command on one machine. See
``docs/embedded_vps.md``.
"""
