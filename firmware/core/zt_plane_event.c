// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The ring of events for Python: records of any length one after the other, each behind its head. When there
// is no room the new one is dropped and counted: what matters is sent again by the protocol. What strangers
// sent and what the local stack sends may each fill three eighths of it, so that no flood of either keeps out
// the answers that Python waits for.

#include "zt_plane_priv.h"

static void put(zt_plane_t *p, uint32_t *at, const void *from, size_t n) {
    const size_t room = p->limits.event_bytes - *at;
    if (n < room) {
        memcpy(p->events + *at, from, n);
        *at += (uint32_t)n;
        return;
    }
    memcpy(p->events + *at, from, room);
    memcpy(p->events, (const uint8_t *)from + room, n - room);
    *at = (uint32_t)(n - room);
}

static void get(const zt_plane_t *p, uint32_t *at, void *to, size_t n) {
    const size_t room = p->limits.event_bytes - *at;
    if (n < room) {
        memcpy(to, p->events + *at, n);
        *at += (uint32_t)n;
        return;
    }
    memcpy(to, p->events + *at, room);
    memcpy((uint8_t *)to + room, p->events, n - room);
    *at = (uint32_t)(n - room);
}

static unsigned class_of(const zt_plane_event_t *ev) {
    if (ev->kind != ZT_PLANE_EVENT_PACKET) {
        return EVENTS_FRAMES;
    }
    return ev->flags & ZT_PLANE_OPENED ? EVENTS_OPENED : EVENTS_STRANGERS;
}

int zt_event_put(zt_plane_t *p, zt_plane_event_t *ev, const zt_seg_t *segments, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += segments[i].n;
    }
    const unsigned class = class_of(ev);
    const uint32_t size = p->limits.event_bytes;
    const uint32_t top = class == EVENTS_OPENED ? size : size / 8 * 3;
    const uint32_t before = p->event_used;
    const size_t need = sizeof *ev + n;
    if (n > 0xffff || need > size - before || need > top || p->event_class[class] > top - need) {
        return zt_drop(p, ZT_PLANE_EVENT_LOST + class);
    }
    ev->n = (uint16_t)n;
    uint32_t at = p->event_head + before;
    if (at >= size) {
        at -= size;
    }
    put(p, &at, ev, sizeof *ev);
    for (size_t i = 0; i < count; i++) {
        if (segments[i].n) {
            put(p, &at, segments[i].p, segments[i].n);
        }
    }
    p->event_used += (uint32_t)need;
    p->event_class[class] += (uint32_t)need;
    p->counters[ZT_PLANE_EVENTS]++;
    if (before == 0) {
        p->hal->kick(p->ctx);
    }
    return ZT_PLANE_EVENT;
}

int zt_event_packet(zt_plane_t *p, unsigned flags, int wire, const zt_addr_t *from, const uint8_t *pkt,
                    size_t n) {
    const zt_seg_t segment = {pkt, n};
    zt_plane_event_t ev;
    memset(&ev, 0, sizeof ev);
    ev.kind = ZT_PLANE_EVENT_PACKET;
    ev.flags = (uint8_t)flags;
    ev.wire = (int16_t)wire;
    ev.network = -1;
    ev.nic = -1;
    if (from) {
        ev.from = *from;
    }
    if (flags & ZT_PLANE_OPENED) {
        memcpy(ev.address, pkt + SOURCE, 5);
    }
    return zt_event_put(p, &ev, &segment, 1);
}

static void remove_first(zt_plane_t *p, const zt_plane_event_t *event) {
    const uint32_t taken = (uint32_t)sizeof *event + event->n;
    p->event_head += taken;
    if (p->event_head >= p->limits.event_bytes) {
        p->event_head -= p->limits.event_bytes;
    }
    p->event_used -= taken;
    p->event_class[class_of(event)] -= taken;
    if (p->event_used == 0) {
        p->event_head = 0; // memory is touched as far as events pile up, not all of it in turn
    }
}

int zt_plane_event_get(zt_plane_t *p, zt_plane_event_t *event, uint8_t *buf, size_t room) {
    if (p->event_used == 0) {
        return 0;
    }
    uint32_t at = p->event_head;
    get(p, &at, event, sizeof *event);
    if (event->n > room) {
        return -1;
    }
    if (event->n) {
        get(p, &at, buf, event->n);
    }
    remove_first(p, event);
    return 1;
}

void zt_plane_event_drop(zt_plane_t *p) {
    if (p->event_used == 0) {
        return;
    }
    zt_plane_event_t event;
    uint32_t at = p->event_head;
    get(p, &at, &event, sizeof event);
    remove_first(p, &event);
    (void)zt_drop(p, ZT_PLANE_EVENT_LOST + class_of(&event));
}

void zt_event_flush(zt_plane_t *p) {
    p->event_head = 0;
    p->event_used = 0;
    memset(p->event_class, 0, sizeof p->event_class);
}
