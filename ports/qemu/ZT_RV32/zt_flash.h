// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The disk as a NOR flash: blocks of 4 KB that are erased to 0xff, writes that can only clear bits, and a
// power that can fail in the middle of either. The failure is the machine's doing, not the program's:
// `cut=N seed=S` among the machine's arguments lets the N-th write or erase from the start end at a random
// bit, whereupon the machine stops.

#ifndef ZT_FLASH_H
#define ZT_FLASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZT_FLASH_BLOCK 4096
#define ZT_FLASH_CUT_EXIT 77 // the exit status of a machine whose power was cut

typedef struct {
    uint32_t writes;
    uint32_t written; // bytes
    uint32_t erases;
} zt_flash_stats_t;

extern zt_flash_stats_t zt_flash_stats;

void zt_flash_cut(uint32_t after, uint32_t seed);
uint32_t zt_flash_blocks(void);
// False if out of range or refused by the disk.
bool zt_flash_read(uint32_t at, uint8_t *p, size_t n);
bool zt_flash_write(uint32_t at, const uint8_t *p, size_t n);
bool zt_flash_erase(uint32_t block);

#endif
