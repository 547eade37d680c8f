// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What the parts of the HAL over lwIP show to each other: the wires' table (zt_hal_lwip.c) and what comes in
// (zt_hal_lwip_rx.c). What goes out (zt_hal_lwip_tx.c) has nothing to show but zt_port_hal.

#ifndef ZT_HAL_LWIP_PRIV_H
#define ZT_HAL_LWIP_PRIV_H

#include "lwip/netif.h"
#include "lwip/udp.h"
#include "zt_hal_lwip.h"

typedef struct {
    struct udp_pcb *pcb; // NULL: free
    ip_addr_t ip;        // any, or an address of the board's
} zt_hal_wire_t;

// ---- zt_hal_lwip.c ----
// NULL if there is no such wire.
zt_hal_wire_t *zt_hal_wire(int n);
// The number of one.
int zt_hal_wire_number(const zt_hal_wire_t *w);
// The interface that has an address, or NULL.
struct netif *zt_hal_owner(const ip_addr_t *ip);

// ---- zt_hal_lwip_rx.c ----
// udp_recv() calls it; arg is the wire.
void zt_hal_received(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip, u16_t port);
// What came in by a wire is void; of all: -1.
void zt_hal_rx_forget(int wire);
void zt_hal_nic_input(void *ctx, int nic, void *owner, uint8_t *frame, size_t n);

#endif
