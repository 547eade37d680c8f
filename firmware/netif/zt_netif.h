// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The lwIP side of a node: one network interface per joined network, the frames they send, their
// addresses, routes and multicast groups, lwIP's timers, and ping. Plain C over lwIP; knows nothing
// of MicroPython or of ZeroTier. Everything here runs in the stack's context and never blocks; what any thread
// may ask says so.
//
// Functions return 0 or more, or a negative ZT_NETIF_ error.

#ifndef ZT_NETIF_H
#define ZT_NETIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zt_hal.h"
#include "zt_netif_limits.h"


#define ZT_NETIF_ERR_INDEX (-1)  // no such interface
#define ZT_NETIF_ERR_FULL (-2)   // a table is full
#define ZT_NETIF_ERR_ARG (-3)    // an argument makes no sense
#define ZT_NETIF_ERR_NONE (-4)   // nothing to remove
#define ZT_NETIF_ERR_ROUTE (-5)  // no route to that address
#define ZT_NETIF_ERR_MEM (-6)
#define ZT_NETIF_ERR_SMALL (-7)  // the buffer is too small; the frame is dropped

void zt_netif_init(void);
void zt_netif_reset(void);

int zt_netif_add(const uint8_t mac[6], uint16_t mtu);
int zt_netif_remove(int n);
int zt_netif_set_mtu(int n, uint16_t mtu);
// ip is 4 or 16 bytes. One IPv4 address, and LWIP_IPV6_NUM_ADDRESSES - 1 of IPv6.
int zt_netif_addr(int n, const uint8_t *ip, size_t ip_len, unsigned bits, bool add);
// via_len 0: the target is reached on the link itself.
int zt_netif_route(int n, const uint8_t *ip, size_t ip_len, unsigned bits, const uint8_t *via, size_t via_len,
    bool add);
// Name servers of a network, from index 0 on; ip_len 0 clears one. Clearing the first brings back those that
// were there before the networks' (ZT_NETIF_ERR_FULL: nothing more to clear).
int zt_netif_dns(unsigned index, const uint8_t *ip, size_t ip_len);

int zt_netif_input(int n, const uint8_t *frame, size_t len);
// The same without a copy, if `owner` is not NULL: refs grows by one, and done() is called when lwIP no
// longer needs the frame, in any thread. With NULL, or without room for that, the frame is copied.
typedef struct zt_owner {
    void (*done)(struct zt_owner *owner); // takes one off refs
    uint16_t refs;
} zt_owner_t;
int zt_netif_input_owned(int n, uint8_t *frame, size_t len, zt_owner_t *owner);

// Memory taken for interfaces so far; it is kept for the next ones.
extern uint32_t zt_netif_bytes;

// Where frames go before the queue; false: not taken. NULL for none.
extern bool (*zt_netif_output)(int n, const zt_seg_t *segments, size_t count);
// The next frame an interface wants sent: its length, or 0; *n becomes the interface.
int zt_netif_recv(uint8_t *buf, size_t size, int *n);
bool zt_netif_pending(void); // any thread
// Bytes of ZT_LWIP_HEAP in use, and at most so far.
void zt_netif_memory(size_t *used, size_t *peak);
// Changes whenever a socket may have become ready: a frame came in, a timer ran.
uint32_t zt_netif_activity(void); // any thread
// The same for a frame of another interface.
void zt_netif_touch(void);
uint32_t zt_netif_drops(void); // any thread
// Echo replies wait for zt_netif_pong.
bool zt_netif_pongs(void); // any thread
// The MAC that the stack has learned for an address, if it has.
bool zt_netif_mac(int n, const uint8_t *ip, size_t ip_len, uint8_t mac[6]);

// The multicast MACs interface n listens to, 6 bytes each, at most max; the count is returned.
int zt_netif_groups(int n, uint8_t *macs, size_t max);
// Changes whenever a group of any interface comes or goes.
uint32_t zt_netif_groups_serial(void); // any thread

// Run lwIP's due timers and its loopback; ms to the next one, -1 for none.
int32_t zt_netif_poll(void);

int zt_netif_ping(const uint8_t *ip, size_t ip_len, uint16_t ident, uint16_t seq, const uint8_t *payload, size_t len);
// An echo reply: its payload's length (cut to size) or -1 for none.
int zt_netif_pong(uint8_t ip[16], size_t *ip_len, uint16_t *ident, uint16_t *seq, uint8_t *buf, size_t size);

// The port supplies these.
uint32_t zt_netif_random(void);
uint32_t sys_now(void);

#endif
