#!/bin/sh
# PID 1 until systemd takes over: turns a container into something systemd and a nested Docker accept as a machine, without
# touching the host below. Runs at every boot.
set -eu

# As on any server, what is mounted later is seen by containers that were given `/` before. systemd does it except in a container.
mount --make-rshared /

# Docker mounts these three over the machine's own. A server's are plain files that configuration management may replace.
for file in resolv.conf hosts hostname; do
    umount "/etc/$file" 2>/dev/null || true
    if [ -e "/etc/embedded-vps/$file" ]; then
        mv "/etc/embedded-vps/$file" "/etc/$file" # the first boot only: later changes are the machine's
    fi
done

# The control groups of this container's own namespace, writable. (The host's tree is not visible here at all.)
if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mount -o remount,bind,rw /sys/fs/cgroup
else
    mount -o remount,bind,rw /sys/fs/cgroup
    for tree in /sys/fs/cgroup/*; do
        [ -L "$tree" ] || mount -o remount,bind,rw "$tree"
    done
fi

# kernel.*, fs.* and vm.* have no namespaces: writing them here would change the host. Each writable one gets a private copy
# mounted over it (per file: over a whole directory `sysctl -a` never ends).
find /proc/sys/kernel /proc/sys/fs /proc/sys/vm -type f -perm -200 ! -path '*/random/*' ! -path '*/binfmt_misc/*' \
    ! -name ns_last_pid ! -name hostname ! -name domainname 2>/dev/null |
    while read -r parameter; do
        copy="/run/embedded-vps$parameter"
        mkdir -p "${copy%/*}"
        if cat "$parameter" > "$copy" 2>/dev/null; then
            mount --bind "$copy" "$parameter"
        fi
    done
[ ! -e /proc/sysrq-trigger ] || mount --bind /dev/null /proc/sysrq-trigger

# As a server's first boot does.
[ -e /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -A

exec /sbin/init
