// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The module _ztplane: the data plane (docs/plane.md) for Python, arguments in and out and no logic of its
// own; what reaches the plane goes through zt_plane_run.h. Functions that set return False where the plane
// had no room. An address of the wire is 20 bytes: length of the IP (4, 16; 0: none), IP (16), port (2),
// number of the wire (1).

#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "zt_plane_run.h"

#define LIMITS 9
#define PLACE 20
#define WAY ((1 + ZT_PLANE_SOURCES) * PLACE)
#define META 40

static void need(void) {
    if (zt_plane == NULL) {
        mp_raise_OSError(MP_ENODEV);
    }
}

static const uint8_t *bytes_of(mp_obj_t in, size_t n) {
    mp_buffer_info_t b;
    mp_get_buffer_raise(in, &b, MP_BUFFER_READ);
    if (b.len != n) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad argument"));
    }
    return b.buf;
}

static uint8_t *room_of(mp_obj_t in, size_t n) {
    mp_buffer_info_t b;
    mp_get_buffer_raise(in, &b, MP_BUFFER_WRITE);
    if (b.len < n) {
        mp_raise_ValueError(MP_ERROR_TEXT("buffer too small"));
    }
    return b.buf;
}

static uint32_t get_u32(mp_obj_t in) {
    return (uint32_t)mp_obj_get_int_truncated(in);
}

static void read_place(zt_plane_path_t *path, const uint8_t *p) {
    memset(path, 0, sizeof(*path));
    if (p[0] == 4 || p[0] == 16) {
        path->remote.size = p[0];
        memcpy(path->remote.ip, p + 1, p[0]);
        path->remote.port = (uint16_t)(p[17] << 8 | p[18]);
        path->wire = p[19];
    }
}

// ---- begin and end

// start(address, limits, random): limits as in zt_plane_limits_t, without the unused one.
// start(address, limits, random) -> bytes of memory its tables take
static mp_obj_t start(mp_obj_t address_in, mp_obj_t limits_in, mp_obj_t random_in) {
    const uint8_t *address = bytes_of(address_in, 5);
    const uint8_t *random = bytes_of(random_in, 16);
    mp_obj_t *items;
    mp_obj_get_array_fixed_n(limits_in, LIMITS, &items);
    zt_plane_limits_t l = {
        .peers = (uint16_t)mp_obj_get_int(items[0]),
        .networks = (uint16_t)mp_obj_get_int(items[1]),
        .members = (uint16_t)mp_obj_get_int(items[2]),
        .groups = (uint16_t)mp_obj_get_int(items[3]),
        .group_members = (uint16_t)mp_obj_get_int(items[4]),
        .reassembly = (uint16_t)mp_obj_get_int(items[5]),
        .packet_bytes = (uint16_t)mp_obj_get_int(items[6]),
        .event_bytes = get_u32(items[7]),
        .rules_bytes = get_u32(items[8]),
    };
    switch (zt_run_start(&l, address, random)) {
        case ZT_RUN_NO_MEMORY:
            mp_raise_OSError(MP_ENOMEM);
        case ZT_RUN_BAD_LIMITS:
            mp_raise_ValueError(MP_ERROR_TEXT("bad limits"));
    }
    return mp_obj_new_int_from_uint(zt_plane_size(&l));
}
static MP_DEFINE_CONST_FUN_OBJ_3(start_obj, start);

// A reset of the interpreter ends it too, by _zthal. Here is no __init__: it would run at every import.
static mp_obj_t stop(void) {
    zt_plane_end();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(stop_obj, stop);

// ---- peers

// peer_set(address, key, way, ttl_ms): way is where to send and the sources, an address of the wire each.
static mp_obj_t peer_set(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    const uint8_t *way = bytes_of(args[2], WAY);
    zt_plane_peer_t peer;
    memset(&peer, 0, sizeof(peer));
    read_place(&peer.path, way);
    for (int i = 0; i < ZT_PLANE_SOURCES; i++) {
        read_place(&peer.sources[i], way + (1 + i) * PLACE);
    }
    need();
    return mp_obj_new_bool(zt_run_peer_set(bytes_of(args[0], 5), bytes_of(args[1], 48), &peer, get_u32(args[3])) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(peer_set_obj, 4, 4, peer_set);

static mp_obj_t peer_renew(mp_obj_t address, mp_obj_t ttl) {
    need();
    return mp_obj_new_bool(zt_run_peer_renew(bytes_of(address, 5), get_u32(ttl)) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_2(peer_renew_obj, peer_renew);

static mp_obj_t peer_del(mp_obj_t address) {
    need();
    return mp_obj_new_bool(zt_run_peer_del(bytes_of(address, 5)) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_1(peer_del_obj, peer_del);

// ---- networks

// network_set(nwid, nic, config_flags, multicast_limit, flags, rules, credentials): its index, or -1.
static mp_obj_t network_set(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    zt_plane_network_t net;
    memset(&net, 0, sizeof(net));
    memcpy(net.nwid, bytes_of(args[0], 8), 8);
    mp_int_t nic = mp_obj_get_int(args[1]);
    if (nic < 0 || nic >= ZT_PLANE_NICS) {
        need();
        return MP_OBJ_NEW_SMALL_INT(-1);
    }
    net.nic = (int16_t)nic;
    net.config_flags = get_u32(args[2]);
    net.multicast_limit = get_u32(args[3]);
    net.flags = (uint16_t)mp_obj_get_int(args[4]);
    mp_buffer_info_t rules, credentials;
    mp_get_buffer_raise(args[5], &rules, MP_BUFFER_READ);
    mp_get_buffer_raise(args[6], &credentials, MP_BUFFER_READ);
    need();
    return MP_OBJ_NEW_SMALL_INT(zt_run_network_set(&net, rules.buf, rules.len, credentials.buf, credentials.len));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(network_set_obj, 7, 7, network_set);

static mp_obj_t network_del(mp_obj_t index) {
    need();
    return mp_obj_new_bool(zt_run_network_del((int)mp_obj_get_int(index)) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_1(network_del_obj, network_del);

// member_set(index, address, flags, ttl_ms, credentials)
static mp_obj_t member_set(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t credentials;
    mp_get_buffer_raise(args[4], &credentials, MP_BUFFER_READ);
    need();
    return mp_obj_new_bool(zt_run_member_set((int)mp_obj_get_int(args[0]), bytes_of(args[1], 5),
        (unsigned)mp_obj_get_int(args[2]), get_u32(args[3]), credentials.buf, credentials.len) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(member_set_obj, 5, 5, member_set);

static mp_obj_t member_renew(mp_obj_t index, mp_obj_t address, mp_obj_t ttl) {
    need();
    return mp_obj_new_bool(zt_run_member_renew((int)mp_obj_get_int(index), bytes_of(address, 5), get_u32(ttl)) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_3(member_renew_obj, member_renew);

static mp_obj_t member_del(mp_obj_t index, mp_obj_t address) {
    need();
    return mp_obj_new_bool(zt_run_member_del((int)mp_obj_get_int(index), bytes_of(address, 5)) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_2(member_del_obj, member_del);

// group_set(index, MAC and ADI, gather, ttl_ms, addresses)
static mp_obj_t group_set(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    const uint8_t *group = bytes_of(args[1], 10);
    mp_buffer_info_t members;
    mp_get_buffer_raise(args[4], &members, MP_BUFFER_READ);
    need();
    return mp_obj_new_bool(zt_run_group_set((int)mp_obj_get_int(args[0]), group, get_u32(args[2]), get_u32(args[3]),
        members.buf, members.len / 5) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(group_set_obj, 5, 5, group_set);

// group_renew(index, MAC and ADI, ttl_ms): False if it is not there, or was not used since.
static mp_obj_t group_renew(mp_obj_t index, mp_obj_t group_in, mp_obj_t ttl) {
    need();
    return mp_obj_new_bool(zt_run_group_renew((int)mp_obj_get_int(index), bytes_of(group_in, 10), get_u32(ttl)) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_3(group_renew_obj, group_renew);

static mp_obj_t group_del(mp_obj_t index, mp_obj_t group_in) {
    need();
    return mp_obj_new_bool(zt_run_group_del((int)mp_obj_get_int(index), bytes_of(group_in, 10)) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_2(group_del_obj, group_del);

static mp_obj_t flush(mp_obj_t kinds, mp_obj_t network) {
    need();
    zt_run_flush((unsigned)mp_obj_get_int(kinds), (int)mp_obj_get_int(network));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(flush_obj, flush);

static mp_obj_t expire(void) {
    need();
    zt_run_expire();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(expire_obj, expire);

// ---- traffic and events

// drain(): bring what the wires have to the plane; True if some may be left. It stops where Python has to
// see an event before what follows.
static mp_obj_t drain(void) {
    need();
    return mp_obj_new_bool(zt_run_drain());
}
static MP_DEFINE_CONST_FUN_OBJ_0(drain_obj, drain);

// event(buf, meta): bytes of the oldest event in buf, -1 for none, -1 - n when it needs n bytes and waits. meta: kind, flags, copy flags, wire (255:
// none), network, interface, address (5), then from 11 on the source as an address of the wire.
static mp_obj_t event(mp_obj_t buf_in, mp_obj_t meta_in) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(buf_in, &buf, MP_BUFFER_WRITE);
    uint8_t *meta = room_of(meta_in, META);
    zt_plane_event_t ev;
    need();
    const int got = zt_run_event(&ev, buf.buf, buf.len);
    if (got != 1) {
        return MP_OBJ_NEW_SMALL_INT(got == 0 ? -1 : -1 - (int)ev.n);
    }
    meta[0] = ev.kind;
    meta[1] = ev.flags;
    meta[2] = ev.copy_flags;
    meta[3] = (uint8_t)ev.wire;
    meta[4] = (uint8_t)ev.network;
    meta[5] = (uint8_t)ev.nic;
    memcpy(meta + 6, ev.address, 5);
    meta[11] = ev.from.size;
    memcpy(meta + 12, ev.from.ip, 16);
    meta[28] = (uint8_t)(ev.from.port >> 8);
    meta[29] = (uint8_t)ev.from.port;
    return MP_OBJ_NEW_SMALL_INT(ev.n);
}
static MP_DEFINE_CONST_FUN_OBJ_2(event_obj, event);

// event_drop(): give up the oldest event, for which there is no memory.
static mp_obj_t event_drop(void) {
    need();
    zt_run_event_drop();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(event_drop_obj, event_drop);

// ---- counters and times, written to an array of 64-bit numbers each

#define IO_COUNTERS 8

static mp_obj_t counters(mp_obj_t out_in) {
    uint64_t *out = (uint64_t *)(void *)room_of(out_in, 8 * (ZT_PLANE_COUNTERS + IO_COUNTERS));
    uint32_t values[ZT_PLANE_COUNTERS];
    zt_io_counters_t io;
    need();
    zt_run_counters(values, &io);
    for (int i = 0; i < ZT_PLANE_COUNTERS; i++) {
        out[i] = values[i];
    }
    out += ZT_PLANE_COUNTERS;
    out[0] = io.rx_messages;
    out[1] = io.rx_datagrams;
    out[2] = io.tx_messages;
    out[3] = io.tx_refused;
    out[4] = io.tap_reads;
    out[5] = io.tap_writes;
    out[6] = io.tap_refused;
    out[7] = io.tap_looped;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(counters_obj, counters);

static mp_obj_t names(void) {
    static const char *const io[IO_COUNTERS] = {
        "rx_messages", "rx_datagrams", "tx_messages", "tx_refused",
        "tap_reads", "tap_writes", "tap_refused", "tap_looped",
    };
    mp_obj_t list = mp_obj_new_list(0, NULL);
    const char *name;
    for (unsigned i = 0; (name = zt_plane_counter_name(i)) != NULL; i++) {
        mp_obj_list_append(list, mp_obj_new_str_from_cstr(name));
    }
    for (int i = 0; i < IO_COUNTERS; i++) {
        mp_obj_list_append(list, mp_obj_new_str_from_cstr(io[i]));
    }
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_0(names_obj, names);

// network_stats(index, out): rx frames, rx bytes, tx frames, tx bytes, then the drops by cause.
static mp_obj_t network_stats(mp_obj_t index, mp_obj_t out_in) {
    uint64_t *out = (uint64_t *)(void *)room_of(out_in, 8 * (4 + ZT_PLANE_NET_DROPS));
    zt_plane_network_stats_t s;
    need();
    if (zt_run_network_stats((int)mp_obj_get_int(index), &s) != 0) {
        return mp_const_false;
    }
    out[0] = s.rx_frames;
    out[1] = s.rx_bytes;
    out[2] = s.tx_frames;
    out[3] = s.tx_bytes;
    for (int i = 0; i < ZT_PLANE_NET_DROPS; i++) {
        out[4 + i] = s.drops[i];
    }
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_2(network_stats_obj, network_stats);

// peer_stats(address, out): rx packets and bytes, tx packets and bytes, ages of rx, frame, tx, sources.
static mp_obj_t peer_stats(mp_obj_t address, mp_obj_t out_in) {
    uint64_t *out = (uint64_t *)(void *)room_of(out_in, 8 * (7 + ZT_PLANE_SOURCES));
    zt_plane_peer_stats_t s;
    need();
    if (zt_run_peer_stats(bytes_of(address, 5), &s) != 0) {
        return mp_const_false;
    }
    out[0] = s.rx_packets;
    out[1] = s.rx_bytes;
    out[2] = s.tx_packets;
    out[3] = s.tx_bytes;
    out[4] = s.rx_age;
    out[5] = s.frame_age;
    out[6] = s.tx_age;
    for (int i = 0; i < ZT_PLANE_SOURCES; i++) {
        out[7 + i] = s.source_age[i];
    }
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_2(peer_stats_obj, peer_stats);

// member_stats(index, address, out): ages of rx and tx.
static mp_obj_t member_stats(mp_obj_t index, mp_obj_t address, mp_obj_t out_in) {
    uint64_t *out = (uint64_t *)(void *)room_of(out_in, 16);
    zt_plane_member_stats_t s;
    need();
    if (zt_run_member_stats((int)mp_obj_get_int(index), bytes_of(address, 5), &s) != 0) {
        return mp_const_false;
    }
    out[0] = s.rx_age;
    out[1] = s.tx_age;
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_3(member_stats_obj, member_stats);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__ztplane) },
    { MP_ROM_QSTR(MP_QSTR_start), MP_ROM_PTR(&start_obj) },
    { MP_ROM_QSTR(MP_QSTR_stop), MP_ROM_PTR(&stop_obj) },
    { MP_ROM_QSTR(MP_QSTR_peer_set), MP_ROM_PTR(&peer_set_obj) },
    { MP_ROM_QSTR(MP_QSTR_peer_renew), MP_ROM_PTR(&peer_renew_obj) },
    { MP_ROM_QSTR(MP_QSTR_peer_del), MP_ROM_PTR(&peer_del_obj) },
    { MP_ROM_QSTR(MP_QSTR_peer_stats), MP_ROM_PTR(&peer_stats_obj) },
    { MP_ROM_QSTR(MP_QSTR_network_set), MP_ROM_PTR(&network_set_obj) },
    { MP_ROM_QSTR(MP_QSTR_network_del), MP_ROM_PTR(&network_del_obj) },
    { MP_ROM_QSTR(MP_QSTR_network_stats), MP_ROM_PTR(&network_stats_obj) },
    { MP_ROM_QSTR(MP_QSTR_member_set), MP_ROM_PTR(&member_set_obj) },
    { MP_ROM_QSTR(MP_QSTR_member_renew), MP_ROM_PTR(&member_renew_obj) },
    { MP_ROM_QSTR(MP_QSTR_member_del), MP_ROM_PTR(&member_del_obj) },
    { MP_ROM_QSTR(MP_QSTR_member_stats), MP_ROM_PTR(&member_stats_obj) },
    { MP_ROM_QSTR(MP_QSTR_group_set), MP_ROM_PTR(&group_set_obj) },
    { MP_ROM_QSTR(MP_QSTR_group_renew), MP_ROM_PTR(&group_renew_obj) },
    { MP_ROM_QSTR(MP_QSTR_group_del), MP_ROM_PTR(&group_del_obj) },
    { MP_ROM_QSTR(MP_QSTR_flush), MP_ROM_PTR(&flush_obj) },
    { MP_ROM_QSTR(MP_QSTR_expire), MP_ROM_PTR(&expire_obj) },
    { MP_ROM_QSTR(MP_QSTR_drain), MP_ROM_PTR(&drain_obj) },
    { MP_ROM_QSTR(MP_QSTR_event), MP_ROM_PTR(&event_obj) },
    { MP_ROM_QSTR(MP_QSTR_event_drop), MP_ROM_PTR(&event_drop_obj) },
    { MP_ROM_QSTR(MP_QSTR_counters), MP_ROM_PTR(&counters_obj) },
    { MP_ROM_QSTR(MP_QSTR_names), MP_ROM_PTR(&names_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t zt_plane_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__ztplane, zt_plane_module);
