// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// lwIP 2.2.1 set up as ESP-IDF sets up its own, as far as it matters to us: a thread of its own, memory from
// the C heap, sockets. ZT_CORE_LOCKING chooses lwIP's core locking, which ESP-IDF has off. What
// test_esp32_facts.py lists is as there.

#ifndef LWIPOPTS_H
#define LWIPOPTS_H

// ESP-IDF's includes as much: a function of ours must not have one of their names.
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/types.h>
#include <unistd.h>

#include "sdkconfig.h"

#ifndef ZT_HOST
struct pollfd;
int poll(struct pollfd *fds, unsigned count, int timeout);
int ioctl(int fd, int request, ...);
#endif

#ifndef ZT_CORE_LOCKING
#define ZT_CORE_LOCKING 0
#endif

#define NO_SYS 0
#define SYS_LIGHTWEIGHT_PROT 1
#define LWIP_TCPIP_CORE_LOCKING ZT_CORE_LOCKING
#define LWIP_TCPIP_CORE_LOCKING_INPUT 0
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#if UINTPTR_MAX > 0xffffffff
#define MEM_ALIGNMENT 8
#else
#define MEM_ALIGNMENT 4
#endif
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define LWIP_NETIF_TX_SINGLE_PBUF 1
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_NUM_NETIF_CLIENT_DATA 1
#define LWIP_STATS 0
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_LOOPBACK 1
#define LWIP_HAVE_LOOPIF 1
#define LWIP_LOOPBACK_MAX_PBUFS 8

#define TCPIP_THREAD_NAME "tiT"
#define TCPIP_THREAD_STACKSIZE CONFIG_LWIP_TCPIP_TASK_STACK_SIZE
#define TCPIP_THREAD_PRIO 18
#define TCPIP_MBOX_SIZE 32
#define DEFAULT_THREAD_STACKSIZE TCPIP_THREAD_STACKSIZE
#define DEFAULT_UDP_RECVMBOX_SIZE 6
#define DEFAULT_TCP_RECVMBOX_SIZE 6
#define DEFAULT_ACCEPTMBOX_SIZE 6
#define DEFAULT_RAW_RECVMBOX_SIZE 6

#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_IPV6_NUM_ADDRESSES CONFIG_LWIP_IPV6_NUM_ADDRESSES
#define LWIP_IGMP 1
#define LWIP_RAW 1
#define LWIP_DHCP 1
#define LWIP_DNS 1
#define DNS_MAX_SERVERS 3
#define IP_REASSEMBLY 1
#define IP_REASS_MAXAGE 3
#define IP_DEFAULT_TTL 64
#define ARP_QUEUEING 1
#define ETHARP_SUPPORT_STATIC_ENTRIES 1
#define LWIP_IPV6_REASS 1
#define IPV6_FRAG_COPYHEADER 1

#define LWIP_NETCONN 1
#define LWIP_SOCKET 1
#define LWIP_COMPAT_SOCKETS 0
#define LWIP_POSIX_SOCKETS_IO_NAMES 0
#define LWIP_SO_RCVTIMEO 1
#define LWIP_SO_SNDTIMEO 1
#define SO_REUSE 1

#define LWIP_NETCONN_FULLDUPLEX 1
#define LWIP_NETCONN_SEM_PER_THREAD 1
#define LWIP_TCP_KEEPALIVE 1

// Wi-Fi's own sums are enough for it.
#define CHECKSUM_CHECK_IP 0
#define CHECKSUM_CHECK_UDP 0

#define MEMP_NUM_UDP_PCB CONFIG_LWIP_MAX_UDP_PCBS
#define MEMP_NUM_TCP_PCB 12
#define MEMP_NUM_TCP_PCB_LISTEN 16
#define MEMP_NUM_ND6_QUEUE 6
#define LWIP_ND6_NUM_NEIGHBORS 10
#define TCP_MSS 1440
#define TCP_SND_BUF 5760
#define TCP_WND 5760
#define TCP_OOSEQ_MAX_PBUFS 4
#define TCP_TMR_INTERVAL 250
#define LWIP_TCP_RTO_TIME 1500
#define TCP_LISTEN_BACKLOG 1

#ifndef ZT_HOST // where lwIP brings its own
uint32_t esp_random(void);
#define LWIP_RAND esp_random
#endif

#define LWIP_HOOK_FILENAME "lwip_default_hooks.h"
#define LWIP_HOOK_IP4_ROUTE_SRC ip4_route_src_hook

#endif
