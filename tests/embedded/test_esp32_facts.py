# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What was read in ESP-IDF itself (5.2 and 5.4, 2026-11-23), where no SDK is to ask: which settings
# there are and what they take, and how its lwIP is set up. Our fragments say nothing that it does
# not know, and the stand-ins (idf_stub) say the same of lwIP as it does.
# cpython-only: a compiler

import os
import re
import subprocess

from _esp32 import PORT, includes, need
from test_esp32_boards import configured, every, fragment

YES_NO = ("y", "n")
# Setting -> its values, or the lowest and the highest, in both versions.
KCONFIG = {
    "BOOTLOADER_APP_ROLLBACK_ENABLE": YES_NO,
    "BT_ENABLED": YES_NO,
    "COMPILER_OPTIMIZATION_CHECKS_SILENT": YES_NO,
    "COMPILER_OPTIMIZATION_PERF": YES_NO,
    "COMPILER_OPTIMIZATION_SIZE": YES_NO,
    "ESP32C3_REV_MIN_3": YES_NO,
    "ESPTOOLPY_FLASHFREQ_80M": YES_NO,
    "ESPTOOLPY_FLASHMODE_QIO": YES_NO,
    "ESPTOOLPY_FLASHSIZE_2MB": YES_NO,
    "ESPTOOLPY_FLASHSIZE_4MB": YES_NO,
    "ESPTOOLPY_FLASHSIZE_8MB": YES_NO,
    "ESPTOOLPY_FLASHSIZE_16MB": YES_NO,
    "ESPTOOLPY_FLASHSIZE_32MB": YES_NO,
    "ESP_SYSTEM_HW_STACK_GUARD": YES_NO,
    "LWIP_HOOK_IP6_INPUT_CUSTOM": YES_NO,
    "LWIP_HOOK_IP6_ROUTE_CUSTOM": YES_NO,
    "LWIP_HOOK_ND6_GET_GW_CUSTOM": YES_NO,
    "LWIP_IP4_REASSEMBLY": YES_NO,
    "LWIP_IP6_REASSEMBLY": YES_NO,
    "LWIP_IPV6": YES_NO,
    "LWIP_IPV6_AUTOCONFIG": YES_NO,
    "LWIP_IPV6_MEMP_NUM_ND6_QUEUE": (3, 20),
    "LWIP_IPV6_ND6_NUM_NEIGHBORS": (3, 10),
    "LWIP_IPV6_NUM_ADDRESSES": (1, 127),  # no limit there; lwIP counts them in an s8_t
    "LWIP_MAX_SOCKETS": (1, 16),
    "LWIP_MAX_UDP_PCBS": (1, 1024),
    "LWIP_NETIF_LOOPBACK": YES_NO,
    "LWIP_PPP_SUPPORT": YES_NO,
    "LWIP_TCPIP_CORE_LOCKING": YES_NO,
    "LWIP_TCPIP_TASK_STACK_SIZE": (2560, 65536),
    "PARTITION_TABLE_CUSTOM": YES_NO,
    "PARTITION_TABLE_CUSTOM_FILENAME": None,
}
# lwIP's options, with our settings and those of ESP-IDF that we leave alone.
LWIPOPTS = {
    "ARP_QUEUEING": 1,
    "CHECKSUM_CHECK_ICMP": 1,
    "CHECKSUM_CHECK_ICMP6": 1,
    "CHECKSUM_CHECK_IP": 0,
    "CHECKSUM_CHECK_TCP": 1,
    "CHECKSUM_CHECK_UDP": 0,
    "CHECKSUM_GEN_IP": 1,
    "CHECKSUM_GEN_TCP": 1,
    "CHECKSUM_GEN_UDP": 1,
    "DNS_MAX_SERVERS": 3,
    "ETHARP_SUPPORT_STATIC_ENTRIES": 1,
    "ETH_PAD_SIZE": 0,
    "IP_DEFAULT_TTL": 64,
    "IP_FORWARD": 0,
    "IP_REASSEMBLY": 1,
    "IP_REASS_MAXAGE": 3,
    "LWIP_CHECKSUM_CTRL_PER_NETIF": 0,
    "LWIP_HAVE_LOOPIF": 1,
    "LWIP_IGMP": 1,
    "LWIP_IPV6_FRAG": 1,
    "LWIP_IPV6_MLD": 1,
    "LWIP_IPV6_NUM_ADDRESSES": 6,
    "LWIP_IPV6_REASS": 1,
    "LWIP_IPV6_SCOPES": 1,
    "LWIP_LOOPBACK_MAX_PBUFS": 8,
    "LWIP_ND6_NUM_DESTINATIONS": 10,
    "LWIP_ND6_NUM_NEIGHBORS": 10,
    "LWIP_ND6_QUEUEING": 1,
    "LWIP_NETCONN_FULLDUPLEX": 1,
    "LWIP_NETCONN_SEM_PER_THREAD": 1,
    "LWIP_NETIF_EXT_STATUS_CALLBACK": 1,
    "LWIP_NETIF_HOSTNAME": 1,
    "LWIP_NETIF_LOOPBACK": 1,
    "LWIP_NETIF_TX_SINGLE_PBUF": 1,
    "LWIP_NUM_NETIF_CLIENT_DATA": 1,
    "LWIP_RAW": 1,
    "LWIP_SUPPORT_CUSTOM_PBUF": 1,
    "LWIP_TCPIP_CORE_LOCKING": 0,
    "LWIP_TCPIP_CORE_LOCKING_INPUT": 0,
    "LWIP_TCP_RTO_TIME": 1500,
    "MEMP_MEM_MALLOC": 1,
    "MEMP_NUM_ND6_QUEUE": 6,
    "MEMP_NUM_TCP_PCB": 12,
    "MEMP_NUM_TCP_PCB_LISTEN": 16,
    "MEMP_NUM_UDP_PCB": 24,
    "MEM_ALIGNMENT": 4,
    "MEM_LIBC_MALLOC": 1,
    "NO_SYS": 0,
    "PBUF_LINK_ENCAPSULATION_HLEN": 0,
    "PBUF_LINK_HLEN": 14,
    "SO_REUSE": 1,
    "SYS_LIGHTWEIGHT_PROT": 1,
    "TCPIP_MBOX_SIZE": 32,
    "TCPIP_THREAD_PRIO": 18,
    "TCPIP_THREAD_STACKSIZE": 7680,
    "TCP_LISTEN_BACKLOG": 1,
    "TCP_MSS": 1440,
    "TCP_OOSEQ_MAX_PBUFS": 4,
    "TCP_SND_BUF": 5760,
    "TCP_TMR_INTERVAL": 250,
    "TCP_WND": 5760,
}


def allowed(key, value):
    values = KCONFIG[key.removeprefix("CONFIG_")]
    if values is None:
        return value.startswith('"')
    if values == YES_NO:
        return value in YES_NO
    return values[0] <= int(value) <= values[1]


def test_our_settings_are_ones_that_esp_idf_has(tmp_path):
    need(("cmake", "cmake"))
    seen = set()
    for board, variant in every():
        config = configured(str(tmp_path), board, variant)
        mine = [p for p in config["SDKCONFIG_DEFAULTS"] if os.path.isabs(p)]
        assert len(mine) >= 2 and any(p.startswith(PORT) for p in mine)
        for path in mine:
            for key, value in fragment(path).items():
                assert allowed(key, value), (path, key, value)
                seen.add(key.removeprefix("CONFIG_"))
    assert seen == set(KCONFIG)
    for key, value in (("LWIP_IPV6_NUM_ADRESSES", "6"), ("LWIP_MAX_SOCKETS", "17")):
        try:
            assert not allowed("CONFIG_" + key, value)
        except KeyError as e:
            assert e.args == (key,)


def disagreements(facts):
    """Names of these options that the stand-ins have another value of."""
    lines = ["#include <stdint.h>", "#undef UINTPTR_MAX", "#define UINTPTR_MAX 0xffffffffu"]
    lines.append('#include "lwip/opt.h"')
    for name, value in facts.items():
        lines += ["#if !defined(%s) || (%s) != %d" % (name, name, value), "#error FACT %s" % name]
        lines.append("#endif")
    command = ["gcc", "-E", "-x", "c", "-", "-o", os.devnull, *includes()]
    text = "\n".join(lines) + "\n"
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    said = re.findall(r"error: #error (.*)", done.stderr)
    assert (done.returncode != 0) == bool(said), done.stderr
    assert all(s.startswith("FACT ") for s in said), said
    return sorted(s[5:] for s in said)


def test_the_stand_ins_set_lwip_up_as_esp_idf_does():
    need(("gcc", "gcc"))
    assert disagreements(LWIPOPTS) == []
    wrong = dict(LWIPOPTS, TCP_MSS=1460, NO_SYS=1)
    assert disagreements(wrong) == ["NO_SYS", "TCP_MSS"]
    assert disagreements({"TCP_MSSES": 1}) == ["TCP_MSSES"]
