// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef ESP_SYSTEM_H
#define ESP_SYSTEM_H

void esp_restart(void) __attribute__((noreturn));

#endif
