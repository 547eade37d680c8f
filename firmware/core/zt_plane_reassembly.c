// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Packets in pieces (VL1 4.8). Nothing here is authenticated: pieces are kept by packet id until all are
// there, in a bounded number of slots of which the oldest gives way. Pieces lie in a slot in their order
// whatever order they came in, so a complete packet is in one piece without a second buffer. A packet
// longer than a slot goes to Python: the pieces kept so far, and each that follows, as they came.

#include "zt_plane_priv.h"

#define PIECES_MS 5000

uint8_t *zt_pieces_data(const zt_plane_t *p, unsigned slot) {
    return p->pieces_data + (size_t)slot * p->limits.packet_bytes;
}

void zt_pieces_release(zt_plane_t *p, unsigned slot) {
    p->pieces[slot].state = PIECES_FREE;
}

static void lose(zt_plane_t *p, unsigned slot) {
    if (p->pieces[slot].state == PIECES_KEPT) {
        p->counters[ZT_PLANE_FRAGMENT_LOST]++;
    }
    zt_pieces_release(p, slot);
}

void zt_pieces_expire(zt_plane_t *p, uint32_t now) {
    for (unsigned i = 0; i < p->limits.reassembly; i++) {
        if (p->pieces[i].state != PIECES_FREE && !zt_valid(now, p->pieces[i].began + PIECES_MS)) {
            lose(p, i);
        }
    }
}

void zt_pieces_flush(zt_plane_t *p) {
    for (unsigned i = 0; i < p->limits.reassembly; i++) {
        zt_pieces_release(p, i);
    }
}

// The slot of this packet, a new one if need be.
static unsigned find(zt_plane_t *p, uint32_t now, const uint8_t *id) {
    unsigned best = 0;
    uint32_t best_age = 0;
    for (unsigned i = 0; i < p->limits.reassembly; i++) {
        const zt_pieces_t *s = &p->pieces[i];
        if (s->state == PIECES_FREE) {
            best = i;
            best_age = 0xffffffffU;
        } else if (memcmp(s->id, id, 8) == 0) {
            return i;
        } else if (now - s->began > best_age) {
            best = i;
            best_age = now - s->began;
        }
    }
    lose(p, best);
    zt_pieces_t *s = &p->pieces[best];
    memset(s, 0, sizeof *s);
    memcpy(s->id, id, 8);
    s->began = now;
    s->state = PIECES_KEPT;
    return best;
}

// Hands what a slot holds to Python as the datagrams it came in.
static void pass(zt_plane_t *p, unsigned slot) {
    zt_pieces_t *s = &p->pieces[slot];
    const uint8_t *data = zt_pieces_data(p, slot);
    uint8_t header[FRAGMENT_HEADER];
    memcpy(header, s->id, 8);
    memcpy(header + DEST, p->address, 5);
    header[FRAGMENT_MARK] = 0xff;
    header[15] = 0;
    for (unsigned i = 0; i < PIECES; i++) {
        if (!(s->have >> i & 1)) {
            continue;
        }
        const zt_seg_t segments[2] = {{header, i ? FRAGMENT_HEADER : 0}, {data, s->lengths[i]}};
        zt_plane_event_t ev;
        memset(&ev, 0, sizeof ev);
        ev.kind = ZT_PLANE_EVENT_PACKET;
        ev.network = -1;
        ev.nic = -1;
        ev.wire = i ? -1 : s->wire;
        if (i == 0) {
            ev.from = s->from;
        }
        header[FRAGMENT_NUMBERS] = (uint8_t)((unsigned)s->total << 4 | i);
        zt_event_put(p, &ev, segments, 2);
        data += s->lengths[i];
    }
    s->state = PIECES_PASSED;
}

int zt_pieces_add(zt_plane_t *p, uint32_t now, int wire, const zt_addr_t *from, const uint8_t *pkt, size_t n,
                  unsigned *slot) {
    unsigned number = 0;
    unsigned total = 0;
    const uint8_t *data = pkt;
    size_t length = n;
    if (pkt[FRAGMENT_MARK] == 0xff) {
        total = pkt[FRAGMENT_NUMBERS] >> 4;
        number = pkt[FRAGMENT_NUMBERS] & 0x0f;
        data += FRAGMENT_HEADER;
        length -= FRAGMENT_HEADER;
        if (total < 2 || total > PIECES || number < 1 || number >= PIECES) {
            return zt_drop(p, ZT_PLANE_FRAGMENT);
        }
    }
    if (p->limits.reassembly == 0) {
        return zt_event_packet(p, 0, wire, from, pkt, n);
    }
    *slot = find(p, now, pkt);
    zt_pieces_t *s = &p->pieces[*slot];
    if (s->state == PIECES_PASSED) {
        return zt_event_packet(p, 0, wire, from, pkt, n);
    }
    if (total) {
        s->total = (uint8_t)total;
    }
    if (!(s->have >> number & 1)) {
        if (s->size + length > ZT_PLANE_PACKET_MAX) {
            zt_pieces_release(p, *slot);
            return zt_drop(p, ZT_PLANE_FRAGMENT);
        }
        if (s->size + length > p->limits.packet_bytes) {
            pass(p, *slot);
            return zt_event_packet(p, 0, wire, from, pkt, n);
        }
        size_t at = 0;
        for (unsigned i = 0; i < number; i++) {
            at += s->lengths[i];
        }
        uint8_t *place = zt_pieces_data(p, *slot) + at;
        memmove(place + length, place, s->size - at);
        memcpy(place, data, length);
        s->lengths[number] = (uint16_t)length;
        s->size = (uint16_t)(s->size + length);
        s->have |= (uint8_t)(1U << number);
        if (number == 0) {
            s->from = *from;
            s->wire = (int16_t)wire;
        }
    }
    return s->total && s->have == (1U << s->total) - 1 ? ZT_PLANE_DONE : ZT_PLANE_KEPT;
}
