# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# lwIP, MicroPython's sockets over it as module `lwip`, and the netif. Empty unless the port's build
# sets ZT_LWIP_DIR to an lwIP 2.2.1 tree.

ZTNET_DIR := $(USERMOD_DIR)
ZTNETIF_DIR := $(abspath $(ZTNET_DIR)/../../netif)
ifneq ($(ZT_LWIP_DIR),)
# Scanned for names; what needs no scan is below.
SRC_USERMOD_C += $(ZTNET_DIR)/zt_modlwip.c $(ZTNET_DIR)/zt_nic_py.c
SRC_USERMOD_LIB_C += $(addprefix $(ZTNETIF_DIR)/,\
	zt_netif.c zt_netif_addr.c zt_netif_chksum.c zt_netif_input.c zt_netif_mem.c zt_netif_ping.c \
	zt_netif_output.c zt_netif_route.c zt_netif_strong.c zt_netif_tcp.c zt_netif_timer.c zt_nd6.c)
SRC_USERMOD_LIB_C += $(addprefix $(ZT_LWIP_DIR)/src/,\
	core/def.c core/dns.c core/inet_chksum.c core/init.c core/ip.c core/mem.c core/memp.c \
	core/netif.c core/pbuf.c core/raw.c core/stats.c core/sys.c core/tcp.c core/tcp_in.c \
	core/tcp_out.c core/timeouts.c core/udp.c \
	core/ipv4/dhcp.c core/ipv4/etharp.c core/ipv4/icmp.c core/ipv4/igmp.c core/ipv4/ip4_addr.c core/ipv4/ip4.c \
	core/ipv4/ip4_frag.c \
	core/ipv6/ethip6.c core/ipv6/icmp6.c core/ipv6/inet6.c core/ipv6/ip6_addr.c core/ipv6/ip6.c \
	core/ipv6/ip6_frag.c core/ipv6/mld6.c netif/ethernet.c)
CFLAGS_USERMOD += -I$(ZTNET_DIR) -I$(ZTNET_DIR)/include -I$(ZTNETIF_DIR) -I$(ZT_LWIP_DIR)/src/include -I$(ZT_LWIP_DIR)/src -Wno-address
endif
