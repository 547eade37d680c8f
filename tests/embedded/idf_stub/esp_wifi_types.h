// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef ESP_WIFI_TYPES_H
#define ESP_WIFI_TYPES_H

#endif
