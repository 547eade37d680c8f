// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Every limit of the lwIP inside the process, in one place. The stack runs in the one thread there
// is (NO_SYS) and its timers are run by zt_netif_timer.c, which lets an idle process sleep.
//
// Memory: the pools below are static and, once lwIP has linked their free lists, resident: about
// 60 KB in all, 25 KB on a board. Packets come from the C heap, up to ZT_LWIP_HEAP, so they cost only while
// they live.

#ifndef ZT_LWIPOPTS_H
#define ZT_LWIPOPTS_H

#include <stddef.h>
#include <stdint.h>

// A computer's size and a board's.
#ifdef ZT_BOARD
#define ZT_EITHER(computer, board) (board)
#else
#define ZT_EITHER(computer, board) (computer)
#endif

// ---- system ----
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_TIMERS 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_STATS 0
#if UINTPTR_MAX > 0xffffffff
#define MEM_ALIGNMENT 8
#else
#define MEM_ALIGNMENT 4
#endif
#define LWIP_SUPPORT_CUSTOM_PBUF 1

// ---- packet memory ----
// All pbufs in flight: send buffers, receive queues, reassembly. Beyond it lwIP drops, as on a wire.
#ifndef ZT_LWIP_HEAP
#define ZT_LWIP_HEAP ZT_EITHER(4 * 1024 * 1024, 40 * 1024)
#endif
#define MEM_CUSTOM_ALLOCATOR 1
#define MEM_SIZE ZT_LWIP_HEAP
void *zt_netif_malloc(size_t n);
void *zt_netif_calloc(size_t count, size_t n);
void zt_netif_free(void *p);
#define MEM_CUSTOM_MALLOC zt_netif_malloc
#define MEM_CUSTOM_CALLOC zt_netif_calloc
#define MEM_CUSTOM_FREE zt_netif_free
#define PBUF_POOL_SIZE 4 // only lwIP's own small answers use the pool
#define PBUF_POOL_BUFSIZE 1536
#define MEMP_NUM_PBUF ZT_EITHER(128, 24)

// ---- links ----
#define LWIP_ETHERNET 1
#define LWIP_ARP 1
#define ARP_TABLE_SIZE ZT_EITHER(64, 16)
#define ARP_QUEUEING 1
#define ARP_QUEUE_LEN ZT_EITHER(32, 4)
#define MEMP_NUM_ARP_QUEUE ZT_EITHER(64, 12)
#define ETHARP_SUPPORT_STATIC_ENTRIES 0
#define LWIP_HAVE_LOOPIF 1
#define LWIP_NETIF_LOOPBACK 1
#define LWIP_LOOPBACK_MAX_PBUFS ZT_EITHER(64, 16)
#define LWIP_NETIF_HOSTNAME 0
#define LWIP_NETIF_EXT_STATUS_CALLBACK ZT_EITHER(0, 1) // the wires follow the board's addresses
#define LWIP_NETIF_TX_SINGLE_PBUF 0

// ---- IPv4 and IPv6 ----
#define LWIP_IPV4 1
#define LWIP_ICMP 1
#define LWIP_RAW 1
#define MEMP_NUM_RAW_PCB ZT_EITHER(8, 4)
#define LWIP_IGMP 1
#define MEMP_NUM_IGMP_GROUP ZT_EITHER(32, 12)
#define LWIP_DHCP ZT_EITHER(0, 1) // for a board's Ethernet; a network's addresses are the controller's to give
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_AUTOIP 0
#define LWIP_ACD 0
#define IP_REASSEMBLY 1
#define IP_FRAG 1
#define IP_REASS_MAX_PBUFS ZT_EITHER(64, 8)
#define MEMP_NUM_FRAG_PBUF ZT_EITHER(64, 8)
#define LWIP_MULTICAST_TX_OPTIONS 1

#define LWIP_IPV6 1
#define LWIP_ICMP6 1
#define LWIP_IPV6_MLD 1
#define MEMP_NUM_MLD6_GROUP ZT_EITHER(64, 16)
#define LWIP_IPV6_NUM_ADDRESSES ZT_EITHER(8, 5) // link-local, and seven (four) of the controller's
#define LWIP_IPV6_AUTOCONFIG 0    // routers are the controller's word, never a member's
#define LWIP_ND6_ALLOW_RA_UPDATES 0
#define LWIP_IPV6_DHCP6 0
#define LWIP_ND6_NUM_NEIGHBORS ZT_EITHER(64, 12)
#define LWIP_ND6_NUM_DESTINATIONS ZT_EITHER(64, 12)
#define LWIP_ND6_QUEUEING 1
#define MEMP_NUM_ND6_QUEUE ZT_EITHER(64, 8)
#define LWIP_IPV6_FRAG 1
#define LWIP_IPV6_REASS 1
#define IPV6_FRAG_COPYHEADER 1 // its bookkeeping outgrows the header where pointers have 64 bits

// ---- UDP, DNS ----
#define LWIP_UDP 1
#define MEMP_NUM_UDP_PCB ZT_EITHER(32, 12)
#define LWIP_DNS 1
#define DNS_MAX_SERVERS ZT_EITHER(4, 2)
#define DNS_TABLE_SIZE ZT_EITHER(16, 4)

// ---- TCP ----
// 64 segments each way: measured, two nodes on one machine that share its cores with others gain up to
// three times over 23, because they take turns with what fills the windows; more gains nothing. tcp_sndbuf()
// shows at most 65,535 of it to MicroPython's socket, which keeps that in 16 bits.
#define LWIP_TCP 1
#define TCP_MSS ZT_EITHER(2760, 1460) // a network's usual MTU of 2800, Ethernet's of 1500, less IPv4 and TCP headers
#define TCP_SND_BUF (ZT_EITHER(64, 6) * TCP_MSS)
#define TCP_SND_QUEUELEN ZT_EITHER(256, 24)
#define LWIP_WND_SCALE ZT_EITHER(1, 0)
#define TCP_RCV_SCALE ZT_EITHER(2, 0)
#define TCP_WND (ZT_EITHER(64, 6) * TCP_MSS)
#define TCP_QUEUE_OOSEQ 1
#define LWIP_TCP_SACK_OUT 1
#define MEMP_NUM_TCP_PCB ZT_EITHER(64, 12)
#define MEMP_NUM_TCP_PCB_LISTEN ZT_EITHER(32, 6)
#define MEMP_NUM_TCP_SEG ZT_EITHER(512, 48)
#define TCP_LISTEN_BACKLOG 1
#define SO_REUSE 1
#define LWIP_TCP_RTO_TIME 1000 // RFC 6298; lwIP's own 3 s is the older rule
// lwIP checks TCP_WND against its pbuf pool, where received segments do not live here.
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1
#define LWIP_TCP_KEEPALIVE 1

// ---- checksums ----
#ifdef ZT_BOARD
#define LWIP_CHKSUM_ALGORITHM 3 // by words, from the first aligned one on
#else
#define LWIP_CHKSUM zt_netif_chksum // four words at a time, wherever they lie
uint16_t zt_netif_chksum(const void *data, int n);
#endif

// ---- where the routes of zt_netif_route.c enter ----
#define LWIP_HOOK_FILENAME "zt_netif_hooks.h"
#define LWIP_HOOK_IP4_ROUTE_SRC(src, dest) zt_netif_route4(src, dest)

#endif
