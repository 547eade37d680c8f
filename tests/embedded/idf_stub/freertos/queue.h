// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef FREERTOS_QUEUE_H
#define FREERTOS_QUEUE_H

#include "freertos/FreeRTOS.h"

#endif
