// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef ESP_WIFI_H
#define ESP_WIFI_H

#include <stdint.h>

#include "esp_err.h"
#include "esp_wifi_types.h"

esp_err_t esp_wifi_get_max_tx_power(int8_t *power); // an error unless the radio was started

#endif
