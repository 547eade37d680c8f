# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A network on this machine for real nodes: hosts are network namespaces with one interface each on
# a bridge, with private IPv4 and IPv6 addresses and no default route, so no packet can leave.
# Everything lives below one helper process and is gone when that ends, whatever happens to the
# test. Works as root and as a user who may make user namespaces. Knows nothing of ZeroTier.

import os
import shutil
import subprocess
import sys

IPV4_NET = "10.77.0."
IPV6_NET = "fd77::"
TOOLS = ("unshare", "nsenter", "ip", "mount")


def missing():
    """The reason why a lab cannot be made here, or None."""
    for tool in TOOLS:
        if not shutil.which(tool, path=_path()):
            return "no '%s' (Debian: iproute2, util-linux, mount)" % tool
    probe = _unshare() + [
        "ip",
        "link",
        "add",
        "ztprobe0",
        "type",
        "veth",
        "peer",
        "name",
        "ztprobe1",
    ]
    done = subprocess.run(probe, capture_output=True, text=True, env=_env())
    if done.returncode:
        return "network namespaces are not possible here: %s" % done.stderr.strip()
    return None


def _path():
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _env():
    return dict(os.environ, PATH=_path())


def _unshare():
    return ["unshare", "-nm"] if os.geteuid() == 0 else ["unshare", "-Urnm"]


class Lab:
    """Hosts on one switch; use it in a with statement."""

    def __init__(self, *hosts):
        self.hosts = hosts
        self.children = []
        script = "mount -t tmpfs tmpfs /run && echo up && exec cat"
        self.helper = subprocess.Popen(
            _unshare() + ["sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_env(),
        )
        if self.helper.stdout.readline().strip() != "up":
            raise OSError("the lab's namespace did not come up")
        self.enter = ["nsenter", "-t", str(self.helper.pid), "-n", "-m"]
        if os.geteuid() != 0:
            self.enter = self.enter + ["-U", "--preserve-credentials"]
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        self.ip("link", "add", "br0", "type", "bridge")
        self.ip("link", "set", "br0", "up")
        for i, host in enumerate(self.hosts):
            self.ip("netns", "add", host)
            self.ip(
                "link", "add", "sw" + host, "type", "veth", "peer", "name", "eth0", "netns", host
            )
            self.ip("link", "set", "sw" + host, "master", "br0", "up")
            self.ip("-n", host, "link", "set", "lo", "up")
            self.ip("-n", host, "addr", "add", IPV4_NET + "%d/24" % (i + 1), "dev", "eth0")
            self.ip(
                "-n", host, "addr", "add", IPV6_NET + "%x/64" % (i + 1), "dev", "eth0", "nodad"
            )
            self.ip("-n", host, "link", "set", "eth0", "up")

    def ip(self, *args):
        subprocess.run(
            self.enter + ["ip"] + list(args), check=True, capture_output=True, env=_env()
        )

    def ipv4(self, host):
        return IPV4_NET + "%d" % (self.hosts.index(host) + 1)

    def ipv6(self, host):
        return IPV6_NET + "%x" % (self.hosts.index(host) + 1)

    def isolate(self, *hosts):
        """From now on these hosts reach the others but not one another; with none, everybody
        reaches everybody.
        """
        for host in self.hosts:
            state = "on" if host in hosts else "off"
            self.ip("link", "set", "dev", "sw" + host, "type", "bridge_slave", "isolated", state)

    def cut(self, host, yes=True):
        """Unplug a host's cable, or plug it in again."""
        self.ip("link", "set", "sw" + host, "down" if yes else "up")

    def counters(self, host):
        """(bytes, packets) that the host has sent so far."""
        out = subprocess.run(
            self.enter + ["ip", "-s", "-o", "link", "show", "sw" + host],
            check=True,
            capture_output=True,
            text=True,
            env=_env(),
        ).stdout
        fields = out.split("RX:")[1].split("\\")[1].split()
        return int(fields[0]), int(fields[1])

    def command(self, host, argv):
        return self.enter + ["ip", "netns", "exec", host] + list(argv)

    def popen(self, host, argv, **options):
        """Start a program on a host; it is killed with the lab at the latest."""
        options.setdefault("env", _env())
        child = subprocess.Popen(self.command(host, argv), **options)
        self.children.append(child)
        return child

    def run(self, host, argv, **options):
        options.setdefault("env", _env())
        return subprocess.run(self.command(host, argv), **options)

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
        for child in self.children:
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    stream.close()
        self.children = []
        if self.helper.poll() is None:
            self.helper.kill()
        self.helper.wait()
        self.helper.stdin.close()
        self.helper.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


if __name__ == "__main__":
    reason = missing()
    print(reason or "a lab is possible here")
    sys.exit(1 if reason else 0)
