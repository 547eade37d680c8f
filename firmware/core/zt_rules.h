// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The rules engine (VL2 4): base rules, capabilities and tags over their wire bytes, for one frame. It
// keeps nothing between frames, allocates nothing and sends nothing: the answer is a verdict and who gets
// a copy. All tables are the caller's and only read. Variable time in everything.
//
// Work for one frame: every rule of the base list and of the capabilities that apply at most once, each in
// constant time but for a binary search in the tags; once a frame, if a rule asks, a walk over the IPv6
// extension headers (n / 8 steps at most) and two passes over the things owned. No recursion. Stack with
// gcc, all calls but those of libc: under 256 bytes on rv32imc, under 384 on x86-64.

#ifndef ZT_RULES_H
#define ZT_RULES_H

#include <stddef.h>
#include <stdint.h>

#define ZT_RULES_MAX 1024           // rules of a network (protocol)
#define ZT_RULES_CAPABILITY_MAX 64  // rules of a capability (protocol)
#define ZT_RULES_COPIES 3           // of the capability, of the base rules, and a redirect: never more

// Bits of zt_rules_network_t.flags, as in the configuration; the others have no meaning here.
#define ZT_RULES_NDP_EMULATION 4
#define ZT_RULES_UNKNOWN_IS_TRUE 8

// Results of a rule list.
enum { ZT_RULES_NO_MATCH, ZT_RULES_DROP, ZT_RULES_REDIRECT, ZT_RULES_ACCEPT, ZT_RULES_SUPER_ACCEPT };

typedef struct {
    const uint8_t *raw;
    size_t n;
} zt_rules_list_t;

typedef struct {
    uint32_t id;
    uint32_t value;
} zt_rules_tag_t;

// A MAC (type 1) or IP address (2: IPv4, 3: IPv6) that a certificate of ownership names.
typedef struct {
    uint8_t type;
    uint8_t value[16];
} zt_rules_thing_t;

// What one member has, ourselves or another: only credentials that are valid now.
typedef struct {
    const zt_rules_tag_t *tags; // ascending by id, no id twice
    const zt_rules_list_t *capabilities; // tried in this order: our own ascending by id
    const zt_rules_thing_t *things;
    uint16_t tag_count;
    uint16_t capability_count;
    uint16_t thing_count;
} zt_rules_member_t;

typedef struct {
    zt_rules_list_t rules;
    zt_rules_member_t own;
    uint32_t flags;
    uint8_t address[5]; // ours
    uint8_t has_sixplane; // our own address of that kind is among our static IPs
    uint8_t has_rfc4193;
    uint8_t sixplane[5]; // what the addresses of that kind begin with here
    uint8_t rfc4193[11];
} zt_rules_network_t;

typedef struct {
    const uint8_t *payload; // after the Ethernet header; may be NULL if n is 0
    size_t n;
    uint32_t random; // fresh for each frame; drawn from by the rules that match at random
    uint16_t ethertype;
    uint8_t inbound;
    uint8_t no_tee; // no copies but a redirect: the pass per recipient of a multicast
    uint8_t mac_source[6];
    uint8_t mac_dest[6];
    uint8_t source[5];
    uint8_t dest[5]; // zero while not known
} zt_rules_frame_t;

typedef struct {
    uint32_t length; // bytes of the payload
    uint8_t dest[5];
    uint8_t flags; // of the EXT_FRAME
} zt_rules_copy_t;

// What to send besides, in this order; meaningful as far as `count`.
typedef struct {
    zt_rules_copy_t copies[ZT_RULES_COPIES];
    uint8_t count;
    uint8_t base; // result of the base rules
    uint8_t result; // result of the list that decided
} zt_rules_out_t;

// One rule as it went, for `zt rules explain`.
typedef struct {
    uint16_t list; // 0 the base rules, then 1 + index of the capability
    uint16_t rule; // index in the list; stays at 65535
    uint8_t type; // as on the wire, with NOT and OR
    uint8_t match; // ZT_RULES_FALSE ... of a match, before NOT; ZT_RULES_UNASKED
    uint8_t state; // ZT_RULES_SET ... after the rule; for an action, SET says that it was taken
    uint8_t result; // of the list if it ended here, else ZT_RULES_GOES_ON
} zt_rules_step_t;

// NO and YES are the answers that NOT cannot invert.
enum { ZT_RULES_FALSE, ZT_RULES_TRUE, ZT_RULES_NO, ZT_RULES_YES, ZT_RULES_UNASKED };

#define ZT_RULES_SET 1
#define ZT_RULES_SKIP 2  // the next DROP taken will be passed over
#define ZT_RULES_SUPER 4 // an ACCEPT will be a SUPER_ACCEPT
#define ZT_RULES_GOES_ON 255

typedef struct {
    zt_rules_step_t *steps;
    size_t room;
    size_t count; // all steps there were, also those that found no room
} zt_rules_trace_t;

// 0 if the first `limit` rules of raw are whole, and *used the bytes they take; else -1, *used unchanged.
int zt_rules_validate(const uint8_t *raw, size_t n, size_t limit, size_t *used);

// 0 drop, 1 accept, 2 accept whatever the addresses; a redirect is a copy and the verdict 0. `remote` is
// the other side: the sender of a frame that came in, the receiver of one that goes out; NULL if not
// known. A list that is not whole drops the frame or does not match; it is never read beyond its end.
// `trace` may be NULL; it is added to, so the caller sets its count to 0.
int zt_rules_eval(const zt_rules_network_t *net, const zt_rules_member_t *remote,
                  const zt_rules_frame_t *frame, zt_rules_out_t *out, zt_rules_trace_t *trace);

#endif
