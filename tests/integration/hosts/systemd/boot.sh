#!/bin/sh
# What an engine mounts read-only for an ordinary container, systemd and an engine of its own have to write. Not `--privileged`: that asks
# for capabilities which an engine inside a virtual machine may lack itself.
awk '$2 ~ "^/(sys|proc/sys)(/|$)" && $2 != "/sys/firmware" { print $2 }' /proc/mounts | while read -r mount; do
  mount -o remount,rw,bind "$mount"
done
exec /sbin/init
