// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef ESP_ERR_H
#define ESP_ERR_H

typedef int esp_err_t;
#define ESP_OK 0

#endif
