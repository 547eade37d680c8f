// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The node's wires (UDP sockets) as the module _zthal uses them. On boards they are lwIP's (zt_hal_lwip.h), on
// the unix port the host's. All of it runs in the stack's context (zt_port.h), never blocks, and knows
// nothing of MicroPython.

#ifndef ZT_WIRES_H
#define ZT_WIRES_H

#include <stddef.h>
#include <stdint.h>

#include "zt_hal.h"

// Errors are errno numbers as Linux has them, which lib/zt takes for granted.
#define ZT_WIRE_EBADF 9
#define ZT_WIRE_ENOMEM 12
#define ZT_WIRE_EINVAL 22
#define ZT_WIRE_EMFILE 24
#define ZT_WIRE_EAFNOSUPPORT 97
#define ZT_WIRE_EADDRINUSE 98
#define ZT_WIRE_ENETUNREACH 101
#define ZT_WIRE_ENOBUFS 105
#define ZT_WIRE_EHOSTUNREACH 113

// ip is 4 or 16 bytes, all zero for any; port 0 draws one. The wire's number, or a negative error.
int zt_wire_open(const uint8_t *ip, size_t len, uint16_t port);
// 0 or a negative error.
int zt_wire_close(int wire);
void zt_wire_close_all(void);
// The port it is bound to, or a negative error.
int zt_wire_port(int wire);
// A datagram of Python's; ttl 0 is the usual one. 0 or an error (positive).
int zt_wire_send(int wire, const zt_addr_t *to, const uint8_t *p, size_t n, unsigned ttl);
// The next datagram of a wire that the plane does not read: its length, 0 for none, or a negative error.
int zt_wire_recv(int wire, uint8_t *buf, size_t size, zt_addr_t *from);

#endif
