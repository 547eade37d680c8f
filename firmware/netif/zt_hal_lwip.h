// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The node's wires on a board: raw UDP pcbs of the board's own lwIP, and the data plane's port (zt_hal.h)
// over them. Plain C over lwIP, the same on the emulated board and on the ESP32; it knows nothing of
// MicroPython. Everything here runs in the stack's context (zt_port.h) and never blocks.
//
// In: a datagram that lies in one piece and belongs to nobody else is decrypted where it is, and its pbuf
// goes on to the network's interface. Datagrams that follow one which Python has to see wait for Python's
// turn, so that what follows a revocation is judged after it - as long as there is room for them to wait.
// A budget of decryptions in a stretch of time keeps a flood from taking the processor.
//
// Out: packets are sealed in slots that are pbufs with room for all headers in front. A slot is free when
// lwIP has let go of it, which with an unanswered ARP is later than the return of wire_put. A packet goes
// out at the interface that has the wire's address, and never into one of our own networks.

#ifndef ZT_HAL_LWIP_H
#define ZT_HAL_LWIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zt_hal.h"
#include "zt_netif_limits.h"

// Errors are errno numbers as Linux has them, which lib/zt takes for granted.
#define ZT_WIRE_ENOMEM 12
#define ZT_WIRE_EBADF 9
#define ZT_WIRE_EINVAL 22
#define ZT_WIRE_EMFILE 24
#define ZT_WIRE_ENOBUFS 105
#define ZT_WIRE_EAFNOSUPPORT 97
#define ZT_WIRE_EADDRINUSE 98
#define ZT_WIRE_ENETUNREACH 101
#define ZT_WIRE_EHOSTUNREACH 113

typedef struct {
    uint32_t rx_full;   // datagrams that found the queue to Python full
    uint32_t rx_budget; // more to decrypt than the budget allows
    uint32_t rx_memory; // no memory for a copy
    uint32_t rx_loop;   // came out of one of our own networks
    uint32_t tx_slot;   // no free slot
    uint32_t tx_loop;   // the way led into one of our own networks
    uint32_t tx_route;  // no interface for the destination
    uint32_t tx_stack;  // lwIP did not take it
} zt_hal_drops_t;

extern zt_hal_drops_t zt_hal_drops;

// ip is 4 or 16 bytes, all zero for any; port 0 draws one. The wire's number, or a negative error.
int zt_wire_open(const uint8_t *ip, size_t len, uint16_t port);
int zt_wire_close(int wire);
void zt_wire_close_all(void);
int zt_wire_port(int wire);
// A datagram of Python's; ttl 0 is the usual one. 0 or an error (positive).
int zt_wire_send(int wire, const zt_addr_t *to, const uint8_t *p, size_t n, unsigned ttl);
// Without a plane: the next datagram of a wire, its length or 0.
int zt_wire_recv(int wire, uint8_t *buf, size_t size, zt_addr_t *from);
// Something waits for zt_wire_recv, or behind an event for zt_port_drain.
bool zt_wire_waiting(void); // any thread
// Changes when a link or an address of the board's own changes.
uint32_t zt_wire_serial(void); // any thread

// The board's addresses, not those of our networks: index counts from 0; false past the last one.
typedef struct {
    char name[4];
    uint8_t ip[16];
    uint8_t len;
    uint8_t bits;
} zt_interface_t;
bool zt_wire_interface(unsigned index, zt_interface_t *out);

#endif
