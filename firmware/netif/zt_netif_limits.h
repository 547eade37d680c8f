// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// How much the network side holds, once for a computer and once for a board (ZT_BOARD): interfaces, frames
// and sockets. lwipopts.h has the stack's own pools in the same two sizes.

#ifndef ZT_NETIF_LIMITS_H
#define ZT_NETIF_LIMITS_H

#ifdef ZT_BOARD

#define ZT_NETIF_MAX 4
#define ZT_NETIF_ROUTES 8
#define ZT_NETIF_QUEUE 6144
#define ZT_NETIF_OWNED 0
#define ZT_NETIF_PINGS 4
// What an interface sends at most, whatever the network's MTU: with it a full TCP segment is one datagram on
// the wire, so it needs one packet to seal and no reassembly. Longer frames are still received.
#define ZT_NETIF_MTU_MAX 1380
#define ZT_UDP_QUEUE 16
#define ZT_UDP_QUEUE_SOCKET 8

#else

#define ZT_NETIF_MAX 16          // networks joined at a time
#define ZT_NETIF_ROUTES 64       // managed routes of one network
#define ZT_NETIF_QUEUE (256 * 1024) // bytes of frames waiting for the node, of the stack's memory
#define ZT_NETIF_OWNED 256       // frames lwIP holds without a copy
#define ZT_NETIF_PINGS 16        // echo replies waiting to be read
#define ZT_NETIF_MTU_MAX 10000
#define ZT_UDP_QUEUE 256         // datagrams waiting, all sockets together
#define ZT_UDP_QUEUE_SOCKET 64   // of one socket

#endif

// Of zt_hal_lwip.c, which is a board's only.
#define ZT_WIRES_MAX 8
#define ZT_HAL_SLOTS 6 // datagrams that lwIP has not sent yet
#define ZT_HAL_SLOT 1480 // the longest datagram; the protocol's own are 1,432 at most
#define ZT_HAL_QUEUE 8   // datagrams that wait behind an event
#ifndef ZT_HAL_BUDGET
#define ZT_HAL_BUDGET (48 * 1024) // bytes decrypted ...
#define ZT_HAL_BUDGET_MS 20       // ... in so many ms: half of what a 160 MHz single core can
#endif

#endif
