// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// lwIP's timers. Its own list of them is not used: it wakes ten times a second for multicast reports
// that are hardly ever due, and an idle node should sleep. Each timer here says whether it is needed.

#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/priv/tcp_priv.h"
#include "zt_atomic.h"
#include "zt_netif_priv.h"

// Ours, and on a board the one that carries the wire.
static bool need_always(void) {
    struct netif *netif;
    NETIF_FOREACH(netif) {
        if ((netif->flags & NETIF_FLAG_ETHERNET) != 0) {
            return true;
        }
    }
    return false;
}

static bool need_tcp(void) {
    return tcp_active_pcbs != NULL || tcp_tw_pcbs != NULL;
}

// Delayed ACKs, data the application refused, a FIN that found no memory.
static bool need_tcp_fast(void) {
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next) {
        if ((pcb->flags & (TF_ACK_DELAY | TF_CLOSEPEND)) != 0 || pcb->refused_data != NULL) {
            return true;
        }
    }
    return false;
}

static bool need_igmp(void) {
    struct netif *netif;
    NETIF_FOREACH(netif) {
        for (struct igmp_group *g = netif_igmp_data(netif); g != NULL; g = g->next) {
            if (g->timer != 0) {
                return true;
            }
        }
    }
    return false;
}

static bool need_mld(void) {
    struct netif *netif;
    NETIF_FOREACH(netif) {
        for (struct mld_group *g = netif_mld6_data(netif); g != NULL; g = g->next) {
            if (g->timer != 0) {
                return true;
            }
        }
    }
    return false;
}

#if LWIP_DHCP
static bool need_dhcp(void) {
    struct netif *netif;
    NETIF_FOREACH(netif) {
        if (netif_dhcp_data(netif) != NULL) {
            return true;
        }
    }
    return false;
}
#endif

// A connection whose sending side was shut down ends in TIME_WAIT under a socket that still holds it.
// It must not expire there; closing the socket lets go of it.
static void tcp_slow_tick(void) {
    for (struct tcp_pcb *pcb = tcp_tw_pcbs; pcb != NULL; pcb = pcb->next) {
        if (pcb->callback_arg != NULL) {
            pcb->tmr = tcp_ticks;
        }
    }
    tcp_slowtmr();
}

static void slow_tick(void) {
    ip_reass_tmr();
    ip6_reass_tmr();
    etharp_tmr();
    nd6_tmr();
    dns_tmr();
}

#define DELAYED_ACK_MS 40 // as Linux has it; lwIP's 250 ms stalls a sender of small pieces

static const struct {
    uint32_t ms;
    void (*run)(void);
    bool (*needed)(void);
} timers[] = {
    { 1000, slow_tick, need_always },
    { TCP_SLOW_INTERVAL, tcp_slow_tick, need_tcp },
    { DELAYED_ACK_MS, tcp_fasttmr, need_tcp_fast },
    { IGMP_TMR_INTERVAL, igmp_tmr, need_igmp },
    { MLD6_TMR_INTERVAL, mld6_tmr, need_mld },
#if LWIP_DHCP
    { DHCP_FINE_TIMER_MSECS, dhcp_fine_tmr, need_dhcp },
    { DHCP_COARSE_TIMER_MSECS, dhcp_coarse_tmr, need_dhcp },
#endif
};

#define TIMERS (sizeof(timers) / sizeof(timers[0]))

static uint32_t timer_due[TIMERS];
static bool timer_on[TIMERS];

static bool run_loopback(void) {
    bool more = false;
    struct netif *netif;
    NETIF_FOREACH(netif) {
        if (netif->loop_first != NULL) {
            ZT_STORE(zt_netif_active, zt_netif_active + 1);
            netif_poll(netif);
            more = more || netif->loop_first != NULL;
        }
    }
    return more;
}

int32_t zt_netif_poll(void) {
    // A packet to ourselves may be answered by another; what is left after a few rounds waits its turn.
    bool more = run_loopback();
    for (int i = 0; more && i < 8; i++) {
        more = run_loopback();
    }
    uint32_t now = sys_now();
    for (size_t i = 0; i < TIMERS; i++) {
        if (timer_on[i] && (int32_t)(now - timer_due[i]) >= 0) {
            ZT_STORE(zt_netif_active, zt_netif_active + 1);
            timers[i].run();
            // After a long sleep one call, not a burst.
            timer_due[i] += timers[i].ms;
            if ((int32_t)(now - timer_due[i]) >= 0) {
                timer_due[i] = now + timers[i].ms;
            }
        }
    }
    int32_t next = more ? 0 : -1;
    for (size_t i = 0; i < TIMERS; i++) {
        bool on = timers[i].needed();
        if (on && !timer_on[i]) {
            timer_due[i] = now + timers[i].ms;
        }
        timer_on[i] = on;
        if (on) {
            int32_t left = (int32_t)(timer_due[i] - now);
            left = left < 0 ? 0 : left;
            next = next < 0 || left < next ? left : next;
        }
    }
    return next;
}
