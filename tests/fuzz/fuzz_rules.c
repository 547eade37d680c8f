// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// libFuzzer target: rules as they come from a controller or a member, and frames as they come from anyone.
// The input is settings, tags, things, capabilities, base rules and a frame, in that order, all of sizes the
// fuzzer chooses. Every list is judged whether it is whole or not; each part has a block of its own, so that
// a step outside it is seen.

#include <stdlib.h>
#include <string.h>

#include "zt_rules.h"

#define MAX_ENTRIES 4
#define ROOM 64

typedef struct {
    const uint8_t *p;
    size_t n;
} input_t;

static unsigned byte(input_t *in) {
    if (in->n == 0) {
        return 0;
    }
    in->n--;
    return *in->p++;
}

// n bytes in a block of their own, fewer at the end of the input.
static uint8_t *block(input_t *in, size_t *n) {
    if (*n > in->n) {
        *n = in->n;
    }
    uint8_t *out = malloc(*n ? *n : 1);
    memcpy(out, in->p, *n);
    in->p += *n;
    in->n -= *n;
    return out;
}

static void fill(input_t *in, uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)byte(in);
    }
}

// What is whole must be accepted as whole, again and as part of itself; what is not, never.
static void check(const uint8_t *raw, size_t n) {
    size_t used = n + 1;
    if (zt_rules_validate(raw, n, ZT_RULES_MAX, &used)) {
        if (used != n + 1) {
            abort();
        }
        return;
    }
    size_t again = 0;
    if (used > n || zt_rules_validate(raw, used, ZT_RULES_MAX, &again) || again != used) {
        abort();
    }
}

static void list(input_t *in, zt_rules_list_t *out) {
    out->n = byte(in);
    out->raw = block(in, &out->n);
    check(out->raw, out->n);
}

static void member(input_t *in, zt_rules_member_t *m) {
    const unsigned counts = byte(in);
    zt_rules_tag_t *tags = malloc(sizeof(zt_rules_tag_t) * MAX_ENTRIES);
    zt_rules_list_t *lists = malloc(sizeof(zt_rules_list_t) * MAX_ENTRIES);
    zt_rules_thing_t *things = malloc(sizeof(zt_rules_thing_t) * MAX_ENTRIES);
    m->tag_count = counts & 3;
    m->capability_count = counts >> 2 & 3;
    m->thing_count = counts >> 4 & 3;
    for (uint32_t i = 0, id = 0; i < m->tag_count; i++) {
        id += byte(in) + 1;
        tags[i].id = id;
        tags[i].value = byte(in);
    }
    for (unsigned i = 0; i < m->thing_count; i++) {
        things[i].type = (uint8_t)byte(in);
        fill(in, things[i].value, 16);
    }
    for (unsigned i = 0; i < m->capability_count; i++) {
        list(in, &lists[i]);
    }
    m->tags = tags;
    m->capabilities = lists;
    m->things = things;
}

static void release(zt_rules_member_t *m) {
    for (unsigned i = 0; i < m->capability_count; i++) {
        free((void *)m->capabilities[i].raw);
    }
    free((void *)m->tags);
    free((void *)m->capabilities);
    free((void *)m->things);
}

static int judge(const zt_rules_network_t *net, const zt_rules_member_t *remote,
                 const zt_rules_frame_t *frame, zt_rules_out_t *out, zt_rules_trace_t *trace) {
    memset(out, 0xa5, sizeof *out);
    const int verdict = zt_rules_eval(net, remote, frame, out, trace);
    if (verdict < 0 || verdict > 2 || out->count > ZT_RULES_COPIES || out->result > 4) {
        abort();
    }
    for (unsigned i = 0; i < out->count; i++) {
        const zt_rules_copy_t *c = &out->copies[i];
        if (c->length > frame->n || memcmp(c->dest, net->address, 5) == 0 ||
            memcmp(c->dest, frame->source, 5) == 0 || memcmp(c->dest, frame->dest, 5) == 0) {
            abort();
        }
    }
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input_t in = {data, size};
    zt_rules_network_t net;
    zt_rules_member_t remote;
    zt_rules_frame_t frame;
    zt_rules_out_t out;
    zt_rules_out_t traced;
    zt_rules_step_t *steps = malloc(sizeof(zt_rules_step_t) * ROOM);
    zt_rules_trace_t trace = {steps, ROOM, 0};
    static const uint16_t KINDS[4] = {0x0800, 0x86dd, 0x0806, 0x88b5};

    memset(&net, 0, sizeof net);
    memset(&frame, 0, sizeof frame);
    const unsigned how = byte(&in);
    net.flags = byte(&in);
    net.has_sixplane = how & 1;
    net.has_rfc4193 = how >> 1 & 1;
    frame.inbound = how >> 2 & 1;
    frame.no_tee = how >> 3 & 1;
    frame.ethertype = KINDS[how >> 4 & 3];
    frame.random = byte(&in) * 0x1010101U;
    fill(&in, net.address, 5);
    fill(&in, frame.source, 5);
    fill(&in, frame.dest, 5);
    fill(&in, frame.mac_source, 6);
    fill(&in, frame.mac_dest, 6);
    member(&in, &net.own);
    member(&in, &remote);
    list(&in, &net.rules);
    frame.n = in.n;
    frame.payload = block(&in, &frame.n);

    const zt_rules_member_t *other = how & 0x40 ? &remote : NULL;
    const int verdict = judge(&net, other, &frame, &out, NULL);
    if (judge(&net, other, &frame, &traced, &trace) != verdict || traced.count != out.count ||
        traced.base != out.base || traced.result != out.result) {
        abort();
    }
    const size_t seen = trace.count < ROOM ? trace.count : ROOM;
    for (size_t i = 0; i < seen; i++) {
        if (steps[i].match > ZT_RULES_UNASKED || steps[i].state > 7) {
            abort();
        }
    }

    free((void *)frame.payload);
    free((void *)net.rules.raw);
    free(steps);
    release(&net.own);
    release(&remote);
    return 0;
}
