// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef IDF_HOST_H
#define IDF_HOST_H

// Sleeps until zt_esp32_wake or ms have passed; true for the first.
int host_wait(int ms);

#endif
