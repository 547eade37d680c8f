// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// See zt_flash.h.

#include <string.h>

#include "zt_board.h"
#include "zt_flash.h"
#include "zt_virtio.h"

#define SECTOR 512

zt_flash_stats_t zt_flash_stats;
static uint32_t cut_after; // 0: never
static uint32_t operations;
static uint32_t noise;

void zt_flash_cut(uint32_t after, uint32_t seed) {
    cut_after = after;
    noise = seed != 0 ? seed : 1;
}

static uint32_t draw(void) {
    noise ^= noise << 13;
    noise ^= noise >> 17;
    noise ^= noise << 5;
    return noise;
}

// True if the power fails during this operation.
static bool fails(void) {
    operations++;
    return cut_after != 0 && operations == cut_after;
}

uint32_t zt_flash_blocks(void) {
    return zt_virtio_disk_sectors() / (ZT_FLASH_BLOCK / SECTOR);
}

static bool in_range(uint32_t at, size_t n) {
    uint32_t size = zt_flash_blocks() * ZT_FLASH_BLOCK;
    return at <= size && n <= size - at;
}

static uint8_t sector[ZT_FLASH_BLOCK / 4];

bool zt_flash_read(uint32_t at, uint8_t *p, size_t n) {
    if (!in_range(at, n)) {
        return false;
    }
    while (n != 0) {
        uint32_t offset = at % SECTOR;
        size_t take = SECTOR - offset < n ? SECTOR - offset : n;
        if (offset == 0 && n >= SECTOR) {
            take = n - n % SECTOR;
            if (!zt_virtio_disk_read(at / SECTOR, p, take)) {
                return false;
            }
        } else {
            if (!zt_virtio_disk_read(at / SECTOR, sector, SECTOR)) {
                return false;
            }
            memcpy(p, sector + offset, take);
        }
        at += (uint32_t)take;
        p += take;
        n -= take;
    }
    return true;
}

// Clears what is clear in p (NULL: sets all bits) in n bytes; the last of them only in part, if torn.
static bool change(uint32_t at, const uint8_t *p, size_t n, bool torn) {
    while (n != 0) {
        uint32_t offset = at % SECTOR;
        size_t take = SECTOR - offset < n ? SECTOR - offset : n;
        if (!zt_virtio_disk_read(at / SECTOR, sector, SECTOR)) {
            return false;
        }
        for (size_t i = 0; i < take; i++) {
            uint8_t old = sector[offset + i];
            uint8_t wanted = p != NULL ? (uint8_t)(old & p[i]) : 0xff;
            if (torn && i + 1 == n) {
                uint8_t reached = (uint8_t)draw();
                wanted = (uint8_t)((old & ~reached) | (wanted & reached));
            }
            sector[offset + i] = wanted;
        }
        if (!zt_virtio_disk_write(at / SECTOR, sector, SECTOR, 1)) {
            return false;
        }
        at += (uint32_t)take;
        p = p != NULL ? p + take : NULL;
        n -= take;
    }
    return true;
}

static bool operate(uint32_t at, const uint8_t *p, size_t n) {
    if (!in_range(at, n)) {
        return false;
    }
    if (fails()) {
        change(at, p, n != 0 ? 1 + draw() % n : 0, true);
        zt_board_halt(ZT_FLASH_CUT_EXIT);
    }
    if (p == NULL) { // a whole block, at once
        memset(sector, 0xff, sizeof(sector));
        return zt_virtio_disk_write(at / SECTOR, sector, sizeof(sector), ZT_FLASH_BLOCK / sizeof(sector));
    }
    return change(at, p, n, false);
}

bool zt_flash_write(uint32_t at, const uint8_t *p, size_t n) {
    zt_flash_stats.writes++;
    zt_flash_stats.written += (uint32_t)n;
    return operate(at, p, n);
}

bool zt_flash_erase(uint32_t block) {
    zt_flash_stats.erases++;
    return block < zt_flash_blocks() && operate(block * ZT_FLASH_BLOCK, NULL, ZT_FLASH_BLOCK);
}
