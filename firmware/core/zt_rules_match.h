// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The matches of the rules engine (VL2 4.3 to 4.6). Included by zt_rules.c only, which has checked that
// all fields of a rule are there; fields of the frame are checked against n where they are read. What a
// frame tells once (transport header, whose addresses) is found at the first rule that asks and kept for
// the others.

#include <string.h>

#define IPV4 0x0800
#define ARP 0x0806
#define IPV6 0x86dd

#define TYPE 0x3f
#define OR 0x40
#define NOT 0x80

#define FALSE ZT_RULES_FALSE
#define TRUE ZT_RULES_TRUE
#define NO ZT_RULES_NO
#define YES ZT_RULES_YES

// Types on the wire.
enum {
    ACTION_DROP = 0,
    ACTION_ACCEPT,
    ACTION_TEE,
    ACTION_WATCH,
    ACTION_REDIRECT,
    ACTION_BREAK,
    ACTION_PRIORITY,
    FIRST_MATCH = 16,
    SOURCE_ADDRESS = 24,
    DEST_ADDRESS,
    VLAN_ID,
    VLAN_PCP,
    VLAN_DEI,
    MAC_SOURCE,
    MAC_DEST,
    IPV4_SOURCE,
    IPV4_DEST,
    IPV6_SOURCE,
    IPV6_DEST,
    IP_TOS,
    IP_PROTOCOL,
    ETHERTYPE,
    ICMP,
    SOURCE_PORT,
    DEST_PORT,
    CHARACTERISTICS,
    FRAME_SIZE,
    RANDOM,
    TAGS_DIFFERENCE,
    TAGS_AND,
    TAGS_OR,
    TAGS_XOR,
    TAGS_EQUAL,
    TAG_SENDER,
    TAG_RECEIVER,
    INTEGER_RANGE
};

// What is known of the frame, and how far the list at hand got.
typedef struct {
    const zt_rules_network_t *net;
    const zt_rules_member_t *remote; // NULL if not known
    const zt_rules_frame_t *in;
    const uint8_t *cc; // the rule that asked for a copy, or NULL
    const uint8_t *redirect; // the same
    zt_rules_trace_t *trace; // may be NULL
    size_t l4; // where the transport header is
    uint32_t drawn; // random numbers so far
    uint16_t list; // as in zt_rules_step_t
    uint8_t ip; // 4, 6, or 0 if there is no whole header
    uint8_t proto;
    uint8_t walked; // NO, YES, or FALSE while nobody asked; the next two too
    uint8_t owns_ip;
    uint8_t owns_mac;
    uint8_t super;
    uint8_t skip;
} state_t;

static uint32_t be16(const uint8_t *p) {
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p) {
    return be16(p) << 16 | be16(p + 2);
}

static unsigned same(const uint8_t *a, const uint8_t *b, size_t n) {
    return memcmp(a, b, n) == 0;
}

// ---- the frame

static unsigned ipv4(const state_t *s, const uint8_t *r, size_t at) {
    if (s->ip != 4) {
        return NO;
    }
    if (r[4] == 0) {
        return TRUE;
    }
    const unsigned host = r[4] < 32 ? 32U - r[4] : 0;
    return (be32(s->in->payload + at) ^ be32(r)) >> host == 0;
}

static unsigned ipv6(const state_t *s, const uint8_t *r, size_t at) {
    if (s->ip != 6) {
        return NO;
    }
    // The address of the frame is masked and that of the rule is not, as members of a network do it.
    unsigned bits = r[16];
    for (size_t i = 0; i < 16; i++) {
        const unsigned take = bits < 8 ? bits : 8;
        bits -= take;
        if ((s->in->payload[at + i] & 0xff00U >> take) != r[i]) {
            return FALSE;
        }
    }
    return TRUE;
}

static unsigned tos(const state_t *s, const uint8_t *r) {
    unsigned x;
    if (s->ip == 4) {
        x = s->in->payload[1];
    } else if (s->ip == 6) {
        x = (s->in->payload[0] & 15U) << 4 | s->in->payload[1] >> 4;
    } else {
        return NO;
    }
    x &= r[0];
    return r[1] <= x && x <= r[2];
}

// Looks for the transport header: 1, proto and l4 are known, or 0. l4 is not beyond n for IPv6 only.
static unsigned walk(state_t *s) {
    if (s->walked != FALSE) {
        return s->walked == YES;
    }
    s->walked = NO;
    if (s->ip == 4) {
        s->proto = s->in->payload[9];
        s->l4 = (s->in->payload[0] & 15U) << 2;
    } else if (s->ip == 6) {
        unsigned proto = s->in->payload[6];
        size_t pos = 40;
        while (proto == 0 || proto == 43 || proto == 60 || proto == 135) {
            if (pos + 8 > s->in->n) {
                return 0;
            }
            proto = s->in->payload[pos];
            pos += 8 + ((size_t)s->in->payload[pos + 1] << 3);
        }
        if (pos > s->in->n) {
            return 0;
        }
        s->proto = (uint8_t)proto;
        s->l4 = pos;
    } else {
        return 0;
    }
    s->walked = YES;
    return 1;
}

static unsigned icmp(state_t *s, const uint8_t *r) {
    if (!walk(s) || s->proto != (s->ip == 4 ? 1 : 58)) {
        return NO;
    }
    if (s->in->n < s->l4 + 2 || s->in->payload[s->l4] != r[0]) {
        return NO;
    }
    if (r[2] & 1) {
        return s->in->payload[s->l4 + 1] == r[1];
    }
    return YES;
}

static unsigned port(state_t *s, const uint8_t *r, size_t at) {
    if (!walk(s)) {
        return NO;
    }
    if (s->proto != 6 && s->proto != 17 && s->proto != 132 && s->proto != 136) {
        return FALSE;
    }
    if (s->in->n <= s->l4 + 4) {
        return FALSE;
    }
    const uint32_t x = be16(s->in->payload + s->l4 + at);
    if (x == 0 && s->ip == 6) {
        return FALSE;
    }
    return be16(r) <= x && x <= be16(r + 2);
}

// A number of 1 to 64 bits anywhere in the frame, 0 if it is not all there. As eight bytes, so that
// comparing two is comparing bytes.
static unsigned integer(const state_t *s, const uint8_t *r) {
    uint8_t value[8] = {0};
    const unsigned bits = (r[18] & 63U) + 1;
    const size_t size = (bits + 7) >> 3;
    const unsigned spare = (unsigned)size * 8 - bits; // of the top byte
    size_t at = be16(r + 16);
    if (r[18] & 0x80) {
        if (at + size <= s->in->n) {
            // The top bits of a little-endian number: all of it, shifted down.
            unsigned carry = 0;
            for (size_t i = size; i > 0; i--) {
                const unsigned byte = carry << 8 | s->in->payload[at + i - 1];
                value[8 - i] = (uint8_t)(byte >> spare);
                carry = byte & 0xff;
            }
        }
    } else {
        at += 8 - size;
        if (at + size <= s->in->n) {
            memcpy(value + 8 - size, s->in->payload + at, size);
            value[8 - size] &= (uint8_t)(0xffU >> spare);
        }
    }
    return memcmp(r, value, 8) <= 0 && memcmp(value, r + 8, 8) <= 0;
}

// The first number is the caller's own, those after it are mixed from it.
static uint32_t draw(state_t *s) {
    uint32_t x = s->in->random;
    if (s->drawn) {
        x += s->drawn * 0x9e3779b9U;
        x = (x ^ x >> 16) * 0x85ebca6bU;
        x = (x ^ x >> 13) * 0xc2b2ae35U;
        x ^= x >> 16;
    }
    s->drawn++;
    return x;
}

// ---- who sent it

static unsigned owns(const state_t *s, unsigned type, const uint8_t *thing, size_t size) {
    const zt_rules_member_t *m = s->in->inbound ? s->remote : &s->net->own;
    if (!m) {
        return NO;
    }
    for (size_t i = 0; i < m->thing_count; i++) {
        if (m->things[i].type == type && same(m->things[i].value, thing, size)) {
            return YES;
        }
    }
    return NO;
}

static unsigned find_ip(const state_t *s) {
    const zt_rules_network_t *net = s->net;
    if (s->ip == 4) {
        return owns(s, 2, s->in->payload + 12, 4);
    }
    if (s->in->ethertype == ARP && s->in->n >= 28) {
        return owns(s, 2, s->in->payload + 14, 4);
    }
    if (s->ip != 6) {
        return NO;
    }
    const uint8_t *ip = s->in->payload + 8;
    if (s->in->n >= 64 && s->in->payload[6] == 58) {
        if (s->in->payload[40] == 0x87) {
            return YES;
        }
        if (s->in->payload[40] == 0x88) {
            ip = s->in->payload + 48;
        }
    }
    if (owns(s, 3, ip, 16) == YES) {
        return YES;
    }
    // With NDP emulation a neighbour's address that names it counts as its own.
    if (s->in->inbound && net->flags & ZT_RULES_NDP_EMULATION) {
        if (net->has_sixplane && same(ip, net->sixplane, sizeof net->sixplane)) {
            return YES;
        }
        if (net->has_rfc4193 && same(ip, net->rfc4193, sizeof net->rfc4193)) {
            return YES;
        }
    }
    return NO;
}

static uint32_t tcp_bits(state_t *s) {
    if (!walk(s) || s->proto != 6) {
        return 0;
    }
    const size_t l4 = s->l4;
    if (s->ip == 6 && s->in->n <= l4 + 14) {
        return 0;
    }
    uint32_t bits = 0;
    if (s->in->n > l4 + 12) {
        bits = (s->in->payload[l4 + 12] & 15U) << 8;
    }
    if (s->in->n > l4 + 13) {
        bits |= s->in->payload[l4 + 13];
    }
    return bits;
}

static unsigned characteristics(state_t *s, const uint8_t *r) {
    // Only the top byte and the low 12 bits of the mask have a meaning.
    const unsigned high = r[0];
    const uint32_t low = be16(r + 6) & 0xfff;
    const uint8_t *mac = s->in->mac_dest;
    if (high & 0x80 && s->in->inbound) {
        return TRUE;
    }
    if (high & 0x40 && mac[0] & 1) {
        return TRUE;
    }
    if (high & 0x20 && (mac[0] & mac[1] & mac[2] & mac[3] & mac[4] & mac[5]) == 0xff) {
        return TRUE;
    }
    if (low && low & tcp_bits(s)) {
        return TRUE;
    }
    if (high & 0x10) {
        if (s->owns_ip == FALSE) {
            s->owns_ip = (uint8_t)find_ip(s);
        }
        if (s->owns_ip == YES) {
            return TRUE;
        }
    }
    if (high & 0x08) {
        if (s->owns_mac == FALSE) {
            s->owns_mac = (uint8_t)owns(s, 1, s->in->mac_source, 6);
        }
        return s->owns_mac == YES;
    }
    return FALSE;
}

// ---- tags

static const uint32_t *tag(const zt_rules_member_t *m, uint32_t id) {
    if (!m) {
        return NULL;
    }
    size_t low = 0;
    size_t high = m->tag_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (m->tags[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < m->tag_count && m->tags[low].id == id ? &m->tags[low].value : NULL;
}

static unsigned optimistic(state_t *s) {
    s->skip = 1;
    return YES;
}

static unsigned tags(state_t *s, const uint8_t *r, unsigned kind) {
    const uint32_t *local = tag(&s->net->own, be32(r));
    if (!local) {
        return NO;
    }
    const uint32_t *remote = tag(s->remote, be32(r));
    if (!remote) {
        return s->in->inbound && !s->super ? (unsigned)NO : optimistic(s);
    }
    const uint32_t a = *local;
    const uint32_t b = *remote;
    const uint32_t value = be32(r + 4);
    switch (kind) {
    case TAGS_DIFFERENCE:
        return (a > b ? a - b : b - a) <= value;
    case TAGS_AND:
        return (a & b) == value;
    case TAGS_OR:
        return (a | b) == value;
    case TAGS_XOR:
        return (a ^ b) == value;
    default:
        return a == value && b == value;
    }
}

static unsigned tag_of_one(state_t *s, const uint8_t *r, unsigned receiver) {
    if (s->super) {
        return optimistic(s);
    }
    const unsigned inbound = s->in->inbound != 0;
    const uint32_t *value = tag(receiver == inbound ? &s->net->own : s->remote, be32(r));
    if (value) {
        return *value == be32(r + 4);
    }
    return receiver && !inbound ? optimistic(s) : (unsigned)NO;
}

// The answer of one match whose fields are at r.
static unsigned match(state_t *s, unsigned kind, const uint8_t *r) {
    switch (kind) {
    case SOURCE_ADDRESS:
        return same(r, s->in->source, 5);
    case DEST_ADDRESS:
        return same(r, s->in->dest, 5);
    case VLAN_ID:
        return be16(r) == 0; // frames have no VLAN here
    case VLAN_PCP:
    case VLAN_DEI:
        return r[0] == 0;
    case MAC_SOURCE:
        return same(r, s->in->mac_source, 6);
    case MAC_DEST:
        return same(r, s->in->mac_dest, 6);
    case IPV4_SOURCE:
        return ipv4(s, r, 12);
    case IPV4_DEST:
        return ipv4(s, r, 16);
    case IPV6_SOURCE:
        return ipv6(s, r, 8);
    case IPV6_DEST:
        return ipv6(s, r, 24);
    case IP_TOS:
        return tos(s, r);
    case IP_PROTOCOL:
        return walk(s) ? s->proto == r[0] : (unsigned)NO;
    case ETHERTYPE:
        return be16(r) == s->in->ethertype;
    case ICMP:
        return icmp(s, r);
    case SOURCE_PORT:
        return port(s, r, 0);
    case DEST_PORT:
        return port(s, r, 2);
    case CHARACTERISTICS:
        return characteristics(s, r);
    case FRAME_SIZE:
        return be16(r) <= s->in->n && s->in->n <= be16(r + 2);
    case RANDOM:
        return draw(s) <= be32(r);
    case TAGS_DIFFERENCE:
    case TAGS_AND:
    case TAGS_OR:
    case TAGS_XOR:
    case TAGS_EQUAL:
        return tags(s, r, kind);
    case TAG_SENDER:
        return tag_of_one(s, r, 0);
    case TAG_RECEIVER:
        return tag_of_one(s, r, 1);
    case INTEGER_RANGE:
        return integer(s, r);
    default:
        return (s->net->flags & ZT_RULES_UNKNOWN_IS_TRUE) != 0;
    }
}
