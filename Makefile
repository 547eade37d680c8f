# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# `make help` lists the targets. Everything made lands in build/.

# Two cores are what the project's own machines have; `make JOBS=8` uses more.
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 1); [ $$n -gt 2 ] && echo 2 || echo $$n)
TOP := $(abspath .)
B := $(TOP)/build
VENV := $(B)/venv
PYTHON := $(VENV)/bin/python3
MPY := $(abspath $(or $(MICROPY_DIR),$(B)/src/micropython))
LWIP := $(abspath $(or $(LWIP_DIR),$(B)/src/lwip))

.DEFAULT_GOAL := help
.PHONY: help setup build unix core qemu qemu-firmware qemu-plain esp32 flash run test test-embedded bench bench-doc bench-embedded core-targets natmod lint clean

help:
	@echo 'make run                 show the product: two nodes, a private network, a page over it'
	@echo 'make run NETWORK=<id>    join that network for real'
	@echo 'make build               build the unix port (build/microzt, started by ./zt)'
	@echo 'make test                every test; PART=unit|vectors|interop|embedded|lab for one part'
	@echo 'make qemu                build the firmware of the emulated RV32 board and give its prompt'
	@echo 'make test-embedded       only the tests of boards'
	@echo 'make esp32 BOARD=ZT_ESP32_S3   build the firmware of an ESP32, where ESP-IDF is (untried)'
	@echo 'make flash [PORT=.. BOARD=.. VARIANT=.. IMAGE=..]   put the firmware on an ESP32 (untried)'
	@echo 'make bench               measure, beside other software'
	@echo 'make bench-doc          write what was measured into docs/performance.md and README.md'
	@echo 'make bench-embedded      count instructions and bytes of the core on an emulated RV32'
	@echo 'make core-targets        compile, try and weigh the core for seven instruction sets'
	@echo 'make natmod              the crypto core as .mpy files for stock firmware, in build/natmod'
	@echo 'make lint                check the style of Python, C and shell'
	@echo 'make setup               fetch tools, sources and Python packages only'
	@echo 'make clean               remove what was built; the fetched sources stay'

setup:
	@tools/toolchain.sh tools
	@tools/toolchain.sh micropython
	@tools/toolchain.sh lwip
	@tools/toolchain.sh venv

build: unix core

# Upstream's own build decides what is out of date, the frozen Python included. Its output is kept in
# a log and shown only when something fails.
unix: setup
	@tools/build_unix.sh $(MPY) $(LWIP) $(JOBS)

core: setup
	@$(MAKE) -s --no-print-directory -C firmware/core

# The firmware of the emulated board, and the same without the node to compare sizes with.
qemu-firmware: setup
	@tools/toolchain.sh board
	@tools/build_qemu.sh $(MPY) $(LWIP) $(JOBS)

qemu-plain: setup
	@tools/toolchain.sh board
	@tools/build_qemu.sh $(MPY) $(LWIP) $(JOBS) plain

# Its network is QEMU's own, in a namespace without a way out: nothing leaves this machine.
qemu: qemu-firmware
	@unshare -rn sh -c 'ip link set lo up; exec $(PYTHON) tools/qemu_board.py $(QEMU_ARGS)'

# ESP-IDF and MicroPython's own git tree have to be there; what is missing is named.
esp32:
	@$(MAKE) --no-print-directory -C ports/esp32 $(if $(BOARD),BOARD=$(BOARD)) $(if $(VARIANT),BOARD_VARIANT=$(VARIANT))

flash:
	@tools/toolchain.sh tools
	@tools/toolchain.sh venv
	@tools/toolchain.sh esptool
	@$(PYTHON) tools/flash.py $(if $(PORT),--port $(PORT)) $(if $(BOARD),--board $(BOARD)) \
	    $(if $(VARIANT),--variant $(VARIANT)) $(if $(IMAGE),--image $(IMAGE)) $(FLASH_ARGS)

run: build
	@$(PYTHON) tools/demo.py $(if $(NETWORK),--network $(NETWORK))

test: build
	@tests/run.sh $(PART)

test-embedded: build
	@tests/run.sh embedded

bench: build
	@$(PYTHON) tools/bench.py

bench-doc: setup
	@$(PYTHON) tools/bench_doc.py $(if $(NOTE),--note "$(NOTE)")

bench-embedded: build
	@$(PYTHON) tools/bench_embedded.py

core-targets: setup
	@tools/toolchain.sh targets
	@$(PYTHON) tools/core_targets.py

natmod: setup
	@tools/toolchain.sh board
	@tools/toolchain.sh targets
	@tools/build_natmod.sh $(MPY) x64 rv32imc xtensawin
	@cd build && wc -c natmod/*/_ztcrypto.mpy

lint: setup
	@tools/lint.sh

clean:
	rm -rf build/unix build/mpy-cross build/mpy-lib build/microzt build/core build/*.log
