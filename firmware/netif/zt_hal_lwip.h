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
// Out: packets are sealed in slots, pbufs of lwIP's memory with room for all headers in front, ZT_HAL_SLOTS
// at a time. A slot is free when lwIP has let go of it, which with an unanswered ARP is later than the return
// of wire_put. A packet goes out at the interface that has the wire's address, and never into one of our own
// networks.

#ifndef ZT_HAL_LWIP_H
#define ZT_HAL_LWIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zt_netif_limits.h"
#include "zt_wires.h"

typedef struct {
    uint32_t rx_full;   // datagrams that found the queue to Python full
    uint32_t rx_budget; // more to decrypt than the budget allows
    uint32_t rx_memory; // no memory for a copy
    uint32_t rx_loop;   // came out of one of our own networks
    uint32_t tx_slot;   // no free slot, or no memory for one
    uint32_t tx_loop;   // the way led into one of our own networks
    uint32_t tx_route;  // no interface for the destination
    uint32_t tx_stack;  // lwIP did not take it
} zt_hal_drops_t;

extern zt_hal_drops_t zt_hal_drops;

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

// Does a wire listen at this UDP port? For a driver of the board's network: what comes there is authenticated.
bool zt_hal_wire_at(uint16_t port);

#endif
