// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// See zt_hal_lwip.h.

#include <string.h>

#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/udp.h"
#include "lwip/sys.h"
#include "netif/ethernet.h"
#include "zt_atomic.h"
#include "zt_hal_lwip.h"
#include "zt_netif_priv.h"
#include "zt_plane_port.h"

zt_hal_drops_t zt_hal_drops;
zt_io_counters_t zt_io_counters;

typedef struct {
    struct udp_pcb *pcb; // NULL: free
    ip_addr_t ip;        // any, or an address of the board's
} wire_t;

static wire_t wires[ZT_WIRES_MAX];

static wire_t *get_wire(int n) {
    return n >= 0 && n < ZT_WIRES_MAX && wires[n].pcb != NULL ? &wires[n] : NULL;
}

static void to_address(zt_addr_t *out, const ip_addr_t *ip, uint16_t port) {
    memset(out, 0, sizeof(*out));
    out->port = port;
    if (IP_IS_V6(ip)) {
        out->size = 16;
        memcpy(out->ip, ip_2_ip6(ip)->addr, 16);
    } else {
        out->size = 4;
        memcpy(out->ip, &ip_2_ip4(ip)->addr, 4);
    }
}

// ---- in: what waits for Python, or behind what waits for Python ----

static struct {
    struct pbuf *p;
    zt_addr_t from;
    int wire;
} queue[ZT_HAL_QUEUE];
static unsigned queue_first;
static uint32_t queue_count; // any thread may look whether there is any

static bool queue_put(int wire, const zt_addr_t *from, struct pbuf *p) {
    if (queue_count == ZT_HAL_QUEUE) {
        return false;
    }
    unsigned i = (queue_first + queue_count) % ZT_HAL_QUEUE;
    ZT_STORE(queue_count, queue_count + 1);
    queue[i].p = p;
    queue[i].from = *from;
    queue[i].wire = wire;
    return true;
}

static struct pbuf *queue_get(int *wire, zt_addr_t *from) {
    unsigned i = queue_first;
    *wire = queue[i].wire;
    *from = queue[i].from;
    queue_first = (queue_first + 1) % ZT_HAL_QUEUE;
    ZT_STORE(queue_count, queue_count - 1);
    return queue[i].p;
}

static void queue_clear(void) {
    int wire;
    zt_addr_t from;
    while (queue_count != 0) {
        pbuf_free(queue_get(&wire, &from));
    }
}

bool zt_wire_waiting(void) {
    return ZT_LOAD(queue_count) != 0;
}

// ---- in: to the plane ----

typedef struct {
    struct pbuf *p;
    bool taken; // lwIP has it
} owner_t;

// How much may be decrypted in one stretch of time, in bytes; a packet costs the same as so many more.
#define PACKET_COST 256

static bool within_budget(uint32_t now, size_t n) {
    static uint32_t since;
    static uint32_t spent;
    if (now - since >= ZT_HAL_BUDGET_MS) {
        since = now;
        spent = 0;
    }
    if (spent >= ZT_HAL_BUDGET) {
        return false;
    }
    spent += PACKET_COST + (uint32_t)n;
    return true;
}

// Brings a datagram to the plane and lets go of it; true if Python has to see something before the next one.
static bool process(int wire, const zt_addr_t *from, struct pbuf *p) {
    uint32_t now = zt_port_ms();
    if (!within_budget(now, p->tot_len)) {
        zt_hal_drops.rx_budget++;
        pbuf_free(p);
        return false;
    }
    if (p->next != NULL || p->ref != 1) {
        // In pieces, or somebody else's too: not ours to write to.
        struct pbuf *copy = pbuf_alloc(PBUF_RAW, p->tot_len, PBUF_RAM);
        if (copy == NULL) {
            zt_hal_drops.rx_memory++;
            pbuf_free(p);
            return false;
        }
        pbuf_copy(copy, p);
        pbuf_free(p);
        p = copy;
    }
    zt_io_counters.rx_messages++;
    zt_io_counters.rx_datagrams++;
    owner_t owner = { p, false };
    int result = zt_plane_rx(zt_plane, now, wire, from, p->payload, p->len, &owner);
    if (!owner.taken) {
        pbuf_free(p);
    }
    return result == ZT_PLANE_EVENT;
}

#define FRAME_MIN 60

static void nic_input(void *ctx, int nic, void *owner_in, uint8_t *frame, size_t n) {
    (void)ctx;
    owner_t *owner = owner_in;
    zt_netif_t *z = zt_netif_get(nic);
    if (owner == NULL || z == NULL || n < FRAME_MIN) {
        zt_netif_input(nic, frame, n);
        return;
    }
    // The frame lies in the datagram's own pbuf, which now becomes the frame's.
    struct pbuf *p = owner->p;
    p->payload = frame;
    p->len = p->tot_len = (u16_t)n;
    owner->taken = true;
    zt_netif_active++;
    if (ethernet_input(p, &z->netif) != ERR_OK) {
        pbuf_free(p);
    }
}

static void received(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip, u16_t port) {
    (void)pcb;
    int wire = (int)((wire_t *)arg - wires);
    zt_addr_t from;
    if (zt_netif_ours(ip_current_input_netif())) {
        // Out of one of our networks: lwIP takes a packet for any address it has from any interface. A
        // tunnel in the tunnel has no end, and the plane is not to be entered from within.
        zt_hal_drops.rx_loop++;
        pbuf_free(p);
        return;
    }
    to_address(&from, ip, port);
    if (zt_plane == NULL) {
        if (!queue_put(wire, &from, p)) {
            zt_hal_drops.rx_full++;
            pbuf_free(p);
        }
        zt_port_kick();
        return;
    }
    if (queue_count != 0 || zt_plane_pending()) {
        if (queue_count == ZT_HAL_QUEUE) {
            // Python does not keep up: better out of order by a few packets than lost.
            int first;
            zt_addr_t first_from;
            struct pbuf *oldest = queue_get(&first, &first_from);
            process(first, &first_from, oldest);
        }
        queue_put(wire, &from, p);
        return;
    }
    process(wire, &from, p);
}

void zt_port_plane(void) {
    queue_clear();
}

bool zt_port_drain(void) {
    while (zt_plane != NULL && queue_count != 0) {
        int wire;
        zt_addr_t from;
        struct pbuf *p = queue_get(&wire, &from);
        if (process(wire, &from, p)) {
            break;
        }
    }
    return zt_port_more();
}

bool zt_port_more(void) {
    return zt_plane != NULL && queue_count != 0;
}

void zt_port_flush(void) {
    // Nothing is kept back.
}

// ---- out ----

#define HEAD LWIP_MEM_ALIGN_SIZE(PBUF_TRANSPORT)

typedef struct slot {
    struct pbuf_custom custom; // first: lwIP gives back its address
    struct slot *next;         // of the free
    uint8_t mem[LWIP_MEM_ALIGN_SIZE(HEAD + ZT_HAL_SLOT)];
} slot_t;

static slot_t *slots, *free_slots;
static struct pbuf *big; // a packet longer than a slot, until it is cut into pieces

// In whichever thread a driver frees a packet it has sent.
static void slot_free(struct pbuf *p) {
    slot_t *s = (slot_t *)(void *)p;
    SYS_ARCH_DECL_PROTECT(old);
    SYS_ARCH_PROTECT(old);
    s->next = free_slots;
    free_slots = s;
    SYS_ARCH_UNPROTECT(old);
}

static bool slots_ready(void) {
    if (slots == NULL) {
        slots = zt_port_alloc(ZT_HAL_SLOTS * sizeof(slot_t));
        for (int i = 0; slots != NULL && i < ZT_HAL_SLOTS; i++) {
            slots[i].custom.custom_free_function = slot_free;
            slot_free(&slots[i].custom.pbuf);
        }
    }
    return slots != NULL;
}

static slot_t *slot_get(void) {
    SYS_ARCH_DECL_PROTECT(old);
    SYS_ARCH_PROTECT(old);
    slot_t *s = free_slots;
    if (s != NULL) {
        free_slots = s->next;
    }
    SYS_ARCH_UNPROTECT(old);
    zt_hal_drops.tx_slot += s == NULL;
    return s;
}

static struct netif *owner_of(const ip_addr_t *ip) {
    struct netif *netif;
    NETIF_FOREACH(netif) {
        if (IP_IS_V6(ip) ? netif_get_ip6_addr_match(netif, ip_2_ip6(ip)) >= 0
            : ip4_addr_eq(ip_2_ip4(ip), netif_ip4_addr(netif))) {
            return netif;
        }
    }
    return NULL;
}

// The board's own interface for a destination, when the wire is bound to no address.
static struct netif *underlay(const ip_addr_t *to) {
    struct netif *netif;
    NETIF_FOREACH(netif) {
        if (zt_netif_ours(netif) || !netif_is_up(netif) || !netif_is_link_up(netif)) {
            continue;
        }
        if (!IP_IS_V6(to) && !ip4_addr_isany_val(*netif_ip4_addr(netif))
            && ip4_addr_net_eq(ip_2_ip4(to), netif_ip4_addr(netif), netif_ip4_netmask(netif))) {
            return netif;
        }
        for (s8_t i = 0; IP_IS_V6(to) && i < LWIP_IPV6_NUM_ADDRESSES; i++) {
            if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i))
                && ip6_addr_net_eq(ip_2_ip6(to), netif_ip6_addr(netif, i))) {
                return netif;
            }
        }
    }
    return netif_default;
}

// Sends p, which stays the caller's.
static int transmit(const wire_t *w, const zt_addr_t *to, struct pbuf *p, unsigned ttl) {
    bool bound = !ip_addr_isany(&w->ip);
    ip_addr_t dest;
    zt_netif_address(&dest, to->ip, to->size, NULL);
    if (IP_IS_V6(&dest) != IP_IS_V6(&w->ip)) {
        return ZT_WIRE_EAFNOSUPPORT;
    }
    struct netif *netif = bound ? owner_of(&w->ip) : underlay(&dest);
    if (netif == NULL) {
        zt_hal_drops.tx_route++;
        return ZT_WIRE_ENETUNREACH;
    }
    if (zt_netif_ours(netif)) {
        zt_hal_drops.tx_loop++;
        return ZT_WIRE_EHOSTUNREACH;
    }
    if (IP_IS_V6(&dest)) {
        ip6_addr_assign_zone(ip_2_ip6(&dest), IP6_UNICAST, netif);
    }
    w->pcb->ttl = (u8_t)(ttl != 0 ? ttl : UDP_TTL);
    switch (udp_sendto_if(w->pcb, p, &dest, to->port, netif)) {
        case ERR_OK:
            zt_io_counters.tx_messages++;
            return 0;
        case ERR_RTE:
            zt_hal_drops.tx_route++;
            return ZT_WIRE_EHOSTUNREACH;
        case ERR_MEM:
        case ERR_BUF:
            zt_hal_drops.tx_stack++;
            return ZT_WIRE_ENOBUFS;
        default:
            zt_hal_drops.tx_stack++;
            return ZT_WIRE_ENETUNREACH;
    }
}

static int send_slot(const wire_t *w, const zt_addr_t *to, slot_t *s, size_t n, unsigned ttl) {
    struct pbuf *p = pbuf_alloced_custom(PBUF_TRANSPORT, (u16_t)n, PBUF_RAM, &s->custom, s->mem, sizeof(s->mem));
    if (p == NULL) {
        slot_free(&s->custom.pbuf);
        return ZT_WIRE_EINVAL;
    }
    int result = transmit(w, to, p, ttl);
    pbuf_free(p);
    return result;
}

int zt_wire_send(int wire, const zt_addr_t *to, const uint8_t *data, size_t n, unsigned ttl) {
    const wire_t *w = get_wire(wire);
    if (w == NULL) {
        return ZT_WIRE_EBADF;
    }
    if (n > ZT_HAL_SLOT) {
        return ZT_WIRE_EINVAL;
    }
    slot_t *s = slot_get();
    if (s == NULL) {
        return ZT_WIRE_ENOBUFS;
    }
    memcpy(s->mem + HEAD, data, n);
    return send_slot(w, to, s, n, ttl);
}

static uint8_t *wire_get(void *ctx, int wire, size_t n) {
    (void)ctx;
    if (get_wire(wire) == NULL) {
        return NULL;
    }
    if (n <= ZT_HAL_SLOT) {
        slot_t *s = slot_get();
        return s != NULL ? s->mem + HEAD : NULL;
    }
    if (big != NULL || n > ZT_HAL_SLOT_MAX) {
        return NULL;
    }
    big = pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_RAM);
    return big != NULL ? big->payload : NULL;
}

static void give_back(uint8_t *slot) {
    if (big != NULL && slot == big->payload) {
        pbuf_free(big);
        big = NULL;
    } else {
        slot_t *s = (slot_t *)(void *)(slot - HEAD - offsetof(slot_t, mem));
        slot_free(&s->custom.pbuf);
    }
}

static int wire_put(void *ctx, int wire, const zt_addr_t *to, uint8_t *slot, size_t n, size_t datagram) {
    (void)ctx;
    const wire_t *w = get_wire(wire);
    if (n == 0 || w == NULL) {
        give_back(slot);
        return n == 0 ? 0 : ZT_WIRE_EBADF;
    }
    if (n <= datagram && (big == NULL || slot != big->payload)) {
        int result = send_slot(w, to, (slot_t *)(void *)(slot - HEAD - offsetof(slot_t, mem)), n, 0);
        zt_io_counters.tx_refused += result != 0;
        return result;
    }
    // In pieces: the exception on a board (ZT_NETIF_MTU_MAX), so a copy of each.
    int result = 0;
    for (size_t at = 0; at < n && result == 0; at += datagram) {
        result = zt_wire_send(wire, to, slot + at, n - at < datagram ? n - at : datagram, 0);
    }
    zt_io_counters.tx_refused += result != 0;
    give_back(slot);
    return result;
}

const zt_hal_t zt_port_hal = { wire_get, wire_put, nic_input, NULL };

// ---- wires ----

static uint32_t serial; // any thread

uint32_t zt_wire_serial(void) {
    return ZT_LOAD(serial);
}

#if LWIP_NETIF_EXT_STATUS_CALLBACK
static void changed(struct netif *netif, netif_nsc_reason_t reason, const netif_ext_callback_args_t *args) {
    (void)args;
    const unsigned matter = LWIP_NSC_NETIF_ADDED | LWIP_NSC_NETIF_REMOVED | LWIP_NSC_LINK_CHANGED
        | LWIP_NSC_STATUS_CHANGED | LWIP_NSC_IPV4_ADDRESS_CHANGED | LWIP_NSC_IPV6_SET
        | LWIP_NSC_IPV6_ADDR_STATE_CHANGED;
    if ((reason & matter) != 0 && !zt_netif_ours(netif)) {
        ZT_STORE(serial, serial + 1);
        zt_port_kick();
    }
}

static void watch(void) {
    static netif_ext_callback_t callback;
    static bool done;
    if (!done) {
        done = true;
        netif_add_ext_callback(&callback, changed);
    }
}
#else
static void watch(void) {
}
#endif

int zt_wire_open(const uint8_t *ip, size_t len, uint16_t port) {
    if (len != 4 && len != 16) {
        return -ZT_WIRE_EINVAL;
    }
    int n = 0;
    while (n < ZT_WIRES_MAX && wires[n].pcb != NULL) {
        n++;
    }
    if (n == ZT_WIRES_MAX) {
        return -ZT_WIRE_EMFILE;
    }
    if (!slots_ready()) {
        return -ZT_WIRE_ENOMEM;
    }
    watch();
    wire_t *w = &wires[n];
    zt_netif_address(&w->ip, ip, len, NULL);
    if (!ip_addr_isany(&w->ip)) {
        struct netif *netif = owner_of(&w->ip);
        if (netif == NULL || zt_netif_ours(netif)) {
            return -ZT_WIRE_EINVAL;
        }
        if (len == 16) {
            ip6_addr_assign_zone(ip_2_ip6(&w->ip), IP6_UNICAST, netif);
        }
    }
    struct udp_pcb *pcb = udp_new_ip_type(len == 16 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4);
    if (pcb == NULL) {
        return -ZT_WIRE_ENOMEM;
    }
    if (udp_bind(pcb, &w->ip, port) != ERR_OK) {
        udp_remove(pcb);
        return -ZT_WIRE_EADDRINUSE;
    }
    udp_recv(pcb, received, w);
    w->pcb = pcb;
    return n;
}

int zt_wire_close(int wire) {
    wire_t *w = get_wire(wire);
    if (w == NULL) {
        return -ZT_WIRE_EBADF;
    }
    udp_remove(w->pcb);
    w->pcb = NULL;
    // What came in by it is void: its number may soon be another's.
    for (unsigned left = queue_count; left != 0; left--) {
        int from_wire;
        zt_addr_t from;
        struct pbuf *p = queue_get(&from_wire, &from);
        if (from_wire == wire) {
            pbuf_free(p);
        } else {
            queue_put(from_wire, &from, p);
        }
    }
    return 0;
}

void zt_wire_close_all(void) {
    for (int n = 0; n < ZT_WIRES_MAX; n++) {
        zt_wire_close(n);
    }
    queue_clear();
}

int zt_wire_port(int wire) {
    const wire_t *w = get_wire(wire);
    return w != NULL ? w->pcb->local_port : -ZT_WIRE_EBADF;
}

int zt_wire_recv(int wire, uint8_t *buf, size_t size, zt_addr_t *from) {
    // The queue is short and in order; other wires' datagrams stay where they are.
    for (unsigned i = 0; i < queue_count; i++) {
        unsigned at = (queue_first + i) % ZT_HAL_QUEUE;
        if (queue[at].wire != wire) {
            continue;
        }
        struct pbuf *p = queue[at].p;
        *from = queue[at].from;
        for (; i + 1 < queue_count; i++) {
            unsigned next = (at + 1) % ZT_HAL_QUEUE;
            queue[at] = queue[next];
            at = next;
        }
        ZT_STORE(queue_count, queue_count - 1);
        size_t n = p->tot_len <= size ? p->tot_len : 0; // larger than any packet of ours
        pbuf_copy_partial(p, buf, (u16_t)n, 0);
        pbuf_free(p);
        if (n == 0) {
            return zt_wire_recv(wire, buf, size, from);
        }
        return (int)n;
    }
    return 0;
}

bool zt_wire_interface(unsigned index, zt_interface_t *out) {
    unsigned count = 0;
    struct netif *netif;
    NETIF_FOREACH(netif) {
        if (zt_netif_ours(netif) || !netif_is_up(netif) || !netif_is_link_up(netif)) {
            continue;
        }
        memset(out, 0, sizeof(*out));
        out->name[0] = netif->name[0];
        out->name[1] = netif->name[1];
        out->name[2] = (char)('0' + netif->num % 10);
        if (!ip4_addr_isany_val(*netif_ip4_addr(netif)) && count++ == index) {
            out->len = 4;
            out->bits = (uint8_t)__builtin_popcount(netif_ip4_netmask(netif)->addr);
            memcpy(out->ip, &netif_ip4_addr(netif)->addr, 4);
            return true;
        }
        for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
            if (ip6_addr_ispreferred(netif_ip6_addr_state(netif, i)) && count++ == index) {
                out->len = 16;
                out->bits = 64;
                memcpy(out->ip, netif_ip6_addr(netif, i)->addr, 16);
                return true;
            }
        }
    }
    return false;
}
