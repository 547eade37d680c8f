// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The devices of QEMU's "virt" machine over virtio-mmio (version 2, polled): network card, random numbers,
// disk. A device that the machine was started without is absent, and its functions say so.

#ifndef ZT_VIRTIO_H
#define ZT_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- network ----

#define ZT_VIRTIO_FRAME 1514

// 0, or -1 without a card.
int zt_virtio_net_start(uint8_t mac[6]);
// A buffer to write a frame into, or NULL when the card has not sent the last ones yet; then send it.
uint8_t *zt_virtio_net_buffer(void);
void zt_virtio_net_send(size_t n);
// The oldest frame received, its length or 0; done gives its buffer back to the card.
size_t zt_virtio_net_receive(uint8_t **frame);
void zt_virtio_net_done(void);

// ---- random numbers ----

// False without a device.
bool zt_virtio_random(void *p, size_t n);

// ---- disk ----

// Sectors of 512 bytes; 0 without a disk.
uint32_t zt_virtio_disk_sectors(void);
// n bytes, whole sectors; written ones are the buffer's `times` times over, four times at most. False if the
// disk refuses.
bool zt_virtio_disk_read(uint32_t sector, uint8_t *buf, size_t n);
bool zt_virtio_disk_write(uint32_t sector, const uint8_t *buf, size_t n, unsigned times);

// ---- sleep ----

// Let the interrupts of all devices and of the clock end a sleep; none is ever taken.
void zt_virtio_wake_init(void);
// Until a device has something or the clock (in its ticks) has reached `until`.
void zt_virtio_sleep(uint64_t until);

#endif
