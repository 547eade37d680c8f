// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What the data plane asks of the port below it: slots for datagrams, interfaces for frames, a way to wake
// Python. A table of functions and a context, so that one process can hold several planes and the core
// library links without a port. None may block; all are called in the plane's one context.

#ifndef ZT_HAL_H
#define ZT_HAL_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t ip[16]; // the first `size` bytes; the rest is zero
    uint16_t port;
    uint8_t size; // 4 or 16; 0: none
    uint8_t unused; // zero
} zt_addr_t;

// A piece of a frame that is not in one piece.
typedef struct {
    const uint8_t *p;
    size_t n;
} zt_seg_t;

typedef struct {
    // A slot of n bytes (up to ZT_HAL_SLOT_MAX) for datagrams of this wire; NULL if there is none now.
    uint8_t *(*wire_get)(void *ctx, int wire, size_t n);

    // Takes a slot back. Sends slot[0..n) to `to` as datagrams of `datagram` bytes each, the last one what
    // is left (the form of UDP_SEGMENT); with n 0 nothing is sent. 0 if sent or queued, else an errno.
    int (*wire_put)(void *ctx, int wire, const zt_addr_t *to, uint8_t *slot, size_t n, size_t datagram);

    // A whole Ethernet frame for an interface; it may be changed, and is valid until the return. If `owner`
    // is not NULL it is the one that the caller of zt_plane_rx gave and the frame lies in that datagram. May
    // call zt_plane_tx (a stack that answers at once) but nothing else of the plane.
    void (*nic_input)(void *ctx, int nic, void *owner, uint8_t *frame, size_t n);

    // Events wait where none did before: read them with zt_plane_event_get until there is none.
    void (*kick)(void *ctx);
} zt_hal_t;

#define ZT_HAL_SLOT_MAX 10024 // the longest packet with the headers of its pieces

#endif
