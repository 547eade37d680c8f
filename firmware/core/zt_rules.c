// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Evaluation of rules. A rule is read at fixed offsets whatever its own length says, so each is checked
// against the end of its list before. Lists are walked by index: a length may lead beyond the end, where
// nothing is read.

#include "zt_rules.h"

#include "zt_rules_match.h"

// `zt rules explain` is no command of boards.
#if ZT_BOARD
#define TRACED(s) ((void)(s), 0)
#else
#define TRACED(s) ((s)->trace != NULL)
#endif

// Bytes of fields by type.
static const uint8_t FIELDS[64] = {
    [ACTION_TEE] = 14,     [ACTION_WATCH] = 14,   [ACTION_REDIRECT] = 14, [SOURCE_ADDRESS] = 5,
    [DEST_ADDRESS] = 5,    [VLAN_ID] = 2,         [VLAN_PCP] = 1,         [VLAN_DEI] = 1,
    [MAC_SOURCE] = 6,      [MAC_DEST] = 6,        [IPV4_SOURCE] = 5,      [IPV4_DEST] = 5,
    [IPV6_SOURCE] = 17,    [IPV6_DEST] = 17,      [IP_TOS] = 3,           [IP_PROTOCOL] = 1,
    [ETHERTYPE] = 2,       [ICMP] = 3,            [SOURCE_PORT] = 4,      [DEST_PORT] = 4,
    [CHARACTERISTICS] = 8, [FRAME_SIZE] = 4,      [RANDOM] = 4,           [TAGS_DIFFERENCE] = 8,
    [TAGS_AND] = 8,        [TAGS_OR] = 8,         [TAGS_XOR] = 8,         [TAGS_EQUAL] = 8,
    [TAG_SENDER] = 8,      [TAG_RECEIVER] = 8,    [INTEGER_RANGE] = 19,
};

// An action that is taken: what the list comes to, or that it goes on. `rule` is its first byte.
static unsigned take(state_t *s, unsigned kind, const uint8_t *rule) {
    const uint8_t *dest = rule + 5; // of the three that have one
    switch (kind) {
    case ACTION_DROP:
        if (!s->skip) {
            return ZT_RULES_DROP;
        }
        s->skip = 0;
        return ZT_RULES_GOES_ON;
    case ACTION_ACCEPT:
        return s->super ? ZT_RULES_SUPER_ACCEPT : ZT_RULES_ACCEPT;
    case ACTION_PRIORITY:
        return ZT_RULES_ACCEPT;
    case ACTION_BREAK:
        return ZT_RULES_NO_MATCH;
    case ACTION_TEE:
    case ACTION_WATCH:
    case ACTION_REDIRECT:
        if (same(dest, s->in->source, 5)) {
            return ZT_RULES_GOES_ON;
        }
        if (same(dest, s->net->address, 5)) {
            return s->in->inbound ? ZT_RULES_SUPER_ACCEPT : ZT_RULES_GOES_ON;
        }
        if (same(dest, s->in->dest, 5)) {
            return ZT_RULES_GOES_ON;
        }
        if (kind == ACTION_REDIRECT) {
            s->redirect = rule;
            return ZT_RULES_REDIRECT;
        }
        s->cc = rule; // a later one replaces it
        return ZT_RULES_GOES_ON;
    default:
        return ZT_RULES_GOES_ON;
    }
}

static void note(const state_t *s, size_t index, unsigned type, unsigned answer, unsigned set,
                 unsigned result) {
    zt_rules_trace_t *trace = s->trace;
    if (trace->count < trace->room) {
        zt_rules_step_t *step = &trace->steps[trace->count];
        step->list = s->list;
        step->rule = (uint16_t)(index < 0xffff ? index : 0xffff);
        step->type = (uint8_t)type;
        step->match = (uint8_t)answer;
        step->state = (uint8_t)((set ? ZT_RULES_SET : 0) | (s->skip ? ZT_RULES_SKIP : 0) |
                                (s->super ? ZT_RULES_SUPER : 0));
        step->result = (uint8_t)result;
    }
    trace->count++;
}

static unsigned run(state_t *s, const uint8_t *raw, size_t n) {
    unsigned set = 1;
    s->cc = NULL;
    s->redirect = NULL;
    s->super = 0;
    s->skip = 0;
    size_t next = 0;
    for (size_t index = 0; next < n; index++) {
        const uint8_t *rule = raw + next;
        const unsigned type = rule[0];
        const unsigned kind = type & TYPE;
        unsigned answer = ZT_RULES_UNASKED;
        unsigned result = ZT_RULES_GOES_ON;
        unsigned seen = set; // what the trace shows: of a match the set after it, of an action before
        if (n - next < 2U + FIELDS[kind]) {
            result = ZT_RULES_DROP;
        } else if (kind >= FIRST_MATCH) {
            if (set || type & OR) {
                answer = match(s, kind, rule + 2);
                const unsigned yes =
                    answer == YES || (answer != NO && (answer == TRUE) != ((type & NOT) != 0));
                set = type & OR ? set | yes : yes;
            }
            seen = set;
        } else if (set) {
            result = take(s, kind, rule);
        } else {
            if (kind >= ACTION_TEE && kind <= ACTION_REDIRECT && s->in->inbound &&
                same(rule + 5, s->net->address, 5)) {
                s->super = 1;
            }
            set = 1;
        }
        if (TRACED(s)) {
            note(s, index, type, answer, seen, result);
        }
        if (result != ZT_RULES_GOES_ON) {
            return result;
        }
        next += 2U + rule[1];
    }
    return ZT_RULES_NO_MATCH;
}

// A copy as the rule says, or none if there is no rule.
static void copy(zt_rules_out_t *out, const uint8_t *rule, const state_t *s) {
    // EXT_FRAME flags of TEE, WATCH, REDIRECT, out and in.
    static const uint8_t FLAGS[6] = {0x02, 0x08, 0x16, 0x1c, 0x04, 0x0a};
    if (!rule) {
        return;
    }
    const unsigned kind = rule[0] & TYPE;
    const uint32_t most = kind == ACTION_REDIRECT ? 0 : be16(rule + 14);
    zt_rules_copy_t *c = &out->copies[out->count++];
    memcpy(c->dest, rule + 5, 5);
    c->flags = FLAGS[(kind - ACTION_TEE) * 2 + (s->in->inbound ? 1 : 0)];
    c->length = most && most < s->in->n ? most : (uint32_t)s->in->n;
}

int zt_rules_validate(const uint8_t *raw, size_t n, size_t limit, size_t *used) {
    size_t next = 0;
    for (size_t count = 0; next < n && count < limit; count++) {
        const size_t rest = n - next;
        if (rest < 2U + FIELDS[raw[next] & TYPE] || rest < 2U + raw[next + 1]) {
            return -1;
        }
        next += 2U + raw[next + 1];
    }
    *used = next;
    return 0;
}

int zt_rules_eval(const zt_rules_network_t *net, const zt_rules_member_t *remote,
                  const zt_rules_frame_t *frame, zt_rules_out_t *out, zt_rules_trace_t *trace) {
    state_t s; // set field by field: boards would call memset for an initializer
    s.net = net;
    s.remote = remote;
    s.in = frame;
    s.trace = trace;
    s.l4 = 0;
    s.drawn = 0;
    s.list = 0;
    s.ip = 0;
    s.proto = 0;
    s.walked = FALSE;
    s.owns_ip = FALSE;
    s.owns_mac = FALSE;
    if (frame->ethertype == IPV4 && frame->n >= 20) {
        s.ip = 4;
    } else if (frame->ethertype == IPV6 && frame->n >= 40) {
        s.ip = 6;
    }
    unsigned result = run(&s, net->rules.raw, net->rules.n);
    const uint8_t *base_cc = NULL;
    out->count = 0;
    out->base = (uint8_t)result;
    if (result == ZT_RULES_NO_MATCH) {
        const zt_rules_member_t *m = frame->inbound ? remote : &net->own;
        base_cc = s.cc;
        for (size_t i = 0; m && i < m->capability_count && result <= ZT_RULES_DROP; i++) {
            s.list = (uint16_t)(i + 1);
            result = run(&s, m->capabilities[i].raw, m->capabilities[i].n);
        }
    }
    out->result = (uint8_t)result;
    if (result <= ZT_RULES_DROP) {
        return 0;
    }
    if (!frame->no_tee) {
        copy(out, s.cc, &s);
        copy(out, base_cc, &s);
    }
    if (result == ZT_RULES_REDIRECT) {
        copy(out, s.redirect, &s);
        return 0;
    }
    return result == ZT_RULES_SUPER_ACCEPT ? 2 : 1;
}
