// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Frames on their way in: copied into a pbuf, or lent to lwIP where they lie. What is lent comes back in
// whichever thread frees the pbuf (a socket's reader does), hence the protection.

#include <string.h>

#include "lwip/pbuf.h"
#include "lwip/sys.h"
#include "netif/ethernet.h"
#include "zt_atomic.h"
#include "zt_netif_priv.h"

#define FRAME_MIN 60

#if ZT_NETIF_OWNED

// Pbufs that point into somebody else's memory.
typedef struct owned {
    struct pbuf_custom custom;
    zt_owner_t *owner;
    struct owned *next; // of the free
} owned_t;

static owned_t owneds[ZT_NETIF_OWNED];
static owned_t *free_owned;
static unsigned used_owned; // those from here on were never used

static void owned_free(struct pbuf *p) {
    owned_t *o = (owned_t *)(void *)p;
    zt_owner_t *owner = o->owner;
    SYS_ARCH_DECL_PROTECT(old);
    SYS_ARCH_PROTECT(old);
    o->next = free_owned;
    free_owned = o;
    SYS_ARCH_UNPROTECT(old);
    owner->done(owner);
}

static struct pbuf *owned(uint8_t *frame, size_t len, zt_owner_t *owner) {
    SYS_ARCH_DECL_PROTECT(old);
    SYS_ARCH_PROTECT(old);
    owned_t *o = free_owned;
    if (o != NULL) {
        free_owned = o->next;
    } else if (used_owned < ZT_NETIF_OWNED) {
        o = &owneds[used_owned++];
    }
    owner->refs += o != NULL;
    SYS_ARCH_UNPROTECT(old);
    if (o == NULL) {
        return NULL;
    }
    o->owner = owner;
    o->custom.custom_free_function = owned_free;
    return pbuf_alloced_custom(PBUF_RAW, (u16_t)len, PBUF_REF, &o->custom, frame, (u16_t)len);
}

#else

static struct pbuf *owned(uint8_t *frame, size_t len, zt_owner_t *owner) {
    (void)frame;
    (void)len;
    (void)owner;
    return NULL;
}

#endif

int zt_netif_input_owned(int n, uint8_t *frame, size_t len, zt_owner_t *owner) {
    zt_netif_t *z = zt_netif_get(n);
    if (z == NULL) {
        return ZT_NETIF_ERR_INDEX;
    }
    if (len < ZT_ETHERNET_HEADER || len > ZT_FRAME_MAX) {
        return ZT_NETIF_ERR_ARG;
    }
    // lwIP reads an IPv4 header before it has looked whether there is one: on a wire no frame is shorter.
    size_t room = len < FRAME_MIN ? FRAME_MIN : len;
    struct pbuf *p = owner != NULL && room == len ? owned(frame, len, owner) : NULL;
    if (p == NULL) {
        p = pbuf_alloc(PBUF_RAW, (u16_t)room, PBUF_RAM);
        if (p == NULL) {
            return ZT_NETIF_ERR_MEM;
        }
        memcpy(p->payload, frame, len);
        memset((uint8_t *)p->payload + len, 0, room - len);
    }
    ZT_STORE(zt_netif_active, zt_netif_active + 1);
    if (ethernet_input(p, &z->netif) != ERR_OK) {
        pbuf_free(p);
    }
    return 0;
}

int zt_netif_input(int n, const uint8_t *frame, size_t len) {
    // Without an owner it is only read.
    return zt_netif_input_owned(n, (uint8_t *)(uintptr_t)frame, len, NULL);
}
