// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Credentials from the form in which Python gives them (zt_plane.h) into the one that rules are judged with,
// in one block of the arena.

#include "zt_bytes.h"
#include "zt_plane_priv.h"

enum { TAG = 1, CAPABILITY, THING };

// The bytes the record at `at` takes, 0 if it is malformed or runs over the end.
static size_t record(const uint8_t *raw, size_t n, size_t at) {
    const size_t rest = n - at;
    size_t size = 0;
    switch (raw[at]) {
    case TAG:
        size = 9;
        break;
    case CAPABILITY:
        size = rest < 3 ? 3 : 3 + zt_be16(raw + at + 1);
        break;
    case THING:
        size = 18;
        break;
    default:
        break;
    }
    return size <= rest ? size : 0;
}

static uint32_t be32(const uint8_t *p) {
    return (uint32_t)zt_be16(p) << 16 | zt_be16(p + 2);
}

int zt_credentials(zt_plane_t *p, const uint8_t *raw, size_t n, zt_rules_member_t *out,
                   zt_rules_list_t *rules, void **block) {
    size_t tags = 0;
    size_t lists = 0;
    size_t things = 0;
    size_t bytes = rules ? rules->n : 0;
    size_t size;
    memset(out, 0, sizeof *out);
    *block = NULL;
    for (size_t at = 0; at < n; at += size) {
        size = record(raw, n, at);
        if (size == 0) {
            return -1;
        }
        tags += raw[at] == TAG;
        things += raw[at] == THING;
        if (raw[at] == CAPABILITY) {
            lists++;
            bytes += size - 3;
        }
    }
    if (tags > 0xffff || lists > 0xffff || things > 0xffff || bytes > p->arena.size) {
        return -1;
    }
    const size_t total = lists * sizeof(zt_rules_list_t) + tags * sizeof(zt_rules_tag_t) +
                         things * sizeof(zt_rules_thing_t) + bytes;
    if (total == 0) {
        return 0;
    }
    *block = zt_arena_get(&p->arena, total);
    if (!*block) {
        return -1;
    }
    // What needs most alignment comes first.
    zt_rules_list_t *list = *block;
    zt_rules_tag_t *tag = (zt_rules_tag_t *)(void *)(list + lists);
    zt_rules_thing_t *thing = (zt_rules_thing_t *)(void *)(tag + tags);
    uint8_t *rest = (uint8_t *)(thing + things);
    out->capabilities = list;
    out->tags = tag;
    out->things = thing;
    for (size_t at = 0; at < n; at += size) {
        const uint8_t *r = raw + at;
        size = record(raw, n, at);
        if (r[0] == TAG) {
            tag->id = be32(r + 1);
            tag->value = be32(r + 5);
            if (out->tag_count && tag->id <= tag[-1].id) {
                zt_arena_put(&p->arena, *block);
                *block = NULL;
                return -1;
            }
            tag++;
            out->tag_count++;
        } else if (r[0] == CAPABILITY) {
            list->raw = rest;
            list->n = size - 3;
            memcpy(rest, r + 3, list->n);
            rest += list->n;
            list++;
            out->capability_count++;
        } else {
            thing->type = r[1];
            memcpy(thing->value, r + 2, sizeof thing->value);
            thing++;
            out->thing_count++;
        }
    }
    if (rules) {
        if (rules->n) {
            memcpy(rest, rules->raw, rules->n);
        }
        rules->raw = rest;
    }
    return 0;
}
