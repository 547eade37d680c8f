// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// See zt_virtio.h. Interrupts are never taken: they are raised so that they end the processor's wait, and
// acknowledged by whoever waited.

#include <string.h>

#include "zt_virtio.h"

#define SLOTS 8
#define BASE(slot) (0x10001000u + (uint32_t)(slot) * 0x1000u)
#define REG(base, offset) (*(volatile uint32_t *)(uintptr_t)((base) + (offset)))

enum {
    MAGIC = 0x00, VERSION = 0x04, DEVICE = 0x08, FEATURES = 0x10, FEATURES_SELECT = 0x14, ACCEPT = 0x20,
    ACCEPT_SELECT = 0x24, QUEUE_SELECT = 0x30, QUEUE_MAX = 0x34, QUEUE_SIZE = 0x38, QUEUE_READY = 0x44,
    NOTIFY = 0x50, IRQ_STATUS = 0x60, IRQ_ACK = 0x64, STATUS = 0x70, DESCRIPTORS = 0x80, DRIVER_RING = 0x90,
    DEVICE_RING = 0xa0, CONFIG = 0x100,
};

enum { NET = 1, DISK = 2, RANDOM = 4 }; // device ids
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
#define NET_F_MAC (1u << 5)
#define DESC_NEXT 1
#define DESC_WRITE 2

#define ENTRIES 8

typedef struct {
    struct {
        uint64_t address;
        uint32_t n;
        uint16_t flags;
        uint16_t next;
    } desc[ENTRIES] __attribute__((aligned(16)));
    struct {
        uint16_t flags;
        uint16_t index;
        uint16_t ring[ENTRIES];
        uint16_t event;
    } driver __attribute__((aligned(4)));
    volatile struct {
        uint16_t flags;
        uint16_t index;
        struct {
            uint32_t id;
            uint32_t n;
        } ring[ENTRIES];
        uint16_t event;
    } device __attribute__((aligned(4)));
    uint16_t seen; // of device.index
} queue_t;

static void fence(void) {
    __asm volatile ("fence iorw, iorw" ::: "memory");
}

static uint32_t find(uint32_t device) {
    for (int i = 0; i < SLOTS; i++) {
        if (REG(BASE(i), MAGIC) == 0x74726976 && REG(BASE(i), VERSION) == 2 && REG(BASE(i), DEVICE) == device) {
            return BASE(i);
        }
    }
    return 0;
}

// The device's address up to where its queues are set up, or 0.
static uint32_t begin(uint32_t device, uint32_t features) {
    uint32_t base = find(device);
    if (base == 0) {
        return 0;
    }
    REG(base, STATUS) = 0;
    REG(base, STATUS) = ACKNOWLEDGE | DRIVER;
    REG(base, FEATURES_SELECT) = 0;
    features &= REG(base, FEATURES);
    REG(base, ACCEPT_SELECT) = 0;
    REG(base, ACCEPT) = features;
    REG(base, ACCEPT_SELECT) = 1;
    REG(base, ACCEPT) = 1; // VIRTIO_F_VERSION_1
    REG(base, STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    return (REG(base, STATUS) & FEATURES_OK) != 0 ? base : 0;
}

static bool queue_start(uint32_t base, uint32_t number, queue_t *q) {
    memset(q, 0, sizeof(*q));
    REG(base, QUEUE_SELECT) = number;
    if (REG(base, QUEUE_MAX) < ENTRIES) {
        return false;
    }
    REG(base, QUEUE_SIZE) = ENTRIES;
    REG(base, DESCRIPTORS) = (uint32_t)(uintptr_t)q->desc;
    REG(base, DESCRIPTORS + 4) = 0;
    REG(base, DRIVER_RING) = (uint32_t)(uintptr_t)&q->driver;
    REG(base, DRIVER_RING + 4) = 0;
    REG(base, DEVICE_RING) = (uint32_t)(uintptr_t)&q->device;
    REG(base, DEVICE_RING + 4) = 0;
    REG(base, QUEUE_READY) = 1;
    return true;
}

static void describe(queue_t *q, unsigned i, void *p, size_t n, unsigned flags) {
    q->desc[i].address = (uintptr_t)p;
    q->desc[i].n = (uint32_t)n;
    q->desc[i].flags = (uint16_t)flags;
    q->desc[i].next = (uint16_t)(i + 1);
}

static void offer(uint32_t base, uint32_t number, queue_t *q, unsigned first) {
    q->driver.ring[q->driver.index % ENTRIES] = (uint16_t)first;
    fence();
    q->driver.index++;
    fence();
    REG(base, NOTIFY) = number;
}

static bool answered(const queue_t *q) {
    fence();
    return q->seen != q->device.index;
}

// ---- network ----

#define HEADER 12 // of virtio, before each frame
#define FRAME_BUFFER 1536
#define TX_BUFFERS 4

static uint32_t net;
static queue_t net_rx, net_tx;
static uint8_t rx_buffers[ENTRIES][FRAME_BUFFER] __attribute__((aligned(4)));
static uint8_t tx_buffers[TX_BUFFERS][FRAME_BUFFER] __attribute__((aligned(4)));

int zt_virtio_net_start(uint8_t mac[6]) {
    if (net == 0) {
        uint32_t base = begin(NET, NET_F_MAC);
        if (base == 0 || !queue_start(base, 0, &net_rx) || !queue_start(base, 1, &net_tx)) {
            return -1;
        }
        net_tx.driver.flags = 1; // no interrupt for what was sent
        REG(base, STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
        for (unsigned i = 0; i < ENTRIES; i++) {
            describe(&net_rx, i, rx_buffers[i], FRAME_BUFFER, DESC_WRITE);
            offer(base, 0, &net_rx, i);
        }
        net = base;
    }
    for (unsigned i = 0; i < 6; i++) {
        mac[i] = *(volatile uint8_t *)(uintptr_t)(net + CONFIG + i);
    }
    return 0;
}

static unsigned net_slot(void) {
    return net_tx.driver.index % TX_BUFFERS;
}

uint8_t *zt_virtio_net_buffer(void) {
    fence();
    if (net == 0 || (uint16_t)(net_tx.driver.index - net_tx.device.index) >= TX_BUFFERS) {
        return NULL;
    }
    uint8_t *b = tx_buffers[net_slot()];
    memset(b, 0, HEADER);
    return b + HEADER;
}

void zt_virtio_net_send(size_t n) {
    unsigned i = net_slot();
    describe(&net_tx, i, tx_buffers[i], HEADER + n, 0);
    offer(net, 1, &net_tx, i);
}

size_t zt_virtio_net_receive(uint8_t **frame) {
    if (net == 0) {
        return 0;
    }
    while (answered(&net_rx)) {
        unsigned i = net_rx.seen % ENTRIES;
        uint32_t n = net_rx.device.ring[i].n;
        if (n > HEADER && n <= FRAME_BUFFER) {
            *frame = rx_buffers[net_rx.device.ring[i].id % ENTRIES] + HEADER;
            return n - HEADER;
        }
        zt_virtio_net_done();
    }
    return 0;
}

void zt_virtio_net_done(void) {
    unsigned id = net_rx.device.ring[net_rx.seen % ENTRIES].id % ENTRIES;
    net_rx.seen++;
    offer(net, 0, &net_rx, id);
}

// ---- random numbers ----

static uint32_t rng;
static queue_t rng_queue;

bool zt_virtio_random(void *p, size_t n) {
    static uint8_t pool[64];
    static size_t left;
    if (rng == 0) {
        uint32_t base = begin(RANDOM, 0);
        if (base == 0 || !queue_start(base, 0, &rng_queue)) {
            return false;
        }
        REG(base, STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
        rng_queue.driver.flags = 1;
        rng = base;
    }
    uint8_t *out = p;
    while (n != 0) {
        if (left == 0) {
            describe(&rng_queue, 0, pool, sizeof(pool), DESC_WRITE);
            offer(rng, 0, &rng_queue, 0);
            while (!answered(&rng_queue)) {
            }
            left = rng_queue.device.ring[rng_queue.seen++ % ENTRIES].n;
            left = left < sizeof(pool) ? left : sizeof(pool);
            continue;
        }
        *out++ = pool[--left];
        pool[left] = 0; // given out once
        n--;
    }
    return true;
}

// ---- disk ----

static uint32_t disk;
static bool disk_tried;
static queue_t disk_queue;

uint32_t zt_virtio_disk_sectors(void) {
    if (!disk_tried) {
        disk_tried = true;
        uint32_t base = begin(DISK, 0);
        if (base != 0 && queue_start(base, 0, &disk_queue)) {
            REG(base, STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
            disk = base;
        }
    }
    return disk != 0 ? REG(disk, CONFIG) : 0;
}

static bool disk_request(bool write, uint32_t sector, uint8_t *buf, size_t n, unsigned times) {
    static struct {
        uint32_t type;
        uint32_t unused;
        uint64_t sector;
    } request;
    static volatile uint8_t status;
    uint32_t size = zt_virtio_disk_sectors();
    uint32_t count = (uint32_t)n / 512 * times;
    if (sector > size || count > size - sector) {
        return false;
    }
    request.type = write;
    request.sector = sector;
    status = 255;
    describe(&disk_queue, 0, &request, sizeof(request), DESC_NEXT);
    unsigned i = 1;
    while (times-- != 0) {
        describe(&disk_queue, i++, buf, n, DESC_NEXT | (write ? 0 : DESC_WRITE));
    }
    describe(&disk_queue, i, (void *)(uintptr_t)&status, 1, DESC_WRITE);
    offer(disk, 0, &disk_queue, 0);
    while (!answered(&disk_queue)) {
        zt_virtio_sleep(UINT64_MAX); // a core that spins takes the processor from the disk's thread
    }
    disk_queue.seen++;
    return status == 0;
}

bool zt_virtio_disk_read(uint32_t sector, uint8_t *buf, size_t n) {
    return disk_request(false, sector, buf, n, 1);
}

bool zt_virtio_disk_write(uint32_t sector, const uint8_t *buf, size_t n, unsigned times) {
    return disk_request(true, sector, (uint8_t *)(uintptr_t)buf, n, times);
}

// ---- sleep ----

#define PLIC_PRIORITY(irq) (*(volatile uint32_t *)(0x0c000000u + 4 * (irq)))
#define PLIC_ENABLE (*(volatile uint32_t *)0x0c002000u)
#define PLIC_THRESHOLD (*(volatile uint32_t *)0x0c200000u)
#define PLIC_CLAIM (*(volatile uint32_t *)0x0c200004u)
#define UART_IRQ 10

void zt_virtio_wake_init(void) {
    for (uint32_t irq = 1; irq <= SLOTS; irq++) {
        PLIC_PRIORITY(irq) = 1;
    }
    PLIC_PRIORITY(UART_IRQ) = 1;
    PLIC_ENABLE = ((1u << SLOTS) - 1) << 1 | 1u << UART_IRQ;
    PLIC_THRESHOLD = 0;
    __asm volatile ("csrrci zero, mstatus, 8" ::: "memory"); // upstream's start-up code allows them
    __asm volatile ("csrw mie, %0" :: "r" (1u << 11 | 1u << 7) : "memory");
}

static void acknowledge(void) {
    uint32_t irq;
    while ((irq = PLIC_CLAIM) != 0) {
        if (irq <= SLOTS) {
            uint32_t base = BASE(irq - 1);
            REG(base, IRQ_ACK) = REG(base, IRQ_STATUS);
        }
        PLIC_CLAIM = irq;
        if (irq == UART_IRQ) {
            return; // pending until it is read
        }
    }
}

#define MTIMECMP ((volatile uint32_t *)0x02004000)

void zt_virtio_sleep(uint64_t until) {
    MTIMECMP[1] = UINT32_MAX;
    MTIMECMP[0] = (uint32_t)until;
    MTIMECMP[1] = (uint32_t)(until >> 32);
    __asm volatile ("wfi" ::: "memory");
    acknowledge();
}
