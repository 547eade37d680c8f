// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// libFuzzer target: what comes in. The input is a network with rules and credentials, then datagrams: each
// as it is, or sealed first as a peer would, so that what the fuzzer wrote gets past the MAC.

#include "fuzz_plane.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input_t in = {data, size};
    const unsigned how = byte(&in);
    const zt_plane_limits_t limits = {4, 1, 4, 1, 2, (uint16_t)(how & 3), how & 4 ? 10024 : 200, 0,
                                      how & 8 ? 65536 : 300, 4096};
    shim_t *shim = shim_new();
    uint8_t *memory;
    zt_plane_t *p = make_plane(&limits, A, shim, &memory);
    uint32_t now = byte(&in) * 0x1000000U;
    add_peer(p, now, B, 2);
    add_network(p, now, &in, B);
    const uint32_t frames = shim->count;
    for (unsigned i = 0; i < 16 && in.n; i++) {
        const unsigned kind = byte(&in);
        size_t n = (size_t)byte(&in) << (kind >> 6);
        uint8_t *pkt = block(&in, &n);
        const zt_addr_t from = address(kind & 8 ? 3 : 2);
        if (n >= 28 && kind & 3) {
            // Sealed, to and from whom it should be; 3: as one piece that says there are more.
            memcpy(pkt + 8, A, 5);
            memcpy(pkt + 13, B, 5);
            const unsigned hops = pkt[18] & 7;
            pkt[18] = (kind & 3) == 3 ? 0x40 : 0;
            if (kind & 16) {
                memcpy(pkt + 28, NWID, n - 28 < 8 ? n - 28 : 8);
                pkt[27] = (uint8_t)((pkt[27] & 0x80) | 6 | (pkt[27] & 0x20 ? 8 : pkt[27] & 1));
            }
            zt_seal(SESSION, pkt, n, 1);
            pkt[18] |= (uint8_t)hops;
        } else if (n >= 16 && kind & 4) {
            memcpy(pkt + 8, A, 5);
        }
        const uint32_t before = shim->count;
        const int result = zt_plane_rx(p, now, 1, &from, pkt, n, pkt);
        CHECK(result >= ZT_PLANE_DROPPED && result <= ZT_PLANE_KEPT);
        CHECK((result == ZT_PLANE_DONE) == (shim->count == before + 1));
        if (result == ZT_PLANE_DONE) {
            const record_t *r = &shim->records[before];
            CHECK(r->kind == DELIVERED && r->n > 14 && r->n <= ZT_PLANE_PACKET_MAX);
        }
        free(pkt);
        if (kind & 32) {
            drain(p);
            now += 1000;
            zt_plane_expire(p, now);
        }
    }
    drain(p);
    check_shim(shim);
    CHECK(frames == 0);
    zt_plane_wipe(p);
    shim_free(shim);
    free(memory);
    return 0;
}
