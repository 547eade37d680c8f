// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef ARCH_CC_H
#define ARCH_CC_H

#include <stdint.h>

typedef uint32_t sys_prot_t;
void lwip_assert(const char *what);
#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(what) lwip_assert(what)
#define LWIP_TIMEVAL_PRIVATE 0

#endif
