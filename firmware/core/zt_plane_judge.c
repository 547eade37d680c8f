// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Where the plane meets the rules (zt_rules.h): it brings a frame into their form once, and what they want
// copied or redirected to others goes to Python to be sent, so that each frame is judged once only.

#include "zt_plane_priv.h"

// Fresh for each frame. Rules that match at random share traffic out; nothing is kept secret by it.
static uint32_t draw(zt_plane_t *p) {
    p->random += 0x9e3779b9U;
    uint32_t x = p->random ^ p->random_key;
    x = (x ^ x >> 16) * 0x85ebca6bU;
    x = (x ^ x >> 13) * 0xc2b2ae35U;
    return x ^ x >> 16;
}

static void copies(zt_plane_t *p, const zt_network_t *net, const zt_rules_out_t *out,
                   const uint8_t head[ETHERNET], const uint8_t *payload) {
    for (unsigned i = 0; i < out->count; i++) {
        const zt_seg_t segments[2] = {{head, ETHERNET}, {payload, out->copies[i].length}};
        zt_plane_event_t ev;
        memset(&ev, 0, sizeof ev);
        ev.kind = ZT_PLANE_EVENT_COPY;
        ev.wire = -1;
        ev.network = (int16_t)zt_table_index(net);
        ev.nic = net->set.nic;
        memcpy(ev.address, out->copies[i].dest, 5);
        ev.copy_flags = out->copies[i].flags;
        zt_event_put(p, &ev, segments, 2);
    }
}

int zt_judge(zt_plane_t *p, zt_network_t *net, const zt_member_t *m, unsigned how,
             const uint8_t head[ETHERNET], const uint8_t *payload, size_t n) {
    if (net->accept_all) {
        return 1;
    }
    zt_rules_frame_t frame;
    zt_rules_out_t out;
    frame.payload = payload;
    frame.n = n;
    frame.random = draw(p);
    frame.ethertype = (uint16_t)zt_be16(head + 12);
    frame.inbound = how == JUDGE_IN;
    frame.no_tee = how == JUDGE_OUT_NO_TEE;
    memcpy(frame.mac_dest, head, 6);
    memcpy(frame.mac_source, head + 6, 6);
    static const uint8_t nobody[5] = {0};
    const uint8_t *other = m ? m->head.key + 2 : nobody;
    memcpy(frame.source, how == JUDGE_IN ? other : p->address, 5);
    memcpy(frame.dest, how == JUDGE_IN ? p->address : other, 5);
    const int verdict = zt_rules_eval(&net->rules, m ? &m->rules : NULL, &frame, &out, NULL);
    copies(p, net, &out, head, payload);
    if (verdict == 0) {
        net->stats.drops[how == JUDGE_IN ? ZT_PLANE_RULES_IN : ZT_PLANE_RULES_OUT]++;
    }
    return verdict;
}
