// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The host's addresses, asked of the kernel by rtnetlink(7). The node looks at them again and again, and
// getifaddrs(3) would call malloc each time.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "py/runtime.h"
#include "zt_hal_py.h"
#include "zt_unix.h"

#define TRIES 4 // of a list that changes while it is read

typedef struct {
    char name[IF_NAMESIZE];
    unsigned index;
    const uint8_t *ip;
    size_t ip_n; // 4 or 16
    unsigned bits;
} address_t;

typedef void (*found_t)(void *arg, const address_t *a);

static int open_netlink(void) {
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

static int ask(int fd, unsigned seq) {
    struct {
        struct nlmsghdr head;
        struct ifaddrmsg body;
    } request;
    memset(&request, 0, sizeof(request));
    request.head.nlmsg_len = sizeof(request);
    request.head.nlmsg_type = RTM_GETADDR;
    request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.head.nlmsg_seq = seq;
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
    ssize_t n;
    do {
        n = sendto(fd, &request, sizeof(request), 0, (struct sockaddr *)&kernel, sizeof(kernel));
    } while (n < 0 && errno == EINTR);
    return n < 0 ? errno : 0;
}

// Fills *a from one message; false if it is not an address of an interface that is up.
static bool parse(int fd, const struct nlmsghdr *head, address_t *a) {
    if (head->nlmsg_type != RTM_NEWADDR || head->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifaddrmsg))) {
        return false;
    }
    const struct ifaddrmsg *m = NLMSG_DATA(head);
    a->ip_n = m->ifa_family == AF_INET ? 4 : m->ifa_family == AF_INET6 ? 16 : 0;
    a->ip = NULL;
    a->index = m->ifa_index;
    a->bits = m->ifa_prefixlen;
    a->name[0] = '\0';
    size_t left = head->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
    for (const struct rtattr *r = IFA_RTA(m); RTA_OK(r, left); r = RTA_NEXT(r, left)) {
        size_t n = RTA_PAYLOAD(r);
        // The other end of a point-to-point link is IFA_ADDRESS, ourselves IFA_LOCAL; else they are one.
        if ((r->rta_type == IFA_LOCAL || (r->rta_type == IFA_ADDRESS && a->ip == NULL)) && n == a->ip_n) {
            a->ip = RTA_DATA(r);
        } else if (r->rta_type == IFA_LABEL && n != 0 && n <= sizeof(a->name)) {
            memcpy(a->name, RTA_DATA(r), n);
            a->name[n - 1] = '\0';
        }
    }
    struct ifreq interface = { .ifr_ifindex = (int)a->index };
    if (a->ip_n == 0 || a->ip == NULL || ioctl(fd, SIOCGIFNAME, &interface) != 0) {
        return false;
    }
    if (a->name[0] == '\0') {
        memcpy(a->name, interface.ifr_name, sizeof(a->name));
    }
    return ioctl(fd, SIOCGIFFLAGS, &interface) == 0 && (interface.ifr_flags & IFF_UP) != 0;
}

// Calls found() for each address; 0, EAGAIN when the list changed meanwhile, or another errno.
static int walk(int fd, unsigned seq, found_t found, void *arg) {
    _Alignas(struct nlmsghdr) uint8_t buf[8192]; // the kernel keeps to it
    int err = ask(fd, seq);
    bool changed = false;
    while (err == 0) {
        ssize_t got = recv(fd, buf, sizeof(buf), 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? errno : EIO;
        }
        size_t left = (size_t)got;
        for (const struct nlmsghdr *h = (const void *)buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_seq != seq) {
                continue; // of an earlier try
            }
            changed = changed || (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
            if (h->nlmsg_type == NLMSG_DONE) {
                return changed ? EAGAIN : 0;
            }
            if (h->nlmsg_type == NLMSG_ERROR) {
                return EIO;
            }
            address_t a;
            if (parse(fd, h, &a)) {
                found(arg, &a);
            }
        }
    }
    return err;
}

typedef struct {
    const uint8_t *ip;
    uint32_t scope;
} scope_t;

static void compare(void *arg, const address_t *a) {
    scope_t *s = arg;
    if (a->ip_n == 16 && memcmp(a->ip, s->ip, 16) == 0) {
        s->scope = a->index;
    }
}

uint32_t zt_interfaces_scope(const uint8_t ip[16]) {
    scope_t s = { ip, 0 };
    int fd = open_netlink();
    if (fd >= 0) {
        walk(fd, 1, compare, &s);
        close(fd);
    }
    return s.scope;
}

static void append(void *arg, const address_t *a) {
    mp_obj_t tuple[] = {
        mp_obj_new_str_from_cstr(a->name),
        mp_obj_new_bytes(a->ip, a->ip_n),
        MP_OBJ_NEW_SMALL_INT(a->bits),
    };
    mp_obj_list_append(*(mp_obj_t *)arg, mp_obj_new_tuple(3, tuple));
}

static mp_obj_t interfaces(void) {
    int fd = open_netlink();
    if (fd < 0) {
        mp_raise_OSError(errno);
    }
    volatile mp_obj_t out = mp_const_none;
    int err = EAGAIN;
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        for (unsigned i = 1; i <= TRIES && err == EAGAIN; i++) {
            mp_obj_t list = mp_obj_new_list(0, NULL);
            err = walk(fd, i, append, &list);
            out = list; // at the last try what there is
        }
        nlr_pop();
    } else {
        close(fd);
        nlr_jump(nlr.ret_val);
    }
    close(fd);
    if (err != 0 && err != EAGAIN) {
        mp_raise_OSError(err);
    }
    return out;
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_interfaces_obj, interfaces);
