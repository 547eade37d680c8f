// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// plane_replay.c for the rules: the inputs of their fuzzer, and a digest of each verdict with what belongs
// to it, so that machines can be compared.

#include "zt_rules.h"

static uint64_t digest = 0xcbf29ce484222325U;

static void note(const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        digest = (digest ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3U;
    }
}

static int noted_eval(const zt_rules_network_t *net, const zt_rules_member_t *remote,
                      const zt_rules_frame_t *frame, zt_rules_out_t *out, zt_rules_trace_t *trace) {
    const int verdict = zt_rules_eval(net, remote, frame, out, trace);
    const uint8_t head[3] = {(uint8_t)verdict, (uint8_t)out->count, (uint8_t)out->result};
    note(head, sizeof head);
    for (unsigned i = 0; i < out->count; i++) {
        const uint8_t low[2] = {(uint8_t)out->copies[i].length, (uint8_t)(out->copies[i].length >> 8)};
        note(out->copies[i].dest, 5);
        note(low, sizeof low);
    }
    return verdict;
}

#define zt_rules_eval noted_eval
#include "../fuzz/fuzz_rules.c"

#include "line.h"

int main(int argc, char **argv) {
    static uint8_t data[65536];
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (f == NULL) {
            abort();
        }
        const size_t n = fread(data, 1, sizeof data, f);
        fclose(f);
        LLVMFuzzerTestOneInput(data, n);
    }
    line_digest((unsigned)argc - 1, digest);
    return 0;
}
