// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The module _ztbench, of the bench build only: UDP datagrams made and counted in C, so that what is
// measured is the node and not the interpreter. Both ends are plain users of lwIP's own UDP functions, as a
// C program on the stack would be: what is sent goes through lwIP, the plane and the wire, and is counted
// where lwIP gives it to its socket. Nothing of the node is bypassed.

#include <string.h>
#include <time.h>

#include "lwip/udp.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "zt_plane_port.h"
#include "zt_unix.h"

#define BURST 64 // datagrams between two turns of the node
#define SIZE_MAX_UDP 9000

static struct udp_pcb *sink_pcb;
static uint32_t sink_count;
static uint64_t sink_bytes;

static uint64_t micros(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void taken(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port) {
    (void)arg;
    (void)pcb;
    (void)from;
    (void)port;
    sink_count++;
    sink_bytes += p->tot_len;
    pbuf_free(p);
}

// sink(port): count what comes to this port, from 0.
static mp_obj_t sink(mp_obj_t port) {
    if (sink_pcb == NULL) {
        sink_pcb = udp_new();
    }
    if (sink_pcb == NULL || udp_bind(sink_pcb, IP_ANY_TYPE, (u16_t)mp_obj_get_int(port)) != ERR_OK) {
        mp_raise_OSError(MP_EADDRINUSE);
    }
    udp_recv(sink_pcb, taken, NULL);
    sink_count = 0;
    sink_bytes = 0;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(sink_obj, sink);

// counted(): (datagrams, bytes) since the last call.
static mp_obj_t counted(void) {
    mp_obj_t pair[2] = { mp_obj_new_int_from_uint(sink_count), mp_obj_new_int_from_ull(sink_bytes) };
    sink_count = 0;
    sink_bytes = 0;
    return mp_obj_new_tuple(2, pair);
}
static MP_DEFINE_CONST_FUN_OBJ_0(counted_obj, counted);

// send(ip, port, size, rate, ms): datagrams of `size` bytes to ip (4 bytes) for so long, evenly so many a
// second or, with 0, as many as go; (sent, refused by the stack, microseconds).
static mp_obj_t send_datagrams(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t b;
    mp_get_buffer_raise(args[0], &b, MP_BUFFER_READ);
    const u16_t port = (u16_t)mp_obj_get_int(args[1]);
    const mp_int_t size = mp_obj_get_int(args[2]);
    const uint64_t rate = (uint64_t)mp_obj_get_int(args[3]);
    const uint64_t until = (uint64_t)mp_obj_get_int(args[4]) * 1000;
    if (b.len != 4 || size < 4 || size > SIZE_MAX_UDP) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad argument"));
    }
    ip_addr_t to;
    memset(&to, 0, sizeof(to));
    IP_SET_TYPE_VAL(to, IPADDR_TYPE_V4);
    memcpy(&ip_2_ip4(&to)->addr, b.buf, 4);
    struct udp_pcb *pcb = udp_new();
    if (pcb == NULL) {
        mp_raise_OSError(MP_ENOMEM);
    }
    uint32_t sent = 0, refused = 0;
    const uint64_t start = micros();
    uint64_t gone = 0;
    while (gone < until) {
        uint64_t due = rate == 0 ? UINT64_MAX : gone * rate / 1000000;
        for (unsigned i = 0; i < BURST && sent + BURST - i <= due; i++) {
            struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)size, PBUF_RAM);
            if (p == NULL) {
                refused++;
                break;
            }
            memset(p->payload, 0x5a, (size_t)size);
            memcpy(p->payload, &sent, sizeof(sent));
            refused += udp_sendto(pcb, p, &to, port) != ERR_OK;
            pbuf_free(p);
            sent++;
        }
        zt_wait_pump();
        mp_handle_pending(true);
        gone = micros() - start;
    }
    udp_remove(pcb);
    mp_obj_t out[3] = {
        mp_obj_new_int_from_uint(sent), mp_obj_new_int_from_uint(refused), mp_obj_new_int_from_ull(gone)
    };
    return mp_obj_new_tuple(3, out);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(send_obj, 5, 5, send_datagrams);

// crowd_send(interface, source MAC, MACs, size, burst, rate, ms): Ethernet frames of `size` bytes to each MAC in
// turn, a burst each, handed to the interface's output as lwIP would; as send().
static mp_obj_t crowd_send(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    static uint8_t frame[SIZE_MAX_UDP];
    mp_buffer_info_t own, macs;
    mp_get_buffer_raise(args[1], &own, MP_BUFFER_READ);
    mp_get_buffer_raise(args[2], &macs, MP_BUFFER_READ);
    const int nic = (int)mp_obj_get_int(args[0]);
    const mp_int_t size = mp_obj_get_int(args[3]);
    const mp_int_t burst = mp_obj_get_int(args[4]);
    const uint64_t rate = (uint64_t)mp_obj_get_int(args[5]);
    const uint64_t until = (uint64_t)mp_obj_get_int(args[6]) * 1000;
    if (own.len != 6 || macs.len < 6 || size < 60 || size > SIZE_MAX_UDP || burst < 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad argument"));
    }
    memcpy(frame + 6, own.buf, 6);
    frame[12] = 8;
    frame[13] = 0;
    const zt_seg_t segment = { frame, (size_t)size };
    uint32_t sent = 0, refused = 0;
    size_t turn = 0;
    const uint64_t start = micros();
    uint64_t gone = 0;
    while (gone < until) {
        for (unsigned done = 0; done < BURST && (rate == 0 || sent < gone * rate / 1000000);) {
            memcpy(frame, (const uint8_t *)macs.buf + turn, 6);
            turn = turn + 12 <= macs.len ? turn + 6 : 0;
            for (mp_int_t i = 0; i < burst; i++) {
                refused += !zt_plane_linkoutput(nic, &segment, 1);
            }
            sent += (uint32_t)burst;
            done += (unsigned)burst;
        }
        zt_wait_pump();
        mp_handle_pending(true);
        gone = micros() - start;
    }
    mp_obj_t out[3] = {
        mp_obj_new_int_from_uint(sent), mp_obj_new_int_from_uint(refused), mp_obj_new_int_from_ull(gone)
    };
    return mp_obj_new_tuple(3, out);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(crowd_send_obj, 7, 7, crowd_send);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__ztbench) },
    { MP_ROM_QSTR(MP_QSTR_sink), MP_ROM_PTR(&sink_obj) },
    { MP_ROM_QSTR(MP_QSTR_counted), MP_ROM_PTR(&counted_obj) },
    { MP_ROM_QSTR(MP_QSTR_send), MP_ROM_PTR(&send_obj) },
    { MP_ROM_QSTR(MP_QSTR_crowd_send), MP_ROM_PTR(&crowd_send_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t zt_bench_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__ztbench, zt_bench_module);
