// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What the module _ztplane asks of the port it is built into, and what the port may know of the plane.
// One plane a process.

#ifndef ZT_PLANE_PORT_H
#define ZT_PLANE_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "zt_netif.h"
#include "zt_plane.h"
#include "zt_port.h"

#ifndef ZT_PLANE_NICS
#define ZT_PLANE_NICS ZT_NETIF_MAX // numbers of interfaces are below
#endif

// The running plane, or NULL.
extern zt_plane_t *zt_plane;

// ---- from the port

extern const zt_hal_t zt_port_hal; // without kick, which is the module's
// The plane has begun, or has ended.
void zt_port_plane(void);
// Bring what the wires have to the plane, until there is an event for Python, a bound, or nothing left. True
// if some may be left.
bool zt_port_drain(void);
// Was something left by the last one?
bool zt_port_more(void);
// Besides events, frames and echo replies: does something of the port's wait for Python's turn? Any thread.
bool zt_port_waiting(void);
// Send what is queued.
void zt_port_flush(void);

typedef struct {
    uint32_t rx_messages; // of recvmmsg
    uint32_t rx_datagrams;
    uint32_t tx_messages; // of sendmmsg
    uint32_t tx_refused; // messages the host's stack did not take
    uint32_t tap_reads; // frames the host sent into its devices
    uint32_t tap_writes;
    uint32_t tap_refused; // frames a device did not take
    uint32_t tap_looped; // of tap_reads: datagrams of the node itself, dropped
} zt_io_counters_t;

extern zt_io_counters_t zt_io_counters;

// ---- from zt_plane_run.c

// No plane any more; not from the stack's context (zt_port_enter).
void zt_plane_end(void);
// Events wait; from any thread.
bool zt_plane_pending(void);
// A frame that an interface wants sent, in the stack's context; false if the plane does not know the interface.
bool zt_plane_linkoutput(int nic, const zt_seg_t *segments, size_t count);
// The same with the plane's word of it (ZT_PLANE_DONE ...), -1 for false.
int zt_plane_from_nic(int nic, const zt_seg_t *segments, size_t count);
// Does the plane know the interface?
bool zt_plane_knows(int nic);

#endif
