// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What the files of this variant share.

#ifndef ZT_UNIX_H
#define ZT_UNIX_H

#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "zt_hal.h"
#include "zt_wait.h"
#include "zt_wires.h"

// ---- zt_process.c ----
// A signal that came during the pump is let in; call it after each.
void zt_process_after_pump(void);
// KeyboardInterrupt is about to be raised.
bool zt_process_interrupted(void);
// ppoll(2) that no such signal slips past; negative ms: no limit.
int zt_process_sleep(struct pollfd *fds, unsigned n, int32_t ms);

// ---- zt_watch.c ----
#define ZT_WATCH_FEW 12 // slept on as they are; more by their epoll set

// Before the first use; 0 or an errno.
int zt_watch_init(void);
// Watch a descriptor: readable ends a wait. It has a number as zt_watch_ready tells it, or -1. Remove it
// before it is closed.
int zt_watch_add(int fd, int number);
void zt_watch_remove(int fd);
// Give a watched descriptor another number.
int zt_watch_renumber(int fd, int number);
// The numbers of what can be read now: wires, and ZT_WIRES + n for TAP device n.
int zt_watch_ready(int *found, int max);
// Ends a sleep, or the next one.
void zt_watch_kick(void);
void zt_watch_read_kick(void);
// Around a sleep: appends to its descriptors what is ours, at most ZT_WATCH_FEW, their count; then how many of them
// are ready.
unsigned zt_watch_begin(struct pollfd *fds);
int zt_watch_end(const struct pollfd *fds, unsigned n);

// ---- zt_wait.c ----
// One turn of lwIP's timers and of the pump.
void zt_wait_pump(void);
// Also skips the turn if nothing is due, for waits of 0 ms in a busy loop.
void zt_wait_pump_if_due(void);
// Sleep until one of fds is ready, a wire is readable, a kick, a signal, the node's next deadline or ms;
// like poll(2), the count of ready fds.
int zt_wait_poll(struct pollfd *fds, unsigned n, int32_t ms);
// True when the last sleep ended by a wire or a kick.
bool zt_wait_woken(void);

// ---- zt_wire.c ----
#define ZT_WIRES 64

typedef struct {
    bool used;
    int fd;
    bool v6;
    bool no_gso;    // the kernel does not know UDP_SEGMENT, or is not to be asked for it
    uint32_t scope; // interface of a link-local wire
    uint8_t ip[16]; // bound to, all zero for any
    uint16_t port;
} zt_wire_t;

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} zt_sockaddr_t;

extern zt_wire_t zt_wires[ZT_WIRES];

// *a is set to an address as this wire's socket takes it; its length, 0 when it is of the other family.
socklen_t zt_wire_address(zt_sockaddr_t *a, const zt_wire_t *w, const zt_addr_t *to);
// And back.
void zt_wire_source(zt_addr_t *from, const zt_wire_t *w, const zt_sockaddr_t *a);

// ---- zt_interfaces.c ----
// The interface that has this link-local address, 0 for none.
uint32_t zt_interfaces_scope(const uint8_t ip[16]);

// ---- zt_io.c ----
// A wire was opened; a wire is about to be closed.
void zt_io_wire(int wire);
void zt_io_forget(int wire);

// ---- zt_io_out.c ----
typedef union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
} zt_control_t;

// Does the kernel know UDP_SEGMENT?
bool zt_io_out_segments(int fd);
// Of zt_hal_t: wire_get and wire_put.
uint8_t *zt_io_out_get(void *ctx, int wire, size_t n);
int zt_io_out_put(void *ctx, int wire, const zt_addr_t *to, uint8_t *slot, size_t n, size_t datagram);

// ---- zt_tap_io.c ----
#define ZT_TAPS 64

// From now on the plane moves the frames of TAP device `fd`, which is interface `nic`; fd -1 ends that.
// 0 or an errno.
int zt_tap_give(int nic, int fd);
// The interface that a descriptor was given for, or -1.
int zt_tap_find(int fd);
// Does the plane read the device? Else Python does.
bool zt_tap_held(int nic);
// A frame for the host; false if there is no such device.
bool zt_tap_write(int nic, const uint8_t *frame, size_t n);
// The devices that frames were written to since the last call, a bit each: the host may have answered.
uint64_t zt_tap_written(void);
// Bring what the host sent to the plane, up to a bound; true if some may be left.
bool zt_tap_drain(int nic);
// Something of a device is for Python: a frame of a network that is not in the plane, or its end.
bool zt_tap_pending(void);
void zt_tap_none_pending(void);

#endif
