// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// A number of up to 32 bits that one thread writes and others look at: what was written before it is seen
// by who has seen it. Plain loads and stores with barriers on every CPU we build for; no library.

#ifndef ZT_ATOMIC_H
#define ZT_ATOMIC_H

#define ZT_LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define ZT_STORE(x, value) __atomic_store_n(&(x), (value), __ATOMIC_RELEASE)

#endif
