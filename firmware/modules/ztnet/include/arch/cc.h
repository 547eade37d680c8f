// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What lwIP asks of a compiler and a platform. Integer types come from stdint through lwIP itself.

#ifndef ZT_ARCH_CC_H
#define ZT_ARCH_CC_H

#include <stdint.h>
#include <stdlib.h>

typedef uint32_t sys_prot_t;

uint32_t zt_netif_random(void);
void zt_netif_assert(const char *what, const char *file, int line);

#define LWIP_RAND() zt_netif_random()
#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(what) zt_netif_assert(what, __FILE__, __LINE__)

#endif
