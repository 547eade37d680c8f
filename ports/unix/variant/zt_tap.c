// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The module _zttap: the few system calls behind lib/zt/tap.py. A TAP device is a descriptor whose
// reads and writes are whole Ethernet frames; it is gone when the descriptor is closed, however the
// process ends. What is set on a device is decided, and put into netlink messages, in Python.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "py/runtime.h"
#include "zt_plane_port.h"
#include "zt_unix.h"

#ifdef __linux__
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

extern unsigned if_nametoindex(const char *name); // <net/if.h> and <linux/if.h> exclude one another

#define ANSWER_S 2    // the kernel answers at once; this only bounds what cannot happen
#define ANSWER_MAX 8192

// open(name) -> fd. A device of that name must not exist (EBUSY): it is somebody else's.
static mp_obj_t tap_open(mp_obj_t name_in) {
    size_t len;
    const char *name = mp_obj_str_get_data(name_in, &len);
    struct ifreq request;
    if (len == 0 || len >= sizeof(request.ifr_name)) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad device name"));
    }
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        mp_raise_OSError(errno);
    }
    memset(&request, 0, sizeof(request));
    memcpy(request.ifr_name, name, len);
    request.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL);
    if (ioctl(fd, TUNSETIFF, &request) != 0) {
        int err = errno;
        close(fd);
        mp_raise_OSError(err);
    }
    return MP_OBJ_NEW_SMALL_INT(fd);
}
static MP_DEFINE_CONST_FUN_OBJ_1(tap_open_obj, tap_open);

static mp_obj_t tap_close(mp_obj_t fd) {
    close((int)mp_obj_get_int(fd));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(tap_close_obj, tap_close);

// index(name) -> the number netlink calls the device by; 0 if there is none.
static mp_obj_t tap_index(mp_obj_t name) {
    return mp_obj_new_int_from_uint(if_nametoindex(mp_obj_str_get_str(name)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(tap_index_obj, tap_index);

// read(fd, buf) -> length of the frame, 0 when there is none; OSError when the device is gone.
static mp_obj_t tap_read(mp_obj_t fd, mp_obj_t buf_in) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(buf_in, &buf, MP_BUFFER_WRITE);
    ssize_t n;
    do {
        n = read((int)mp_obj_get_int(fd), buf.buf, buf.len);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno != EAGAIN) {
            mp_raise_OSError(errno);
        }
        n = 0;
    }
    return MP_OBJ_NEW_SMALL_INT(n);
}
static MP_DEFINE_CONST_FUN_OBJ_2(tap_read_obj, tap_read);

// write(fd, frame) -> 0 or the errno. What a device of the plane does not take is counted there.
static mp_obj_t tap_write(mp_obj_t fd, mp_obj_t frame_in) {
    mp_buffer_info_t frame;
    mp_get_buffer_raise(frame_in, &frame, MP_BUFFER_READ);
    if (zt_tap_write(zt_tap_find((int)mp_obj_get_int(fd)), frame.buf, frame.len)) {
        return MP_OBJ_NEW_SMALL_INT(0);
    }
    ssize_t n;
    do {
        n = write((int)mp_obj_get_int(fd), frame.buf, frame.len);
    } while (n < 0 && errno == EINTR);
    return MP_OBJ_NEW_SMALL_INT(n < 0 ? errno : 0);
}
static MP_DEFINE_CONST_FUN_OBJ_2(tap_write_obj, tap_write);

// give(n, fd): from now on the plane in C moves the frames of the watched device `fd`, which is interface n,
// whenever it knows the network; fd -1 ends that. 0 or the errno.
static mp_obj_t tap_give(mp_obj_t n, mp_obj_t fd) {
    return MP_OBJ_NEW_SMALL_INT(zt_tap_give((int)mp_obj_get_int(n), (int)mp_obj_get_int(fd)));
}
static MP_DEFINE_CONST_FUN_OBJ_2(tap_give_obj, tap_give);

// held(n): is it the plane that reads the device of interface n?
static mp_obj_t tap_held(mp_obj_t n) {
    return mp_obj_new_bool(zt_tap_held((int)mp_obj_get_int(n)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(tap_held_obj, tap_held);

// looped(): how many datagrams of the node itself the plane has found on devices.
static mp_obj_t tap_looped(void) {
    return mp_obj_new_int_from_uint(zt_io_counters.tap_looped);
}
static MP_DEFINE_CONST_FUN_OBJ_0(tap_looped_obj, tap_looped);

// The kernel's verdict on a request: an NLMSG_ERROR holds the negative errno, 0 for done.
static int answer(int fd) {
    union {
        struct nlmsghdr head;
        char bytes[ANSWER_MAX];
    } reply;
    ssize_t n;
    do {
        n = recv(fd, &reply, sizeof(reply), 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno;
    }
    int verdict;
    if ((size_t)n < NLMSG_HDRLEN + sizeof(verdict) || reply.head.nlmsg_type != NLMSG_ERROR) {
        return EPROTO;
    }
    memcpy(&verdict, reply.bytes + NLMSG_HDRLEN, sizeof(verdict));
    return -verdict;
}

// netlink(message) -> 0 or the errno of one request with NLM_F_ACK.
static mp_obj_t tap_netlink(mp_obj_t message_in) {
    mp_buffer_info_t message;
    mp_get_buffer_raise(message_in, &message, MP_BUFFER_READ);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) {
        return MP_OBJ_NEW_SMALL_INT(errno);
    }
    struct timeval limit = { .tv_sec = ANSWER_S };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
    ssize_t n = sendto(fd, message.buf, message.len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
    int err = n < 0 ? errno : answer(fd);
    close(fd);
    return MP_OBJ_NEW_SMALL_INT(err);
}
static MP_DEFINE_CONST_FUN_OBJ_1(tap_netlink_obj, tap_netlink);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__zttap) },
    { MP_ROM_QSTR(MP_QSTR_open), MP_ROM_PTR(&tap_open_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&tap_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_index), MP_ROM_PTR(&tap_index_obj) },
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&tap_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&tap_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_give), MP_ROM_PTR(&tap_give_obj) },
    { MP_ROM_QSTR(MP_QSTR_held), MP_ROM_PTR(&tap_held_obj) },
    { MP_ROM_QSTR(MP_QSTR_looped), MP_ROM_PTR(&tap_looped_obj) },
    { MP_ROM_QSTR(MP_QSTR_netlink), MP_ROM_PTR(&tap_netlink_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t zt_tap_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__zttap, zt_tap_module);
#endif
