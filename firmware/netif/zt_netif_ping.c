// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Echo requests and their replies. Requests of others are answered by lwIP itself.

#include <string.h>

#include "lwip/icmp.h"
#include "lwip/icmp6.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/raw.h"
#include "zt_atomic.h"
#include "zt_netif_priv.h"
#include "zt_port.h"

static struct raw_pcb *ping4, *ping6;
static struct {
    struct pbuf *p;
    ip_addr_t from;
} pongs[ZT_NETIF_PINGS];
static unsigned pong_read, pong_write;
static uint8_t waiting; // is a reply?

#define ECHO_HEAD 8

static u8_t pong(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from) {
    (void)arg;
    u16_t skip = 0;
    if (pcb == ping4) {
        skip = (u16_t)(IPH_HL_BYTES((const struct ip_hdr *)p->payload));
    } else {
        skip = IP6_HLEN;
    }
    u8_t want = pcb == ping4 ? ICMP_ER : ICMP6_TYPE_EREP;
    if (p->tot_len < skip + ECHO_HEAD || pbuf_get_at(p, skip) != want) {
        return 0; // not an echo reply: lwIP's own business
    }
    if (pong_write - pong_read == ZT_NETIF_PINGS) {
        return 0;
    }
    pbuf_remove_header(p, skip);
    pongs[pong_write % ZT_NETIF_PINGS].p = p;
    ip_addr_copy(pongs[pong_write % ZT_NETIF_PINGS].from, *from);
    pong_write++;
    ZT_STORE(waiting, 1);
    zt_port_kick();
    return 1;
}

int zt_netif_ping(const uint8_t *ip, size_t ip_len, uint16_t ident, uint16_t seq, const uint8_t *payload, size_t len) {
    if ((ip_len != 4 && ip_len != 16) || len > 9000) {
        return ZT_NETIF_ERR_ARG;
    }
    struct raw_pcb **pcb = ip_len == 4 ? &ping4 : &ping6;
    if (*pcb == NULL) {
        *pcb = raw_new_ip_type(ip_len == 4 ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6,
            ip_len == 4 ? IP_PROTO_ICMP : IP6_NEXTH_ICMP6);
        if (*pcb == NULL) {
            return ZT_NETIF_ERR_MEM;
        }
        if (ip_len == 16) {
            (*pcb)->chksum_reqd = 1;
            (*pcb)->chksum_offset = 2;
        }
        raw_recv(*pcb, pong, NULL);
        raw_bind(*pcb, ip_len == 4 ? IP4_ADDR_ANY : IP6_ADDR_ANY);
    }
    struct pbuf *p = pbuf_alloc(PBUF_IP, (u16_t)(ECHO_HEAD + len), PBUF_RAM);
    if (p == NULL) {
        return ZT_NETIF_ERR_MEM;
    }
    uint8_t *b = p->payload;
    memset(b, 0, ECHO_HEAD);
    b[0] = ip_len == 4 ? ICMP_ECHO : ICMP6_TYPE_EREQ;
    b[4] = (uint8_t)(ident >> 8);
    b[5] = (uint8_t)ident;
    b[6] = (uint8_t)(seq >> 8);
    b[7] = (uint8_t)seq;
    memcpy(b + ECHO_HEAD, payload, len);
    if (ip_len == 4) {
        uint16_t sum = inet_chksum(b, p->len);
        memcpy(b + 2, &sum, 2);
    }
    ip_addr_t dest;
    zt_netif_address(&dest, ip, ip_len, NULL);
    err_t err = raw_sendto(*pcb, p, &dest);
    pbuf_free(p);
    if (err == ERR_OK) {
        return 0;
    }
    return err == ERR_MEM || err == ERR_BUF ? ZT_NETIF_ERR_MEM : ZT_NETIF_ERR_ROUTE;
}

bool zt_netif_pongs(void) {
    return ZT_LOAD(waiting) != 0;
}

int zt_netif_pong(uint8_t ip[16], size_t *ip_len, uint16_t *ident, uint16_t *seq, uint8_t *buf, size_t size) {
    if (pong_read == pong_write) {
        return -1;
    }
    struct pbuf *p = pongs[pong_read % ZT_NETIF_PINGS].p;
    const ip_addr_t *from = &pongs[pong_read % ZT_NETIF_PINGS].from;
    pong_read++;
    ZT_STORE(waiting, pong_read != pong_write);
    *ip_len = IP_IS_V4(from) ? 4 : 16;
    if (*ip_len == 4) {
        memcpy(ip, &ip_2_ip4(from)->addr, 4);
    } else {
        memcpy(ip, ip_2_ip6(from)->addr, 16);
    }
    uint8_t head[ECHO_HEAD];
    pbuf_copy_partial(p, head, ECHO_HEAD, 0);
    *ident = (uint16_t)(head[4] << 8 | head[5]);
    *seq = (uint16_t)(head[6] << 8 | head[7]);
    size_t n = (size_t)(p->tot_len - ECHO_HEAD);
    n = n < size ? n : size;
    pbuf_copy_partial(p, buf, (u16_t)n, ECHO_HEAD);
    pbuf_free(p);
    return (int)n;
}
