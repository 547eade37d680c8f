# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The kinds of machine the core is meant for: how each compiles, links and runs a program there
# without a C library, as a process of Linux, in QEMU where it is not this machine's kind. Knows
# compilers and emulators, not what is tried with them (core_targets.py).

import os
import shutil
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CORE = os.path.join(TOP, "firmware", "core")
TESTS = os.path.join(TOP, "tests", "core")
BARE = os.path.join(TESTS, "bare")
LLVM = os.path.join(TOP, "build", "llvm")  # of toolchain.sh, if the system has none

WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"]
LEVEL = "-Os"


class Missing(Exception):
    """Debian packages whose tools are not here."""


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        raise SystemExit("core-targets: %s\n%s" % (" ".join(command), said))
    return done.stdout


def found(name, package):
    path = shutil.which(name)
    if not path:
        raise Missing(package)
    return path


def size_of(tool, path):
    """Bytes of code and constants in an object file."""
    text, data = run([tool, path]).splitlines()[1].split()[:2]
    return int(text) + int(data)


class Gcc:
    """A machine that GCC compiles for."""

    def __init__(self, name, prefix, packages, qemu=(), flags=()):
        self.name, self.prefix, self.flags = name, prefix, list(flags)
        self.packages = packages
        self.emulator = list(qemu)

    def prepare(self):
        self.cc = found(self.prefix + "gcc", self.packages)
        self.size = found(self.prefix + "size", self.packages)
        if self.emulator:
            self.emulator[0] = found(os.path.basename(self.emulator[0]), "qemu-user")

    def compiler(self):
        return run([self.cc, "--version"]).splitlines()[0]

    def compile(self, source, out, flags, to_run=True):
        include = ["-I", os.path.join(BARE, "include"), "-I", CORE, "-I", TESTS]
        run([self.cc, LEVEL, *self.flags, *flags, *include, "-c", "-o", out, source])

    def runtime(self, folder):
        return [os.path.join(BARE, "bare.c")]

    def link(self, objects, out, more=()):
        flags = ["-nostdlib", "-static", "-Wl,--build-id=none,--entry=_start"]
        flags += ["-Wl," + x for x in more]
        run([self.cc, *self.flags, *flags, "-o", out, *objects, "-lgcc"])


class Xtensa:
    """The windowed calls of an ESP32 and ESP32-S3, by LLVM's back end: the compiler makes bitcode,
    llc assembly, the assembler an object. Straight to an object, literals end up where they
    cannot be loaded from."""

    name = "xtensa"
    flags = ["-mcpu=esp32"]
    emulator = ["qemu-xtensa", "-cpu", "de233_fpu"]

    def prepare(self):
        self.emulator[0] = found("qemu-xtensa", "qemu-user")
        self.ld = found("xtensa-lx106-elf-ld", "binutils-xtensa-lx106")
        self.size = found("xtensa-lx106-elf-size", "binutils-xtensa-lx106")
        self.llvm = llvm()

    def compiler(self):
        return run([self.llvm["clang"], "--version"]).splitlines()[0]

    def compile(self, source, out, flags, to_run=True):
        if source.endswith(".S"):
            self.assemble(source, out)
            return
        include = ["-nostdlibinc", "-isystem", os.path.join(BARE, "include")]
        include += ["-I", CORE, "-I", TESTS]
        front = ["--target=xtensa", LEVEL, "-Wno-override-module", *flags, *include, "-emit-llvm"]
        run([self.llvm["clang"], *front, "-c", "-o", out + ".bc", source])
        # No core of the emulator has the instruction for a product's upper half; an ESP32 has.
        less = ["-mattr=-mul32high"] if to_run else []
        back = ["-mtriple=xtensa", "-mcpu=esp32", "-O2", "-filetype=asm", *less]
        run([self.llvm["llc"], *back, "-o", out + ".s", out + ".bc"])
        self.assemble(out + ".s", out)

    def assemble(self, source, out):
        options = ["--arch=xtensa", "-mcpu=esp32", "-filetype=obj"]
        run([self.llvm["llvm-mc"], *options, "-o", out, source])

    def runtime(self, folder):
        own = [os.path.join(BARE, x) for x in ("start_xtensa.S", "bare.c", "div64_xtensa.c")]
        return own + [os.path.join(TOP, "firmware", "natmod", "int64.c")]

    def link(self, objects, out, more=()):
        # The linker is that of another Xtensa, which is all the same to it.
        script = ["--no-relax", "-z", "noexecstack", "-T", os.path.join(BARE, "xtensa.ld")]
        run([self.ld, *script, *more, "-o", out, *objects])


def llvm():
    """Paths of an LLVM of one version that knows Xtensa: the system's, or that of toolchain.sh."""
    names = ("clang", "llc", "llvm-mc")
    for version in range(29, 21, -1):
        here = {x: shutil.which("%s-%d" % (x, version)) for x in names}
        if not all(here.values()):
            here = {x: os.path.join(LLVM, "%s-%d" % (x, version)) for x in names}
        if not all(os.path.exists(x) for x in here.values()):
            continue
        if "xtensa" in run([here["llc"], "--version"]):
            return here
    raise Missing("clang-22 llvm-22")


RV32 = "rv32,a=false,f=false,d=false"  # and that is an ESP32-C3


def targets():
    cross = "gcc-%s"
    return [
        Gcc("x86-64", "x86_64-linux-gnu-" if shutil.which("x86_64-linux-gnu-gcc") else "", "gcc"),
        Gcc(
            "rv32imc",
            "riscv64-unknown-elf-",
            cross % "riscv64-unknown-elf",
            ("qemu-riscv32", "-cpu", RV32),
            ("-march=rv32imc", "-mabi=ilp32"),
        ),
        Xtensa(),
        Gcc("aarch64", "aarch64-linux-gnu-", cross % "aarch64-linux-gnu", ("qemu-aarch64",)),
        Gcc("armv7", "arm-linux-gnueabihf-", cross % "arm-linux-gnueabihf", ("qemu-arm",)),
        # High byte first, 32 bits.
        Gcc("powerpc", "powerpc-linux-gnu-", cross % "powerpc-linux-gnu", ("qemu-ppc",)),
        Gcc(
            "mips",
            "mips-linux-gnu-",
            cross % "mips-linux-gnu",
            ("qemu-mips",),
            ("-mno-abicalls", "-fno-pic"),
        ),
    ]
