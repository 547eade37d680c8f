// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What a peer may say in a TCP header. lwIP takes the option "maximum segment size" in any segment; one
// that changes it in the middle of a connection breaks the sums lwIP does over what waits to be sent, and
// its assertion ends the process. It belongs to the SYN alone (RFC 9293, 3.7.1).

#include "lwip/priv/tcp_priv.h"
#include "zt_netif_hooks.h"

err_t zt_netif_tcp_in(const struct tcp_hdr *head, u16_t options, u16_t first, const u8_t *second) {
    if ((TCPH_FLAGS(head) & TCP_SYN) != 0) {
        return ERR_OK;
    }
    const u8_t *start = (const u8_t *)(head + 1);
    for (u16_t i = 0; i < options;) {
        u8_t kind = i < first || second == NULL ? start[i] : second[i - first];
        if (kind == LWIP_TCP_OPT_EOL) {
            break;
        }
        if (kind == LWIP_TCP_OPT_NOP) {
            i++;
            continue;
        }
        u16_t next = (u16_t)(i + 1);
        u8_t size = next >= options ? 0 : next < first || second == NULL ? start[next] : second[next - first];
        if (kind == LWIP_TCP_OPT_MSS || size < 2) {
            return ERR_VAL; // the segment is dropped
        }
        i = (u16_t)(i + size);
    }
    return ERR_OK;
}
