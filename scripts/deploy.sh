#!/usr/bin/env bash
# Makes the VPS it runs on its own controller, and converges it. On a bare Ubuntu 24.04, as root:
#   git clone <this repository> /opt/hbot-infra && bash /opt/hbot-infra/scripts/deploy.sh
# Run it again at will: what is there stays. What you change, you change in inventories/self. docs/own_controller.md.
set -euo pipefail
cd "$(dirname "$0")/.."
self=inventories/self
root_ssh=$(getent passwd root | cut -d: -f6)/.ssh
key=$root_ssh/hbot_self

say() { printf '==> %s\n' "$*"; }
refuse() { printf 'Nothing was done: %s\n' "$1" >&2; exit 64; }

[ "$(id -u)" = 0 ] || refuse "this needs root: sudo bash scripts/deploy.sh"
command -v apt-get >/dev/null || refuse "this is for Ubuntu 22.04 and 24.04"
[ -d /run/systemd/system ] || refuse "systemd does not run here"
case "$PWD" in /opt/hbot|/opt/hbot/*) refuse "move this checkout out of /opt/hbot, which the bots own" ;; esac

operator_keys() { # the public keys by which somebody can log in as root or as who called sudo
  local home
  for home in "${root_ssh%/.ssh}" "$(getent passwd "${SUDO_USER:-root}" | cut -d: -f6)"; do
    [ -r "$home/.ssh/authorized_keys" ] && grep -E '^(ssh-|ecdsa-|sk-)' "$home/.ssh/authorized_keys"
  done | grep -v ' hbot: this VPS itself$' | sort -u || true # none: said below
}
keys=$(operator_keys)
[ -n "$keys" ] || refuse "there is no public key of yours in ~/.ssh/authorized_keys, and passwords will be barred: ssh-copy-id from your machine first"

say "what this needs from the distribution"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends git make openssh-client openssh-server python3 python3-venv >/dev/null

say "the environment that Ansible runs in"
make venv

if [ ! -e "$key" ]; then
  say "a key by which this machine logs in to itself, from itself alone"
  install -d -m 0700 "$root_ssh"
  ssh-keygen -q -t ed25519 -N '' -C 'hbot: this VPS itself' -f "$key"
fi
own="from=\"127.0.0.1,::1\" $(cat "$key.pub")"
grep -qxF "$own" "$root_ssh/authorized_keys" 2>/dev/null || printf '%s\n' "$own" >>"$root_ssh/authorized_keys"
chmod 0600 "$root_ssh/authorized_keys"
for host_key in /etc/ssh/ssh_host_*_key.pub; do
  printf '127.0.0.1 %s\n' "$(cut -d' ' -f1,2 "$host_key")"
done >"$key.known_hosts"

if [ ! -e "$self/hosts.yml" ]; then
  say "an inventory of this machine: $self"
  mkdir -p "$self"
  cp -r inventories/example/. "$self"
  password=$(head -c 18 /dev/urandom | base64 | tr '+/' '-_')
  install -m 0600 /dev/null "$self/host_vars/vps1/secrets.yml"
  printf '# Grafana'"'"'s administrator is admin. Encrypt this file with ansible-vault if the machine has other users.\nmonitoring_grafana_password: "%s"\n' \
    "$password" >"$self/host_vars/vps1/secrets.yml"
  {
    cat <<YML
# This VPS, converged by itself. docs/own_controller.md.
vps:
  hosts:
    vps1:
      ansible_host: 127.0.0.1
      ansible_ssh_private_key_file: $key
      ansible_ssh_common_args: -o UserKnownHostsFile=$key.known_hosts -o StrictHostKeyChecking=yes
      host_access_authorized_keys:
YML
    printf '%s\n' "$keys" | sed "s/'/''/g; s/.*/        - '&'/"
    # The machine that you came from; the one that Ansible comes from is this one.
    if [ -n "${SSH_CLIENT:-}" ]; then printf '      host_access_never_ban: ["%s"]\n' "${SSH_CLIENT%% *}"; fi
    if [ "$(. /etc/os-release && echo "$ID")" = debian ]; then printf '      hbot_allow_debian: true\n'; fi
  } >"$self/hosts.yml.new"
  mv "$self/hosts.yml.new" "$self/hosts.yml"
fi

say "ansible-playbook -i $self site.yml"
export PATH="$PWD/.venv/bin:$PATH" ANSIBLE_CONFIG="$PWD/ansible.cfg" ANSIBLE_HOME="$PWD/.ansible"
ansible-playbook -i "$self" site.yml "$@"
install -m 0644 /dev/null /opt/hbot/scripts/controller
printf '%s\n' "$PWD" >/opt/hbot/scripts/controller
ansible-playbook -i "$self" status.yml || true # a bot that is still starting is no failure of the deployment
say "done. From now on log in as ops, not as root. Grafana's password: sudo cat $PWD/$self/host_vars/vps1/secrets.yml"
