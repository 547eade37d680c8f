# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What of the package zt is frozen into a board's firmware: the node, its driver and its network
# interfaces. Not the command line, the HTTP API, the controller, the explanations of rules, nor
# the twins in Python of what the firmware has in C.
# ruff: noqa: F821

_NOT_ON_BOARDS = (
    "__main__",
    "_crypto_ctypes",
    "_crypto_py",
    "_curve_py",
    "_hal_cpython",
    "_sha2_py",
    "_tap_cpython",
    "aio",
    "api",
    "api_controller",
    "args",
    "cli",
    "client",
    "cmd_exec",
    "cmd_id",
    "cmd_network",
    "cmd_node",
    "cmd_ping",
    "cmd_rules",
    "cmd_run",
    "cmd_stream",
    "controlport",
    "explain",
    "frametext",
    "host",
    "httpd",
    "jsontext",
    "localconf",
    "options",
    "rtnetlink",
    "rulesfile",
    "rulesjson",
    "statustext",
    "store",
    "streams",
    "tap",
)


def _folded():
    """Constants put in place by tools/freeze/fold.py; the folder for package()."""
    import os
    import subprocess
    import sys

    # The manifest's own folder is the current one while it is read.
    lib = os.path.join("..", "lib", "zt")
    names = sorted(n[:-3] for n in os.listdir(lib) if n.endswith(".py"))
    names = [n for n in names if n not in _NOT_ON_BOARDS]
    out = os.path.join("..", "build", "folded")
    fold = os.path.join("..", "tools", "freeze", "fold.py")
    subprocess.check_call([sys.executable, fold, os.path.join(out, "zt")] + names)
    package("zt", [n + ".py" for n in names], base_path=out, opt=3)  # type: ignore


def _as_constants():
    """Functions, classes and modules frozen as objects in flash: tools/rom."""
    import importlib.util
    import os

    path = os.path.join("..", "tools", "rom", "hook.py")
    spec = importlib.util.spec_from_file_location("zt_rom_hook", os.path.abspath(path))
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    hook.install("rom.py")


_folded()
_as_constants()
